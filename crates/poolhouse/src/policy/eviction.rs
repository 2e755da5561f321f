//! Whether a connection that nobody holds may stay. It may not if the pool is closed, suspended or invalidated, if its
//! runtime has ended, if there are too many, or if its lifetime, uses or idle time are over. What a check, a holder,
//! `max_idle` or the pool's owner has against a connection is said where that is found.

use super::{Effects, Entry, Policy, Tick};
use crate::events::RetireReason;

/// The background task, and so the runtime, that opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home(u64);

/// Where and when a connection came to be. `invalidate_all`, a suspension and the end of a runtime each end the
/// eligibility of what came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) home: Home,
    epoch: u64,
    suspension: u64,
}

/// What the pool's owner has said about all of its connections.
#[derive(Debug, Default)]
pub(super) struct Eviction {
    closed: bool,
    suspended: bool,
    /// How often `invalidate_all` has been called.
    epoch: u64,
    /// How often a suspension has begun.
    suspensions: u64,
    homes: Vec<Home>,
    last_home: u64,
}

impl Eviction {
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether connections may be opened, checked and handed out.
    pub(super) fn is_in_service(&self) -> bool {
        !self.closed && !self.suspended
    }

    /// Returns whether the pool was open.
    pub(super) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    pub(super) fn suspend(&mut self) {
        self.suspensions += u64::from(!self.suspended);
        self.suspended = true;
    }

    pub(super) fn resume(&mut self) {
        self.suspended = false;
    }

    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
    }

    /// Whether a background task runs anywhere.
    pub(super) fn has_home(&self) -> bool {
        !self.homes.is_empty()
    }

    fn lives(&self, home: Home) -> bool {
        self.homes.contains(&home)
    }

    pub(super) fn add_home(&mut self) -> Home {
        self.last_home += 1;
        let home = Home(self.last_home);
        self.homes.push(home);
        home
    }

    pub(super) fn remove_home(&mut self, home: Home) {
        self.homes.retain(|other| *other != home);
    }

    /// The origin of a connect that begins now.
    pub(super) fn origin(&self, home: Home) -> Origin {
        Origin { home, epoch: self.epoch, suspension: self.suspensions }
    }

    /// Whether a connect began after the latest `invalidate_all` and the latest suspension: what failed before says nothing
    /// about now.
    pub(super) fn is_current(&self, origin: Origin) -> bool {
        origin.epoch == self.epoch && origin.suspension == self.suspensions
    }

    /// Why a connection of this origin is no longer eligible, whatever its age. If several reasons apply, the first
    /// of this order is given.
    #[inline]
    pub(super) fn no_longer_eligible(&self, origin: Origin) -> Option<RetireReason> {
        if self.closed {
            Some(RetireReason::PoolClosed)
        } else if self.suspended || origin.suspension != self.suspensions {
            Some(RetireReason::Suspended)
        } else if origin.epoch != self.epoch {
            Some(RetireReason::InvalidatedAll)
        } else if !self.lives(origin.home) {
            Some(RetireReason::RuntimeGone)
        } else {
            None
        }
    }
}

impl<C, E, W> Policy<C, E, W> {
    /// A background task begins, in a runtime of its own.
    pub(crate) fn home_opened(&mut self) -> Home {
        self.eviction.add_home()
    }

    /// A background task has ended. Its runtime is gone, and with it the I/O of every connection opened
    /// there. All waiters are woken, for one of them may have to start the next task.
    pub(crate) fn home_lost(&mut self, home: Home, now: Tick, fx: &mut Effects<C, E, W>) {
        self.eviction.remove_home(home);
        if !self.eviction.has_home() {
            // Nobody has looked since whether the server is back.
            self.connects.forget_outage();
        }
        self.deadlines.clear();
        self.retire_idle(RetireReason::RuntimeGone, |entry| entry.origin.home == home, fx);
        self.revoke_ineligible(now, fx);
        self.waiting.wake_all(&mut fx.wake);
        fx.plan = true;
    }

    /// Whether the runtime lives that has a connection's I/O.
    pub(crate) fn has_runtime(&self, entry: &Entry<C>) -> bool {
        self.eviction.lives(entry.origin.home)
    }

    /// Why a connection that nobody holds has to go, if so. Asked before it gets a place or a holder, and by each plan.
    #[inline]
    pub(super) fn retire_reason(&self, entry: &Entry<C>, now: Tick) -> Option<RetireReason> {
        if let Some(reason) = self.eviction.no_longer_eligible(entry.origin) {
            Some(reason)
        } else if self.staying() > self.config.max_connections {
            Some(RetireReason::Shrunk)
        } else if let Some(reason) = self.holders.end_of_life(entry.record, now) {
            Some(reason)
        } else if entry.use_count >= self.limits.max_uses {
            Some(RetireReason::Uses)
        } else if self.idles_out_at(entry.idle_since) <= now {
            Some(RetireReason::Idle)
        } else {
            None
        }
    }

    /// When a connection that is idle since then has been idle for too long. Never, while a minimum needs it.
    pub(super) fn idles_out_at(&self, idle_since: Tick) -> Tick {
        let spare_idle = self.config.min_idle == 0 || self.lasting_unused() > self.config.min_idle;
        if spare_idle && self.lasting() > self.config.min_connections {
            idle_since + self.limits.idle_timeout
        } else {
            Tick::NEVER
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eviction() -> (Eviction, Origin) {
        let mut eviction = Eviction::default();
        let home = eviction.add_home();
        let origin = eviction.origin(home);
        (eviction, origin)
    }

    /// `epoch.invalidate_all`, `suspend.nothing_moves`: the order of the reasons does not depend on who asks.
    #[test]
    fn the_reason_is_the_same_wherever_the_connection_is() {
        let (mut eviction, origin) = eviction();
        assert_eq!(eviction.no_longer_eligible(origin), None);
        eviction.begin_epoch();
        assert_eq!(eviction.no_longer_eligible(origin), Some(RetireReason::InvalidatedAll));
        eviction.suspend();
        assert_eq!(eviction.no_longer_eligible(origin), Some(RetireReason::Suspended));
        assert!(eviction.close());
        assert!(!eviction.close());
        assert_eq!(eviction.no_longer_eligible(origin), Some(RetireReason::PoolClosed));
    }

    /// `suspend.nothing_moves`: what was opened before a suspension is not eligible after it.
    #[test]
    fn a_suspension_ends_what_came_before_it() {
        let (mut eviction, before) = eviction();
        eviction.suspend();
        eviction.suspend();
        eviction.resume();
        assert_eq!(eviction.no_longer_eligible(before), Some(RetireReason::Suspended));
        let after = eviction.origin(before.home);
        assert_eq!(eviction.no_longer_eligible(after), None);
        eviction.remove_home(before.home);
        assert_eq!(eviction.no_longer_eligible(after), Some(RetireReason::RuntimeGone));
    }
}
