//! What the background is to do: the plan, and who asks for a new one.
//!
//! A plan ends the waits whose time is up, retires what is overdue, and finds leaks. It begins resets, checks and
//! connects.
//!
//! Connects are asked for: one for each waiter that has no attempt under way for it, as many as `min_connections` and
//! `min_idle` lack, one at a time to learn whether an outage is over, and one for each connection in use whose lifetime
//! is about to end, so that its successor is there before it goes. All within the room there is, `max_connecting`, and
//! the pause after failures.
//!
//! With `check_after_idle` a waiter first gets a check of an idle connection. If the check takes longer than a connect
//! usually does, the waiter gets a connect as well, and whichever ends first serves it: a dead peer that says nothing
//! costs about one connect, not `health_check_timeout`.

use super::chores::Chore;
use super::deadlines::Deadline;
use super::eviction::Home;
use super::{Effects, Entry, Policy, Span, Tick};
use crate::error::Holder;

/// What the background has to begin and to end, and when to ask again.
pub(crate) struct Plan<C> {
    /// The keys of the attempts to begin.
    pub(crate) connects: Vec<usize>,
    /// The keys of the attempts to drop.
    pub(crate) abandoned_connects: Vec<usize>,
    /// The connections to check, to reset or to prepare.
    pub(crate) chores: Vec<(Box<Entry<C>>, Chore)>,
    /// The connections whose chores are to be dropped.
    pub(crate) abandoned_chores: Vec<u64>,
    /// Holds to report as leaks.
    pub(crate) leaks: Vec<Holder>,
    /// `None` for never.
    pub(crate) wake_at: Option<Tick>,
}

impl<C> Default for Plan<C> {
    fn default() -> Self {
        Self {
            connects: Vec::new(),
            abandoned_connects: Vec::new(),
            chores: Vec::new(),
            abandoned_chores: Vec::new(),
            leaks: Vec::new(),
            wake_at: None,
        }
    }
}

impl<C, E, W> Policy<C, E, W> {
    pub(super) fn wake_by(&mut self, which: Deadline, at: Tick, fx: &mut Effects<C, E, W>) {
        fx.plan |= self.deadlines.bring_forward(which, at);
    }

    /// When the background has something to do with a connection because it is idle. What has to do with its age is due
    /// wherever it is, and every plan enters that for all that are open.
    pub(super) fn idle_deadlines(&self, entry: &Entry<C>) -> [(Deadline, Tick); 2] {
        self.deadlines_of_rest(entry.idle_since, entry.proven_at())
    }

    /// The same, of one that is idle since then and has last proved to work then.
    fn deadlines_of_rest(&self, idle_since: Tick, proven_at: Tick) -> [(Deadline, Tick); 2] {
        let check = proven_at + self.limits.health_check_interval;
        [(Deadline::Idle, self.idles_out_at(idle_since)), (Deadline::Check, check)]
    }

    /// Asks for a plan if there are connects or checks to begin. A successor whose time has come may have waited for room.
    pub(super) fn request_plan_if_work(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        fx.plan |= self.chores_wanted(now) > 0;
        if self.slots() > 0 && (self.connects_wanted(now) > 0 || !self.needing_successors(now).is_empty()) {
            match self.connects.pause(now) {
                Some(end) => self.wake_by(Deadline::Backoff, end, fx),
                None => fx.plan = true,
            }
        }
    }

    /// How many more connections the maximum leaves room for.
    pub(super) fn room(&self) -> usize {
        self.config.max_connections.saturating_sub(self.open() + self.connects.under_way() + self.leaving)
    }

    pub(super) fn slots(&self) -> usize {
        self.connects.slots(self.room())
    }

    /// How many connects to begin, the pause after failures aside.
    pub(super) fn connects_wanted(&self, now: Tick) -> usize {
        if !self.eviction.is_in_service() {
            return 0;
        }
        let served_soon = self.connects.coming() + self.young_chores(now);
        let for_waiters = self.waiting.len().saturating_sub(served_soon);
        let for_minimum =
            self.config.min_connections.saturating_sub(self.lasting() + self.connects.additions());
        // Those that wait get what is coming before it can be spare.
        let spare = self.lasting_unused() + self.connects.coming();
        let for_spare = self.waiting.len().saturating_add(self.config.min_idle).saturating_sub(spare);
        for_waiters.max(for_minimum).max(for_spare).max(self.probes_wanted()).min(self.slots())
    }

    /// Retires what has come of age, and says what the background in `home` has to begin, what to drop, and when to come
    /// back. The connects and checks in the plan are under way from here on.
    pub(crate) fn plan(&mut self, now: Tick, home: Home, fx: &mut Effects<C, E, W>) -> Plan<C> {
        let mut plan = Plan::default();
        if self.is_closed() {
            return plan;
        }
        plan.abandoned_connects = self.connects.take_abandoned(home);
        plan.abandoned_chores = self.chores.take_abandoned(home);
        self.deadlines.clear();
        self.connects.give_up_overdue(home, now);
        self.end_due_waits(now, fx);
        self.end_waits_in_outage(now, fx);
        self.retire_overdue(now, fx);
        // What had idled out is fit again if it is the minimum's now.
        self.serve_idle(now, fx);
        self.keep_to_max_idle(fx);
        self.begin_resets(home, now, &mut plan);
        self.begin_wanted_chores(home, now, &mut plan);
        self.begin_due_checks(home, now, &mut plan);
        self.begin_connects(now, home, &mut plan);
        self.find_leaks(now, &mut plan);
        self.enter_deadlines(now);
        // Not in the table, for other background tasks have other times for it: a time in the table is one that all know.
        plan.wake_at = self.deadlines.next_wake().min(self.connects.next_stall(home)).if_ever();
        plan
    }

