//! What the background is to do: the plan, and who asks for a new one.
//!
//! Connects are asked for: one for each waiter that has no attempt under way for it, as many as `min_connections` lacks,
//! and one for each connection in use whose lifetime is about to end, so that its successor is there before it goes. All
//! within the room there is, `max_connecting`, and the pause after failures.
//!
//! With `check_after_idle` a waiter first gets a check of an idle connection. If the check takes longer than a connect
//! usually does, the waiter gets a connect as well, and whichever ends first serves it: a dead peer that says nothing
//! costs about one connect, not `check_timeout`.

use super::types::AttemptState;
use super::{Attempt, Core, Effects, Entry, Home, Plan, Tick};
use crate::events::RetireReason;

impl<C, E, W> Core<C, E, W> {
    /// When the background has something to do with an idle connection. What is due at this very instant may be in or out:
    /// the plan that asks leaves it out either way.
    pub(super) fn dues(&self, entry: &Entry<C>, now: Tick) -> [Tick; 4] {
        let unless = |gone: bool, at: Tick| if gone { Tick::NEVER } else { at };
        [
            unless(entry.replace_at <= now, entry.replace_at),
            entry.retire_at,
            unless(self.open() <= self.config.min_connections, entry.idle_since + self.limits.idle),
            entry.proven_at() + self.limits.until_check,
        ]
    }

    #[inline]
    pub(super) fn wake_by(&mut self, due: Tick, fx: &mut Effects<C, W>) {
        if due < self.next_wake {
            self.next_wake = due;
            fx.drive = true;
        }
    }

    /// Asks for a plan if there are connects or checks to begin.
    #[inline]
    pub(super) fn ask_for_more(&mut self, now: Tick, fx: &mut Effects<C, W>) {
        if self.room() > 0 || !self.idle.is_empty() {
            self.ask_for_what_there_is_room_for(now, fx);
        }
    }

    #[inline(never)]
    fn ask_for_what_there_is_room_for(&mut self, now: Tick, fx: &mut Effects<C, W>) {
        fx.drive |= self.checks_wanted() > 0;
        if self.slots() == 0 {
            return;
        }
        if self.connects_wanted(now) > 0 || self.successors_wanted(now) {
            match self.backoff.pause(now) {
                Some(end) => self.wake_by(end, fx),
                None => fx.drive = true,
            }
        }
    }

    /// How many idle connections to check because somebody waits. While somebody waits, all that are idle want it.
    fn checks_wanted(&self) -> usize {
        self.waiters.len().saturating_sub(self.wanted_checks.len()).min(self.idle.len())
    }

    /// How many connects to begin, the pause after failures aside.
    fn connects_wanted(&self, now: Tick) -> usize {
        if self.closed || self.suspended {
            return 0;
        }
        let patience = self.pace.patience();
        let young_checks = self.wanted_checks.iter().filter(|began| now.since(**began) < patience).count();
        let coming = self.coming();
        let for_waiters = self.waiters.len().saturating_sub(coming + young_checks);
        let additions = coming.saturating_sub(self.replacing);
        let for_minimum = self.config.min_connections.saturating_sub(self.open() + additions);
        for_waiters.max(for_minimum).min(self.slots())
    }

    /// Whether there is room for a successor whose time has come: it may have waited for that.
    fn successors_wanted(&self, now: Tick) -> bool {
        !self.closed && !self.suspended && self.slots() > 0 && !self.ageing(now).is_empty()
    }

    /// How many attempts may begin now.
    fn slots(&self) -> usize {
        // One probe is enough to learn whether a server that refused is back.
        let at_once = if self.backoff.failing() { 1 } else { self.config.max_connecting };
        self.room().min(at_once.saturating_sub(self.attempts.len()))
    }

    /// A background task begins, in a runtime of its own.
    pub(crate) fn home_opened(&mut self) -> Home {
        self.last_home += 1;
        let home = Home(self.last_home);
        self.homes.push(home);
        home
    }

