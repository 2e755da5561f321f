//! Why a connect failed, and what its waiters are told.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::text::{brief, links};
use super::{At, Inner, page};

/// Why one attempt to connect failed.
///
/// Its text ends with a page of the guide: see `poolhouse::GUIDE`.
///
/// ```
/// use poolhouse::ConnectError;
///
/// fn is_slow(error: &ConnectError) -> bool {
///     matches!(error, ConnectError::TimedOut(_))
/// }
/// assert!(is_slow(&ConnectError::TimedOut(std::time::Duration::from_secs(10))));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The manager's `connect`, or the hook `after_connect`, returned an error.
    ///
    /// Guide: `troubleshooting/server-down`.
    Failed(Box<dyn Error + Send + Sync>),
    /// `connect_attempt_timeout` passed.
    ///
    /// Guide: `troubleshooting/server-down`.
    TimedOut(Duration),
    /// The manager panicked.
    ///
    /// Guide: `guide/panics`.
    Panicked,
    /// The connect succeeded and the connection went straight to a waiter, but the peer closed it before its
    /// first use.
    ///
    /// Guide: `troubleshooting/too-many-clients`.
    ClosedAtOnce,
}

impl ConnectError {
    /// The manager's own error, if that is an `E`; else the first `E` in its chain of sources.
    ///
    /// The chain is followed for 16 links. `None` too for a connect that did not end with an error of the manager's.
    ///
    /// An error that the manager boxes itself keeps its type. One inside an `anyhow::Error` does not: anyhow hides the type
    /// of the outermost error when the pool boxes it, and only the sources are found. If you look for a driver's error,
    /// let your manager add something with `anyhow::Context`, which makes the driver's error a source.
    ///
    /// ```
    /// use poolhouse::ConnectError;
    ///
    /// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    /// let error = ConnectError::Failed(refused.into());
    /// let io_error = error.manager_error::<std::io::Error>();
    /// assert!(io_error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    /// ```
    pub fn manager_error<E: Error + 'static>(&self) -> Option<&E> {
        links(self.dyn_manager_error()?).find_map(|error| error.downcast_ref())
    }

    /// The manager's own error, of whatever type, if the connect failed with one.
    ///
    /// ```
    /// use poolhouse::ConnectError;
    ///
    /// let error = ConnectError::Failed("no such user".into());
    /// assert_eq!(error.dyn_manager_error().map(|error| error.to_string()).as_deref(), Some("no such user"));
    /// ```
    pub fn dyn_manager_error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match self {
            Self::Failed(error) => Some(&**error),
            Self::TimedOut(_) | Self::Panicked | Self::ClosedAtOnce => None,
        }
    }

    pub(super) fn page(&self) -> &'static str {
        match self {
            Self::Failed(_) | Self::TimedOut(_) => page::SERVER_DOWN,
            Self::Panicked => page::PANICS,
            Self::ClosedAtOnce => page::TOO_MANY_CLIENTS,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{}", Inner(&**error)),
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
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectFailed {
    /// Where the connection was to go.
    pub target: String,
    /// The pool's name.
    pub pool: Option<String>,
    /// Failed attempts since the last one that succeeded.
    pub attempts: u64,
    /// With `fail_fast_after`: the acquire was told at once.
    pub retry: Option<Retry>,
    /// The latest failure, shared by all who waited for it.
    pub error: Arc<ConnectError>,
}

impl fmt::Display for ConnectFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}", At(&self.target, &self.pool), Inner(&*self.error))?;
        if self.attempts > 1 {
            write!(f, " (failed attempt {})", self.attempts)?;
        }
        if let Some(Retry { age, next_in }) = self.retry {
            write!(f, "; that was {} ago, and the next attempt ", brief(age))?;
            if next_in.is_zero() {
                f.write_str("is under way")?;
            } else {
                write!(f, "begins in {}", brief(next_in))?;
            }
        }
        let page = self.error.page();
        write!(f, "; check the address, and that the server runs and lets you in; guide: {page}")
    }
}

impl Error for ConnectFailed {}

/// How old a failure is that an acquire was told at once, and when the pool tries again (`fail_fast_after`).
///
/// ```
/// use poolhouse::AcquireError;
///
/// /// For the header `Retry-After`.
/// fn retry_after(error: &AcquireError) -> Option<u64> {
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
