//! Why an acquire ends without a connection. Every message says what happened, where, and what to look at, and ends with
//! the page of the guide that explains it.
//!
//! One rule for causes, in every error of the crate: `Display` tells the whole cause, down to the last
//! [`source`](Error::source) of the manager's own error, and `source` is `None`. A log line that prints one error shows
//! why, and whoever prints a chain reads each text once. The cause itself is in a public field or variant:
//! [`AcquireError::connect_error`] and [`ConnectError::manager_error`] lead to it.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use self::text::brief;
pub(crate) use self::text::{Counted, Inner};

// With its path, for the model checker takes this file in by its path too.
#[path = "error/text.rs"]
mod text;

/// The pages of the guide that messages name. A test of the book looks whether each is there.
pub(crate) mod page {
    pub(crate) const POOL_EXHAUSTION: &str = "troubleshooting/pool-exhaustion";
    pub(crate) const SERVER_DOWN: &str = "troubleshooting/server-down";
    pub(crate) const STALE_CONNECTIONS: &str = "troubleshooting/stale-connections";
    pub(crate) const TOO_MANY_CLIENTS: &str = "troubleshooting/too-many-clients";
    pub(crate) const DEADLOCK_AT_N: &str = "troubleshooting/deadlock-at-n";
    pub(crate) const LEAKS: &str = "troubleshooting/leaks";
    pub(crate) const SESSION_STATE: &str = "guide/session-state";
    pub(crate) const MAINTENANCE: &str = "guide/maintenance";
    pub(crate) const SHUTTING_DOWN: &str = "guide/shutting-down";
    pub(crate) const LOAD_SHEDDING: &str = "guide/load-shedding";
    pub(crate) const PANICS: &str = "guide/panics";
    pub(crate) const SHARING: &str = "guide/sharing";
    pub(crate) const MONITORING: &str = "guide/monitoring";
    pub(crate) const TIMEOUTS: &str = "guide/timeouts";
    pub(crate) const INVALIDATING: &str = "guide/invalidating";
    pub(crate) const CONFIGURATION: &str = "reference/configuration";
    pub(crate) const PACKET_PROTOCOL: &str = "reference/packet-protocol";
    #[allow(dead_code, reason = "only the facade for threads names it, which is a feature")]
    pub(crate) const DESCRIPTORS: &str = "troubleshooting/descriptors-and-ports";
}

/// Why an acquire gave no connection. `E` is the manager's error.
///
/// ```
/// use std::time::Duration;
/// use poolhouse::{AcquireError, PacketPool, PoolConfig};
/// use poolhouse_echo::EchoServer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = EchoServer::start().await?;
/// let config = PoolConfig {
///     max_connections: 1,
///     connection_timeout: Duration::from_millis(50),
///     ..PoolConfig::default()
/// };
/// let pool = PacketPool::new((server.host(), server.port()), config)?;
/// let held = pool.acquire().await?;
///
/// match pool.acquire().await {
///     Err(AcquireError::Timeout(timeout)) => assert_eq!(timeout.active, 1),
///     other => panic!("expected a timeout, not {other:?}"),
/// }
/// # drop(held);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcquireError<E: Error + 'static> {
    /// The deadline passed. What is inside says what the acquire was waiting for; the page of the guide is that of its
    /// [`Phase`].
    #[error(transparent)]
    Timeout(Box<AcquireTimeout<E>>),
    /// The connect failed in a way that waiting does not mend, or `warm_up` met a failure. The page of the guide is that
    /// of the [`ConnectError`].
    #[error(transparent)]
    Connect(ConnectFailed<E>),
    /// The pool is closed, or closed while the acquire waited.
    ///
    /// Guide: `guide/shutting-down`.
    #[error(
        "the pool for {target} is closed: acquire before close(), or make a new pool; guide: {}",
        page::SHUTTING_DOWN
    )]
    #[non_exhaustive]
    Closed {
        /// Where the pool's connections went.
        target: String,
    },
    /// As many acquires wait as `max_pending` allows.
    ///
    /// Guide: `guide/load-shedding`.
    #[error(
        "{} already {} for a connection to {target} and max_pending is {max_pending}: \
         answer \"busy\" now, and Pool::holders() says who holds the connections; guide: {}",
        Counted(*.waiting, "acquire"),
        if *.waiting == 1 { "waits" } else { "wait" },
        page::LOAD_SHEDDING
    )]
    #[non_exhaustive]
    Overloaded {
        /// Where the pool's connections go.
        target: String,
        /// How many wait.
        waiting: usize,
        /// The limit.
        max_pending: usize,
    },
    /// The acquire was polled inside a tokio runtime that has ended or is shutting down. No background task can run
    /// there, so it could only wait for its deadline.
    ///
    /// Guide: `guide/sharing`.
    #[error(
        "cannot acquire a connection to {target}: the tokio runtime that polls this acquire has ended or is shutting \
         down: await it in a runtime that lives, and open one pool per runtime or keep the runtime alive longer than \
         its pools; guide: {}",
        page::SHARING
    )]
    #[non_exhaustive]
    RuntimeEnded {
        /// Where the pool's connections go.
        target: String,
    },
}

