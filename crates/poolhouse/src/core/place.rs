//! Where a connection goes that nobody has: to the oldest waiter, among the idle, or out.

use super::{Core, Effects, Entry, IdleOrder, Reply, RetireReason, Tick};

impl<C, E, W> Core<C, E, W> {
    /// Gives an open connection its next place. It is idle since when `idle_since` says, if it becomes idle.
    #[inline]
    pub(super) fn place(&mut self, mut entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, W>) {
        if let Some(reason) = self.unwelcome(&mut entry, now) {
            self.retire(entry, reason, fx);
        } else if self.waiters.is_empty() {
            self.shelve(entry, now, fx);
        } else {
            self.serve(entry, now, fx);
        }
    }

    /// Why a connection that is in none of the open places may not stay, if so.
    #[inline]
    fn unwelcome(&self, entry: &mut Entry<C>, now: Tick) -> Option<RetireReason> {
        if entry.regime != self.regime {
            if let Some(reason) = self.unwelcome_by_now(entry) {
                return Some(reason);
            }
            // One that nobody has looked at has still to be found alive.
            entry.regime = if entry.fresh { Self::NO_REGIME } else { self.regime };
        }
        self.overdue(entry, now)
    }

    #[cold]
    fn unwelcome_by_now(&self, entry: &Entry<C>) -> Option<RetireReason> {
        if self.closed {
            Some(RetireReason::PoolClosed)
        } else if self.suspended {
            Some(RetireReason::Suspended)
        } else if entry.epoch != self.epoch {
            Some(RetireReason::InvalidatedAll)
        } else if !self.homes.contains(&entry.home) {
            Some(RetireReason::RuntimeGone)
        } else if self.open() > self.config.max_connections {
            Some(RetireReason::Shrunk)
        } else {
            None
        }
    }

    /// Hands a connection to the oldest waiter, and has it woken.
    #[inline(never)]
    fn serve(&mut self, entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, W>) {
        if let Some(waker) = self.grant(entry, now) {
            fx.wake.push(waker);
        }
        self.wake_by(now + self.limits.until_leak, fx);
    }

    /// Leaves a connection for the oldest waiter, who picks it up from its record. Somebody has to wait.
    #[inline]
    pub(super) fn grant(&mut self, mut entry: Box<Entry<C>>, now: Tick) -> Option<W> {
        let note = Reply::Granted(entry.record).note();
        let (waiter, turn) = self.waiters.serve(note).expect("somebody waits");
        let (waker, waited) = (waiter.waker.take(), now.nanos_since(waiter.since));
        let at = waiter.at.expect("whoever is in line has said where");
        (entry.held_since, entry.turn) = (now, turn);
        let record = &mut self.records[entry.record as usize];
        record.begin_hold(now, at);
        record.tally.wait(waited, &mut self.times);
        // Its task is named when it picks the connection up.
        self.callers.set(entry.record, None);
        record.served = Some(entry);
        waker
    }

    /// Puts a connection among the idle, ordered by rest: one that comes from a check goes back to where it was.
    fn shelve(&mut self, mut entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, W>) {
        let fresh = entry.fresh;
        self.succeeded(&mut entry);
        self.dues(&entry, now).into_iter().for_each(|due| self.wake_by(due, fx));
        let since = entry.idle_since;
        let place =
            self.idle.iter().rposition(|other| other.idle_since <= since).map_or(0, |index| index + 1);
        self.idle.insert(place, entry);
        self.last_rest = self.idle.last().map_or(since, |last| last.idle_since);
        if fresh {
            self.ask_for_more(now, fx);
        }
    }

    /// Somebody has come back into the line: what became idle in the meantime is for them.
    pub(super) fn serve_idle(&mut self, now: Tick, fx: &mut Effects<C, W>) {
        while !self.waiters.is_empty()
            && let Some(mut entry) = self.take_fit(now, fx)
        {
            entry.idle_since = now;
            self.place(entry, now, fx);
        }
        self.ask_for_more(now, fx);
    }

    /// Undoes `pop_next`.
    #[cold]
    pub(super) fn unpop_next(&mut self, entry: Box<Entry<C>>) {
        match self.limits.order {
            IdleOrder::Lifo => self.idle.push(entry),
            IdleOrder::Fifo => self.idle.insert(0, entry),
        }
    }

    /// The idle connection that the next acquire would get.
    #[inline]
    pub(super) fn pop_next(&mut self) -> Option<Box<Entry<C>>> {
        match self.limits.order {
            IdleOrder::Lifo => self.idle.pop(),
            // Pools are small: a vector shifts some pointers in less time than a ring takes for every push and pop.
            IdleOrder::Fifo => (!self.idle.is_empty()).then(|| self.idle.remove(0)),
        }
    }
}
