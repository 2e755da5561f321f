//! Why an acquire ends without a connection. Every message says what happened, where, and what to look at, and ends with
//! the page of the guide that explains it.
//!
//! One rule for causes, in every error of the crate: `Display` tells the whole cause, down to the last
//! [`source`](Error::source) of the manager's own error, and `source` is `None`. A log line that prints one error shows
//! why, and a printed chain has each text once. The cause itself is in a public field or variant:
//! [`AcquireError::manager_error`] leads to it.
//!
//! The manager's error is boxed as soon as the manager has classified it, so none of these types has a parameter.

use std::error::Error;
use std::fmt;

use thiserror::Error;

pub use self::connect::{ConnectError, ConnectFailed, Retry};
pub use self::failure::Failure;
pub(crate) use self::text::{At, Counted, Inner, is_or_are};
pub use self::timeout::{AcquireTimeout, Holder, Phase};

// With their paths, for the model checker takes this file in by its path too.
#[path = "error/connect.rs"]
mod connect;
#[path = "error/failure.rs"]
mod failure;
#[path = "error/text.rs"]
mod text;
#[path = "error/timeout.rs"]
mod timeout;

/// An error of any type, as the pool keeps those of managers.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The pages of the guide that messages name, with their whole address. A test of the book looks whether each is there.
#[allow(
    dead_code,
    reason = "the packet protocol and the facade for threads, which are features, name some of them"
)]
pub(crate) mod page {
    macro_rules! pages {
        ($($name:ident = $page:literal)+) => {
            $(pub(crate) const $name: &str = concat!(env!("CARGO_PKG_HOMEPAGE"), "/", $page, ".html");)+
        };
    }

    pages! {
        POOL_EXHAUSTION = "troubleshooting/pool-exhaustion"
        SERVER_DOWN = "troubleshooting/server-down"
        STALE_CONNECTIONS = "troubleshooting/stale-connections"
        TOO_MANY_CLIENTS = "troubleshooting/too-many-clients"
        DEADLOCK_AT_N = "troubleshooting/deadlock-at-n"
        LEAKS = "troubleshooting/leaks"
        SESSION_STATE = "guide/session-state"
        MAINTENANCE = "guide/maintenance"
        SHUTTING_DOWN = "guide/shutting-down"
        LOAD_SHEDDING = "guide/load-shedding"
        PANICS = "guide/panics"
        SHARING = "guide/sharing"
        MONITORING = "guide/monitoring"
        TIMEOUTS = "guide/timeouts"
        INVALIDATING = "guide/invalidating"
        CONFIGURATION = "reference/configuration"
        PACKET_PROTOCOL = "reference/packet-protocol"
        DESCRIPTORS = "troubleshooting/descriptors-and-ports"
    }
}

/// Why an acquire gave no connection. [`kind`](Self::kind) names it in one word, for a metric.
///
/// Its text ends with a page of the guide: see `poolhouse::GUIDE`.
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
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// The deadline passed. What is inside says what the acquire was waiting for; the page of the guide is that of its
    /// [`Phase`].
    #[error(transparent)]
    Timeout(Box<AcquireTimeout>),
    /// The connect failed in a way that waiting does not fix, connects have failed for `fail_fast_after`, or
    /// `warm_up` met a failure. The page of the guide is that of the [`ConnectError`].
    #[error(transparent)]
    Connect(ConnectFailed),
    /// The pool is closed, or closed while the acquire waited.
    ///
    /// Guide: `guide/shutting-down`.
    #[error(
        "the pool for {} is closed: acquire before close(), or make a new pool; guide: {}",
        At(target, pool),
        page::SHUTTING_DOWN
    )]
    #[non_exhaustive]
    Closed {
        /// Where the pool's connections went.
        target: String,
        /// The pool's name.
        pool: Option<String>,
    },
    /// As many acquires wait as `max_pending` allows.
    ///
    /// Guide: `guide/load-shedding`.
    #[error(
        "{} already {} for a connection to {} and max_pending is {max_pending}: \
         answer \"busy\" now, and Pool::holders() says who holds the connections; guide: {}",
        Counted(*.waiting, "acquire"),
        if *.waiting == 1 { "waits" } else { "wait" },
        At(target, pool),
        page::LOAD_SHEDDING
    )]
    #[non_exhaustive]
    Overloaded {
        /// Where the pool's connections go.
        target: String,
        /// The pool's name.
        pool: Option<String>,
        /// How many wait.
        waiting: usize,
        /// The limit.
        max_pending: usize,
    },
    /// The acquire had to wait in a tokio runtime that has ended or is shutting down. No background task can
    /// run there, so it could only wait for its deadline.
    ///
    /// Guide: `guide/sharing`.
    #[error(
        "cannot acquire a connection to {}: the tokio runtime that polls this acquire has ended or is shutting \
         down: await it in a runtime that lives, and open one pool per runtime or keep the runtime alive longer than \
         its pools; guide: {}",
        At(target, pool),
        page::SHARING
    )]
    #[non_exhaustive]
    RuntimeEnded {
        /// Where the pool's connections go.
        target: String,
        /// The pool's name.
        pool: Option<String>,
    },
}

