//! Which connections that nobody holds have to pass something before they are handed out, and when.
//!
//! A reset begins as soon as a connection has come back that wants one, whether or not anybody waits. A regular health
//! check comes after `health_check_interval`; at most a tenth of the connections that nobody holds are checked at a
//! time, so that most can be taken at any instant. A waiter's check comes at once: with `check_after_idle`, and for
//! connections in doubt. The hook before reuse runs for a waiter only.
//!
//! If a check fails, all connections that have not proved to work since it began are in doubt; with `check_now`, all
//! are. The next plan has all of these checked that are idle, whether or not anybody waits, and beyond that tenth.

use std::time::Duration;

use super::chores::{Chore, ChoreOutcome, UnderWay};
use super::eviction::Home;
use super::{Effects, Entry, Plan, Policy, Tick};
use crate::events::RetireReason;

#[derive(Default)]
pub(super) struct HealthChecks {
    /// When a check began that failed later. What has not proved to work since is in doubt.
    in_doubt_before: Option<Tick>,
    /// Whether there is a hook before reuse.
    prepares: bool,
}

impl HealthChecks {
    #[cfg(test)]
    pub(super) fn in_doubt_before(&self) -> Option<Tick> {
        self.in_doubt_before
    }

    pub(super) fn doubt(&mut self, since: Tick) {
        self.in_doubt_before = self.in_doubt_before.max(Some(since));
    }

    pub(super) fn is_in_doubt<C>(&self, entry: &Entry<C>) -> bool {
        self.in_doubt_before.is_some_and(|at| entry.proven_at() < at)
    }

    /// Whether a connection may not go from one holder to the next as it is, however lately it has proved to work.
    pub(super) fn has_to_be_readied<C>(&self, entry: &Entry<C>) -> bool {
        entry.needs_reset || (self.prepares && !entry.prepared)
    }
}

impl<C, E, W> Policy<C, E, W> {
    /// A hook runs before each reuse.
    pub(crate) fn prepare_before_reuse(&mut self) {
        self.checks.prepares = true;
    }

    /// What a connection has to pass before it is handed out.
    pub(super) fn due_chore(&self, entry: &Entry<C>, now: Tick) -> Option<Chore> {
        let check = entry.is_stale(self.limits.check_after_idle, now) || self.checks.is_in_doubt(entry);
        if entry.needs_reset {
            Some(Chore::Reset)
        } else if self.checks.has_to_be_readied(entry) {
            Some(Chore::Prepare { check })
        } else {
            check.then_some(Chore::Check)
        }
    }

    /// How many idle connections to see to because somebody waits. While somebody waits, all that are idle want it. Where a
    /// chore takes long, a connect comes next, and another chore only if there is none to begin or it takes long too.
    pub(super) fn chores_wanted(&self, now: Tick) -> usize {
        if self.idle.is_empty() {
            return 0;
        }
        let waiting = self.waiting.len();
        let connect_comes = self.connects_wanted(now) > 0 && self.connects.pause(now).is_none();
        let relied_on =
            if connect_comes { waiting } else { self.young_chores(now) + self.connects.young(now) };
        let wanted = waiting.saturating_sub(self.chores.wanted().min(relied_on));
        wanted.min(self.idle.len())
    }

    pub(super) fn begin_resets(&mut self, home: Home, now: Tick, plan: &mut Plan<C>) {
        for entry in self.idle.take_all(|entry| entry.needs_reset) {
            self.begin_chore(entry, Chore::Reset, (home, now), false, plan);
        }
    }

    pub(super) fn begin_wanted_chores(&mut self, home: Home, now: Tick, plan: &mut Plan<C>) {
        for _ in 0..self.chores_wanted(now) {
            let Some(entry) = self.idle.find_first(|_| true).and_then(|place| self.idle.take_at(place))
            else {
                break;
            };
            let chore = self.due_chore(&entry, now).unwrap_or(Chore::Check);
            self.begin_chore(entry, chore, (home, now), true, plan);
        }
    }

    /// Begins the regular checks that are due, and those of connections in doubt.
    pub(super) fn begin_due_checks(&mut self, home: Home, now: Tick, plan: &mut Plan<C>) {
        let Self { checks, idle, .. } = self;
        for entry in idle.take_all(|entry| checks.is_in_doubt(entry)) {
            self.begin_chore(entry, Chore::Check, (home, now), false, plan);
        }
        let interval = self.limits.health_check_interval;
        while self.has_room_for_check()
            && let Some(entry) = self.idle.take_longest_unproven(|entry| entry.is_stale(interval, now))
        {
            self.begin_chore(entry, Chore::Check, (home, now), false, plan);
        }
    }

