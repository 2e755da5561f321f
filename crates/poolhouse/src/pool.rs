//! The pool as its users see it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::acquire::Acquire;
use crate::config::{ConfigError, PoolConfig};
use crate::core::Core;
use crate::error::{AcquireError, Holder};
use crate::guard::PooledConnection;
use crate::manager::{IntoManager, Manager};
use crate::shared::Shared;
use crate::stats::PoolStats;
use crate::time::now;

/// A pool of connections. Cloning it is cheap and gives another handle to the same pool.
///
/// When the last handle goes, the pool closes: idle connections at once, held ones as they come back.
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
    handle: Arc<PoolHandle<M>>,
}

/// Closes the pool with its last handle. Guards and background work share only what is inside.
struct PoolHandle<M: Manager> {
    shared: Arc<Shared<M>>,
}

impl<M: Manager> Drop for PoolHandle<M> {
    fn drop(&mut self) {
        self.shared.apply(Core::close);
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
    /// An option that no pool can have, by its name.
    ///
    /// ```
    /// use poolhouse::{PacketPool, PoolConfig};
    ///
    /// let config = PoolConfig { max_connections: 0, ..PoolConfig::default() };
    /// let error = PacketPool::new(("localhost", 5555), config).unwrap_err();
    /// assert_eq!(error.field(), "max_connections");
    /// ```
    pub fn new(manager: impl IntoManager<Manager = M>, config: PoolConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let shared = Arc::new(Shared::new(manager.into_manager(), config));
        Ok(Self { handle: Arc::new(PoolHandle { shared }) })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<M>> {
        &self.handle.shared
    }

    /// Opens `min_connections` now, and so reports a wrong address or a server that is down at start-up.
    ///
    /// To wait for a server that starts late, call [`acquire`](Pool::acquire) instead: it tries again until its
    /// deadline.
    ///
    /// # Errors
    ///
    /// [`Connect`](AcquireError::Connect) on the first connect that fails, [`Closed`](AcquireError::Closed), and
    /// [`Timeout`](AcquireError::Timeout) after `connection_timeout` , for example when
    /// `connect_timeout` is longer.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the background goes on opening connections.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use poolhouse::{PacketPool, PoolConfig};
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// let config = PoolConfig { min_connections: 3, ..PoolConfig::default() };
    /// let pool = PacketPool::new((server.host(), server.port()), config)?;
    /// pool.warm_up().await?;
    /// assert_eq!(pool.stats().idle_connections, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn warm_up(&self) -> Result<(), AcquireError<M::Error>> {
        let shared = self.shared();
        shared.ensure_driver();
        let failures = shared.core().stats().failed_connects;
        shared.drive.notify_waiters();
        let opened = async {
            loop {
                let progress = shared.progress.notified();
                tokio::pin!(progress);
                progress.as_mut().enable();
                {
                    let core = shared.core();
                    if core.is_closed() {
                        return Err(crate::core::Refusal::Closed);
                    }
                    if core.minimum_missing() == 0 {
                        return Ok(());
                    }
                    if core.stats().failed_connects > failures
                        && let Some(failure) = core.last_failure()
                    {
                        return Err(failure);
                    }
                }
                progress.await;
            }
        };
        match timeout(shared.config.connection_timeout, opened).await {
            Ok(opened) => opened.map_err(|refusal| shared.refused(refusal)),
            Err(_) => {
                let limit = shared.config.connection_timeout;
                let mut timeout = shared.core().diagnose(limit, now());
                timeout.target = shared.manager.target().into_owned();
                Err(AcquireError::Timeout(timeout.into()))
            }
        }
    }

    /// Waits for a connection, in order of arrival, until the deadline of `connection_timeout`.
    ///
    /// A waiter takes whichever comes first, a connection that comes back or a new one. The one deadline covers the
    /// queue and the connect. The wait begins with the first poll.
    ///
    /// # Errors
    ///
    /// [`Timeout`](AcquireError::Timeout) at the deadline; [`Connect`](AcquireError::Connect) for a connect that
    /// waiting does not mend; [`Overloaded`](AcquireError::Overloaded) when `max_pending` acquires wait already;
    /// [`Closed`](AcquireError::Closed) once the pool is closed.
    ///
    /// # Panics
    ///
    /// When it has to wait outside of a tokio runtime that has its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping it gives up the place in the queue, and a connection that was just served goes to the
    /// next.
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
        Acquire::new(self.shared(), Location::caller())
    }

