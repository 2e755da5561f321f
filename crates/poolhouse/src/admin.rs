//! The calls by which an owner administers a pool: resize, invalidate, suspend, close.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;

use crate::config::{ConfigError, PoolConfig};
use crate::error::{Counted, Holder, is_or_are, page};
use crate::inner::log;
use crate::manager::Manager;
use crate::policy::Policy;
use crate::pool::Pool;

/// The future that [`Pool::close`] returns. It waits until every connection has come back and every graceful
/// close has ended. The pool is closed whether or not anybody awaits the future, so the compiler does not
/// warn if nobody does.
///
/// ```
/// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
/// pool.close();
/// assert!(pool.is_closed());
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
pub struct Close<'p>(Pin<Box<dyn Future<Output = ()> + Send + 'p>>);

impl Future for Close<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Close<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Close").finish_non_exhaustive()
    }
}

impl<M: Manager> Pool<M> {
    /// Sets the maximum. Growing serves waiters. Shrinking acts at once: it closes surplus connections, first those
    /// under a health check, then idle ones, and then gives up attempts to connect. Held connections close as they come
    /// back.
    ///
    /// # Errors
    ///
    /// A maximum of zero, or below `min_connections` or `min_idle`. The old maximum stays.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// pool.resize(20)?;
    /// assert_eq!(pool.stats().max_connections, 20);
    /// assert!(pool.resize(0).is_err());
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn resize(&self, max_connections: usize) -> Result<(), ConfigError> {
        // Against the options of this moment.
        self.inner().apply(|policy, now, fx| {
            PoolConfig { max_connections, ..policy.config().clone() }.validate()?;
            policy.resize(max_connections, now, fx);
            Ok(())
        })
    }

    /// Changes every option at once, at run time. Held connections are not interrupted: a lower limit applies
    /// to them when they come back. The new `connection_timeout` also applies to acquires that are waiting,
    /// counted from when they began, but not to those of [`acquire_within`](Pool::acquire_within). With a
    /// lower `max_pending`, the newest waiters beyond it get [`Overloaded`](crate::AcquireError::Overloaded).
    ///
    /// Open connections keep the share of jitter that they have drawn, and follow the new `max_lifetime`. A pause after
    /// failed connects that is under way becomes no longer than the new options allow.
    ///
    /// # Errors
    ///
    /// The name of an option whose value no pool can have. The pool then keeps its options.
    ///
    /// ```
    /// use std::time::Duration;
    /// use poolhouse::PoolConfig;
    ///
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// let idle_timeout = Duration::from_secs(30);
    /// pool.reconfigure(PoolConfig { idle_timeout, ..pool.config() })?;
    /// assert_eq!(pool.config().idle_timeout, Duration::from_secs(30));
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn reconfigure(&self, config: PoolConfig) -> Result<(), ConfigError> {
        config.validate()?;
        self.inner().reconfigure(config);
        Ok(())
    }

    /// Retires every connection that is open or opening now: idle ones at once, held ones as they come back. Every
    /// connection that is acquired after the call was opened after it. A connection that an acquire was served but has
    /// not picked up is taken back.
    ///
    /// Call it once for an event, not once for each error. It gives up the connects that are under way, so if you call
    /// it at intervals shorter than a connect takes, nothing ever connects.
    ///
    /// Call it after a failover, and after new credentials. A background task opens `min_connections` again at once,
    /// because the pause after failed connects ends too.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// drop(pool.acquire().await?);
    /// pool.invalidate_all();
    /// assert_eq!(pool.stats().connections_destroyed, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// New credentials, in a manager that keeps its password in a `Mutex`:
    ///
    /// ```
    /// use std::sync::Mutex;
    /// use poolhouse::{Manager, Pool, PoolConfig};
    ///
    /// struct Database {
    ///     password: Mutex<String>,
    /// }
    ///
    /// impl Manager for Database {
    ///     type Connection = String;
    ///     type Error = std::io::Error;
    ///
    ///     async fn connect(&self) -> Result<String, std::io::Error> {
    ///         let password = self.password.lock().expect("no holder panics").clone();
    ///         Ok(format!("logged in with {password}"))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let database = Database { password: Mutex::new("old".into()) };
    /// let pool = Pool::new(database, PoolConfig::default())?;
    /// assert_eq!(*pool.acquire().await?, "logged in with old");
    ///
    /// *pool.manager().password.lock().expect("no holder panics") = "new".into();
    /// pool.invalidate_all();
    /// assert_eq!(*pool.acquire().await?, "logged in with new");
    /// # Ok(())
    /// # }
    /// ```
    pub fn invalidate_all(&self) {
        self.inner().apply(Policy::invalidate_all);
    }

    /// Like [`invalidate_all`](Pool::invalidate_all), spread over a duration. Each connection that is open
    /// now retires at a time of its own within it. Those that are opening now retire at its end. The pool
    /// opens replacements for connections in use before they retire (`lifetime.no_dip`). Use it for a change
    /// that is not urgent, such as new credentials while the old ones still work: the server does not get all
    /// reconnects at once.
    ///
    /// It does not end the pause after failed connects.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// use std::time::Duration;
    ///
    /// pool.invalidate_all_over(Duration::from_secs(60));
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn invalidate_all_over(&self, spread: Duration) {
        self.inner().apply(|policy, now, fx| policy.invalidate_all_over(spread, now, fx));
    }

