//! Health checks: which are under way, for whom, and which idle connections want one.
//!
//! A regular check comes after `health_check_interval`. At most a tenth of the connections that nobody holds are checked
//! at a time, so that most can be taken at any instant. A waiter's check comes at once: with `check_after_idle`, and for
//! connections that are in doubt because a check of another has failed.

use std::time::Duration;

use super::deadlines::Deadline;
use super::eviction::Home;
use super::{Effects, Entry, Plan, Policy, Tick};
use crate::events::RetireReason;

/// How a health check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    Passed,
    Failed,
    /// The manager panicked, in the check or in the look that follows it.
    Panicked,
    /// The peer had closed the connection, so there was nothing to check.
    PeerClosed,
    /// It was dropped half-way, so the connection may be in the middle of an exchange.
    Cut,
}

struct Check {
    connection: u64,
    home: Home,
    began: Tick,
    /// Whether a waiter is to have the connection.
    wanted: bool,
    /// Why the background task is to drop it, if so.
    cut: Option<RetireReason>,
    /// Whether the background task has been told.
    told: bool,
}

#[derive(Default)]
pub(super) struct HealthChecks {
    under_way: Vec<Check>,
    /// When a check began that failed later. What has not proved to work since is in doubt.
    in_doubt_before: Option<Tick>,
}

impl HealthChecks {
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Those that are told to stop. Their connections are about to go.
    #[inline]
    pub(super) fn cut(&self) -> usize {
        self.under_way.iter().filter(|check| check.cut.is_some()).count()
    }

    /// Those that a waiter waits for.
    pub(super) fn wanted(&self) -> usize {
        self.under_way.iter().filter(|check| check.wanted).count()
    }

    /// When the checks began that a waiter waits for.
    pub(super) fn wanted_since(&self) -> impl Iterator<Item = Tick> {
        self.under_way.iter().filter(|check| check.wanted).map(|check| check.began)
    }

    /// Whether one more regular check may begin, beside so many idle connections.
    fn has_room(&self, idle: usize) -> bool {
        let unused = idle + self.under_way.len();
        self.under_way.len() < (unused / 10).max(1)
    }

    fn begin(&mut self, connection: u64, home: Home, began: Tick, wanted: bool) {
        self.under_way.push(Check { connection, home, began, wanted, cut: None, told: false });
    }

    fn end(&mut self, connection: u64) -> Option<Check> {
        let index = self.under_way.iter().position(|check| check.connection == connection)?;
        Some(self.under_way.swap_remove(index))
    }

    /// Ends checks early, `count` of them at most: no waiter will have their connections. Returns how many.
    pub(super) fn cut_some(&mut self, count: usize, reason: RetireReason) -> usize {
        let uncut = self.under_way.iter_mut().filter(|check| check.cut.is_none());
        uncut.take(count).map(|check| (check.cut, check.wanted) = (Some(reason), false)).count()
    }

    /// The connections whose checks a background task has to drop. It is told once.
    pub(super) fn take_cut(&mut self, home: Home) -> Vec<u64> {
        let of_home = self.under_way.iter_mut().filter(|check| check.home == home);
        let to_tell = of_home.filter(|check| check.cut.is_some() && !check.told);
        to_tell
            .map(|check| {
                check.told = true;
                check.connection
            })
            .collect()
    }

    fn doubt(&mut self, since: Tick) {
        self.in_doubt_before = self.in_doubt_before.max(Some(since));
    }

    pub(super) fn is_in_doubt<C>(&self, entry: &Entry<C>) -> bool {
        self.in_doubt_before.is_some_and(|at| entry.proven_at() < at)
    }
}

impl<C, E, W> Policy<C, E, W> {
    /// Whether a connection has to pass a check before it is handed out.
    pub(super) fn wants_check(&self, entry: &Entry<C>, now: Tick) -> bool {
        entry.is_stale(self.limits.trust, now) || self.checks.is_in_doubt(entry)
    }

    /// How many idle connections to check because somebody waits. While somebody waits, all that are idle want it.
    pub(super) fn checks_wanted(&self) -> usize {
        if self.idle.is_empty() {
            return 0;
        }
        self.waiting.len().saturating_sub(self.checks.wanted()).min(self.idle.len())
    }

    pub(super) fn begin_wanted_checks(&mut self, home: Home, now: Tick, plan: &mut Plan<C>) {
        for _ in 0..self.checks_wanted() {
            let Some(entry) = self.idle.find_first(|_| true).and_then(|place| self.idle.take_at(place))
            else {
                break;
            };
            self.begin_check(entry, home, now, true, plan);
        }
    }

    /// Begins the regular checks that are due, and those of connections in doubt.
    pub(super) fn begin_due_checks(&mut self, home: Home, now: Tick, plan: &mut Plan<C>) {
        let Self { checks, idle, .. } = self;
        for entry in idle.take_all(|entry| checks.is_in_doubt(entry)) {
            self.begin_check(entry, home, now, false, plan);
        }
        let interval = self.limits.check_interval;
        while self.checks.has_room(self.idle.len())
            && let Some(entry) = self.idle.take_longest_unproven(|entry| entry.is_stale(interval, now))
        {
            self.begin_check(entry, home, now, false, plan);
        }
    }

    fn begin_check(&mut self, entry: Box<Entry<C>>, home: Home, now: Tick, wanted: bool, plan: &mut Plan<C>) {
        self.checks.begin(entry.id, home, now, wanted);
        plan.checks.push(entry);
    }

    /// How many checks, of those that a waiter waits for, are young enough that no connect begins beside them.
    pub(super) fn young_checks(&self, now: Tick) -> usize {
        let patience: Duration = self.connects.patience();
        self.checks.wanted_since().filter(|began| now.since(*began) < patience).count()
    }

    /// A health check has ended. Passing it does not count as use: the connection goes on being idle.
    pub(crate) fn checked(
        &mut self,
        mut entry: Box<Entry<C>>,
        outcome: Checked,
        now: Tick,
        fx: &mut Effects<C, E, W>,
    ) {
        let check = self.checks.end(entry.id);
        let cut = check.as_ref().and_then(|check| check.cut);
        fx.plan = true;
        let reason = match outcome {
            Checked::Passed => {
                entry.checked_at = now;
                self.place(entry, now, fx);
                if cut.is_some() {
                    self.abandon_surplus(fx);
                }
                return;
            }
            Checked::Failed | Checked::Panicked => {
                self.counts.failed_checks += 1;
                self.checks.doubt(check.map_or(now, |check| check.began));
                if outcome == Checked::Failed { RetireReason::CheckFailed } else { RetireReason::Panicked }
            }
            Checked::PeerClosed => RetireReason::PeerClosed,
            Checked::Cut => {
                let ineligible = self.eviction.no_longer_eligible(entry.origin);
                cut.or(ineligible).unwrap_or(RetireReason::RuntimeGone)
            }
        };
        self.retire(entry, reason, fx);
    }

    /// When an idle connection wants its next regular check.
    pub(super) fn check_due(&self, entry: &Entry<C>) -> (Deadline, Tick) {
        (Deadline::Check, entry.proven_at() + self.limits.check_interval)
    }
}