impl<E: Error + 'static> AcquireError<E> {
    /// Whether the acquire ran out of time.
    ///
    /// ```
    /// fn answer(error: &poolhouse::AcquireError<poolhouse::PacketError>) -> u16 {
    ///     if error.is_timeout() { 503 } else { 500 }
    /// }
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether `max_pending` acquires waited already.
    ///
    /// ```
    /// fn answer(error: &poolhouse::AcquireError<poolhouse::PacketError>) -> &'static str {
    ///     if error.is_overloaded() { "busy, come back later" } else { "out of service" }
    /// }
    /// ```
    pub fn is_overloaded(&self) -> bool {
        matches!(self, Self::Overloaded { .. })
    }

    /// Whether the pool is closed.
    ///
    /// ```
    /// fn is_shutting_down(error: &poolhouse::AcquireError<poolhouse::PacketError>) -> bool {
    ///     error.is_closed()
    /// }
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// The failed connect behind it: of a timeout the last one, if no connect has succeeded since.
    ///
    /// [`source`](Error::source) does not lead there, for the text says it already.
    ///
    /// ```
    /// use poolhouse::{AcquireError, ConnectError, PacketError};
    ///
    /// /// What the operating system said, if it was that.
    /// fn os_error(error: &AcquireError<PacketError>) -> Option<&std::io::Error> {
    ///     error.connect_error()?.manager_error()?.io_error()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Nothing listens on port 1.
    /// let pool = poolhouse::PacketPool::new(("127.0.0.1", 1), Default::default())?;
    /// let error = pool.warm_up().await.expect_err("there is no server");
    /// assert!(os_error(&error).is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_error(&self) -> Option<&ConnectError<E>> {
        match self {
            Self::Timeout(timeout) => timeout.last_connect_error.as_deref(),
            Self::Connect(failed) => Some(&failed.error),
            Self::Closed { .. } | Self::Overloaded { .. } | Self::RuntimeEnded { .. } => None,
        }
    }

    /// Whether the acquire was polled inside a runtime that has ended. Another try in the same runtime ends the same way.
    ///
    /// ```
    /// let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// let runtime = tokio::runtime::Runtime::new()?;
    /// let handle = runtime.handle().clone();
    /// drop(runtime);
    /// assert!(handle.block_on(pool.acquire()).is_err_and(|error| error.is_runtime_ended()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_runtime_ended(&self) -> bool {
        matches!(self, Self::RuntimeEnded { .. })
    }
}

/// Why one attempt to connect failed. `E` is the manager's error.
///
/// ```
/// use poolhouse::{ConnectError, PacketError};
///
/// fn is_slow(error: &ConnectError<PacketError>) -> bool {
///     matches!(error, ConnectError::TimedOut(_))
/// }
/// assert!(is_slow(&ConnectError::TimedOut(std::time::Duration::from_secs(10))));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError<E> {
    /// The manager said so.
    ///
    /// Guide: `troubleshooting/server-down`.
    Failed(E),
    /// `connect_attempt_timeout` passed.
    ///
    /// Guide: `troubleshooting/server-down`.
    TimedOut(Duration),
    /// The manager panicked.
    ///
    /// Guide: `guide/panics`.
    Panicked,
    /// The connect succeeded, but the peer closed the connection before its first use.
    ///
    /// Guide: `troubleshooting/too-many-clients`.
    ClosedAtOnce,
}

impl<E> ConnectError<E> {
    /// The manager's own error, if the connect failed with one.
    ///
    /// ```
    /// use poolhouse::ConnectError;
    ///
    /// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    /// let error = ConnectError::Failed(refused);
    /// assert!(error.manager_error().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    /// ```
    pub fn manager_error(&self) -> Option<&E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::TimedOut(_) | Self::Panicked | Self::ClosedAtOnce => None,
        }
    }

    fn page(&self) -> &'static str {
        match self {
            Self::Failed(_) | Self::TimedOut(_) => page::SERVER_DOWN,
            Self::Panicked => page::PANICS,
            Self::ClosedAtOnce => page::TOO_MANY_CLIENTS,
        }
    }
}

