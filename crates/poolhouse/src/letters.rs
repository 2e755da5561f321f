//! How a connection reaches a waiter without another take of the pool's lock.
//!
//! Whoever serves a waiter puts the connection into a box that the waiter's ticket names, while it has the lock anyway. The
//! waiter looks there first when it wakes, most often on the thread that has served it, so that everything it needs is in
//! that thread's cache. Its place in the queue is given up together with the connection, later.
//!
//! There are few boxes, for no more than the pool's connections can be under way at once. Two tickets may name the same
//! box; if it is taken, the connection stays in its record, where the core has put it, and the waiter finds it there. What
//! has to look after a ticket under the lock, because the wait is given up or something has come between, first
//! puts the connection back there. Only the waiter itself and those who have the lock touch its box.

use crate::core::{Entry, Ticket};
use crate::sync::Mutex;

type Letter<C> = Option<(Ticket, Box<Entry<C>>)>;

/// A box in a line of the cache of its own.
#[repr(align(64))]
struct Slot<C>(Mutex<Letter<C>>);

pub(crate) struct Letters<C>(Box<[Slot<C>]>);

impl<C> Letters<C> {
    /// For so many connections.
    pub(crate) fn new(max_connections: usize) -> Self {
        let boxes = max_connections.saturating_mul(2).clamp(8, 128).next_power_of_two();
        Self((0..boxes).map(|_| Slot(Mutex::new(None))).collect())
    }

    #[inline]
    fn slot(&self, ticket: Ticket) -> &Mutex<Letter<C>> {
        &self.0[ticket.number() & (self.0.len() - 1)].0
    }

    /// Leaves a connection for a waiter, if the box is free.
    #[inline]
    pub(crate) fn leave(&self, ticket: Ticket, letter: impl FnOnce() -> Option<Box<Entry<C>>>) {
        let mut slot = self.slot(ticket).lock();
        if slot.is_none() {
            *slot = letter().map(|entry| (ticket, entry));
        }
    }

    /// What has been left for this waiter.
    #[inline]
    pub(crate) fn collect(&self, ticket: Ticket) -> Option<Box<Entry<C>>> {
        let mut slot = self.slot(ticket).lock();
        slot.take_if(|(addressee, _)| *addressee == ticket).map(|(_, entry)| entry)
    }
}
