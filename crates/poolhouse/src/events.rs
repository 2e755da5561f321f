//! What a pool tells a listener: one event for each thing that happens to a connection.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::error::{AcquireError, ConnectError, Holder};
use crate::manager::FailureKind;

/// Is told of everything that happens in a pool. Give it to [`Pool::with_listener`](crate::Pool::with_listener).
///
/// The pool calls it outside of its lock, on the thread where it happened: that of a caller for `Acquired` and
/// `Released`, that of a background task for `Created`. So it must be quick and must not block. It may use the pool, but
/// an acquire in it is told to it as well. If it keeps a [`Pool`](crate::Pool), that pool does not close with the last
/// handle elsewhere. Events of one connection come in order; events of different connections may overtake each other.
///
/// A panic in the listener ends there: it is logged, and costs nothing else. What an acquire finds overdue or dead is closed
/// by a background task, and so its `Retired` is told there.
///
/// A pool without a listener pays nothing for it but a look whether there is one. For logs, use [`tracing`] instead:
/// the pool reports there already.
///
/// A function is a listener:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use poolhouse::{Event, Pool, PoolConfig};
///
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// let opened = Arc::new(AtomicU64::new(0));
/// let counter = Arc::clone(&opened);
/// let listener = move |event: &Event<'_>| {
///     if let Event::Created { .. } = event {
///         counter.fetch_add(1, Ordering::Relaxed);
///     }
/// };
/// let pool = Pool::with_listener((server.host(), server.port()), PoolConfig::default(), listener)?;
/// let connection = pool.acquire().await?;
/// assert_eq!(opened.load(Ordering::Relaxed), 1);
/// # drop(connection);
/// # Ok(())
/// # }
/// ```
pub trait Listener: Send + Sync + 'static {
    /// Something has happened.
    fn on_event(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Listener for F {
    fn on_event(&self, event: &Event<'_>) {
        self(event);
    }
}

/// Something that happened in a pool. `connection` counts the pool's connections from 1.
///
/// ```
/// use poolhouse::Event;
///
/// fn is_trouble(event: &Event<'_>) -> bool {
///     matches!(event, Event::ConnectFailed { .. } | Event::CheckFailed { .. } | Event::Leaked { .. })
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A connection has been opened. It is handed out after you have been told, and counts in the statistics from then.
    #[non_exhaustive]
    Created {
        /// Its number.
        connection: u64,
        /// How long the connect took.
        took: Duration,
    },
    /// A connection has been handed out.
    #[non_exhaustive]
    Acquired {
        /// Its number.
        connection: u64,
        /// How long the acquire took, from its first poll.
        waited: Duration,
        /// The line that acquired it.
        acquired_at: &'static Location<'static>,
    },
    /// A held connection comes back, or has been detached. If it does not stay, `Retired` says why.
    #[non_exhaustive]
    Released {
        /// Its number.
        connection: u64,
        /// How long it was held.
        held_for: Duration,
    },
    /// The pool closes a connection.
    #[non_exhaustive]
    Retired {
        /// Its number.
        connection: u64,
        /// Why.
        reason: RetireReason,
        /// How long ago it was opened.
        age: Duration,
    },
    /// An attempt to connect has failed.
    #[non_exhaustive]
    ConnectFailed {
        /// Why.
        error: &'a ConnectError,
        /// How long it took.
        took: Duration,
        /// What [`Manager::classify`](crate::Manager::classify) says of it. Transient, if the manager gave no error.
        kind: FailureKind,
    },
    /// An acquire has ended without a connection.
    #[non_exhaustive]
    AcquireFailed {
        /// Why. [`AcquireError::kind`] is a label for a metric.
        error: &'a AcquireError,
        /// The line that asked.
        acquired_at: &'static Location<'static>,
    },
    /// A health check has failed. `Retired` follows.
    #[non_exhaustive]
    CheckFailed {
        /// The connection's number.
        connection: u64,
        /// What the manager said; `None` when `health_check_timeout` passed, or the manager panicked.
        error: Option<&'a (dyn Error + 'static)>,
    },
    /// A connection has been held for longer than `leak_threshold`. Once a hold.
    #[non_exhaustive]
    Leaked {
        /// Who holds it.
        holder: Holder,
    },
}

/// Why the pool closes a connection.
///
/// ```
/// assert_eq!(poolhouse::RetireReason::Lifetime.to_string(), "max_lifetime");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetireReason {
    /// It reached `max_lifetime`, or its successor is open a little before that.
    Lifetime,
    /// It lay idle for `idle_timeout`.
    Idle,
    /// The maximum is below what is open.
    Shrunk,
    /// The pool is closed.
    PoolClosed,
    /// The runtime that opened it has ended.
    RuntimeGone,
    /// A health check failed.
    CheckFailed,
    /// Its peer has closed it: [`Manager::is_connected`](crate::Manager::is_connected) said `false`.
    PeerClosed,
    /// [`Manager::is_reusable`](crate::Manager::is_reusable) said `false`.
    NotReusable,
    /// Its holder called `invalidate`.
    Invalidated,
    /// It was opened before [`Pool::invalidate_all`](crate::Pool::invalidate_all).
    InvalidatedAll,
    /// The pool is suspended.
    Suspended,
    /// A panic dropped it, or the manager panicked when it was asked about it.
    Panicked,
    /// Its holder called `detach`, and closes it.
    Detached,
}

impl RetireReason {
    /// A short name that does not change: the `reason` field of the `poolhouse::retire` record, and a label for metrics.
    ///
    /// ```
    /// assert_eq!(poolhouse::RetireReason::Idle.as_str(), "idle_timeout");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lifetime => "max_lifetime",
            Self::Idle => "idle_timeout",
            Self::Shrunk => "resize",
            Self::PoolClosed => "pool_closed",
            Self::RuntimeGone => "runtime_gone",
            Self::CheckFailed => "check_failed",
            Self::PeerClosed => "peer_closed",
            Self::NotReusable => "not_reusable",
            Self::Invalidated => "invalidated",
            Self::InvalidatedAll => "invalidate_all",
            Self::Suspended => "suspended",
            Self::Panicked => "panicked",
            Self::Detached => "detached",
        }
    }
}

impl fmt::Display for RetireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
