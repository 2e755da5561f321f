//! A connection pool for tokio: fair, cancel-safe, bounded and self-diagnosing.
//!
//! ```
//! use poolhouse::{PacketPool, PoolConfig};
//! use poolhouse_echo::EchoServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = EchoServer::start().await?;
//! let config = PoolConfig { max_connections: 4, ..PoolConfig::default() };
//! let pool = PacketPool::new((server.host(), server.port()), config)?;
//!
//! let mut connection = pool.acquire().await?;
//! connection.send_packet("hello").await?;
//! assert_eq!(connection.receive().await?, "hello");
//! // Back to the pool when `connection` goes out of scope.
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`Pool`]: acquire, look, resize, close.
//! - [`PoolConfig`]: every option, its default and its bounds.
//! - [`PooledConnection`]: what you hold, and how it goes back.
//! - [`AcquireError`]: why you hold nothing, and what to do.
//! - [`Listener`]: be told of every [`Event`]. [`PoolStats`]: what the pool holds and has done.
//! - [`Manager`]: pool a protocol of your own. [`PacketManager`] is a worked one.
//! - [`blocking`]: the same pool for threads that have no runtime (feature `blocking`).
//!
//! # Logs
//!
//! The pool reports through [`tracing`]. It never records payload or credentials. Every record has the field
//! `target_address`, which is [`Manager::target`]. A warning names a page of the guide: at the end of its `error` or of its
//! message, or in a field `guide`.
//!
//! | target | level | what | more fields |
//! |---|---|---|---|
//! | `poolhouse::acquire` | debug span `acquire` | one acquire, from its first poll to its end | |
//! | `poolhouse::acquire` | warn | an acquire timed out | `error` |
//! | `poolhouse::acquire` | debug | an acquire failed otherwise | `error` |
//! | `poolhouse::acquire` | warn | with `detect_nested_acquires`: a task waits that holds a connection | `connection`, `acquired_at`, `guide` |
//! | `poolhouse::connect` | debug | a connection opened | `connection`, `elapsed_ms` |
//! | `poolhouse::connect` | warn | a connect failed | `error`, `elapsed_ms`, `permanent` |
//! | `poolhouse::check` | trace | a health check passed | `connection`, `elapsed_ms` |
//! | `poolhouse::check` | warn | a health check failed | `connection`, `elapsed_ms`, `error`, `guide` |
//! | `poolhouse::check` | warn | the manager panicked while it checked | `connection`, `guide` |
//! | `poolhouse::retire` | debug | the pool closes a connection | `connection`, `reason` |
//! | `poolhouse::leak` | warn | a connection is held for longer than `leak_threshold` | `connection`, `acquired_at`, `held_ms`, `guide` |
//! | `poolhouse::panic` | error | code of yours panicked outside of any call: a waker, a drop, `classify` | `guide` |
//! | `poolhouse::listener` | error | the listener panicked | `guide` |
//! | `poolhouse::close` | debug | the pool begins to close | `held` |
//! | `poolhouse::close` | debug | the pool has closed | |
//! | `poolhouse::close` | warn | `close_within` ran out of time | `held` |
//!
//! # Features
//!
//! - `net` (on by default): TCP. Without it the crate touches no socket.
//! - `blocking`: [`blocking::Pool`].
//! - `serde`: [`PoolConfig`] and [`IdleOrder`] from a settings file, and into one.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(feature = "blocking"), allow(rustdoc::broken_intra_doc_links))]

mod acquire;
mod admin;
mod background;
#[cfg(feature = "blocking")]
pub mod blocking;
mod call_out;
mod clock;
mod config;
mod error;
mod events;
mod histogram;
mod inner;
mod manager;
mod packet;
mod policy;
mod pool;
mod pooled_connection;
#[cfg(feature = "serde")]
mod settings;
mod state;
mod stats;
mod sync;
mod time;
mod weak_pool;

pub use crate::acquire::Acquire;
pub use crate::admin::CloseReport;
pub use crate::config::{ConfigError, IdleOrder, PoolConfig};
pub use crate::error::{AcquireError, AcquireTimeout, ConnectError, ConnectFailed, Holder, Phase};
pub use crate::events::{Event, Listener, RetireReason};
pub use crate::histogram::Histogram;
pub use crate::manager::{FailureKind, IntoManager, Manager};
pub use crate::packet::{Dial, PacketConnection, PacketError, PacketManager, PacketOptions};
#[cfg(feature = "net")]
pub use crate::packet::{PacketPool, TcpDialer};
pub use crate::pool::Pool;
pub use crate::pooled_connection::PooledConnection;
pub use crate::stats::PoolStats;
pub use crate::weak_pool::WeakPool;

/// The crate's README, so that its snippet is a doctest too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