    /// Stops handing out and opening connections, until [`resume`](Pool::resume). Idle connections close now, and held
    /// ones as they come back, even after `resume`. [`drained`](Pool::drained) waits for that. Acquires wait, up to
    /// their deadline. A connection that an acquire was served but has not picked up is taken back. A pause after
    /// failed connects ends, because earlier failures say nothing about the server after its maintenance.
    ///
    /// Calls do not add up: one `resume` ends any number of calls of `suspend`.
    ///
    /// Use it for maintenance of the server. Callers see a pause instead of errors, if the pause is shorter than
    /// `connection_timeout`. With `max_pending` set, acquires beyond it get
    /// [`Overloaded`](crate::AcquireError::Overloaded) as always.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// # drop(pool.acquire().await?);
    /// pool.suspend();
    /// pool.drained().await;
    /// // No connection is open: restart the server here.
    /// assert_eq!(pool.stats().total_connections, 0);
    /// pool.resume();
    /// drop(pool.acquire().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn suspend(&self) {
        self.inner().apply(Policy::suspend);
    }

    /// Ends [`suspend`](Pool::suspend). Waiters are served in the order in which they came.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// pool.suspend();
    /// assert!(pool.is_suspended());
    /// pool.resume();
    /// assert!(!pool.is_suspended());
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn resume(&self) {
        self.inner().apply(Policy::resume);
    }

    /// Whether the pool is suspended.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert!(!pool.is_suspended());
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn is_suspended(&self) -> bool {
        self.inner().state.read(|state| state.policy.is_suspended())
    }

    /// Waits until the pool has no connection: none held, none idle, none opening, none closing. After
    /// [`suspend`](Pool::suspend) this is so when the last connection has come back and has closed.
    ///
    /// Call [`suspend`](Pool::suspend) or [`close`](Pool::close) first. While the pool is in service, also after a
    /// [`resume`](Pool::resume), that moment may never come. If a holder never gives its connection back, the call
    /// waits forever: put it into `tokio::time::timeout`, and look at [`holders`](Pool::holders).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// pool.suspend();
    /// pool.drained().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn drained(&self) {
        self.inner().until(|policy| policy.is_drained().then_some(())).await;
    }

    /// Whether the pool has been closed.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// assert!(!pool.is_closed());
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.inner().state.read(|state| state.policy.is_closed())
    }

    /// Closes the pool: wakes every waiter with [`Closed`](crate::AcquireError::Closed), closes idle
    /// connections, and waits until every held connection has come back and every graceful close has ended.
    /// No connection is opened after the call. An acquire that was served but has not picked up its
    /// connection gets `Closed` too.
    ///
    /// If a holder never gives its connection back, the future waits forever. [`close_within`](Pool::close_within) does
    /// not.
    ///
    /// # Cancel safety
    ///
    /// The call itself closes the pool, and the future that it returns only waits. Dropping the future, or never
    /// polling it, leaves the pool closed. A second call waits again.
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
    pub fn close(&self) -> Close<'_> {
        let inner = self.inner();
        inner.close();
        Close(Box::pin(async move {
            self.drained().await;
            log!(inner, debug, "poolhouse::close"; "the pool is closed");
        }))
    }

    /// Waits until somebody closes the pool. A task that uses the pool in a loop can then stop.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// let ticker = pool.clone();
    /// let ticks = tokio::spawn(async move {
    ///     let mut interval = tokio::time::interval(std::time::Duration::from_secs(10));
    ///     loop {
    ///         tokio::select! {
    ///             // One round of work, with a connection of its own.
    ///             _ = interval.tick() => {}
    ///             () = ticker.closed() => return,
    ///         }
    ///     }
    /// });
    /// pool.close().await;
    /// ticks.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn closed(&self) {
        self.inner().until(|policy| policy.is_closed().then_some(())).await;
    }

    /// Closes the pool like [`close`](Pool::close), but waits no longer than `limit`. The report lists the
    /// connections that are still held then, and counts those that are still closing. Held ones close when
    /// they come back.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its timer enabled.
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
    pub fn close_within(&self, limit: Duration) -> impl Future<Output = CloseReport> + Send {
        let closed = self.close();
        async move {
            let in_time = timeout(limit, closed).await.is_ok();
            let still_held = if in_time { Vec::new() } else { self.holders() };
            let closing = self.inner().state.read(|state| state.policy.leaving());
            let still_closing = if in_time { 0 } else { closing };
            let report = CloseReport { still_held, still_closing, in_time };
            if !in_time {
                let held = report.still_held.len();
                log!(self.inner(), warn, "poolhouse::close"; held, "not closed in time: {report}");
            }
            report
        }
    }
}

/// The report of [`Pool::close_within`] on what is still open. Guide: `guide/shutting-down`.
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
    /// The connections that were still held when the time was up, with the longest hold first.
    pub still_held: Vec<Holder>,
    /// How many connections were still closing, because their graceful closes had not ended.
    pub still_closing: usize,
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
        let (held, closing) = (self.still_held.len(), self.still_closing);
        if held > 0 {
            write!(f, "{} {} still held", Counted(held as u64, "connection"), is_or_are(held))?;
            for holder in &self.still_held {
                write!(f, "; one {holder}")?;
            }
            let each = if held == 1 { "it" } else { "each" };
            write!(
                f,
                "; {each} closes when it comes back: look at these lines, or give close_within more time"
            )?;
        }
        if closing > 0 {
            let before = if held > 0 { "; " } else { "" };
            let count = Counted(closing as u64, "connection");
            write!(f, "{before}{count} {} still closing", is_or_are(closing))?;
            f.write_str(": give close_within more time than close_timeout")?;
        }
        if held + closing == 0 {
            f.write_str(
                "a connect, a check or a reset has not ended yet: look whether its runtime is blocked",
            )?;
        }
        write!(f, "; guide: {}", page::SHUTTING_DOWN)
    }
}
