//! The pool as its users see it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::acquire::{Acquire, try_acquire};
use crate::builder::PoolBuilder;
use crate::config::{ConfigError, PoolConfig};
use crate::error::{AcquireError, Holder};
use crate::inner::PoolInner;
use crate::manager::{IntoManager, Manager};
use crate::pooled_connection::PooledConnection;
use crate::stats::PoolStats;

/// A pool of connections. Cloning it is cheap and gives another handle to the same pool.
///
/// When the last handle is dropped, the pool closes: idle connections at once, held ones as they come back. A manager
/// or a listener that keeps a handle of its own pool keeps it open. The child of a `fork` must not use the pool.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use poolhouse::{PacketPool, PoolConfig};
/// use poolhouse_echo::EchoServer;
///
/// let server = EchoServer::start().await?;
/// let pool = PacketPool::new((server.host(), server.port()), PoolConfig::default())?;
///
/// let mut connection = pool.acquire().await?;
/// connection.send_packet("ping").await?;
/// assert_eq!(connection.receive().await?, "ping");
/// # Ok(())
/// # }
/// ```
pub struct Pool<M: Manager> {
    pub(crate) handle: Arc<PoolHandle<M>>,
}

/// Closes the pool with its last handle. Guards and background work share only what is inside.
pub(crate) struct PoolHandle<M: Manager> {
    inner: Arc<PoolInner<M>>,
}

impl<M: Manager> Drop for PoolHandle<M> {
    fn drop(&mut self) {
        self.inner.close();
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<M: Manager> Pool<M> {
    /// Makes a pool. It does no I/O and needs no runtime until it is used.
    ///
    /// # Errors
    ///
    /// The name of an option whose value no pool can have. It is one of `config`, or one that the manager's
    /// own [`validate`](Manager::validate) refuses, as that of the packet protocol does.
    ///
    /// ```
    /// use poolhouse::{PacketPool, PoolConfig};
    ///
    /// let config = PoolConfig { max_connections: 0, ..PoolConfig::default() };
    /// let error = PacketPool::new(("localhost", 5555), config).unwrap_err();
    /// assert_eq!(error.field(), "max_connections");
    /// ```
    pub fn new(manager: impl IntoManager<Manager = M>, config: PoolConfig) -> Result<Self, ConfigError> {
        Self::builder(manager).config(config).build()
    }

    /// Begins to build a pool with a name, a listener or hooks.
    ///
    /// ```
    /// let builder = poolhouse::PacketPool::builder(("localhost", 5555));
    /// let pool = builder.name("orders").build()?;
    /// assert_eq!(pool.name(), Some("orders"));
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn builder(manager: impl IntoManager<Manager = M>) -> PoolBuilder<M> {
        PoolBuilder::new(manager.into_manager())
    }

    pub(crate) fn from_builder(builder: PoolBuilder<M>) -> Self {
        Self { handle: Arc::new(PoolHandle { inner: PoolInner::new(builder) }) }
    }

    /// The name that the pool was given.
    ///
    /// ```
    /// let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert_eq!(pool.name(), None);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.inner().name.as_deref()
    }

    pub(crate) fn inner(&self) -> &Arc<PoolInner<M>> {
        &self.handle.inner
    }

    /// Waits for a connection, in order of arrival, until the deadline of `connection_timeout`.
    ///
    /// A waiter takes a returned connection or a new one, whichever comes first. One deadline covers the queue, the
    /// connect and the check. The wait begins with the first poll. A connection that its peer closed at least a
    /// millisecond before is not handed out.
    ///
    /// The future may be polled in one runtime and then in another. It takes part in tokio's cooperative budget, so a loop
    /// of acquires gives way to other tasks: a poll of a task that has used its budget up begins nothing.
    ///
    /// # Errors
    ///
    /// [`Timeout`](AcquireError::Timeout) at the deadline; [`Connect`](AcquireError::Connect) for a connect
    /// that waiting does not fix, or when connects have failed for `fail_fast_after`;
    /// [`Overloaded`](AcquireError::Overloaded) when `max_pending` acquires wait already;
    /// [`Closed`](AcquireError::Closed) once the pool is closed, even for an acquire that was served and has
    /// not been polled since; [`RuntimeEnded`](AcquireError::RuntimeEnded) when it has to wait in a runtime
    /// that has ended, or goes on waiting outside of any when the last one that served the pool has ended.
    ///
    /// # Panics
    ///
    /// When it begins to wait outside of a tokio runtime that has its timer enabled, or is polled again after it
    /// has ended. Also if [`Manager::is_connected`] panics. The pool closes that connection.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives up its place in the queue. If it has been given a connection already,
    /// that connection goes to the next waiter.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let mut connection = pool.acquire().await?;
    /// connection.send_packet("hello").await?;
    /// assert_eq!(connection.receive().await?, "hello");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> Acquire<'_, M> {
        Acquire::new(self.inner(), Location::caller(), None)
    }