    fn retire_overdue(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        // One at a time: each that goes may be the last that the idle limit applies to.
        let overdue = |policy: &Self| {
            let mut idle = policy.idle.iter().enumerate();
            idle.find_map(|(place, entry)| Some((place, policy.retire_reason(entry, now)?)))
        };
        while let Some((place, reason)) = overdue(self)
            && let Some(entry) = self.idle.take_at(place)
        {
            self.retire(entry, reason, fx);
        }
    }

    fn begin_connects(&mut self, now: Tick, home: Home, plan: &mut Plan<C>) {
        let wanted = self.connects_wanted(now);
        let mut ageing = self.needing_successors(now);
        ageing.truncate(self.slots() - wanted);
        if wanted + ageing.len() == 0 {
            return;
        }
        if let Some(end) = self.connects.pause(now) {
            self.deadlines.bring_forward(Deadline::Backoff, end);
            return;
        }
        let origin = self.eviction.origin(home);
        for replaces in ageing.into_iter().map(Some).chain(std::iter::repeat_n(None, wanted)) {
            plan.connects.push(self.connects.begin(origin, replaces, now));
        }
    }

    /// The connections whose successors are to be opened now: those in use, which are held or came back within
    /// the time that a successor is opened ahead, and of the rest as many as the minimum needs. One that would idle out
    /// before its lifetime ends has none. Without this a pool that nobody uses would open successors forever.
    fn needing_successors(&self, now: Tick) -> Vec<u64> {
        if !self.eviction.is_in_service() {
            return Vec::new();
        }
        let lead = self.lead();
        // What neither minimum needs.
        let without = || self.holders.records().filter(|record| !record.has_successor);
        let idle_without = without().filter(|record| record.idle_since().is_some()).count();
        let mut surplus = without()
            .count()
            .saturating_sub(self.config.min_connections)
            .min(idle_without.saturating_sub(self.config.min_idle));
        let mut wanted = Vec::new();
        for record in self.holders.records() {
            if record.lifetime.replace_at > now || record.has_successor {
                continue;
            }
            let in_use = record.idle_since().is_none_or(|since| {
                let idle_until = (since + self.limits.idle_timeout).if_ever();
                let idles_out = idle_until.is_some_and(|at| at <= record.lifetime.retire_at);
                now.since(since) <= lead && !idles_out
            });
            if !in_use && surplus > 0 {
                surplus -= 1;
            } else if !self.connects.is_replacing(record.connection) {
                wanted.push(record.connection);
            }
        }
        wanted
    }

    /// Each hold that has become too long, once.
    fn find_leaks(&mut self, now: Tick, plan: &mut Plan<C>) {
        if self.limits.leak_threshold == Span::FOREVER {
            return;
        }
        let threshold = self.limits.leak_threshold;
        let (leaks, oldest) = self.holders.leaks(|since| since + threshold <= now, now);
        self.stats.reported_leaks += leaks.len() as u64;
        plan.leaks = leaks;
        if let Some(since) = oldest {
            self.deadlines.bring_forward(Deadline::Leak, since + threshold);
        }
        // While connections are being used the background looks at least once in `leak_threshold`, so that a hold that
        // begins need not wake it.
        if self.stats.wait_times.count() > self.acquisitions_at_plan {
            self.acquisitions_at_plan = self.stats.wait_times.count();
            self.deadlines.bring_forward(Deadline::Leak, now + threshold);
        }
    }

    /// What is due after this plan.
    fn enter_deadlines(&mut self, now: Tick) {
        let mut due = Vec::new();
        for record in self.holders.records().filter(|record| !record.has_successor) {
            due.push((Deadline::Successor, record.lifetime.replace_at));
            due.push((Deadline::Lifetime, record.lifetime.retire_at));
        }
        due.extend(self.idle.iter().flat_map(|entry| self.idle_deadlines(entry)));
        if self.open() > self.idle.len() {
            // A connection that is out may come back at any time from now on. Its deadlines are entered as if it came back
            // now, so that its return need not wake the background.
            due.extend(self.deadlines_of_rest(now, now));
        }
        let patience = self.connects.patience();
        due.extend(self.chores.wanted_since().map(|began| (Deadline::Patience, began + patience)));
        if self.somebody_waits() && !self.idle.is_empty() {
            due.extend(self.connects.out_of_patience().map(|at| (Deadline::Patience, at)));
        }
        due.extend(self.outage_from().map(|at| (Deadline::FailFast, at)));
        // What is due and has no room now comes up again when there is room. It must not hide what comes later.
        for (which, at) in due.into_iter().filter(|(_, at)| *at > now) {
            self.deadlines.bring_forward(which, at);
        }
        let first_wait = self.waiting.first_deadline();
        self.deadlines.bring_forward(Deadline::Wait, first_wait);
    }
}
