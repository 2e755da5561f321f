//! The plain case, of which a busy pool has millions a second: a connection is taken that is fit, and comes back sound, and
//! nothing else is the matter; or one comes back that somebody waits for, and its holder joins the line of a full pool.
//!
//! These functions do what `try_take`, `give_back` and `take_or_join` do, where those would have no effect to carry out but
//! a wake-up, and no question to ask. Each first makes sure of that, and changes nothing if it is not so. What makes it
//! cheap is that the rest has been settled before. While the regime is the same, a connection that was welcome is. Before
//! the background wakes, no idle connection is too old. In haste the time is at hand. And [`Core::settle`], after each call
//! that is not plain, says in which span of time it is calm.

use super::{Core, Entry, Site, Tick, Ticket, Waiter};

impl<C, E, W> Core<C, E, W> {
    /// An idle connection, if the case is plain.
    #[inline(always)]
    pub(crate) fn take_plain(&mut self, site: &Site) -> Option<Box<Entry<C>>> {
        let now = self.clock.peek()?;
        if !self.is_calm(now) {
            return None;
        }
        let mut entry = self.pop_next()?;
        // With no limit this is no look at the connection, which is often elsewhere in memory.
        if !self.limits.trust.is_forever() && entry.idle_since + self.limits.trust <= now {
            self.unpop_next(entry);
            return None;
        }
        self.clock.spend();
        entry.turn = self.waiters.next_turn();
        entry.held_since = now;
        self.records[entry.record as usize].begin_hold(now, site);
        self.tally.no_wait();
        Some(entry)
    }

    /// Takes a reusable connection back. Returns it if the case is not plain.
    #[inline(always)]
    pub(crate) fn give_back_plain(&mut self, mut entry: Box<Entry<C>>) -> Result<(), Box<Entry<C>>> {
        let Some(now) = self.clock.peek() else { return Err(entry) };
        if !self.is_calm(now) || entry.regime != self.regime {
            return Err(entry);
        }
        if entry.ages_at < self.next_wake || now < self.last_rest {
            return Err(entry);
        }
        self.clock.spend();
        self.records[entry.record as usize].hold = None;
        self.tally.hold(now.nanos_from(entry.held_since), &mut self.times);
        (entry.idle_since, self.last_rest) = (now, now);
        self.idle.push(entry);
        Ok(())
    }

    /// Takes a reusable connection back and serves the oldest waiter with it, who is to be woken. Returns it if the case is
    /// not plain.
    #[inline]
    pub(crate) fn pass_on_plain(&mut self, mut entry: Box<Entry<C>>) -> Result<Option<W>, Box<Entry<C>>> {
        let Some(now) = self.clock.peek() else { return Err(entry) };
        if entry.regime != self.regime || entry.retire_at <= now || !self.is_quiet(now) {
            return Err(entry);
        }
        if self.waiters.is_empty() {
            return Err(entry);
        }
        self.clock.spend();
        self.tally.hold(now.nanos_since(entry.held_since), &mut self.times);
        entry.idle_since = now;
        let waker = self.grant(entry, now);
        // Nobody waits any more: the other short cut is open again.
        if self.waiters.is_empty() {
            self.settle();
        }
        Ok(waker)
    }

    /// Joins the line behind others. Returns the waker if the case is not plain.
    #[inline]
    pub(crate) fn join_plain(
        &mut self,
        site: &Site,
        waker: W,
        own_deadline: bool,
    ) -> Result<(Ticket, Tick), W> {
        let Some(now) = self.clock.peek() else { return Err(waker) };
        let waiting = self.waiters.len();
        let full = self.idle.is_empty() && self.room() == 0;
        if waiting == 0 || !full || waiting >= self.limits.pending || !self.is_quiet(now) {
            return Err(waker);
        }
        if now + self.limits.wait < self.next_wake && !own_deadline {
            return Err(waker);
        }
        self.clock.spend();
        let waiter = Waiter { waker: Some(waker), since: now, at: Some(site.at) };
        Ok((self.waiters.join(waiter, own_deadline), now))
    }

    /// Whether a hold that begins now asks for nothing before the background wakes anyway.
    #[inline]
    fn is_quiet(&self, now: Tick) -> bool {
        self.planned && now < self.next_wake && now + self.limits.until_leak >= self.next_wake
    }

    /// Whether nobody waits, and what is taken or becomes idle now asks for nothing before the background wakes anyway.
    #[inline]
    fn is_calm(&self, now: Tick) -> bool {
        now.nanos_from(self.calm_from) < self.calm_for
    }

    /// Says when it is calm, after a call that may have changed that.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if self.waiters.is_empty() && self.planned {
            self.calm_from = self.next_wake - self.limits.calm;
            self.calm_for = self.next_wake.nanos_since(self.calm_from);
        } else {
            self.calm_for = 0;
        }
    }
}
