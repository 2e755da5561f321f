//! The line of those who wait: first in, first out, and anybody may leave from the middle.
//!
//! A doubly linked list threaded through a vector: joining, serving the head and leaving cost the same at any length, and
//! a place is reused, so a long-lived queue stops allocating. Whoever has been served keeps the place, out of line,
//! until the ticket is handed in; a note in it says what was served. Each has a turn, its number in the order of arrival:
//! whoever was served something that turned out to be no good goes back to where the turn says.
//!
//! A hundred thousand may wait, so a place is small: a link that is not needed out of line holds the note, and the vector
//! grows by a quarter, not to twice its size.

/// A place in the queue. Handed in once, by `leave` or `hand_in`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

/// The number of an arrival, and whether the arrival keeps a deadline of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Turn(u64);

impl Turn {
    pub(super) fn keeps_own_deadline(self) -> bool {
        self.0 & 1 == 1
    }

    pub(super) fn with_own_deadline(self, own: bool) -> Self {
        Self((self.0 & !1) | u64::from(own))
    }
}

/// In `before` or `after`: nobody is there.
const NONE: u32 = u32::MAX;
/// In `before`: this place is out of line, and `after` is the note.
const SERVED: u32 = u32::MAX - 1;
/// In `before`: this place is free, and `after` is the next free one.
const FREE: u32 = u32::MAX - 2;

#[derive(Default)]
struct Place<T> {
    /// In a free place, nothing that is of use.
    waiter: T,
    turn: Turn,
    before: u32,
    after: u32,
}

#[repr(C)]
pub(super) struct Queue<T> {
    turns: u64,
    len: u32,
    free: u32,
    head: u32,
    tail: u32,
    places: Box<[Place<T>]>,
}

impl<T: Default> Queue<T> {
    pub(super) fn new() -> Self {
        Self { places: Box::default(), free: NONE, head: NONE, tail: NONE, len: 0, turns: 0 }
    }

    /// How many are in line; those already served are not.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Joins at the end of the line.
    #[inline]
    pub(super) fn join(&mut self, waiter: T, own_deadline: bool) -> Ticket {
        let turn = self.next_turn().with_own_deadline(own_deadline);
        let before = self.tail;
        let key = self.enter(waiter, turn, before);
        match before {
            NONE => self.head = key,
            before => self.place(before).after = key,
        }
        self.tail = key;
        self.len += 1;
        Ticket(key)
    }

    /// The number of somebody who is served without having to wait.
    #[inline]
    pub(super) fn next_turn(&mut self) -> Turn {
        self.turns += 2;
        Turn(self.turns)
    }

    /// Joins where `turn` says: at the head, behind those who came before.
    pub(super) fn join_in_turn(&mut self, waiter: T, turn: Turn) -> Ticket {
        let key = self.enter(waiter, turn, NONE);
        self.link_in_turn(key);
        Ticket(key)
    }

    /// Goes back into the line after having been served.
    pub(super) fn rejoin(&mut self, ticket: Ticket) {
        self.link_in_turn(ticket.0);
    }

    /// Takes the head out of the line, leaves a note in its place, and gives access to what waits there and its turn.
    #[inline]
    pub(super) fn serve(&mut self, note: u32) -> Option<(&mut T, Turn)> {
        // What the next says of who is before it is not kept up: it is the head now.
        let place = self.places.get_mut(self.head as usize)?;
        let next = std::mem::replace(&mut place.after, note);
        place.before = SERVED;
        self.head = next;
        if next == NONE {
            self.tail = NONE;
        }
        self.len -= 1;
        Some((&mut place.waiter, place.turn))
    }

    /// The note, for who has been served.
    #[inline]
    pub(super) fn note(&self, ticket: Ticket) -> Option<u32> {
        let place = &self.places[ticket.0 as usize];
        (place.before == SERVED).then_some(place.after)
    }

    /// Gives up the place, in line or served, and returns what was in it.
    pub(super) fn leave(&mut self, ticket: Ticket) -> T {
        if self.place(ticket.0).before != SERVED {
            self.unlink(ticket.0);
        }
        self.hand_in(ticket);
        std::mem::take(&mut self.place(ticket.0).waiter)
    }

