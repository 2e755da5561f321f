//! What a pool tells a listener: one event for each thing that happens to a connection.
//!
//! There is no queue. An event is told where it happens, while nobody else can have the connection (see
//! `Connecting::connected`, `hand_out`, and `take_back` and `retire` of `PoolInner`), so the events of one connection
//! come in order.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::error::{AcquireError, ConnectError, Holder};
use crate::manager::FailureKind;

/// Is told of everything that happens in a pool. Give it to
/// [`PoolBuilder::listener`](crate::PoolBuilder::listener).
///
/// The pool calls it outside of its lock, on the thread where it happened: that of a caller for `Acquired`
/// and `Released`, that of a background task or of the caller of [`Pool::add`](crate::Pool::add) for
/// `Created`. So it must be quick and must not block. It may use the pool, but is told of its own acquires as
/// well. If it keeps a [`Pool`](crate::Pool), that pool does not close with the last handle elsewhere.
/// Events of one connection come in order; events of different connections may overtake each other. `Leaked`
/// alone comes beside that order. It may come a moment after the `Released` of its hold. It may come before
/// the `Acquired` of a caller that has not picked up its connection.
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
/// use poolhouse::{Event, Pool};
///
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// let opened = Arc::new(AtomicU64::new(0));
/// let counter = Arc::clone(&opened);
/// let listener = move |event: &Event<'_>| {
///     if let Event::Created { .. } = event {
///         counter.fetch_add(1, Ordering::Relaxed);
///     }
/// };
/// let pool = Pool::builder((server.host(), server.port())).listener(listener).build()?;
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
    /// A connection has been opened. The pool hands it out after this event, and counts it in the statistics from then
    /// on.
    #[non_exhaustive]
    Created {
        /// The pool's name.
        pool: Option<&'a str>,
        /// Its number.
        connection: u64,
        /// How long the connect took. Zero for a connection that [`Pool::add`](crate::Pool::add) took in.
        took: Duration,
    },
    /// A connection has been handed out.
    #[non_exhaustive]
    Acquired {
        /// The pool's name.
        pool: Option<&'a str>,
        /// Its number.
        connection: u64,
        /// How long the acquire took, from its first poll.
        waited: Duration,
        /// The line that acquired it.
        acquired_at: &'static Location<'static>,
    },
    /// A held connection comes back, or has been detached. If it does not stay in the pool, `Retired` says why.
    #[non_exhaustive]
    Released {
        /// The pool's name.
        pool: Option<&'a str>,
        /// Its number.
        connection: u64,
        /// How long it was held.
        held_for: Duration,
    },
    /// The pool closes a connection.
    #[non_exhaustive]
    Retired {
        /// The pool's name.
        pool: Option<&'a str>,
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
        /// The pool's name.
        pool: Option<&'a str>,
        /// Why.
        error: &'a ConnectError,
        /// How long it took.
        took: Duration,
        /// The kind of a [`Failure`](crate::Failure), else what
        /// [`Manager::classify`](crate::Manager::classify) says of it. Transient, if the manager gave no
        /// error.
        kind: FailureKind,
    },
    /// An acquire has ended without a connection.
    #[non_exhaustive]
    AcquireFailed {
        /// The pool's name.
        pool: Option<&'a str>,
        /// Why. [`AcquireError::kind`] is a label for a metric.
        error: &'a AcquireError,
        /// The line that asked.
        acquired_at: &'static Location<'static>,
    },
    /// A health check or the hook before reuse has failed. `Retired` follows.
    #[non_exhaustive]
    CheckFailed {
        /// The pool's name.
        pool: Option<&'a str>,
        /// The connection's number.
        connection: u64,
        /// What the manager said; `None` when `health_check_timeout` passed, or the manager panicked.
        error: Option<&'a (dyn Error + 'static)>,
    },
    /// A reset between two holders, or the hook on return, has failed. `Retired` follows.
    #[non_exhaustive]
    ResetFailed {
        /// The pool's name.
        pool: Option<&'a str>,
        /// The connection's number.
        connection: u64,
        /// What the manager said; `None` when `reset_timeout` passed, or the manager panicked.
        error: Option<&'a (dyn Error + 'static)>,
    },
    /// The pool has been closed, by a call or with its last handle. Held connections close as they come back.
    #[non_exhaustive]
    Closed {
        /// The pool's name.
        pool: Option<&'a str>,
        /// How many connections were held then.
        held: usize,
    },
    /// A connection has been held for longer than `leak_threshold`. This comes once for each hold.
    #[non_exhaustive]
    Leaked {
        /// The pool's name.
        pool: Option<&'a str>,
        /// Who holds it.
        holder: Holder,
    },
}