impl<E: Error> fmt::Display for ConnectError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{}", Inner(error)),
            Self::TimedOut(limit) => write!(f, "no connection after {limit:?} (connect_attempt_timeout)"),
            Self::Panicked => {
                f.write_str("the manager panicked while it connected: see the panic's message on stderr")
            }
            Self::ClosedAtOnce => f.write_str(
                "the server accepts connections and closes them at once: it may be at its own limit",
            ),
        }?;
        write!(f, "; guide: {}", self.page())
    }
}

/// A failed connect, as those who waited for it see it.
///
/// Its text tells the whole cause. The cause itself is in `error`: [`ConnectError::manager_error`] gives the manager's own.
///
/// ```
/// use poolhouse::{AcquireError, PacketPool, PoolConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Nothing listens on port 1.
/// let pool = PacketPool::new(("127.0.0.1", 1), PoolConfig::default())?;
/// match pool.warm_up().await {
///     Err(AcquireError::Connect(failed)) => assert_eq!(failed.target, "127.0.0.1:1"),
///     other => panic!("expected a failed connect, not {other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectFailed<E> {
    /// Where the connection was to go.
    pub target: String,
    /// Failed attempts since the last one that succeeded.
    pub attempts: u64,
    /// With `fail_fast_after`: the acquire was told at once.
    pub retry: Option<Retry>,
    /// The latest failure, shared by all who waited for it.
    pub error: Arc<ConnectError<E>>,
}

impl<E: Error> fmt::Display for ConnectFailed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}", self.target, Inner(&*self.error))?;
        if self.attempts > 1 {
            write!(f, " (failed attempt {})", self.attempts)?;
        }
        if let Some(Retry { age, next_in }) = self.retry {
            write!(f, "; that was {} ago, and the next attempt begins in {}", brief(age), brief(next_in))?;
        }
        let page = self.error.page();
        write!(f, "; check the address, and that the server runs and lets you in; guide: {page}")
    }
}

impl<E: Error> Error for ConnectFailed<E> {}

/// How old a failure is that an acquire was told at once, and when the pool tries again (`fail_fast_after`).
///
/// ```
/// use poolhouse::{AcquireError, PacketError};
///
/// /// For the header `Retry-After`.
/// fn retry_after(error: &AcquireError<PacketError>) -> Option<u64> {
///     match error {
///         AcquireError::Connect(failed) => Some(failed.retry?.next_in.as_secs() + 1),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// How long ago the failure was.
    pub age: Duration,
    /// When the next attempt begins. Zero if it is under way.
    pub next_in: Duration,
}

impl Retry {
    pub(crate) fn new(age: Duration, next_in: Duration) -> Self {
        Self { age, next_in }
    }
}

/// What an acquire was doing when its time ran out.
///
/// ```
/// assert_eq!(poolhouse::Phase::Queueing.to_string(), "queueing");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Every connection was held, and none came back in time.
    ///
    /// Guide: `troubleshooting/pool-exhaustion`; `troubleshooting/deadlock-at-n` if the task itself holds one, which
    /// `detect_nested_acquires` tells.
    Queueing,
    /// There was room for a connection, and none could be opened in time.
    ///
    /// Guide: that of the last [`ConnectError`], and `troubleshooting/server-down` if there was none.
    Connecting,
    /// The idle connections were under a health check that did not end in time.
    ///
    /// Guide: `troubleshooting/stale-connections`.
    Checking,
    /// The connections that came back were being reset, and no reset ended in time.
    ///
    /// Guide: `guide/session-state`.
    Resetting,
    /// The pool was suspended, and not resumed in time.
    ///
    /// Guide: `guide/maintenance`.
    Suspended,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queueing => "queueing",
            Self::Connecting => "connecting",
            Self::Checking => "checking",
            Self::Resetting => "resetting",
            Self::Suspended => "suspended",
        })
    }
}

/// Somebody who holds a connection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
/// let held = pool.acquire().await?;
/// let holders = pool.holders();
/// assert_eq!(holders[0].acquired_at.file(), file!());
/// # drop(held);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The connection's number, as in logs and events.
    pub connection: u64,
    /// The line that called `acquire`, `try_acquire` or `acquire_async`.
    pub acquired_at: &'static Location<'static>,
    /// For how long.
    pub held_for: Duration,
}

impl Holder {
    pub(crate) fn new(connection: u64, acquired_at: &'static Location<'static>, held_for: Duration) -> Self {
        Self { connection, acquired_at, held_for }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held for {}, acquired at {}", brief(self.held_for), self.acquired_at)
    }
}

