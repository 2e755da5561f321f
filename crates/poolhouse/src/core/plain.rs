//! The plain case, of which a busy pool has millions a second: a connection is taken that is fit, and comes back sound, and
//! nothing else is the matter.
//!
//! These two functions do what `try_take` and `give_back` do, where those would have no effect to carry out and no question
//! to ask. Each first makes sure of that, and changes nothing if it is not so. What makes it cheap is that the rest has been
//! settled before: while the regime is the same, a connection that was welcome is; before the background wakes, none
//! is too old; and in haste the time is at hand.

use super::{Core, Entry, Site, Tick};

impl<C, E, W> Core<C, E, W> {
    /// An idle connection, if the case is plain.
    #[inline]
    pub(crate) fn take_plain(&mut self, site: &Site) -> Option<Box<Entry<C>>> {
        let now = self.clock.peek()?;
        if !self.waiters.is_empty() || !self.is_calm(now) {
            return None;
        }
        let mut entry = self.pop_next()?;
        if entry.idle_since + self.limits.fit <= now || entry.retire_at <= now {
            self.unpop_next(entry);
            return None;
        }
        self.clock.spend();
        entry.turn = self.waiters.next_turn();
        entry.held_since = now;
        self.records[entry.record as usize].begin_hold(now, site);
        self.times.wait.record_brief();
        Some(entry)
    }

    /// Takes a reusable connection back. Returns it if the case is not plain.
    #[inline]
    pub(crate) fn give_back_plain(&mut self, mut entry: Box<Entry<C>>) -> Result<(), Box<Entry<C>>> {
        let Some(now) = self.clock.peek() else { return Err(entry) };
        if entry.regime != self.regime || entry.ages_at < self.next_wake || now < self.last_rest {
            return Err(entry);
        }
        if !self.waiters.is_empty() || !self.is_calm(now) {
            return Err(entry);
        }
        self.clock.spend();
        self.records[entry.record as usize].hold = None;
        self.times.hold.record_nanos(now.nanos_since(entry.held_since));
        (entry.idle_since, self.last_rest) = (now, now);
        self.idle.push(entry);
        Ok(())
    }

    /// Whether what is taken or becomes idle now asks for nothing before the background wakes anyway.
    #[inline]
    fn is_calm(&self, now: Tick) -> bool {
        self.calm_from <= now && now < self.next_wake
    }
}