    /// Like [`acquire`](Pool::acquire), for a task that you spawn: the future owns a handle of the pool, so the pool stays
    /// open until it ends.
    ///
    /// # Errors, panics, cancel safety
    ///
    /// As for [`acquire`](Pool::acquire).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let task = tokio::spawn(pool.acquire_owned());
    /// let connection = task.await??;
    /// # drop(connection);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_owned(
        &self,
    ) -> impl Future<Output = Result<PooledConnection<M>, AcquireError>> + Send + use<M> {
        let (pool, at) = (self.clone(), Location::caller());
        async move { Acquire::new(pool.inner(), at, None).await }
    }

    /// Like [`acquire`](Pool::acquire), with a deadline of its own: for a caller that has less time left than
    /// `connection_timeout`, or more.
    ///
    /// With [`Duration::MAX`] it waits forever. With [`Duration::ZERO`] it waits no longer than the timer takes to
    /// fire. To take an idle connection without any wait, call [`try_acquire`](Pool::try_acquire).
    ///
    /// # Errors, panics, cancel safety
    ///
    /// As for [`acquire`](Pool::acquire).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// use std::time::Duration;
    ///
    /// let connection = pool.acquire_within(Duration::from_secs(2)).await?;
    /// # drop(connection);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_within(&self, limit: Duration) -> Acquire<'_, M> {
        Acquire::new(self.inner(), Location::caller(), Some(limit))
    }

    /// Takes an idle connection if there is one and nobody waits for it. It does not wait, does no I/O and needs no
    /// runtime.
    ///
    /// `None` means that every connection is held, opening, being checked, or wanted by an earlier caller. It can also
    /// mean that the pool is suspended or closed.
    ///
    /// It does not open connections: on a pool that has opened none, it always gives `None`. It does not check
    /// connections either: it passes over those that [`check_after_idle`](crate::PoolConfig::check_after_idle) wants
    /// checked first. If that option is zero, it always gives `None`. With a hook
    /// [`before_reuse`](crate::PoolBuilder::before_reuse) it gives only connections that nobody has used yet. It passes
    /// over connections that are overdue or dead, and leaves closing them to the background task.
    ///
    /// To open or check without a long wait, use [`acquire_within`](Pool::acquire_within) with a short limit.
    ///
    /// # Panics
    ///
    /// If [`Manager::is_connected`] does. The pool closes that connection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// assert!(pool.try_acquire().is_none());
    /// pool.warm_up().await?;
    /// assert!(pool.try_acquire().is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Option<PooledConnection<M>> {
        try_acquire(self.inner(), Location::caller())
    }

    /// Acquires in a task of its own and calls you back with the result, for code that cannot be `async`.
    ///
    /// Aborting the returned task gives up the wait. Dropping its handle does not.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. A panic in the callback stays in the task.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let task = pool.acquire_async(|acquired| match acquired {
    ///     Ok(connection) => println!("got {connection:?}"),
    ///     Err(error) => eprintln!("{error}"),
    /// });
    /// task.await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_async<F>(&self, callback: F) -> JoinHandle<()>
    where
        F: FnOnce(Result<PooledConnection<M>, AcquireError>) + Send + 'static,
    {
        let acquired = self.acquire_owned();
        tokio::spawn(async move { callback(acquired.await) })
    }

    /// What the pool holds and has done, at one instant.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert_eq!(pool.stats().total_connections, 0);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn stats(&self) -> PoolStats {
        self.inner().state.read(|state| state.policy.stats())
    }

    /// The held connections, the longest hold first. Each entry names the source line of its acquire.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// for holder in pool.holders() {
    ///     println!("{holder}");
    /// }
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn holders(&self) -> Vec<Holder> {
        let now = self.inner().now();
        self.inner().state.read(|state| state.policy.holders(now))
    }

    /// The options in force: those that the pool was made with, or those that [`resize`](Pool::resize) and
    /// [`reconfigure`](Pool::reconfigure) have set since.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert_eq!(pool.config().max_connections, 10);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn config(&self) -> PoolConfig {
        self.inner().config()
    }

    /// The manager that the pool was made with. Use it to change what later connects use.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// use poolhouse::Manager;
    ///
    /// assert_eq!(pool.manager().target(), "localhost:5555");
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn manager(&self) -> &M {
        &self.inner().manager
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("target", &self.inner().target())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
