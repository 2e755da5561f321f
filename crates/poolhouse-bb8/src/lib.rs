//! Any [`bb8::ManageConnection`] in a [`poolhouse::Pool`]: keep your manager, change the pool.
//!
//! ```
//! use poolhouse::{Pool, PoolConfig};
//! use poolhouse_bb8::Bb8;
//! # struct Tickets;
//! # impl bb8::ManageConnection for Tickets {
//! #     type Connection = u32;
//! #     type Error = std::io::Error;
//! #     async fn connect(&self) -> std::io::Result<u32> { Ok(7) }
//! #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
//! #     fn has_broken(&self, _: &mut u32) -> bool { false }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = Tickets; // or PostgresConnectionManager::new(..), RedisConnectionManager::new(..)
//! let config = PoolConfig { max_connections: 4, ..PoolConfig::default() };
//! let pool = Pool::new(Bb8::new(manager).with_target("db.example:5432"), config)?;
//!
//! let connection = pool.acquire().await?;
//! assert_eq!(*connection, 7);
//! # Ok(())
//! # }
//! ```
//!
//! # What the pool asks the manager
//!
//! | bb8's method | when the pool calls it |
//! |---|---|
//! | `connect` | it opens a connection |
//! | `is_valid` | a connection comes back, before anybody else gets it; an idle one is due for a health check |
//! | `has_broken` | a connection comes back; an idle or a new one is about to be handed out |
//!
//! bb8 calls `is_valid` when you get a connection, and you wait for it. The bridge calls it when a connection comes back:
//! the next caller waits for it only if nothing else is idle. Switch that off with
//! [`test_on_return(false)`](Bb8::test_on_return), which is bb8's `test_on_check_out(false)`.
//!
//! bb8 also tests new connections. The bridge does so only after a test that failed, got no answer or panicked, until
//! one passes: a server that takes connections and refuses commands, such as a Redis that reads its data, or falls
//! silent, is then one that does not connect, with backoff.
//!
//! # A manager whose `has_broken` is always `false`
//!
//! bb8-redis is one: only a round trip tells that its connection has died. Leave
//! [`test_on_return`](Bb8::test_on_return) on, and set [`check_after_idle`](poolhouse::PoolConfig::check_after_idle) to a
//! second. Then a connection that died in use is closed when it comes back, and one that died idle is found before it is
//! handed out, unless it died less than a second ago. `Duration::ZERO` checks each idle connection each time, as bb8 does.
//!
//! With a manager whose `has_broken` looks at the connection, such as bb8-postgres, you need neither.
//!
//! # Errors
//!
//! bb8 asks only `Debug` and `Send` of a manager's error. [`Bb8::new`] takes what can become a
//! `Box<dyn Error + Send + Sync>`: every error type, `anyhow::Error`, the box itself, `String`. For anything else say how
//! it becomes one, with [`Bb8::with_errors`]. The pool's errors tell the manager's error in their text, and
//! [`AcquireError::manager_error`](poolhouse::AcquireError::manager_error) finds it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bridge;
mod fresh;

pub use crate::bridge::Bb8;

/// The crate's README, so that its snippet is a doctest too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
