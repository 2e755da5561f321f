//! The same pool for threads that have no runtime.
//!
//! The pool brings a runtime of its own, with one worker thread, that opens and checks connections and keeps the time.
//! Your thread waits for it; the I/O of a held connection runs on your thread. All guarantees are those of
//! [`crate::Pool`], which does the work, as long as the manager's `connect` and `check` do not block that worker: a
//! client library that blocks belongs into [`spawn_blocking`](tokio::task::spawn_blocking) there.
//!
//! Do not call it from `async` code: it blocks the thread, and panics rather than block a runtime's worker.

use std::fmt;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::{Builder, Runtime};

use crate::acquire::Acquire;
use crate::admin::CloseReport;
use crate::builder::PoolBuilder;
use crate::config::{ConfigError, PoolConfig};
use crate::error::{AcquireError, Inner, page};
use crate::manager::{IntoManager, Manager};
use crate::stats::PoolStats;

mod pooled_connection;

pub use self::pooled_connection::PooledConnection;

/// Why a blocking pool could not be made.
///
/// Its text ends with a page of the guide: see `poolhouse::GUIDE`.
///
/// ```
/// fn names_the_field(error: &poolhouse::blocking::NewPoolError) -> bool {
///     matches!(error, poolhouse::blocking::NewPoolError::Config(_))
/// }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NewPoolError {
    /// An option is out of bounds. The page of the guide is that of the [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The worker thread could not be started.
    ///
    /// Guide: `troubleshooting/descriptors-and-ports`.
    #[error(
        "cannot start the pool's runtime: {}; look at the limits on threads and open files; guide: {}",
        Inner(.0),
        page::DESCRIPTORS
    )]
    Runtime(io::Error),
}

/// A pool for threads. Cloning it is cheap and gives another handle to the same pool.
///
/// The runtime of the pool ends at once when the last handle and the last held connection are dropped. That
/// cuts graceful closes off, so call [`close_within`](Pool::close_within) first.
///
/// ```
/// use poolhouse::PoolConfig;
/// use poolhouse::blocking::Pool;
/// # let server_runtime = tokio::runtime::Runtime::new()?;
/// # let server = server_runtime.block_on(poolhouse_echo::EchoServer::start())?;
///
/// let pool = Pool::new((server.host(), server.port()), PoolConfig::default())?;
/// let answer = std::thread::spawn(move || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
///     let mut connection = pool.acquire()?;
///     connection.send_packet("hello from a thread")?;
///     Ok(connection.receive()?)
/// });
/// assert_eq!(answer.join().expect("the thread panicked").map_err(|error| error.to_string())?, "hello from a thread");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pool<M: Manager> {
    // Before the runtime, so that the pool closes while its background still runs.
    pool: crate::Pool<M>,
    runtime: Arc<OwnRuntime>,
}

/// A runtime that may be dropped anywhere: the last handle may go in `async` code.
struct OwnRuntime(Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl OwnRuntime {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("taken only on drop").block_on(future)
    }
}

impl<M: Manager> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), runtime: Arc::clone(&self.runtime) }
    }
}

impl<M: Manager> Pool<M> {
    /// Makes a pool and its worker thread. No I/O until it is used.
    ///
    /// # Errors
    ///
    /// An option that no pool can have, or a thread that cannot be started.
    ///
    /// ```
    /// use poolhouse::blocking::{NewPoolError, Pool};
    ///
    /// let config = poolhouse::PoolConfig { max_connections: 0, ..Default::default() };
    /// assert!(matches!(Pool::new(("localhost", 5555), config), Err(NewPoolError::Config(_))));
    /// ```
    pub fn new(manager: impl IntoManager<Manager = M>, config: PoolConfig) -> Result<Self, NewPoolError> {
        Self::with_runtime(crate::Pool::new(manager, config)?)
    }

