//! Any [`deadpool::managed::Manager`] in a [`poolhouse::Pool`]: keep your manager, change the pool.
//!
//! ```
//! use poolhouse::{Pool, PoolConfig};
//! use poolhouse_deadpool::Deadpool;
//! # use deadpool::managed::{Metrics, RecycleResult};
//! # struct Tickets;
//! # impl deadpool::managed::Manager for Tickets {
//! #     type Type = u32;
//! #     type Error = std::io::Error;
//! #     async fn create(&self) -> std::io::Result<u32> { Ok(7) }
//! #     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = Tickets; // or deadpool_postgres::Manager::from_config(..), deadpool_redis::Manager::new(..)
//! let config = PoolConfig { max_connections: 4, ..PoolConfig::default() };
//! let pool = Pool::new(Deadpool::new(manager).with_target("db.example:5432"), config)?;
//!
//! let ticket = pool.acquire().await?;
//! assert_eq!(**ticket, 7); // a method call needs no stars
//! # Ok(())
//! # }
//! ```
//!
//! # What the pool asks the manager
//!
//! | deadpool's method | when the pool calls it |
//! |---|---|
//! | `create` | it opens a connection |
//! | `recycle` | a connection comes back, before anybody else gets it; an idle one is due for a health check |
//! | `detach` | a connection has left the pool, for whatever reason: once, just before it is dropped or taken |
//!
//! deadpool calls `recycle` when you get a connection, and you wait for it. The bridge calls it when a connection comes
//! back: between any two holders, also when the connection goes to somebody who waits (`reset.between`). What one holder
//! leaves in a connection is gone before the next has it, and nobody waits for that while another connection is idle. An
//! error of `recycle` closes the connection.
//!
//! # A connection that dies while it is idle
//!
//! deadpool's `recycle` at each get finds it. Here it was recycled before that. If the connection itself knows, tell the
//! pool how to ask, and no dead one is handed out: [`with_is_connected`](Deadpool::with_is_connected). For deadpool-postgres
//! that is `|client| !client.is_closed()`. If only a round trip tells, as with deadpool-redis, set
//! [`check_after_idle`](poolhouse::PoolConfig::check_after_idle) to a second: an acquire then recycles first what has been
//! idle for longer. `Duration::ZERO` recycles each idle connection again at each acquire.
//!
//! # Hooks
//!
//! deadpool's builder takes `post_create`, `pre_recycle` and `post_recycle`. Give them to the bridge:
//! [`Deadpool::post_create`], [`Deadpool::pre_recycle`], [`Deadpool::post_recycle`]. The last two run around each
//! `recycle`, that of a health check included. The pool has hooks of its own, which are closures:
//! [`after_connect`](poolhouse::PoolBuilder::after_connect), [`on_return`](poolhouse::PoolBuilder::on_return), which
//! runs after `recycle`, and [`before_reuse`](poolhouse::PoolBuilder::before_reuse).
//!
//! # What does not move
//!
//! The wrapper type that an adapter has for deadpool's pool: you hold what the *manager* makes. For deadpool-postgres
//! that is `ClientWrapper`, with all its methods, transactions and its statement cache; for deadpool-redis it is redis'
//! `MultiplexedConnection`, so pass `&mut **connection` to `query_async`.
//!
//! deadpool's `get` calls `create` and `recycle` in the task that calls it. Here a background task does. So a manager
//! or a hook finds no `task_local!` and no tracing span of the caller, and a caller that gives up does not end a
//! `create`.
//!
//! # Errors
//!
//! deadpool asks only `Send` of a manager's error. [`Deadpool::new`] takes what can become a
//! `Box<dyn Error + Send + Sync>`: every error type, `anyhow::Error`, the box itself, `String`. For anything else say how
//! it becomes one, with [`Deadpool::with_errors`]. The pool's errors tell the manager's error in their text, and
//! [`AcquireError::manager_error`](poolhouse::AcquireError::manager_error) finds it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bridge;
mod hooks;
mod object;

pub use crate::bridge::Deadpool;
pub use crate::object::Object;

/// The crate's README, so that its snippet is a doctest too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
