//! Makes a pool that has more than a manager and options.

use std::fmt;

use crate::config::{ConfigError, PoolConfig};
use crate::events::Listener;
use crate::hooks::{HookFuture, Hooks};
use crate::maintenance::ConnectionInfo;
use crate::manager::Manager;
use crate::pool::Pool;

/// The parts of a pool to be built. [`Pool::builder`] makes a builder.
///
/// ```
/// use poolhouse::{Event, PacketPool, PoolConfig};
///
/// let pool = PacketPool::builder(("localhost", 5555))
///     .config(PoolConfig { max_connections: 20, ..PoolConfig::default() })
///     .name("orders")
///     .listener(|event: &Event<'_>| println!("{event:?}"))
///     .build()?;
/// assert_eq!(pool.name(), Some("orders"));
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until build is called"]
pub struct PoolBuilder<M: Manager> {
    pub(crate) manager: M,
    pub(crate) config: PoolConfig,
    pub(crate) name: Option<String>,
    pub(crate) listener: Option<Box<dyn Listener>>,
    pub(crate) hooks: Hooks<M::Connection>,
}

impl<M: Manager> PoolBuilder<M> {
    pub(crate) fn new(manager: M) -> Self {
        Self { manager, config: PoolConfig::default(), name: None, listener: None, hooks: Hooks::default() }
    }