    /// A background task has ended. Its runtime is gone, and with it the I/O of every connection opened there. All who
    /// wait are woken, for one of them may have to start the next task.
    pub(crate) fn home_lost(&mut self, home: Home, fx: &mut Effects<C, W>) {
        self.homes.retain(|other| *other != home);
        self.regime += 1;
        self.cut_checks.retain(|other| *other != home);
        (self.next_wake, self.planned) = (Tick::NEVER, false);
        self.retire_idle(RetireReason::RuntimeGone, |entry| entry.home == home, fx);
        self.waiters.walk(|waiter, _| {
            waiter.waker.take().into_iter().for_each(|waker| fx.wake.push(waker));
            true
        });
        fx.drive = true;
    }

    /// Retires what has come of age, and says what the background in `home` has to begin, what to drop, and when to come
    /// back. The connects and checks in the plan are under way from here on.
    pub(crate) fn plan(&mut self, now: Tick, home: Home, fx: &mut Effects<C, W>) -> Plan<C> {
        let mut plan = Plan::default();
        if self.closed {
            return plan;
        }
        for (key, attempt) in &mut self.attempts {
            if attempt.home == home && attempt.state == AttemptState::Abandoned {
                attempt.state = AttemptState::Dropping;
                plan.abandoned.push(key);
            }
        }
        let homes = self.cut_checks.len();
        self.cut_checks.retain(|other| *other != home);
        plan.cut_checks = self.cut_checks.len() < homes;
        self.begin_wanted_checks(now, &mut plan);
        self.sort_idle(now, &mut plan, fx);
        self.begin_connects(now, home, &mut plan);
        self.report_leaks(now, &mut plan);
        self.wake_late(now, &mut plan, fx);
        (self.next_wake, self.planned) = (plan.wake_at.unwrap_or(Tick::NEVER), true);
        self.haste.visit(&mut self.clock, now);
        plan.wake_by(self.haste.visit_due());
        plan
    }

    /// The background comes by at a time that it set itself. When it has no more to do than to look after the clock, says
    /// when to come by next.
    pub(crate) fn visit(&mut self, now: Tick) -> Option<Option<Tick>> {
        self.haste.visit(&mut self.clock, now);
        let plain = !self.closed && now < self.next_wake;
        plain.then(|| self.next_wake.min(self.haste.visit_due()).if_ever())
    }

    /// Wakes those whose time is up. All have the same time to wait, so the line is ordered by deadline but for
    /// those that keep their own.
    fn wake_late(&mut self, now: Tick, plan: &mut Plan<C>, fx: &mut Effects<C, W>) {
        let limit = self.limits.wait;
        self.waiters.walk(|waiter, turn| {
            let deadline = waiter.since + limit;
            if turn.keeps_own_deadline() || waiter.waker.is_none() {
                return true;
            }
            if deadline > now {
                plan.wake_by(deadline);
                return false;
            }
            waiter.waker.take().into_iter().for_each(|waker| fx.wake.push(waker));
            true
        });
    }

    fn begin_wanted_checks(&mut self, now: Tick, plan: &mut Plan<C>) {
        for _ in 0..self.checks_wanted() {
            let Some(mut entry) = self.pop_next() else { break };
            entry.wanted_since = Some(now);
            self.wanted_checks.push(now);
            self.checking += 1;
            plan.checks.push(entry);
        }
    }

    /// Retires what is overdue, and begins the health checks that are due.
    fn sort_idle(&mut self, now: Tick, plan: &mut Plan<C>, fx: &mut Effects<C, W>) {
        let idle = std::mem::take(&mut self.idle);
        let count = idle.len();
        for entry in idle {
            if let Some(reason) = self.overdue(&entry, now) {
                self.retire(entry, reason, fx);
                continue;
            }
            let due = entry.proven_at() + self.limits.until_check;
            // Half stay in reach, so that checks never empty a pool of more than one.
            if due <= now && self.checking < (count / 2).max(1) {
                self.checking += 1;
                plan.checks.push(entry);
                continue;
            }
            self.idle.push(entry);
        }
        for entry in &self.idle {
            // A check that is due but has no room now comes up again when one of those under way ends.
            // It must not hide what comes later, such as the end of the lifetime.
            self.dues(entry, now).into_iter().filter(|due| *due > now).for_each(|due| plan.wake_by(due));
        }
    }

