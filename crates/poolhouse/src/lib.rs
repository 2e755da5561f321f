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
//! - [`Listener`]: how to be told of every [`Event`]. [`PoolStats`]: what the pool holds and has done.
//! - [`Manager`]: how to pool a protocol of your own. [`PacketManager`] is a worked example (feature `packet`).
//! - [`blocking`]: the same pool for threads that have no runtime (feature `blocking`).
//!
//! # Logs
//!
//! The pool reports through [`tracing`]. It never records payload or credentials. Every record has the field
//! `target_address`, which is [`Manager::target`]. If the pool has a name, every record also has it in the field
//! `pool`. A warning names a page of the guide: at the end of its `error` or of its message, or in a field `guide`.
//!
//! | target | level | what | more fields |
//! |---|---|---|---|
//! | `poolhouse::acquire` | debug span `acquire` | one acquire, from its first poll to its end | |
//! | `poolhouse::acquire` | warn | an acquire timed out | `error` |
//! | `poolhouse::acquire` | debug | an acquire failed for another reason | `error` |
//! | `poolhouse::acquire` | warn | with `detect_nested_acquires`: a task that holds a connection waits for another | `connection`, `acquired_at`, `guide` |
//! | `poolhouse::connect` | debug | a connection opened | `connection`, `elapsed_ms` |
//! | `poolhouse::connect` | warn | a connect failed | `error`, `elapsed_ms`, `permanent` |
//! | `poolhouse::check` | trace | a health check passed | `connection`, `elapsed_ms` |
//! | `poolhouse::check` | warn | a health check failed | `connection`, `elapsed_ms`, `error`, `guide` |
//! | `poolhouse::check` | warn | the manager panicked while it checked | `connection`, `guide` |
//! | `poolhouse::reset` | trace | a connection has been reset | `connection`, `elapsed_ms` |
//! | `poolhouse::reset` | warn | a reset failed | `connection`, `elapsed_ms`, `error`, `guide` |
//! | `poolhouse::reset` | warn | the manager panicked while it reset | `connection`, `guide` |
//! | `poolhouse::retire` | debug | the pool closes a connection | `connection`, `reason` |
//! | `poolhouse::retire` | trace | a connection has been closed gracefully | `connection`, `elapsed_ms` |
//! | `poolhouse::retire` | warn | a graceful close took longer than `close_timeout` | `connection`, `elapsed_ms`, `guide` |
//! | `poolhouse::retire` | warn | the hook before close failed | `connection`, `elapsed_ms`, `error`, `guide` |
//! | `poolhouse::retire` | warn | the hook before close panicked | `connection`, `elapsed_ms`, `guide` |
//! | `poolhouse::retire` | warn | the manager panicked while it closed | `connection`, `elapsed_ms`, `guide` |
//! | `poolhouse::leak` | warn | a connection is held for longer than `leak_threshold` | `connection`, `acquired_at`, `held_ms`, `guide` |
//! | `poolhouse::panic` | error | your code panicked outside any call: a waker, a drop, `classify` | `guide` |
//! | `poolhouse::listener` | error | the listener panicked | `guide` |
//! | `poolhouse::close` | debug | the pool begins to close | `held` |
//! | `poolhouse::close` | debug | the pool has closed | |
//! | `poolhouse::close` | warn | `close_within` ran out of time | `held` |
//!
//! # Features
//!
//! - `net` (on by default): the packet protocol over TCP. Without it the crate touches no socket. It implies `packet`.
//! - `packet` (on by default): the packet protocol over any byte stream, with [`PacketManager`] and its types.
//! - `blocking`: [`blocking::Pool`].
//! - `serde`: reads [`PoolConfig`] and [`IdleOrder`] from a settings file, and writes them to one.
//!
//! Without default features the crate is the pool alone. It needs `tokio`, `thiserror`, `tracing` and four small
//! crates: `fastrand` for jitter, `histogram` for the statistics, `slab` for the lists of waiters and holders, and, on
//! Linux and Android, `rustix` for the time that the machine has slept. With their own dependencies, that makes 18
//! crates on Linux.
//!
//! # The guide
//!
//! Each error, and each warning in the log, ends with the address of the page of the guide that explains it. The guide
//! is at [`GUIDE`].
#![doc = concat!("The whole of it: [The Connection Pool Guide](", env!("CARGO_PKG_HOMEPAGE"), ").")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(all(feature = "blocking", feature = "net")), allow(rustdoc::broken_intra_doc_links))]

mod acquire;
mod admin;
mod background;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod call_out;
mod chores;
mod clock;
mod closing;
mod config;
mod config_error;
mod error;
mod events;
mod histogram;
mod hooks;
mod inner;
mod maintenance;
mod manager;
#[cfg(feature = "packet")]
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
pub use crate::admin::{Close, CloseReport};
pub use crate::builder::PoolBuilder;
pub use crate::config::{ConfigError, IdleOrder, PoolConfig};
pub use crate::error::{
    AcquireError, AcquireErrorKind, AcquireTimeout, ConnectError, ConnectFailed, Failure, Holder, Phase,
    Retry,
};
pub use crate::events::{Event, Listener, RetireReason};
pub use crate::histogram::Histogram;
pub use crate::hooks::{Discard, HookFuture};
pub use crate::maintenance::ConnectionInfo;
pub use crate::manager::{FailureKind, IntoManager, Manager};
#[cfg(feature = "packet")]
pub use crate::packet::{Dial, PacketConnection, PacketError, PacketManager, PacketOptions};
#[cfg(feature = "net")]
pub use crate::packet::{PacketPool, TcpDialer};
#[cfg(all(debug_assertions, feature = "net"))]
#[doc(hidden)]
pub use crate::packet::{compiled, poll_compiled};
pub use crate::pool::Pool;
pub use crate::pooled_connection::PooledConnection;
pub use crate::stats::{CloseCounts, PoolStats};
pub use crate::weak_pool::WeakPool;

/// The address of The Connection Pool Guide, which explains this crate, without a slash at its end.
///
/// The text of an error ends with the address of a page of the guide. A warning in the log has such an address in its
/// text or in a field `guide`.
///
/// ```
/// use poolhouse::{GUIDE, PoolConfig};
///
/// let config = PoolConfig { max_connections: 0, ..PoolConfig::default() };
/// let text = config.validate().unwrap_err().to_string();
///
/// assert!(text.ends_with(&format!("; guide: {GUIDE}/reference/configuration.html")));
/// ```
pub const GUIDE: &str = env!("CARGO_PKG_HOMEPAGE");

/// The crate's README, so that its snippet is a doctest too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
