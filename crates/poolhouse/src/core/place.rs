//! Where a connection goes that nobody has: to the oldest waiter, among the idle, or out.

use super::{Core, Effects, Entry, Hold, IdleOrder, Reply, RetireReason, Site, Tick};

impl<C, E, W> Core<C, E, W> {
    /// Gives an open connection its next place. It is idle since when `idle_since` says, if it becomes idle.
    #[inline]
    pub(super) fn place(&mut self, entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, W>) {
        if let Some(reason) = self.unwelcome(&entry, now) {
            self.retire(entry, reason, fx);
        } else if self.waiters.is_empty() {
            self.shelve(entry, now, fx);
        } else {
            self.serve(entry, now, fx);
        }
    }

    /// Why a connection that is in none of the open places may not stay, if so.
    #[inline]
    fn unwelcome(&self, entry: &Entry<C>, now: Tick) -> Option<RetireReason> {
        if self.closed {
            Some(RetireReason::PoolClosed)
        } else if self.suspended {
            Some(RetireReason::Suspended)
        } else if entry.epoch != self.epoch {
            Some(RetireReason::InvalidatedAll)
        } else if !self.homes.contains(&entry.home) {
            Some(RetireReason::RuntimeGone)
        } else if self.open() >= self.config.max_connections {
            Some(RetireReason::Shrunk)
        } else {
            self.overdue(entry, now, self.open() + 1)
        }
    }

    /// Hands a connection to the oldest waiter, who picks it up from its record.
    fn serve(&mut self, mut entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, W>) {
        let Some((waiter, turn)) = self.waiters.serve(Reply::Granted(entry.record).note()) else { return };
        let waited = now.nanos_since(waiter.since);
        if let Some(waker) = waiter.waker.take() {
            fx.wake.push(waker);
        }
        let at = waiter.at.expect("whoever is in line has said where");
        entry.turn = turn;
        // Its task is named when it picks the connection up.
        self.hold(&mut entry, Hold { since: now, site: Site { at, caller: None } }, fx);
        self.times.wait.record_nanos(waited);
        let record = entry.record as usize;
        self.records[record].served = Some(entry);
    }

    /// Puts a connection among the idle, ordered by rest: one that comes from a check goes back to where it was.
    #[inline]
    fn shelve(&mut self, mut entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, W>) {
        let fresh = entry.fresh;
        if fresh {
            self.succeeded(&mut entry);
        }
        self.wake_by(self.due(&entry, self.open() + 1, now), fx);
        if self.idle.back().is_none_or(|last| last.idle_since <= entry.idle_since) {
            self.idle.push_back(entry);
        } else {
            let since = entry.idle_since;
            let place =
                self.idle.iter().rposition(|other| other.idle_since <= since).map_or(0, |index| index + 1);
            self.idle.insert(place, entry);
        }
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

    /// The idle connection that the next acquire would get.
    pub(super) fn pop_next(&mut self) -> Option<Box<Entry<C>>> {
        match self.config.queue {
            IdleOrder::Lifo => self.idle.pop_back(),
            IdleOrder::Fifo => self.idle.pop_front(),
        }
    }
}