    fn begin_connects(&mut self, now: Tick, home: Home, plan: &mut Plan<C>) {
        let patience = self.pace.patience();
        let out_of_patience = self.wanted_checks.iter().map(|began| *began + patience);
        let to_replace = self.holding().map(|(record, _)| record.replace_at);
        out_of_patience.chain(to_replace).filter(|at| *at > now).for_each(|at| plan.wake_by(at));
        let wanted = self.connects_wanted(now);
        let mut ageing = if self.suspended { Vec::new() } else { self.ageing(now) };
        ageing.truncate(self.slots() - wanted);
        if wanted + ageing.len() == 0 {
            return;
        }
        if let Some(end) = self.backoff.pause(now) {
            return plan.wake_by(end);
        }
        let whose = ageing.into_iter().map(Some).chain(std::iter::repeat_n(None, wanted));
        for replaces in whose {
            self.replacing += usize::from(replaces.is_some());
            plan.connects.push(self.attempts.insert(Attempt {
                started: now,
                home,
                epoch: self.epoch,
                connection: None,
                replaces,
                state: AttemptState::Wanted,
            }));
        }
    }

    /// The connections whose successors are to be opened now: those in use, which are held or came back within
    /// the time that a successor is opened ahead, and of the rest as many as the minimum needs. One that would idle out
    /// before its lifetime ends has none. Without this a pool that nobody uses would open successors for ever.
    fn ageing(&self, now: Tick) -> Vec<u64> {
        let lead = self.config.connect_timeout.min(self.config.max_lifetime / 10);
        let lately = |at: Tick| now.since(at) <= lead;
        let replaced = self.holding().filter(|(record, _)| record.replaced).count();
        let mut surplus = self.open().saturating_sub(self.config.min_connections + replaced);
        let idle = self.idle.iter().map(|entry| {
            let idle_until = (entry.idle_since + self.limits.idle).if_ever();
            let idles_out = idle_until.is_some_and(|at| at <= entry.retire_at);
            (entry.id, entry.replace_at, lately(entry.idle_since) && !idles_out)
        });
        let held = self.holding().filter(|(record, _)| !record.replaced);
        let held = held.map(|(record, _)| (record.connection, record.replace_at, true));
        let due = idle.chain(held).filter(|(_, at, _)| *at <= now);
        let mut wanted = Vec::new();
        for (id, _, in_use) in due {
            if !in_use && surplus > 0 {
                surplus -= 1;
            } else if self.attempts.iter().all(|(_, attempt)| attempt.replaces != Some(id)) {
                wanted.push(id);
            }
        }
        wanted
    }

    /// Each hold that has become too long, once. While connections are being used the background looks at least once
    /// in `leak_threshold`, so that a hold that begins need not wake it.
    fn report_leaks(&mut self, now: Tick, plan: &mut Plan<C>) {
        if self.config.leak_threshold.is_none() {
            return;
        }
        let threshold = self.limits.until_leak;
        for (_, record) in &mut self.records {
            let Some(hold) = record.hold.filter(|_| !record.reported) else { continue };
            let due = hold.since + threshold;
            if due > now {
                plan.wake_by(due);
            } else {
                record.reported = true;
                self.counts.reported_leaks += 1;
                plan.leaks.push(hold.holder(record.connection, now));
            }
        }
        if self.acquisitions() > self.planned_at {
            self.planned_at = self.acquisitions();
            plan.wake_by(now + threshold);
        }
    }
}