    /// Sets the options. Without this call they are those of [`PoolConfig::default`].
    ///
    /// ```
    /// use poolhouse::{PacketPool, PoolConfig};
    ///
    /// let config = PoolConfig { max_connections: 4, ..PoolConfig::default() };
    /// let pool = PacketPool::builder(("localhost", 5555)).config(config).build()?;
    /// assert_eq!(pool.config().max_connections, 4);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn config(mut self, config: PoolConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets a name that distinguishes this pool from others in the same process. It is in each log record, in the text
    /// of each [`AcquireError`](crate::AcquireError), and in each event.
    ///
    /// ```
    /// let builder = poolhouse::PacketPool::builder(("localhost", 5555));
    /// let pool = builder.name("replica").build()?;
    /// assert_eq!(pool.name(), Some("replica"));
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the listener, which is told of everything that happens in the pool.
    ///
    /// ```
    /// use poolhouse::{Event, PacketPool};
    ///
    /// let listener = |event: &Event<'_>| {
    ///     if let Event::Retired { connection, reason, .. } = event {
    ///         println!("connection {connection} closes: {reason}");
    ///     }
    /// };
    /// let pool = PacketPool::builder(("localhost", 5555)).listener(listener).build()?;
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn listener(mut self, listener: impl Listener) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Runs after each connect, before anybody gets the connection: to set a time zone, or to prepare statements. The
    /// hook is part of the connect, within `connect_attempt_timeout`. An error is a failed connect.
    ///
    /// Such a failure is [`Transient`](crate::FailureKind::Transient), so the pool tries again until the caller's
    /// deadline. A [`Failure`](crate::Failure) as the error may say otherwise. [`Manager::classify`] is not asked.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// let pool = poolhouse::PacketPool::builder((server.host(), server.port()))
    ///     .after_connect(|connection| {
    ///         Box::pin(async move {
    ///             connection.send_packet("SET TIME ZONE UTC").await?;
    ///             connection.receive().await?;
    ///             Ok(())
    ///         })
    ///     })
    ///     .build()?;
    /// pool.acquire().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn after_connect(
        mut self,
        hook: impl Fn(&mut M::Connection) -> HookFuture<'_> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.after_connect = Some(Box::new(hook));
        self
    }

    /// Runs before each reuse of a connection, with what the pool knows about it. It also runs for a connection that
    /// goes from its holder straight to a waiter, and after the health check, if one is due. The acquire waits for the
    /// hook, within its own deadline. An error closes the connection
    /// ([`HookFailed`](crate::RetireReason::HookFailed)), and the acquire gets another. [`Discard`](crate::Discard) as
    /// the error does so without a warning.
    ///
    /// The check and the hook together may take `health_check_timeout`. If the hook takes longer, it counts
    /// as a failed check: in [`failed_checks`](crate::PoolStats::failed_checks), and as
    /// [`CheckFailed`](crate::RetireReason::CheckFailed).
    ///
    /// The first use is not a reuse: the hook does not run on a connection that nobody has used since it was opened or
    /// added.
    ///
    /// With this hook, each acquire costs a turn of the background task, and [`try_acquire`](Pool::try_acquire) gives
    /// only connections that nobody has used. If the hook takes longer than a connect usually does, the pool begins a
    /// connect in parallel, up to `max_connections`. Work that can be done when a connection comes back belongs in
    /// [`on_return`](PoolBuilder::on_return), where nobody waits for it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// let pool = poolhouse::PacketPool::builder((server.host(), server.port()))
    ///     .before_reuse(|connection, _info| {
    ///         Box::pin(async move {
    ///             connection.send_packet("are you there?").await?;
    ///             connection.receive().await?;
    ///             Ok(())
    ///         })
    ///     })
    ///     .build()?;
    /// pool.acquire().await?.release();
    /// pool.acquire().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_reuse(
        mut self,
        hook: impl for<'c> Fn(&'c mut M::Connection, ConnectionInfo) -> HookFuture<'c> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.before_reuse = Some(Box::new(hook));
        self
    }

    /// Runs on each connection that comes back and is reusable, before anybody else gets it (`reset.between`). If
    /// [`Manager::reset`] is needed too, the hook runs after it. It runs off the caller's path, within `reset_timeout`.
    /// An error closes the connection. [`Discard`](crate::Discard) as the error does so without a warning.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// let pool = poolhouse::PacketPool::builder((server.host(), server.port()))
    ///     .on_return(|connection, _info| {
    ///         Box::pin(async move {
    ///             connection.send_packet("DISCARD ALL").await?;
    ///             connection.receive().await?;
    ///             Ok(())
    ///         })
    ///     })
    ///     .build()?;
    /// pool.acquire().await?.release();
    /// pool.acquire().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_return(
        mut self,
        hook: impl for<'c> Fn(&'c mut M::Connection, ConnectionInfo) -> HookFuture<'c> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.on_return = Some(Box::new(hook));
        self
    }

    /// Runs before the pool closes a connection whose peer has not closed it, for example to say goodbye. It
    /// runs in a background task, within `close_timeout`, and before [`Manager::close`]. The connection takes
    /// up room until the hook has ended. An error or a panic is logged. If no runtime serves this pool's
    /// connections, or the runtime of the connection has ended, the hook does not run.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// let pool = poolhouse::PacketPool::builder((server.host(), server.port()))
    ///     .before_close(|connection, info| {
    ///         Box::pin(async move {
    ///             let goodbye = format!("QUIT after {} requests", info.use_count);
    ///             connection.send_packet(goodbye).await?;
    ///             Ok(())
    ///         })
    ///     })
    ///     .build()?;
    /// pool.acquire().await?.release();
    /// pool.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn before_close(
        mut self,
        hook: impl for<'c> Fn(&'c mut M::Connection, ConnectionInfo) -> HookFuture<'c> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.before_close = Some(Box::new(hook));
        self
    }

    /// Makes the pool. It does no I/O and needs no runtime until it is used.
    ///
    /// # Errors
    ///
    /// As for [`Pool::new`].
    ///
    /// ```
    /// use poolhouse::{PacketPool, PoolConfig};
    ///
    /// let config = PoolConfig { max_connections: 0, ..PoolConfig::default() };
    /// let builder = PacketPool::builder(("localhost", 5555)).config(config);
    /// let error = builder.build().unwrap_err();
    /// assert_eq!(error.field(), "max_connections");
    /// ```
    pub fn build(self) -> Result<Pool<M>, ConfigError> {
        self.config.validate()?;
        self.manager.validate()?;
        Ok(Pool::from_builder(self))
    }
}

impl<M: Manager> fmt::Debug for PoolBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
