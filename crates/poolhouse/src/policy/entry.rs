//! A connection, and what the pool knows about it.

use std::time::Duration;

use super::eviction::Origin;
use super::wait_queue::Turn;
use super::{Span, Tick};

/// A connection that was looked at less than this ago is handed out without another look: a look is a system call, and
/// a busy connection changes hands many times in a millisecond.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Boxed once, when the connection opens, so that handing it on moves a pointer.
pub(crate) struct Entry<C> {
    pub(crate) connection: C,
    /// Counts connections from 1, for logs.
    pub(crate) id: u64,
    /// How many holders it has had, the present one included.
    pub(crate) use_count: u64,
    /// The key of its record in `Holders`.
    pub(super) record: u32,
    /// Whether nobody has found it to work since its connect: it is neither used nor looked at yet.
    pub(crate) fresh: bool,
    /// Whether its last holder has left something behind: nobody gets it before a reset (`reset.between`).
    pub(super) needs_reset: bool,
    /// Whether it is the manager that wants the reset, and not a hook alone.
    pub(crate) manager_resets: bool,
    /// Whether the manager wants to close it gracefully.
    pub(crate) manager_closes: bool,
    /// Whether it may be handed out as it is: it is new, or the hook before reuse has passed. Asked only if there is one.
    pub(super) prepared: bool,
    pub(super) origin: Origin,
    pub(super) connect_began_at: Tick,
    /// When its connect ended.
    pub(crate) opened_at: Tick,
    /// Since when nobody uses it. If it took the place of an idle one, since when nobody had used that.
    pub(super) idle_since: Tick,
    /// When it was last handed out.
    pub(crate) held_since: Tick,
    /// When it was opened, or last passed a health check.
    pub(super) checked_at: Tick,
    /// When `Manager::is_connected` was last asked for an acquire: the reading of the clock comes before the look.
    pub(crate) looked_at: Option<Tick>,
    /// The place in the order of arrival of the acquire that it was handed to.
    pub(super) turn: Turn,
}

impl<C> Entry<C> {
    /// Whether it has to be asked for a sign of life, without a round trip, before it is handed out.
    pub(crate) fn needs_look(&self, now: Tick) -> bool {
        self.fresh || self.looked_at.is_none_or(|at| at + LOOK_INTERVAL <= now || now < at)
    }

    /// For how long nobody had used it when it was handed out.
    pub(crate) fn idle_time(&self) -> Duration {
        self.unused_for(self.held_since)
    }

    /// For how long nobody has used it, if it is idle. A successor has taken over the idle time of the one before it, which
    /// is the pool's business alone.
    pub(crate) fn unused_for(&self, now: Tick) -> Duration {
        now.since(self.idle_since.max(self.opened_at))
    }

    /// When it last proved to work: opened, given back as reusable, or checked.
    pub(super) fn proven_at(&self) -> Tick {
        self.checked_at.max(self.idle_since)
    }

    /// Whether it has gone unproven for that long.
    pub(super) fn is_stale(&self, trust: Span, now: Tick) -> bool {
        self.proven_at() + trust <= now
    }
}
