//! What an acquire saw when its time ran out, and who holds connections.

use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::text::{brief, is_or_are};
use super::{At, ConnectError, Counted, Inner, page};

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
    /// There was room for a connection, but none could be opened in time.
    ///
    /// Guide: that of the last [`ConnectError`], and `troubleshooting/server-down` if there was none.
    Connecting,
    /// The idle connections were under a health check, or the hook `before_reuse`, that did not end in time.
    ///
    /// Guide: `troubleshooting/stale-connections`.
    Checking,
    /// Connections that came back were being reset, but no reset ended in time.
    ///
    /// Guide: `guide/session-state`.
    Resetting,
    /// The pool was suspended, and was not resumed in time.
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
    /// The line that called `acquire`, `acquire_within`, `acquire_owned`, `acquire_async` or `try_acquire`.
    pub acquired_at: &'static Location<'static>,
    /// For how long.
    pub held_for: Duration,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held for {}, acquired at {}", brief(self.held_for), self.acquired_at)
    }
}

/// What an acquire saw when its deadline passed: what it waited for, how long, and who is in the way.
///
/// Its text reads like a diagnosis and ends with what to do, and a page of the guide: see `poolhouse::GUIDE`.
/// `last_connect_error` is the last failed connect, if no connect has succeeded since.
///
/// ```
/// use poolhouse::{AcquireTimeout, Phase};
///
/// fn is_pool_too_small(timeout: &AcquireTimeout) -> bool {
///     timeout.phase == Phase::Queueing
/// }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AcquireTimeout {
    /// Where the pool's connections go.
    pub target: String,
    /// The pool's name.
    pub pool: Option<String>,
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
    /// Connections on their way out. Each takes up room until it has closed, `close_timeout` at most.
    pub closing: usize,
    /// The maximum in force.
    pub max_connections: usize,
    /// Failed attempts to connect since the last one that succeeded.
    pub failed_connects: u64,
    /// The latest of them.
    pub last_connect_error: Option<Arc<ConnectError>>,
    /// Whether the last one said that the server is at its own limit ([`FailureKind::Busy`](crate::FailureKind::Busy)).
    pub server_is_busy: bool,
    /// How long ago that was.
    pub last_connect_error_age: Option<Duration>,
    /// The longest holds, three at most, the longest first.
    pub longest_holders: Vec<Holder>,
    /// Connections of this pool that the task held while it waited for another. Only with `detect_nested_acquires`.
    pub nested: Vec<Holder>,
}

impl fmt::Display for AcquireTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, pool, phase, position, waiting, active, max_connections, connecting, .. } = self;
        write!(f, "timed out after {} waiting for a connection to {}", brief(self.waited), At(target, pool))?;
        write!(f, " ({phase}, {position} of {waiting} in the queue)")?;
        let noun = if (*active, *max_connections) == (1, 1) { "connection" } else { "connections" };
        let verb = is_or_are(*active);
        write!(f, ": {active} of {max_connections} {noun} {verb} held, {connecting} connecting")?;
        if self.closing > 0 {
            write!(f, ", {} closing", self.closing)?;
        }
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
        let (advice, page) = self.advice();
        write!(f, "; {advice}; guide: {page}")
    }
}

impl AcquireTimeout {
    /// What to do, and the page of the guide that says more.
    fn advice(&self) -> (&'static str, &'static str) {
        let queueing = |page| if self.nested.is_empty() { page } else { page::DEADLOCK_AT_N };
        let last_error = self.last_connect_error.as_deref();
        match self.phase {
            Phase::Queueing if self.server_is_busy => (
                "the server takes no more connections: release connections sooner, or let others leave room at it",
                queueing(page::TOO_MANY_CLIENTS),
            ),
            // Without them this acquire would have had room.
            Phase::Queueing
                if self.closing >= self.position && self.active + self.idle < self.max_connections =>
            {
                (
                    "connections on their way out still take up room: lower close_timeout if a server that is gone holds them up",
                    queueing(page::SHUTTING_DOWN),
                )
            }
            Phase::Queueing => (
                "release connections sooner, raise max_connections, or shed load with max_pending",
                queueing(page::POOL_EXHAUSTION),
            ),
            Phase::Connecting if self.server_is_busy => (
                "the server takes no more connections: let others leave room at it, or raise its limit",
                page::TOO_MANY_CLIENTS,
            ),
            Phase::Connecting => (
                "check the address, and that the server runs and accepts connections in time",
                last_error.map_or(page::SERVER_DOWN, ConnectError::page),
            ),
            Phase::Checking => (
                "check that the server answers, and that the hook before_reuse is quick; if peers vanish, lower \
                 health_check_timeout",
                page::STALE_CONNECTIONS,
            ),
            Phase::Resetting => ("check that a reset is quick, or lower reset_timeout", page::SESSION_STATE),
            Phase::Suspended => {
                ("the pool is suspended: call Pool::resume() when the server is back", page::MAINTENANCE)
            }
        }
    }
}

impl Error for AcquireTimeout {}