    /// Whether one more regular check may begin.
    fn has_room_for_check(&self) -> bool {
        self.chores.checks() < (self.unused() / 10).max(1)
    }

    fn begin_chore(
        &mut self,
        entry: Box<Entry<C>>,
        chore: Chore,
        (home, now): (Home, Tick),
        wanted: bool,
        plan: &mut Plan<C>,
    ) {
        self.chores.begin(&entry, chore, (home, now), wanted);
        plan.chores.push((entry, chore));
    }

    /// How many chores, of those that a waiter waits for, are young enough that no connect begins beside them.
    pub(super) fn young_chores(&self, now: Tick) -> usize {
        let patience: Duration = self.connects.patience();
        self.chores.wanted_since().filter(|began| now.since(*began) < patience).count()
    }

    /// A chore has ended. It does not count as use: the connection goes on being idle.
    pub(crate) fn chore_ended(
        &mut self,
        entry: Box<Entry<C>>,
        outcome: ChoreOutcome,
        now: Tick,
        fx: &mut Effects<C, E, W>,
    ) {
        let ended = self.chores.end(entry.id).expect("a chore is under way until it ends");
        fx.plan = true;
        fx.progress = true;
        let reason = match outcome {
            ChoreOutcome::Passed => return self.chore_passed(entry, &ended, now, fx),
            ChoreOutcome::Failed => self.chore_failed(&ended),
            ChoreOutcome::Panicked => {
                self.chore_failed(&ended);
                RetireReason::Panicked
            }
            ChoreOutcome::Refused => RetireReason::HookFailed,
            ChoreOutcome::Discarded => RetireReason::NotRetained,
            ChoreOutcome::PeerClosed => RetireReason::PeerClosed,
            ChoreOutcome::Dropped => {
                let ineligible = self.eviction.no_longer_eligible(entry.origin);
                ended.abandoned.or(ineligible).unwrap_or(RetireReason::RuntimeGone)
            }
        };
        self.retire(entry, reason, fx);
    }

    fn chore_passed(
        &mut self,
        mut entry: Box<Entry<C>>,
        ended: &UnderWay,
        now: Tick,
        fx: &mut Effects<C, E, W>,
    ) {
        entry.needs_reset &= ended.chore != Chore::Reset;
        entry.prepared |= matches!(ended.chore, Chore::Prepare { .. });
        if matches!(ended.chore, Chore::Check | Chore::Reset | Chore::Prepare { check: true }) {
            entry.checked_at = now;
            self.place(entry, now, fx);
        } else {
            self.place_unproven(entry, now, fx);
        }
        if ended.abandoned.is_some() {
            // It stays after all, so another one goes.
            self.abandon_surplus(fx);
        }
    }

    /// Counts the failure, and doubts the others if it was a check. Says why the connection has to go.
    fn chore_failed(&mut self, ended: &UnderWay) -> RetireReason {
        match ended.chore {
            Chore::Check | Chore::Prepare { .. } => {
                self.stats.failed_checks += 1;
                self.checks.doubt(ended.began);
                RetireReason::CheckFailed
            }
            Chore::Reset => {
                self.stats.failed_resets += 1;
                RetireReason::ResetFailed
            }
            Chore::Inspect => RetireReason::NotRetained,
        }
    }

    /// Takes every idle connection out, for the pool's owner to look at.
    pub(crate) fn take_all_idle(&mut self, now: Tick) -> Vec<Box<Entry<C>>> {
        let taken = self.idle.take_all(|entry| !entry.needs_reset);
        for entry in &taken {
            self.chores.begin(entry, Chore::Inspect, (entry.origin.home, now), false);
        }
        taken
    }

    /// Has every connection checked that nobody holds, at once.
    pub(crate) fn check_now(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        self.checks.doubt(now);
        fx.plan = true;
    }

    /// Whether a connection that nobody holds has not proved to work since then.
    pub(crate) fn any_unproven_since(&self, then: Tick) -> bool {
        self.chores.any_unproven_since(then) || self.idle.iter().any(|entry| entry.proven_at() < then)
    }
}