impl<'a> Event<'a> {
    /// The name of the pool in which it happened, if the pool has one.
    ///
    /// ```
    /// fn label(event: &poolhouse::Event<'_>) -> String {
    ///     event.pool().unwrap_or("unnamed").to_string()
    /// }
    /// ```
    pub fn pool(&self) -> Option<&'a str> {
        match self {
            Self::Created { pool, .. }
            | Self::Acquired { pool, .. }
            | Self::Released { pool, .. }
            | Self::Retired { pool, .. }
            | Self::ConnectFailed { pool, .. }
            | Self::AcquireFailed { pool, .. }
            | Self::CheckFailed { pool, .. }
            | Self::ResetFailed { pool, .. }
            | Self::Closed { pool, .. }
            | Self::Leaked { pool, .. } => *pool,
        }
    }
}

/// Why the pool closes a connection.
///
/// ```
/// assert_eq!(poolhouse::RetireReason::Lifetime.to_string(), "max_lifetime");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetireReason {
    /// It reached `max_lifetime`, or its replacement opened shortly before that.
    Lifetime,
    /// It was idle for `idle_timeout`.
    Idle,
    /// It has had `max_uses` holders.
    Uses,
    /// More than `max_idle` connections were idle, and it had idled longest.
    MaxIdle,
    /// More connections are open than the maximum allows.
    Shrunk,
    /// The pool is closed.
    PoolClosed,
    /// The runtime that opened it has ended.
    RuntimeGone,
    /// A health check failed, or the hook before reuse took longer than `health_check_timeout`.
    CheckFailed,
    /// A reset between two holders failed.
    ResetFailed,
    /// The hook before reuse returned an error.
    HookFailed,
    /// [`Pool::retain`](crate::Pool::retain) did not keep it, or a hook said [`Discard`](crate::Discard).
    NotRetained,
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
    /// Its holder called `detach`, and now owns it.
    Detached,
}

impl RetireReason {
    /// Every reason with its short name, in the order of the variants.
    pub(crate) const ALL: [(Self, &'static str); 18] = [
        (Self::Lifetime, "max_lifetime"),
        (Self::Idle, "idle_timeout"),
        (Self::Uses, "max_uses"),
        (Self::MaxIdle, "max_idle"),
        (Self::Shrunk, "resize"),
        (Self::PoolClosed, "pool_closed"),
        (Self::RuntimeGone, "runtime_gone"),
        (Self::CheckFailed, "check_failed"),
        (Self::ResetFailed, "reset_failed"),
        (Self::HookFailed, "hook_failed"),
        (Self::NotRetained, "not_retained"),
        (Self::PeerClosed, "peer_closed"),
        (Self::NotReusable, "not_reusable"),
        (Self::Invalidated, "invalidated"),
        (Self::InvalidatedAll, "invalidate_all"),
        (Self::Suspended, "suspended"),
        (Self::Panicked, "panicked"),
        (Self::Detached, "detached"),
    ];

    /// A short name that does not change: the `reason` field of the `poolhouse::retire` record, and a label for metrics.
    ///
    /// ```
    /// assert_eq!(poolhouse::RetireReason::Idle.as_str(), "idle_timeout");
    /// ```
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl fmt::Display for RetireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_number_and_has_a_name_of_its_own() {
        for (number, (reason, _)) in RetireReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{reason}");
        }
        let names: std::collections::HashSet<_> =
            RetireReason::ALL.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), RetireReason::ALL.len());
    }
}
