//! Any [`r2d2::ManageConnection`] in a [`poolhouse::Pool`]: keep your manager, change the pool. What blocks runs on threads
//! that may block.
//!
//! ```
//! use poolhouse::{Pool, PoolConfig};
//! use poolhouse_r2d2::R2d2;
//! use tokio::task::spawn_blocking;
//! # struct Tickets;
//! # impl r2d2::ManageConnection for Tickets {
//! #     type Connection = u32;
//! #     type Error = std::io::Error;
//! #     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
//! #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
//! #     fn has_broken(&self, _: &mut u32) -> bool { false }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = Tickets; // or SqliteConnectionManager::file(..), PostgresConnectionManager::new(..)
//! let config = PoolConfig { max_connections: 4, ..PoolConfig::default() };
//! let pool = Pool::new(R2d2::new(manager).with_target("db.example:5432"), config)?;
//!
//! let connection = pool.acquire().await?;
//! // The guard moves to a thread that may block, and goes back to the pool from there.
//! let ticket = spawn_blocking(move || **connection).await?;
//! assert_eq!(ticket, 7);
//! # Ok(())
//! # }
//! ```
//!
//! # In threads, without async code
//!
//! `poolhouse::blocking::Pool` (feature `blocking` of poolhouse) takes the same bridge:
//!
//! ```
//! use poolhouse::{PoolConfig, blocking::Pool};
//! use poolhouse_r2d2::R2d2;
//! # struct Tickets;
//! # impl r2d2::ManageConnection for Tickets {
//! #     type Connection = u32;
//! #     type Error = std::io::Error;
//! #     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
//! #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
//! #     fn has_broken(&self, _: &mut u32) -> bool { false }
//! # }
//!
//! let pool = Pool::new(R2d2::new(Tickets), PoolConfig::default())?;
//! let connection = pool.acquire()?;
//! assert_eq!(**connection, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the pool asks the manager
//!
//! | r2d2's method | when the pool calls it | on which thread |
//! |---|---|---|
//! | `connect` | it opens a connection | one that may block |
//! | `is_valid` | a connection comes back, before anybody else gets it; an idle one is due for a health check | one that may block |
//! | `has_broken` | a connection comes back; an idle one is about to be handed out; `is_valid` has passed | the one that gives back or acquires; one of the runtime's |
//! | drop of a connection | the pool is done with it | one that may block |
//!
//! The threads are those of [`spawn_blocking`](tokio::task::spawn_blocking), or, for the drop of a connection that
//! nobody waits for, one of its own. A connection that is dropped outside of any runtime is dropped in place.
//!
//! r2d2 calls `is_valid` when you get a connection, and you wait for it. The bridge calls it when a connection comes
//! back: the next caller waits for it only if nothing else is idle. Switch that off with
//! [`test_on_return(false)`](R2d2::test_on_return), which is r2d2's `test_on_check_out(false)`. If `has_broken` asks
//! the server, as that of r2d2_mysql does, switch that off, with [`ask_has_broken(false)`](R2d2::ask_has_broken). If it
//! is off, or never answers `true`, leave `test_on_return` on, and set
//! [`check_after_idle`](poolhouse::PoolConfig::check_after_idle) to a second for what dies idle.
//!
//! # Limits of what blocks
//!
//! A call that blocks cannot be cancelled: the thread blocks until the client library gives up. A connection whose test
//! takes longer than the pool's limit takes up room until the call comes back, at most for another
//! [`close_timeout`](poolhouse::PoolConfig::close_timeout). The drop of a connection has `close_timeout` too. After
//! that, it counts for the server and no longer for the pool's maximum, and `close` no longer waits for it. This is so
//! at once for a connect that takes too long or is under way when the pool closes, for a connection that the hook
//! [`after_connect`](poolhouse::PoolBuilder::after_connect) refuses, and for one that `has_broken` finds before a
//! hand-out. So set the library's own time limits too, and shorter.
//!
//! A closure in [`spawn_blocking`](tokio::task::spawn_blocking) must not wait for a connection, as with
//! `Handle::block_on(pool.acquire())`. If such closures have all of the runtime's threads for what blocks, no
//! connection is opened or tested, and all of them time out. Acquire first, and move the guard, as above; or use
//! `poolhouse::blocking::Pool`, which has a runtime of its own.
//!
//! # Errors
//!
//! r2d2 asks no more than `Error` of a manager's error. [`R2d2::new`] wants `Send` and `Sync` too, which nearly all
//! are. For one that is not, say what becomes of it, with [`R2d2::with_errors`]. The pool's errors tell the manager's
//! error in their text, and [`AcquireError::manager_error`](poolhouse::AcquireError::manager_error) finds it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bridge;
mod connection;
mod error;

pub use crate::bridge::R2d2;
pub use crate::connection::Connection;

/// The crate's README, so that its snippet is a doctest too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
