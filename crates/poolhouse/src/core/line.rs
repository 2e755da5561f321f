//! The life of a wait: joining the line, asking what has come of it, and giving up.

use super::{
    Caller, Core, Effects, Entry, Expired, Fate, Joined, Polled, Refusal, Reply, RetireReason, Site, Tick,
};
use super::{Ticket, Time, Waiter};

impl<C, E, W> Core<C, E, W> {
    /// Takes an idle connection, or joins the queue unless the pool is closed or too many wait. One call, so that no
    /// connection can become idle between the look and the queue. `own_deadline` says that the waiter ends its wait by itself;
    /// for all others the background keeps `connection_timeout`.
    #[inline]
    pub(crate) fn take_or_join(
        &mut self,
        now: impl Time,
        site: Site,
        (waker, own_deadline): (W, bool),
        fx: &mut Effects<C, W>,
    ) -> Result<Joined<C>, Refusal<E>> {
        if let Some(entry) = self.try_take(now, site, fx) {
            fx.spent = Some(waker);
            let since = entry.held_since;
            return Ok(Joined::Taken(entry, since));
        }
        let refusal = match self.config.max_pending {
            _ if self.closed => Refusal::Closed,
            Some(max_pending) if self.waiters.len() >= max_pending => {
                Refusal::Overloaded { waiting: self.waiters.len(), max_pending }
            }
            _ => {
                let now = self.time(now, fx);
                let waiter = Waiter { waker: Some(waker), since: now, at: Some(site.at) };
                let ticket = self.waiters.join(waiter, own_deadline);
                if !own_deadline {
                    self.wake_by(now + self.limits.wait, fx);
                }
                self.ask_for_more(now, fx);
                return Ok(Joined::Waiting(ticket, now));
            }
        };
        fx.spent = Some(waker);
        self.counts.failed += 1;
        Err(refusal)
    }

    /// What became of a waiter. If nothing has, `refresh` may replace its waker. `caller` is who asks, if the pool notes that.
    pub(crate) fn poll(
        &mut self,
        ticket: Ticket,
        now: impl Time,
        caller: Option<Caller>,
        refresh: impl FnOnce(&mut Option<W>),
        fx: &mut Effects<C, W>,
    ) -> Polled<C, E> {
        if self.waiters.note(ticket).is_some() {
            self.recall(ticket, now, fx);
        }
        if let Some(note) = self.waiters.note(ticket) {
            return self.collect(ticket, note, caller);
        }
        let (waiter, turn) = self.waiters.get(ticket);
        let deadline = waiter.since + self.limits.wait;
        if turn.keeps_own_deadline() {
            refresh(&mut waiter.waker);
        } else if self.time(now, fx) >= deadline {
            return Polled::Late;
        } else {
            refresh(&mut self.waiters.get(ticket).0.waker);
            self.wake_by(deadline, fx);
        }
        Polled::Waiting { homeless: self.homes.is_empty() }
    }

    /// Gives up waiting because time is up. A reply that came just in time still counts.
    pub(crate) fn expire(
        &mut self,
        ticket: Ticket,
        now: Tick,
        caller: Option<Caller>,
        fx: &mut Effects<C, W>,
    ) -> Result<Box<Entry<C>>, Expired<E>> {
        self.recall(ticket, now, fx);
        if let Some(note) = self.waiters.note(ticket) {
            return match self.collect(ticket, note, caller) {
                Polled::Granted(entry) => Ok(entry),
                Polled::Refused(refusal) => Err(Expired::Refused(refusal)),
                Polled::Waiting { .. } | Polled::Late => unreachable!("a note says what was served"),
            };
        }
        let diagnosis = self.diagnose_waiter(ticket, caller, now);
        fx.spent = self.waiters.leave(ticket).waker;
        self.counts.failed += 1;
        self.counts.timed_out += 1;
        Err(Expired::TimedOut(diagnosis))
    }

    /// Takes a connection back from a waiter who has not picked it up, if `invalidate_all` or `suspend` came between.
    /// The waiter goes back to its turn.
    fn recall(&mut self, ticket: Ticket, now: impl Time, fx: &mut Effects<C, W>) {
        let Some(Reply::Granted(record)) = self.waiters.note(ticket).map(Reply::read) else { return };
        let Some(entry) = &self.records[record as usize].served else { return };
        let reason = match () {
            () if entry.epoch != self.epoch => RetireReason::InvalidatedAll,
            () if self.suspended => RetireReason::Suspended,
            () => return,
        };
        let Some(entry) = self.records[record as usize].served.take() else { return };
        self.take_away(&entry);
        self.retire(entry, reason, fx);
        self.waiters.rejoin(ticket);
        // A closed pool has refused everybody in the line, and nobody would come by again.
        if self.closed {
            self.refuse_all(|| Refusal::Closed, fx);
        } else {
            self.serve_idle(now.tick(), fx);
        }
    }

    fn collect(&mut self, ticket: Ticket, note: u32, caller: Option<Caller>) -> Polled<C, E> {
        self.waiters.leave(ticket);
        match Reply::read(note) {
            Reply::Granted(key) => {
                let record = &mut self.records[key as usize];
                self.callers.set(key, caller);
                Polled::Granted(record.served.take().expect("the note says that it is there"))
            }
            Reply::Refused(key) => {
                self.counts.failed += 1;
                Polled::Refused(self.refusals.remove(key as usize))
            }
        }
    }

    /// Gives up waiting because the acquire was dropped. What it was served goes to the next.
    pub(crate) fn cancel(&mut self, ticket: Ticket, now: impl Time, fx: &mut Effects<C, W>) {
        self.counts.cancelled += 1;
        let reply = self.waiters.note(ticket).map(Reply::read);
        fx.spent = self.waiters.leave(ticket).waker;
        match reply {
            None => {}
            Some(Reply::Granted(record)) => {
                if let Some(entry) = self.records[record as usize].served.take() {
                    self.give_back(entry, Fate::Reuse, now, fx);
                }
            }
            Some(Reply::Refused(key)) => drop(self.refusals.remove(key as usize)),
        }
    }

    /// What everybody who waits is told.
    pub(super) fn refuse_all(&mut self, refusal: impl Fn() -> Refusal<E>, fx: &mut Effects<C, W>) {
        while !self.waiters.is_empty() {
            let key = u32::try_from(self.refusals.insert(refusal())).expect("fewer than 2^32 acquires wait");
            if let Some((waiter, _)) = self.waiters.serve(Reply::Refused(key).note())
                && let Some(waker) = waiter.waker.take()
            {
                fx.wake.push(waker);
            }
        }
    }
}
