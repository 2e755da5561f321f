//! A connection that a thread holds.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "packet")]
use bytes::Bytes;

use super::OwnRuntime;
use crate::manager::Manager;
#[cfg(feature = "packet")]
use crate::packet::{Dial, PacketError, PacketManager};

/// A connection that a thread holds. It goes back to the pool when you drop it, anywhere.
///
/// ```
/// # use poolhouse::{PoolConfig, blocking::Pool};
/// # let server_runtime = tokio::runtime::Runtime::new()?;
/// # let server = server_runtime.block_on(poolhouse_echo::EchoServer::start())?;
/// # let pool = Pool::new((server.host(), server.port()), PoolConfig::default())?;
/// let mut connection = pool.acquire()?;
/// connection.send_packet("ping")?;
/// assert_eq!(connection.receive()?, "ping");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PooledConnection<M: Manager> {
    // Before the runtime: a connection's own drop may want its reactor.
    pub(super) inner: crate::PooledConnection<M>,
    pub(super) runtime: Arc<OwnRuntime>,
}

impl<M: Manager> PooledConnection<M> {
    /// Runs `async` code on the connection, on this thread, and waits for it.
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// # use poolhouse::{PoolConfig, blocking::Pool};
    /// # let server_runtime = tokio::runtime::Runtime::new()?;
    /// # let server = server_runtime.block_on(poolhouse_echo::EchoServer::start())?;
    /// # let pool = Pool::new((server.host(), server.port()), PoolConfig::default())?;
    /// let mut connection = pool.acquire()?;
    /// let answer = connection.run(async |connection| {
    ///     connection.send_packet("ping").await?;
    ///     connection.receive().await
    /// })?;
    /// # assert_eq!(answer, "ping");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn run<T>(&mut self, work: impl AsyncFnOnce(&mut M::Connection) -> T) -> T {
        // Called inside of the runtime: it may set a timer before its first await.
        self.runtime.block_on(async { work(&mut self.inner).await })
    }

    /// Gives the connection back now. The same as dropping it.
    ///
    /// ```
    /// fn done(connection: poolhouse::blocking::PooledConnection<poolhouse::PacketManager>) {
    ///     connection.release();
    /// }
    /// ```
    pub fn release(self) {
        drop(self);
    }

    /// Closes the connection instead of giving it back.
    ///
    /// ```
    /// fn broken(connection: poolhouse::blocking::PooledConnection<poolhouse::PacketManager>) {
    ///     connection.invalidate();
    /// }
    /// ```
    pub fn invalidate(self) {
        self.inner.invalidate();
    }

    /// Takes the connection out of the pool for good, like [`crate::PooledConnection::detach`].
    ///
    /// Its I/O belongs to the pool's runtime, and ends with the pool's last handle or guard.
    ///
    /// ```
    /// use poolhouse::{PacketConnection, PacketManager, blocking::PooledConnection};
    ///
    /// fn keep(connection: PooledConnection<PacketManager>) -> PacketConnection {
    ///     PooledConnection::detach(connection)
    /// }
    /// ```
    pub fn detach(this: Self) -> M::Connection {
        crate::PooledConnection::detach(this.inner)
    }

    /// The connection's number in this pool, like [`crate::PooledConnection::id`].
    ///
    /// ```
    /// use poolhouse::{PacketManager, blocking::PooledConnection};
    ///
    /// fn log(connection: &PooledConnection<PacketManager>) {
    ///     println!("using connection {}", PooledConnection::id(connection));
    /// }
    /// ```
    pub fn id(this: &Self) -> u64 {
        crate::PooledConnection::id(&this.inner)
    }

    /// How long ago the connection was opened, like [`crate::PooledConnection::age`].
    ///
    /// ```
    /// use poolhouse::{PacketManager, blocking::PooledConnection};
    ///
    /// fn is_old(connection: &PooledConnection<PacketManager>) -> bool {
    ///     PooledConnection::age(connection).as_secs() > 600
    /// }
    /// ```
    pub fn age(this: &Self) -> Duration {
        crate::PooledConnection::age(&this.inner)
    }

    /// How long nobody had used the connection before you got it, like [`crate::PooledConnection::idle_time`].
    ///
    /// ```
    /// use poolhouse::{PacketManager, blocking::PooledConnection};
    ///
    /// fn has_rested(connection: &PooledConnection<PacketManager>) -> bool {
    ///     PooledConnection::idle_time(connection).as_secs() > 60
    /// }
    /// ```
    pub fn idle_time(this: &Self) -> Duration {
        crate::PooledConnection::idle_time(&this.inner)
    }

    /// How many holders the connection has had, like [`crate::PooledConnection::use_count`].
    ///
    /// ```
    /// use poolhouse::{PacketManager, blocking::PooledConnection};
    ///
    /// fn is_new(connection: &PooledConnection<PacketManager>) -> bool {
    ///     PooledConnection::use_count(connection) == 1
    /// }
    /// ```
    pub fn use_count(this: &Self) -> u64 {
        crate::PooledConnection::use_count(&this.inner)
    }
}

#[cfg(feature = "packet")]
impl<D: Dial> PooledConnection<PacketManager<D>> {
    /// Sends one packet, like [`PacketConnection::send_packet`](crate::PacketConnection::send_packet).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// use poolhouse::{PacketError, PacketManager, blocking::PooledConnection};
    ///
    /// fn ping(connection: &mut PooledConnection<PacketManager>) -> Result<(), PacketError> {
    ///     connection.send_packet("ping")
    /// }
    /// ```
    pub fn send_packet(&mut self, payload: impl Into<Bytes>) -> Result<(), PacketError> {
        self.runtime.block_on(self.inner.send_packet(payload))
    }

    /// Receives one packet, like [`PacketConnection::receive`](crate::PacketConnection::receive).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// use poolhouse::{PacketError, PacketManager, blocking::PooledConnection};
    ///
    /// fn answer_length(connection: &mut PooledConnection<PacketManager>) -> Result<usize, PacketError> {
    ///     Ok(connection.receive()?.len())
    /// }
    /// ```
    pub fn receive(&mut self) -> Result<Bytes, PacketError> {
        self.runtime.block_on(self.inner.receive())
    }
}

impl<M: Manager> Deref for PooledConnection<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        &self.inner
    }
}

impl<M: Manager> DerefMut for PooledConnection<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self.inner
    }
}

impl<M: Manager> fmt::Debug for PooledConnection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
