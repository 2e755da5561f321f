//! Redis connections for the pool [`poolhouse`], over [`redis`].
//!
//! ```no_run
//! use poolhouse::{Pool, PoolConfig};
//! use poolhouse_redis::RedisManager;
//! use redis::AsyncCommands;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::new(RedisManager::from_url("redis://localhost/")?, PoolConfig::default())?;
//!
//! let mut connection = pool.acquire().await?;
//! let () = connection.set("greeting", "hello").await?;
//! let greeting: String = connection.get("greeting").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`RedisManager`]: how to connect, and how long to wait for what was given up.
//! - [`RedisConnection`]: what you hold.
//! - [`ConnectionError`]: why there is no connection, what to do, and what the pool makes of it.
//!
//! # What it does that redis-rs alone does not
//!
//! - **No reply reaches the wrong caller.** A command whose future was dropped is still owed a reply. It is drained before
//!   anybody else gets the connection, off the caller's path; what does not come in time is closed.
//! - **A cancelled command costs no connect.** Except one that blocks, such as `BLPOP`: there the reply comes when it likes.
//! - **Nothing is left behind**: `WATCH`, `MULTI`, `SELECT`, another user, client-side caching, subscriptions.
//! - **Nothing is sent in vain.** Commands that change a session are known by name. After plain ones a connection goes
//!   straight to the next caller.
//! - **Pushes of RESP3 do no harm**: a connection that has received one nobody asked for is as good as before.
//!
//! # Pub/Sub
//!
//! A subscription lasts, and a lent connection does not: use [`redis::Client::get_async_pubsub`], outside of the pool.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod connection;
mod dial;
mod error;
mod manager;
mod session;
mod socket;

pub use poolhouse;
pub use redis;

pub use crate::connection::RedisConnection;
pub use crate::error::ConnectionError;
pub use crate::manager::RedisManager;

/// A pool of Redis connections.
///
/// ```
/// use poolhouse_redis::{RedisManager, RedisPool};
///
/// let pool = RedisPool::builder(RedisManager::from_url("redis://db.example/")?).name("cache").build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type RedisPool = poolhouse::Pool<RedisManager>;

/// A connection that you hold: it goes back to the pool when you drop it.
///
/// ```no_run
/// use poolhouse_redis::PooledRedis;
/// use redis::AsyncCommands;
///
/// async fn visits(connection: &mut PooledRedis) -> redis::RedisResult<u64> {
///     connection.incr("visits", 1).await
/// }
/// ```
pub type PooledRedis = poolhouse::PooledConnection<RedisManager>;

/// The crate's README, so that its snippets are doctests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