/// What an acquire saw when its deadline passed: what it waited for, how long, and who is in the way.
///
/// Its text reads like a diagnosis and ends with what to do. `last_connect_error` is the last failed connect, if no connect
/// has succeeded since.
///
/// ```
/// use poolhouse::{AcquireTimeout, PacketError, Phase};
///
/// fn is_pool_too_small(timeout: &AcquireTimeout<PacketError>) -> bool {
///     timeout.phase == Phase::Queueing
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct AcquireTimeout<E> {
    /// Where the pool's connections go.
    pub target: String,
    /// What the acquire waited for at the end.
    pub phase: Phase,
    /// How long it waited.
    pub waited: Duration,
    /// Its place in the queue at the end; 1 is next.
    pub position: usize,
    /// How many waited at the end, this acquire included.
    pub waiting: usize,
    /// Connections held.
    pub active: usize,
    /// Connections open but not held.
    pub idle: usize,
    /// Attempts to connect under way.
    pub connecting: usize,
    /// The maximum in force.
    pub max_connections: usize,
    /// Failed attempts to connect since the last one that succeeded.
    pub failed_connects: u64,
    /// The latest of them.
    pub last_connect_error: Option<Arc<ConnectError<E>>>,
    /// Whether the last one said that the server is at its own limit ([`FailureKind::Busy`](crate::FailureKind::Busy)).
    pub server_is_busy: bool,
    /// How long ago that was.
    pub last_connect_error_age: Option<Duration>,
    /// Who has held a connection longest, three at most, the longest first.
    pub longest_holders: Vec<Holder>,
    /// Connections of this pool that the task held while it waited for another. Only with `detect_nested_acquires`.
    pub nested: Vec<Holder>,
}

impl<E: Error> fmt::Display for AcquireTimeout<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, phase, position, waiting, active, max_connections, connecting, .. } = self;
        write!(f, "timed out after {} waiting for a connection to {target}", brief(self.waited))?;
        write!(f, " ({phase}, {position} of {waiting} in the queue)")?;
        let noun = if (*active, *max_connections) == (1, 1) { "connection" } else { "connections" };
        let verb = if *active == 1 { "is" } else { "are" };
        write!(f, ": {active} of {max_connections} {noun} {verb} held, {connecting} connecting")?;
        for (index, holder) in self.longest_holders.iter().enumerate() {
            write!(f, "; {} is {holder}", if index == 0 { "the longest" } else { "the next" })?;
        }
        if let (Some(error), Some(age)) = (&self.last_connect_error, self.last_connect_error_age) {
            write!(
                f,
                "; {}{} {} ago: {}",
                Counted(self.failed_connects, "failed connect"),
                if self.failed_connects == 1 { "," } else { ", the last" },
                brief(age),
                Inner(&**error)
            )?;
        }
        if let Some(holder) = self.nested.first() {
            let count = self.nested.len();
            let one = if count == 1 { "" } else { "one " };
            write!(f, "; this task itself holds {count} of them, {one}acquired at {}", holder.acquired_at)?;
            f.write_str(": acquire once and pass the connection on, or release it first")?;
        }
        f.write_str(match phase {
            Phase::Queueing if self.server_is_busy => {
                "; the server takes no more connections: release connections sooner, or let others leave room at it"
            }
            Phase::Queueing => {
                "; release connections sooner, raise max_connections, or shed load with max_pending"
            }
            Phase::Connecting => {
                "; check the address, and that the server runs and accepts connections in time"
            }
            Phase::Checking => "; check that the server answers, or lower health_check_timeout",
            Phase::Resetting => "; check that a reset is quick, or lower reset_timeout",
            Phase::Suspended => "; the pool is suspended: call Pool::resume() when the server is back",
        })?;
        write!(f, "; guide: {}", self.page())
    }
}

impl<E> AcquireTimeout<E> {
    fn page(&self) -> &'static str {
        match self.phase {
            Phase::Queueing if !self.nested.is_empty() => page::DEADLOCK_AT_N,
            Phase::Queueing if self.server_is_busy => page::TOO_MANY_CLIENTS,
            Phase::Queueing => page::POOL_EXHAUSTION,
            Phase::Connecting => {
                self.last_connect_error.as_ref().map_or(page::SERVER_DOWN, |error| error.page())
            }
            Phase::Checking => page::STALE_CONNECTIONS,
            Phase::Resetting => page::SESSION_STATE,
            Phase::Suspended => page::MAINTENANCE,
        }
    }
}

impl<E: Error> Error for AcquireTimeout<E> {}
