//! The connections that nobody uses, ordered by how long they have been idle.

use std::collections::VecDeque;

use super::{Entry, Tick};
use crate::config::IdleOrder;

pub(super) struct IdleSet<C> {
    order: IdleOrder,
    /// The longest idle is in front.
    entries: VecDeque<Box<Entry<C>>>,
}

impl<C> IdleSet<C> {
    pub(super) fn new(order: IdleOrder) -> Self {
        Self { order, entries: VecDeque::new() }
    }

    pub(super) fn set_order(&mut self, order: IdleOrder) {
        self.order = order;
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A connection that comes from a health check goes back to where it was.
    pub(super) fn insert(&mut self, entry: Box<Entry<C>>) {
        let last_ahead = self.entries.iter().rposition(|other| other.idle_since <= entry.idle_since);
        let place = last_ahead.map_or(0, |last| last + 1);
        self.entries.insert(place, entry);
    }

    /// The place of the next connection, in the order of `idle_order`, that is fit.
    pub(super) fn find_first(&self, fit: impl Fn(&Entry<C>) -> bool) -> Option<usize> {
        let is_fit = |place: &usize| fit(&self.entries[*place]);
        match self.order {
            IdleOrder::Lifo => (0..self.len()).rev().find(is_fit),
            IdleOrder::Fifo => (0..self.len()).find(is_fit),
        }
    }

    pub(super) fn take_at(&mut self, place: usize) -> Option<Box<Entry<C>>> {
        self.entries.remove(place)
    }

    /// Of those that are due, the connection that has gone longest without a proof that it works.
    pub(super) fn take_longest_unproven(&mut self, due: impl Fn(&Entry<C>) -> bool) -> Option<Box<Entry<C>>> {
        let unproven = self.entries.iter().enumerate().filter(|(_, entry)| due(entry));
        let (index, _) = unproven.min_by_key(|(_, entry)| entry.proven_at())?;
        self.entries.remove(index)
    }

    pub(super) fn take(&mut self, connection: u64) -> Option<Box<Entry<C>>> {
        let index = self.entries.iter().position(|entry| entry.id == connection)?;
        self.entries.remove(index)
    }

    pub(super) fn take_longest_idle(&mut self) -> Option<Box<Entry<C>>> {
        self.entries.pop_front()
    }

    pub(super) fn take_all(&mut self, which: impl Fn(&Entry<C>) -> bool) -> Vec<Box<Entry<C>>> {
        if !self.iter().any(&which) {
            return Vec::new();
        }
        let (taken, kept) = self.entries.drain(..).partition::<Vec<_>, _>(|entry| which(entry));
        self.entries = kept.into();
        taken
    }

    /// From the longest idle, which has place 0.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<C>> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// Since when the connection that has been idle longest is idle.
    pub(super) fn longest_idle_since(&self) -> Option<Tick> {
        self.entries.front().map(|entry| entry.idle_since)
    }
}
