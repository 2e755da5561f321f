//! The packet protocol: a 4-byte big-endian length, then the payload.
//!
//! It is the default protocol of the guide, and a worked [`Manager`](crate::Manager). [`PacketConnection`] speaks it
//! over any byte stream; [`PacketManager`] opens such connections, over TCP unless you give it another [`Dial`].

mod codec;
#[cfg(all(debug_assertions, feature = "net"))]
mod compiled;
mod connection;
mod error;
mod manager;
#[cfg(feature = "net")]
mod tcp;

#[cfg(all(debug_assertions, feature = "net"))]
#[doc(hidden)]
pub use self::compiled::{compiled, poll_compiled};
pub use self::connection::PacketConnection;
pub use self::error::PacketError;
pub use self::manager::{Dial, PacketManager, PacketOptions};
#[cfg(feature = "net")]
pub use self::tcp::TcpDialer;

/// A pool of packet connections over TCP.
///
/// ```
/// use poolhouse::{PacketPool, PoolConfig};
///
/// let pool = PacketPool::new(("localhost", 5555), PoolConfig::default())?;
/// assert_eq!(pool.stats().total_connections, 0, "no I/O until it is used");
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
#[cfg(feature = "net")]
pub type PacketPool = crate::Pool<PacketManager>;