    /// Takes an idle connection if there is one and nobody waits for it. No wait, no I/O, no runtime needed.
    ///
    /// `None` means that everything is held, opening or wanted by somebody who came first, or that the pool is closed.
    /// It does not open a connection: on a pool that has opened none, it always gives `None`.
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
        self.shared().try_take(Location::caller())
    }

    /// Acquires in a task of its own and calls you back with the result. For code that cannot be `async`.
    ///
    /// Aborting the task that is returned gives up the wait. Dropping the handle does not.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. A panic in the callback ends in the task.
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
        F: FnOnce(Result<PooledConnection<M>, AcquireError<M::Error>>) + Send + 'static,
    {
        let (pool, at) = (self.clone(), Location::caller());
        tokio::spawn(async move { callback(Acquire::new(pool.shared(), at).await) })
    }

    /// What the pool holds and has done, at one instant.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert_eq!(pool.stats().total_connections, 0);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn stats(&self) -> PoolStats {
        self.shared().core().stats()
    }

    /// Who holds a connection now, the longest first. It names the source line of each acquire.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// for holder in pool.holders() {
    ///     println!("{holder}");
    /// }
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn holders(&self) -> Vec<Holder> {
        self.shared().core().holders(now())
    }

    /// The options that the pool was made with. A later [`resize`](Pool::resize) shows in
    /// [`stats`](Pool::stats), not here.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert_eq!(pool.config().max_connections, 10);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn config(&self) -> &PoolConfig {
        &self.shared().config
    }

    /// Sets the maximum. Growing serves those who wait; shrinking closes idle connections now and held ones as they
    /// come back.
    ///
    /// # Errors
    ///
    /// A maximum of zero, or below `min_connections`. The old maximum stays.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// pool.resize(20)?;
    /// assert_eq!(pool.stats().max_connections, 20);
    /// assert!(pool.resize(0).is_err());
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn resize(&self, max_connections: usize) -> Result<(), ConfigError> {
        PoolConfig { max_connections, ..self.config().clone() }.validate()?;
        self.shared().apply(|core, fx| core.resize(max_connections, now(), fx));
        Ok(())
    }

    /// Whether the pool has been closed.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert!(!pool.is_closed());
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared().core().is_closed()
    }

    /// Closes the pool: wakes everybody who waits with [`Closed`](AcquireError::Closed), closes what is idle, and waits
    /// until every held connection has come back. No connection is opened after it.
    ///
    /// It waits for ever if somebody never lets go; [`close_within`](Pool::close_within) does not.
    ///
    /// # Cancel safety
    ///
    /// The pool is closed from the first poll on, also when the wait is dropped. Calling it again waits again.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// # pool.warm_up().await?;
    /// pool.close().await;
    /// assert!(pool.acquire().await.is_err_and(|error| error.is_closed()));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close(&self) {
        let shared = self.shared();
        shared.apply(Core::close);
        tracing::debug!(
            target: "poolhouse::close",
            target_address = %shared.manager.target(),
            held = shared.core().stats().active_connections,
            "closing the pool"
        );
        loop {
            let progress = shared.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if shared.core().is_drained() {
                break;
            }
            progress.await;
        }
        tracing::debug!(target: "poolhouse::close", target_address = %shared.manager.target(), "the pool is closed");
    }

    /// Closes the pool like [`close`](Pool::close), but waits for held connections no longer than `limit`. What is
    /// still held then is listed, and closes when it comes back.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// As for [`close`](Pool::close).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let held = pool.acquire().await?;
    /// let report = pool.close_within(Duration::from_millis(10)).await;
    /// assert!(!report.is_complete());
    /// assert_eq!(report.still_held.len(), 1);
    /// # drop(held);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn close_within(&self, limit: Duration) -> CloseReport {
        let in_time = timeout(limit, self.close()).await.is_ok();
        let report = CloseReport { still_held: if in_time { Vec::new() } else { self.holders() }, in_time };
        if !in_time {
            tracing::warn!(
                target: "poolhouse::close",
                target_address = %self.shared().manager.target(),
                held = report.still_held.len(),
                "not closed in time: {report}"
            );
        }
        report
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("target", &self.shared().manager.target())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// What [`Pool::close_within`] leaves behind.
///
/// ```
/// fn log(report: &poolhouse::CloseReport) {
///     if !report.is_complete() {
///         eprintln!("{report}");
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Who still held a connection when the time was up, the longest first.
    pub still_held: Vec<Holder>,
    in_time: bool,
}

impl CloseReport {
    /// Whether everything had closed in time.
    ///
    /// ```
    /// fn exit_code(report: &poolhouse::CloseReport) -> i32 {
    ///     if report.is_complete() { 0 } else { 1 }
    /// }
    /// ```
    pub fn is_complete(&self) -> bool {
        self.in_time
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.in_time {
            return f.write_str("every connection is closed");
        }
        write!(f, "{} connections are still held", self.still_held.len())?;
        for holder in &self.still_held {
            write!(f, "; one {holder}")?;
        }
        Ok(())
    }
}
