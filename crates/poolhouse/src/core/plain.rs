//! The plain case, of which a busy pool has millions a second: a connection is taken that is fit, and comes back sound, and
//! nothing else is the matter; or somebody joins the line of a full pool, and is served by who comes back.
//!
//! These functions do what `try_take`, `give_back`, `take_or_join`, `poll` and `cancel` do, where those would have no effect
//! to carry out but a wake-up, and no question to ask. Each first makes sure of that, and leaves all as it is if it is not
//! so. What makes it
//! cheap is that the rest has been settled before. While the regime is the same, a connection that was welcome is. Before
//! the background wakes, no idle connection is too old. In haste the time is at hand. And [`Core::settle`], after each call
//! that is not plain, says in which span of time it is calm.
//!
//! The questions are asked all together, not one after the other, so that the processor and the compiler have one branch
//! to foresee.

use std::panic::Location;

use super::{Caller, Core, Entry, PickedUp, Reply, Site, Tick, Ticket, Waiter, Window};

impl<C, E, W> Core<C, E, W> {
    /// An idle connection, if the case is plain.
    #[inline(always)]
    pub(crate) fn take_plain(&mut self, site: &Site) -> Option<Box<Entry<C>>> {
        let (now, at_hand) = self.clock.peek();
        if !(at_hand & self.waiters.is_empty() & self.calm.contains(now)) {
            return None;
        }
        let mut entry = self.pop_next()?;
        // With no limit this is no look at the connection, which is often elsewhere in memory.
        if !self.limits.trust.is_forever() && entry.idle_since + self.limits.trust <= now {
            self.unpop_next(entry);
            return None;
        }
        self.clock.spend();
        self.hold(&mut entry, now, site);
        Some(entry)
    }

    /// Takes a reusable connection back. Returns it if the case is not plain.
    #[inline(always)]
    pub(crate) fn give_back_plain(&mut self, mut entry: Box<Entry<C>>) -> Result<(), Box<Entry<C>>> {
        let (now, at_hand) = self.clock.peek();
        let calm = at_hand & self.waiters.is_empty() & self.calm.contains(now) & (now >= self.last_rest);
        if !(calm & (entry.regime == self.regime) & (entry.ages_at >= self.next_wake)) {
            return Err(entry);
        }
        self.clock.spend();
        let record = &mut self.records[entry.record as usize];
        record.hold = None;
        record.tally.hold(now.nanos_from(entry.held_since), &mut self.times);
        self.callers.set(entry.record, None);
        (entry.idle_since, self.last_rest) = (now, now);
        self.idle.push(entry);
        Ok(())
    }

    /// Takes a reusable connection back and serves the oldest waiter with it, who is to be woken. Returns it if the case is
    /// not plain.
    #[inline(always)]
    pub(crate) fn pass_on_plain(&mut self, mut entry: Box<Entry<C>>) -> Result<Option<W>, Box<Entry<C>>> {
        let (now, at_hand) = self.clock.peek();
        let quiet = at_hand & !self.waiters.is_empty() & self.quiet.contains(now);
        if !(quiet & (entry.regime == self.regime) & (entry.retire_at > now)) {
            return Err(entry);
        }
        self.clock.spend();
        let record = &mut self.records[entry.record as usize];
        record.tally.hold(now.nanos_since(entry.held_since), &mut self.times);
        entry.idle_since = now;
        Ok(self.grant(entry, now))
    }

    /// Joins the line of a full pool, for the common time. Returns the waker if the case is not plain.
    #[inline]
    pub(crate) fn join_plain(
        &mut self,
        at: &'static Location<'static>,
        waker: W,
    ) -> Result<(Ticket, Tick), W> {
        let (now, at_hand) = self.clock.peek();
        let few = self.waiters.len() < self.limits.pending;
        if !(at_hand & self.idle.is_empty() & self.crowded.contains(now) & few) {
            return Err(waker);
        }
        self.clock.spend();
        let waiter = Waiter { waker: Some(waker), since: now, at: Some(at) };
        Ok((self.waiters.join(waiter, false), now))
    }

    /// What has become of a waiter, if it is the connection that it was served, or nothing, and nothing else is the matter.
    /// `same` says whether a waker is the current one.
    #[inline]
    pub(crate) fn pick_up(
        &mut self,
        ticket: Ticket,
        caller: Option<Caller>,
        same: impl FnOnce(&W) -> bool,
    ) -> PickedUp<C> {
        let (now, at_hand) = self.clock.peek();
        let Some(note) = self.waiters.note(ticket) else {
            let (waiter, turn) = self.waiters.get(ticket);
            let deadline = waiter.since + self.limits.wait;
            let in_time =
                at_hand & (now < deadline) & (deadline >= self.next_wake) & !turn.keeps_own_deadline();
            if !in_time || self.homes.is_empty() || !waiter.waker.as_ref().is_some_and(same) {
                return PickedUp::Unclear;
            }
            self.clock.spend();
            return PickedUp::Nothing;
        };
        let Reply::Granted(key) = Reply::read(note) else { return PickedUp::Unclear };
        let record = &mut self.records[key as usize];
        let Some(entry) = record.served.take_if(|entry| entry.regime == self.regime) else {
            return PickedUp::Unclear;
        };
        self.waiters.hand_in(ticket);
        self.callers.set(key, caller);
        PickedUp::Entry(entry)
    }

    /// Gives up a wait in which nobody has been served. Returns the waker, or nothing if it is not so.
    pub(crate) fn cancel_plain(&mut self, ticket: Ticket) -> Option<Option<W>> {
        if self.waiters.note(ticket).is_some() {
            return None;
        }
        self.counts.cancelled += 1;
        Some(self.waiters.leave(ticket).waker)
    }

    /// Says when the short cuts are open, after a call that may have changed that.
    #[inline]
    pub(crate) fn settle(&mut self) {
        let (planned, limits) = (self.planned, &self.limits);
        let window = |open: bool, span| {
            if open && planned { Window::before(self.next_wake, span) } else { Window::default() }
        };
        // A hold that begins asks for nothing before the background wakes anyway.
        self.quiet = window(true, limits.until_leak);
        // Nor does what is taken or becomes idle.
        self.calm = window(true, limits.calm);
        // Nor does who joins, if nothing is idle.
        self.crowded = window(self.room() == 0 && !self.closed, limits.wait);
    }
}
