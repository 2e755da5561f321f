//! Taking back, and where a connection goes that nobody has: to the oldest waiter, among the idle, or out.

use std::time::Duration;

use super::deadlines::Deadline;
use super::{Effects, Entry, Policy, Span, Tick};
use crate::events::RetireReason;

/// What the holder says of a connection that it gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    Reuse,
    /// To be used again after a reset.
    Reset,
    Retire(RetireReason),
}

impl<C, E, W> Policy<C, E, W> {
    /// A held connection comes back, to be used again or not.
    pub(crate) fn give_back(
        &mut self,
        mut entry: Box<Entry<C>>,
        disposition: Disposition,
        now: Tick,
        fx: &mut Effects<C, E, W>,
    ) {
        entry.idle_since = now;
        entry.prepared = false;
        self.end_hold(&entry, now);
        match disposition {
            Disposition::Reuse => self.place(entry, now, fx),
            Disposition::Reset => {
                entry.needs_reset = true;
                self.place(entry, now, fx);
            }
            Disposition::Retire(reason) => self.retire(entry, reason, fx),
        }
    }

    fn end_hold(&mut self, entry: &Entry<C>, now: Tick) {
        self.stats.hold_times.record_micros(now.span_since(entry.held_since).as_micros());
        self.holders.on_unused(entry.record, entry.idle_since);
    }

    /// A waiter goes away that was served and has not used its connection. That proves nothing, so it may have to pass a
    /// check before the next has it.
    pub(super) fn put_back(&mut self, entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, E, W>) {
        self.end_hold(&entry, now);
        self.place_unproven(entry, now, fx);
    }

    /// Gives a connection its next place that has not been used or checked: it may have to pass something first.
    pub(super) fn place_unproven(&mut self, entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, E, W>) {
        if self.retire_reason(&entry, now).is_none() && self.due_chore(&entry, now).is_some() {
            self.shelve(entry, now, fx);
            self.request_plan_if_work(now, fx);
        } else {
            self.place(entry, now, fx);
        }
    }

    /// A connection that was handed out goes before anybody has used it.
    pub(crate) fn discard(
        &mut self,
        entry: Box<Entry<C>>,
        reason: RetireReason,
        now: Tick,
        fx: &mut Effects<C, E, W>,
    ) {
        self.retire(entry, reason, fx);
        self.request_plan_if_work(now, fx);
    }

    /// A held connection leaves the pool alive. Its share of the maximum is free at once.
    pub(crate) fn detach(&mut self, entry: Entry<C>, now: Tick, fx: &mut Effects<C, E, W>) -> (C, Duration) {
        let held_for = now.since(entry.held_since);
        self.stats.hold_times.record_micros(Span::from(held_for).as_micros());
        self.forget(&entry, RetireReason::Detached, fx);
        fx.progress = true;
        self.request_plan_if_work(now, fx);
        (entry.connection, held_for)
    }

    /// Gives an open connection its next place.
    pub(super) fn place(&mut self, entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, E, W>) {
        if let Some(reason) = self.retire_reason(&entry, now) {
            self.retire(entry, reason, fx);
        } else if self.somebody_waits() && !self.checks.has_to_be_readied(&entry) {
            self.serve(entry, now, fx);
        } else {
            self.shelve(entry, now, fx);
        }
    }

    /// Decides a connection for the oldest waiter, and has the waiter woken.
    fn serve(&mut self, mut entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, E, W>) {
        let head = self.waiting.serve_head(entry.record);
        self.stats.wait_times.record_micros(now.span_since(head.since).as_micros());
        self.stats.waited_acquisitions += 1;
        (entry.held_since, entry.turn) = (now, head.turn);
        self.holders.on_granted(entry, head.ticket, now, head.at);
        fx.wake.extend(head.waker);
        self.wake_by(Deadline::Leak, now + self.limits.leak_threshold, fx);
    }

    /// Serves those who wait with what is idle and fit.
    pub(super) fn serve_idle(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        while self.somebody_waits()
            && let Some(entry) = self.take_fit(now)
        {
            self.place(entry, now, fx);
        }
    }

    /// Puts a connection among the idle.
    pub(super) fn shelve(&mut self, mut entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, E, W>) {
        let fresh = entry.fresh;
        // The first use is no reuse.
        entry.prepared &= entry.use_count == 0;
        // The plan resets what wants it and checks what is in doubt, also if nobody waits for it.
        fx.plan |= self.checks.is_in_doubt(&entry) || self.checks.has_to_be_readied(&entry);
        self.note_rest(&mut entry, fx);
        for (which, at) in self.idle_deadlines(&entry) {
            self.wake_by(which, at, fx);
        }
        self.idle.insert(entry);
        self.keep_to_max_idle(fx);
        // A warm-up may wait for as many idle ones.
        fx.progress |= self.config.min_idle > 0;
        if self.config.min_idle > 0
            && let Some(longest) = self.idle.longest_idle_since()
        {
            // With one more there may be one above the minimum, so the idle time of the others counts.
            self.wake_by(Deadline::Idle, self.idles_out_at(longest), fx);
        }
        if fresh {
            self.request_plan_if_work(now, fx);
        }
    }

    /// Closes what has idled longest, beyond `max_idle`. What waiters are about to get does not count, nor the successor of a
    /// connection that is still held or in a chore. The plan asks again, for waiters may leave and that one may come back.
    pub(super) fn keep_to_max_idle(&mut self, fx: &mut Effects<C, E, W>) {
        let Some(max_idle) = self.config.max_idle else { return };
        let most = max_idle.saturating_add(self.waiting.len() + self.holders.with_successor());
        while self.unused() - self.chores.abandoned() > most
            && let Some(entry) = self.idle.take_longest_idle()
        {
            self.retire(entry, RetireReason::MaxIdle, fx);
        }
    }

    /// Sends a connection on its way out. It still takes up room, so `connections_gone` asks for its replacement.
    pub(super) fn retire(&mut self, entry: Box<Entry<C>>, reason: RetireReason, fx: &mut Effects<C, E, W>) {
        self.forget(&entry, reason, fx);
        self.leaving += 1;
        fx.retired.push((entry, reason));
    }

    pub(super) fn retire_idle(
        &mut self,
        reason: RetireReason,
        which: impl Fn(&Entry<C>) -> bool,
        fx: &mut Effects<C, E, W>,
    ) {
        for entry in self.idle.take_all(which) {
            self.retire(entry, reason, fx);
        }
    }

    fn forget(&mut self, entry: &Entry<C>, reason: RetireReason, fx: &mut Effects<C, E, W>) {
        fx.plan |= self.holders.on_gone(entry.record, reason);
        self.stats.closed.add(reason);
        // With what is held, what may be idle has changed. And this may be the last that a closed pool has.
        fx.plan |= self.config.max_idle.is_some() || self.is_closed();
        if self.open() == 0 {
            self.connects.on_nothing_open();
            self.wake_for_outage(fx);
        }
    }

    /// Retired connections are gone, and their share of the maximum is free.
    pub(crate) fn connections_gone(&mut self, count: usize, now: Tick, fx: &mut Effects<C, E, W>) {
        self.leaving -= count;
        fx.progress = true;
        // A background task stays until everything has closed.
        fx.plan |= self.is_closed();
        self.request_plan_if_work(now, fx);
    }
}