    /// Makes a pool with a name, a listener or hooks, from the builder of [`crate::Pool::builder`].
    ///
    /// # Errors
    ///
    /// As for [`new`](Pool::new).
    ///
    /// ```
    /// use poolhouse::{Event, PacketPool, blocking::Pool};
    ///
    /// let builder = PacketPool::builder(("localhost", 5555)).listener(|event: &Event<'_>| println!("{event:?}"));
    /// let pool = Pool::build(builder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(builder: PoolBuilder<M>) -> Result<Self, NewPoolError> {
        Self::with_runtime(builder.build()?)
    }

    fn with_runtime(pool: crate::Pool<M>) -> Result<Self, NewPoolError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("poolhouse")
            .enable_all()
            .build()
            .map_err(NewPoolError::Runtime)?;
        Ok(Self { pool, runtime: Arc::new(OwnRuntime(Some(runtime))) })
    }

    /// Waits for a connection, like [`crate::Pool::acquire`].
    ///
    /// # Errors
    ///
    /// As for [`crate::Pool::acquire`].
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// # use poolhouse::{PoolConfig, blocking::Pool};
    /// # let server_runtime = tokio::runtime::Runtime::new()?;
    /// # let server = server_runtime.block_on(poolhouse_echo::EchoServer::start())?;
    /// let pool = Pool::new((server.host(), server.port()), PoolConfig::default())?;
    /// let connection = pool.acquire()?;
    /// # drop(connection);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> Result<PooledConnection<M>, AcquireError> {
        let at = Location::caller();
        self.acquire_at(None, at)
    }

    /// Like [`acquire`](Pool::acquire), with a deadline of its own, as [`crate::Pool::acquire_within`].
    ///
    /// # Errors
    ///
    /// As for [`crate::Pool::acquire`].
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// // Nothing listens on port 1.
    /// let pool = poolhouse::blocking::Pool::new(("127.0.0.1", 1), Default::default())?;
    /// assert!(pool.acquire_within(Duration::from_millis(20)).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn acquire_within(&self, limit: Duration) -> Result<PooledConnection<M>, AcquireError> {
        self.acquire_at(Some(limit), Location::caller())
    }

    fn acquire_at(
        &self,
        limit: Option<Duration>,
        at: &'static Location<'static>,
    ) -> Result<PooledConnection<M>, AcquireError> {
        let inner = self.runtime.block_on(async { Acquire::new(self.pool.inner(), at, limit).await })?;
        Ok(self.wrap(inner))
    }

    /// The pool itself, for all that does not wait: `holders`, `config`, `invalidate_all`, `suspend`, `resume` and the
    /// rest. What it hands out belongs to `async` code.
    ///
    /// ```
    /// let pool = poolhouse::blocking::Pool::new(("localhost", 5555), Default::default())?;
    /// pool.as_async().invalidate_all();
    /// assert!(pool.as_async().holders().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn as_async(&self) -> &crate::Pool<M> {
        &self.pool
    }

    /// Takes an idle connection, like [`crate::Pool::try_acquire`]. It does not block, and may be called anywhere.
    ///
    /// ```
    /// let pool = poolhouse::blocking::Pool::new(("localhost", 5555), Default::default())?;
    /// assert!(pool.try_acquire().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Option<PooledConnection<M>> {
        self.pool.try_acquire().map(|inner| self.wrap(inner))
    }

    /// Opens `min_connections` and `min_idle` now, like [`crate::Pool::warm_up`].
    ///
    /// # Errors
    ///
    /// As for [`crate::Pool::warm_up`].
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// // Nothing listens on port 1.
    /// let pool = poolhouse::blocking::Pool::new(("127.0.0.1", 1), Default::default())?;
    /// assert!(pool.warm_up().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn warm_up(&self) -> Result<(), AcquireError> {
        self.runtime.block_on(async { self.pool.warm_up().await })
    }

    /// What the pool holds and has done, at one instant.
    ///
    /// ```
    /// let pool = poolhouse::blocking::Pool::new(("localhost", 5555), Default::default())?;
    /// assert_eq!(pool.stats().total_connections, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Sets the maximum, like [`crate::Pool::resize`].
    ///
    /// # Errors
    ///
    /// A maximum of zero, or below `min_connections` or `min_idle`.
    ///
    /// ```
    /// let pool = poolhouse::blocking::Pool::new(("localhost", 5555), Default::default())?;
    /// pool.resize(3)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resize(&self, max_connections: usize) -> Result<(), ConfigError> {
        self.pool.resize(max_connections)
    }

    /// Waits until the pool has no connection, like [`crate::Pool::drained`], but no longer than `limit`. Whether it has
    /// none.
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// let pool = poolhouse::blocking::Pool::new(("localhost", 5555), Default::default())?;
    /// pool.as_async().suspend();
    /// assert!(pool.drained_within(std::time::Duration::from_secs(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drained_within(&self, limit: Duration) -> bool {
        self.runtime.block_on(async { tokio::time::timeout(limit, self.pool.drained()).await.is_ok() })
    }

    /// Closes the pool and waits up to `limit`, like [`crate::Pool::close_within`].
    ///
    /// # Panics
    ///
    /// In `async` code.
    ///
    /// ```
    /// let pool = poolhouse::blocking::Pool::new(("localhost", 5555), Default::default())?;
    /// assert!(pool.close_within(std::time::Duration::from_secs(1)).is_complete());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close_within(&self, limit: Duration) -> CloseReport {
        self.runtime.block_on(self.pool.close_within(limit))
    }

    fn wrap(&self, inner: crate::PooledConnection<M>) -> PooledConnection<M> {
        PooledConnection { inner, runtime: Arc::clone(&self.runtime) }
    }
}

impl<M: Manager> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.fmt(f)
    }
}
