//! The line of those who wait: first in, first out, and anybody may leave from the middle.
//!
//! A doubly linked list threaded through a slab: joining, serving the head and leaving cost the same at any length, and
//! a place is reused, so a long-lived queue stops allocating. Whoever has been served keeps the place, out of line,
//! until the ticket is handed in; the reply waits there. Each has a turn, its number in the order of arrival: whoever was
//! served something that turned out to be no good goes back to where the turn says.

use slab::Slab;

/// A place in the queue. Handed in once, by `leave`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

const NONE: u32 = u32::MAX;

struct Place<T> {
    waiter: T,
    before: u32,
    after: u32,
    in_line: bool,
    turn: u64,
}

pub(crate) struct Queue<T> {
    places: Slab<Place<T>>,
    head: u32,
    tail: u32,
    len: usize,
    turns: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self { places: Slab::new(), head: NONE, tail: NONE, len: 0, turns: 0 }
    }

    /// How many are in line; those already served are not.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Joins at the end of the line.
    pub(crate) fn join(&mut self, waiter: T) -> Ticket {
        let turn = self.next_turn();
        let key = self.enter(waiter, turn);
        self.link(key, self.tail);
        Ticket(key)
    }

    /// The number of somebody who is served without having to wait.
    pub(crate) fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// Joins where `turn` says: at the head, behind those who came before.
    pub(crate) fn join_in_turn(&mut self, waiter: T, turn: u64) -> Ticket {
        let key = self.enter(waiter, turn);
        self.link_in_turn(key);
        Ticket(key)
    }

    /// Goes back into the line after having been served.
    pub(crate) fn rejoin(&mut self, ticket: Ticket) {
        self.link_in_turn(ticket.0);
    }

    /// Takes the head out of the line and gives access to its place, for the reply, and its turn.
    pub(crate) fn serve(&mut self) -> Option<(&mut T, u64)> {
        let head = self.head;
        if head == NONE {
            return None;
        }
        self.unlink(head);
        let place = self.place(head);
        Some((&mut place.waiter, place.turn))
    }

    /// Gives up the place, in line or served, and returns what was in it.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> T {
        if self.place(ticket.0).in_line {
            self.unlink(ticket.0);
        }
        self.places.remove(ticket.0 as usize).waiter
    }

    pub(crate) fn get(&mut self, ticket: Ticket) -> &mut T {
        &mut self.place(ticket.0).waiter
    }

    /// One more than the number of those ahead. It walks the line: for diagnoses, not for the hot path.
    pub(crate) fn position(&mut self, ticket: Ticket) -> usize {
        let mut position = 1;
        let mut key = self.head;
        while key != ticket.0 && key != NONE {
            position += 1;
            key = self.place(key).after;
        }
        position
    }

    /// Everybody in line, from the head.
    pub(crate) fn for_each(&mut self, mut each: impl FnMut(&mut T)) {
        let mut key = self.head;
        while key != NONE {
            let place = self.place(key);
            each(&mut place.waiter);
            key = place.after;
        }
    }

    fn place(&mut self, key: u32) -> &mut Place<T> {
        &mut self.places[key as usize]
    }

    fn enter(&mut self, waiter: T, turn: u64) -> u32 {
        let place = Place { waiter, before: NONE, after: NONE, in_line: false, turn };
        u32::try_from(self.places.insert(place)).expect("fewer than 2^32 acquires wait")
    }

    /// No two have the same turn.
    fn link_in_turn(&mut self, key: u32) {
        let turn = self.place(key).turn;
        let (mut before, mut next) = (NONE, self.head);
        while next != NONE && self.place(next).turn < turn {
            (before, next) = (next, self.place(next).after);
        }
        self.link(key, before);
    }

    fn link(&mut self, key: u32, before: u32) {
        let after = match before {
            NONE => std::mem::replace(&mut self.head, key),
            before => std::mem::replace(&mut self.place(before).after, key),
        };
        match after {
            NONE => self.tail = key,
            after => self.place(after).before = key,
        }
        let place = self.place(key);
        (place.before, place.after, place.in_line) = (before, after, true);
        self.len += 1;
    }

    fn unlink(&mut self, key: u32) {
        let place = self.place(key);
        let (before, after) = (place.before, place.after);
        place.in_line = false;
        match before {
            NONE => self.head = after,
            before => self.place(before).after = after,
        }
        match after {
            NONE => self.tail = before,
            after => self.place(after).before = before,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Random joins, leaves and serves against a `VecDeque`, which is plainly right.
    #[test]
    fn it_behaves_like_a_plain_queue() {
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut queue = Queue::new();
            let mut model: VecDeque<(Ticket, u32)> = VecDeque::new();
            let mut served: Vec<(Ticket, u32)> = Vec::new();
            for step in 0..500 {
                match rng.u8(0..4) {
                    0 | 1 => model.push_back((queue.join(step), step)),
                    2 if !model.is_empty() => {
                        let (ticket, value) = model.remove(rng.usize(..model.len())).unwrap();
                        assert_eq!(queue.leave(ticket), value, "seed {seed}");
                    }
                    _ => {
                        let head = queue.serve().map(|(value, _)| *value);
                        assert_eq!(head, model.front().map(|(_, value)| *value), "seed {seed}");
                        served.extend(model.pop_front());
                    }
                }
                assert_eq!(queue.len(), model.len(), "seed {seed}");
                if let Some(&(ticket, _)) = model.back() {
                    assert_eq!(queue.position(ticket), model.len(), "seed {seed}");
                }
                let mut seen = Vec::new();
                queue.for_each(|value| seen.push(*value));
                assert!(seen.iter().eq(model.iter().map(|(_, value)| value)), "seed {seed}");
            }
            for (ticket, value) in served {
                assert_eq!(queue.leave(ticket), value, "seed {seed}");
            }
        }
    }

    #[test]
    fn places_are_reused() {
        let mut queue = Queue::new();
        for _ in 0..1000 {
            let ticket = queue.join(());
            queue.serve();
            queue.leave(ticket);
        }
        assert_eq!(queue.places.capacity(), 4);
    }
}