impl AcquireError {
    /// The variant, without what is inside: a label for metrics, by [`as_str`](AcquireErrorKind::as_str).
    ///
    /// ```
    /// fn count(error: &poolhouse::AcquireError, mut add: impl FnMut(&'static str)) {
    ///     add(error.kind().as_str());
    /// }
    /// ```
    pub fn kind(&self) -> AcquireErrorKind {
        match self {
            Self::Timeout(_) => AcquireErrorKind::Timeout,
            Self::Connect(_) => AcquireErrorKind::Connect,
            Self::Closed { .. } => AcquireErrorKind::Closed,
            Self::Overloaded { .. } => AcquireErrorKind::Overloaded,
            Self::RuntimeEnded { .. } => AcquireErrorKind::RuntimeEnded,
        }
    }

    /// Whether the acquire ran out of time.
    ///
    /// ```
    /// fn answer(error: &poolhouse::AcquireError) -> u16 {
    ///     if error.is_timeout() { 503 } else { 500 }
    /// }
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether `max_pending` acquires waited already.
    ///
    /// ```
    /// fn answer(error: &poolhouse::AcquireError) -> &'static str {
    ///     if error.is_overloaded() { "busy, come back later" } else { "out of service" }
    /// }
    /// ```
    pub fn is_overloaded(&self) -> bool {
        matches!(self, Self::Overloaded { .. })
    }

    /// Whether the pool is closed.
    ///
    /// ```
    /// fn is_shutting_down(error: &poolhouse::AcquireError) -> bool {
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
    /// use poolhouse::{AcquireError, ConnectError};
    ///
    /// fn is_server_silent(error: &AcquireError) -> bool {
    ///     matches!(error.connect_error(), Some(ConnectError::TimedOut(_)))
    /// }
    /// ```
    pub fn connect_error(&self) -> Option<&ConnectError> {
        match self {
            Self::Timeout(timeout) => timeout.last_connect_error.as_deref(),
            Self::Connect(failed) => Some(&failed.error),
            Self::Closed { .. } | Self::Overloaded { .. } | Self::RuntimeEnded { .. } => None,
        }
    }

    /// The manager's error behind it, if that is an `E`; else the first `E` in its chain of sources.
    ///
    /// It is that of [`connect_error`](Self::connect_error). What [`ConnectError::manager_error`] says of errors that the
    /// manager has boxed holds here too.
    ///
    /// ```
    /// use poolhouse::{AcquireError, PacketError};
    ///
    /// /// What the operating system said, if it was that.
    /// fn os_error(error: &AcquireError) -> Option<&std::io::Error> {
    ///     error.manager_error::<PacketError>()?.io_error()
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
    pub fn manager_error<E: Error + 'static>(&self) -> Option<&E> {
        self.connect_error()?.manager_error()
    }

    /// The manager's error behind it, of whatever type.
    ///
    /// ```
    /// fn text(error: &poolhouse::AcquireError) -> Option<String> {
    ///     error.dyn_manager_error().map(|error| error.to_string())
    /// }
    /// ```
    pub fn dyn_manager_error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.connect_error()?.dyn_manager_error()
    }

    /// Whether the acquire had to wait in a runtime that has ended. Another try in the same runtime ends the
    /// same way.
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

/// Which [`AcquireError`] it is.
///
/// ```
/// assert_eq!(poolhouse::AcquireErrorKind::RuntimeEnded.as_str(), "runtime_ended");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcquireErrorKind {
    /// [`AcquireError::Timeout`].
    Timeout,
    /// [`AcquireError::Connect`].
    Connect,
    /// [`AcquireError::Closed`].
    Closed,
    /// [`AcquireError::Overloaded`].
    Overloaded,
    /// [`AcquireError::RuntimeEnded`].
    RuntimeEnded,
}

impl AcquireErrorKind {
    /// A short name that does not change: a label for metrics.
    ///
    /// ```
    /// assert_eq!(poolhouse::AcquireErrorKind::Timeout.as_str(), "timeout");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Overloaded => "overloaded",
            Self::RuntimeEnded => "runtime_ended",
        }
    }
}

impl fmt::Display for AcquireErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