    /// Gives up the place of somebody who has been served and of whom nothing is left in it.
    #[inline]
    pub(super) fn hand_in(&mut self, ticket: Ticket) {
        let free = std::mem::replace(&mut self.free, ticket.0);
        let place = self.place(ticket.0);
        (place.before, place.after) = (FREE, free);
    }

    pub(super) fn get(&mut self, ticket: Ticket) -> (&mut T, Turn) {
        let place = self.place(ticket.0);
        (&mut place.waiter, place.turn)
    }

    /// One more than the number of those ahead. It walks the line: for diagnoses, not for the hot path.
    pub(super) fn position(&mut self, ticket: Ticket) -> usize {
        let mut position = 1;
        let mut key = self.head;
        while key != ticket.0 && key != NONE {
            position += 1;
            key = self.place(key).after;
        }
        position
    }

    /// Everybody in line, from the head, for as long as `each` says `true`.
    pub(super) fn walk(&mut self, mut each: impl FnMut(&mut T, Turn) -> bool) {
        let mut key = self.head;
        while key != NONE {
            let place = self.place(key);
            if !each(&mut place.waiter, place.turn) {
                break;
            }
            key = place.after;
        }
    }

    #[inline]
    fn place(&mut self, key: u32) -> &mut Place<T> {
        &mut self.places[key as usize]
    }

    #[inline]
    fn enter(&mut self, waiter: T, turn: Turn, before: u32) -> u32 {
        if self.free == NONE {
            self.grow();
        }
        let key = self.free;
        let place = self.place(key);
        let free = place.after;
        *place = Place { waiter, turn, before, after: NONE };
        self.free = free;
        key
    }

    #[cold]
    fn grow(&mut self) {
        let old = self.places.len();
        let new = old + (old / 4).max(4);
        let end =
            u32::try_from(new).ok().filter(|end| *end < FREE).expect("fewer than 2^32 - 3 acquires wait");
        let mut places = std::mem::take(&mut self.places).into_vec();
        places.reserve_exact(new - old);
        for key in old as u32 + 1..=end {
            let after = if key == end { NONE } else { key };
            places.push(Place { before: FREE, after, ..Place::default() });
        }
        (self.places, self.free) = (places.into_boxed_slice(), old as u32);
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
        (place.before, place.after) = (before, after);
        self.len += 1;
    }

    fn unlink(&mut self, key: u32) {
        // `serve` leaves in the head who was before it.
        let is_head = key == self.head;
        let place = self.place(key);
        let (before, after) = (if is_head { NONE } else { place.before }, place.after);
        match before {
            NONE => self.head = after,
            before => self.place(before).after = after,
        }
        match after {
            NONE => self.tail = before,
            after if before != NONE => self.place(after).before = before,
            _ => {}
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
                    0 | 1 => model.push_back((queue.join(step, false), step)),
                    2 if !model.is_empty() => {
                        let (ticket, value) = model.remove(rng.usize(..model.len())).unwrap();
                        assert_eq!(queue.leave(ticket), value, "seed {seed}");
                    }
                    _ => {
                        let head = queue.serve(step).map(|(value, _)| *value);
                        assert_eq!(head, model.front().map(|(_, value)| *value), "seed {seed}");
                        served.extend(model.pop_front());
                    }
                }
                assert_eq!(queue.len(), model.len(), "seed {seed}");
                if let Some(&(ticket, _)) = model.back() {
                    assert_eq!(queue.position(ticket), model.len(), "seed {seed}");
                }
                let mut seen = Vec::new();
                queue.walk(|value, _| {
                    seen.push(*value);
                    true
                });
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
            let ticket = queue.join((), false);
            queue.serve(7);
            assert_eq!(queue.note(ticket), Some(7));
            queue.leave(ticket);
        }
        assert_eq!(queue.places.len(), 4);
    }

    /// A line of a hundred thousand keeps 48 bytes for each, and a quarter in reserve at the most.
    #[test]
    fn a_long_line_is_small() {
        type Waiter = super::super::Waiter<std::task::Waker>;
        let mut queue = Queue::<Waiter>::new();
        for _ in 0..100_000 {
            queue.join(Waiter::default(), false);
        }
        let bytes = queue.places.len() * size_of::<Place<Waiter>>();
        assert!(bytes <= 100_000 * 60, "{} bytes each", bytes / 100_000);
        assert_eq!(size_of::<Place<Waiter>>(), 48);
    }
}
