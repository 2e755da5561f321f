//! The wait queue: first in, first out, and anybody may leave from the middle.
//!
//! A doubly linked list threaded through a vector. Joining, serving the head and leaving take the same time at any
//! length, and places are reused, so a queue of steady length does not allocate. A waiter that has been answered keeps
//! its place, outside of the list, until its ticket is handed in; the place holds the answer. Each arrival has a turn,
//! its number in the order of arrival: a waiter whose answer is taken back goes to where its turn says.
//!
//! A hundred thousand may wait, so a place is small: the link that is not needed outside of the list holds the answer,
//! and the vector grows by a quarter, not to twice its size. When a crowd has gone, its memory goes too.

/// A place in the queue. Handed in once, to `leave`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u32);

/// The number of an arrival, and whether the arrival has a deadline of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Turn(u64);

impl Turn {
    pub(super) fn has_own_deadline(self) -> bool {
        self.0 & 1 == 1
    }

    pub(super) fn with_own_deadline(self, own: bool) -> Self {
        Self((self.0 & !1) | u64::from(own))
    }
}

/// In `before` or `after`: there is no such place.
const NONE: u32 = u32::MAX;
/// In `before`: this place is outside of the list, and `after` is the answer.
const ANSWERED: u32 = u32::MAX - 1;

/// Up to this many places are kept when nobody needs them.
const KEPT: usize = 1024;

#[derive(Default)]
struct Place<T> {
    /// In a free place, nothing of use, as in the next two.
    waiter: T,
    turn: Turn,
    before: u32,
    /// In a free place, the next free one.
    after: u32,
}

pub(super) struct WaitQueue<T> {
    turns: u64,
    len: u32,
    /// How many of those have no deadline of their own.
    common: u32,
    /// How many places are taken, by waiters in the list or outside of it.
    taken: u32,
    free: u32,
    head: u32,
    tail: u32,
    places: Box<[Place<T>]>,
}

impl<T: Default> WaitQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            places: Box::default(),
            free: NONE,
            head: NONE,
            tail: NONE,
            len: 0,
            common: 0,
            taken: 0,
            turns: 0,
        }
    }

    /// How many wait. Those that have been answered do not.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether somebody waits for the common time.
    pub(super) fn any_common(&self) -> bool {
        self.common > 0
    }

    /// Joins at the end.
    pub(super) fn join(&mut self, waiter: T, own_deadline: bool) -> Ticket {
        let turn = self.next_turn().with_own_deadline(own_deadline);
        let key = self.enter(waiter, turn);
        self.link(key, self.tail);
        Ticket(key)
    }

    /// The turn of an acquire that need not wait.
    pub(super) fn next_turn(&mut self) -> Turn {
        self.turns += 2;
        Turn(self.turns)
    }

    /// Joins where `turn` says, among those that arrived before and after.
    pub(super) fn join_in_turn(&mut self, waiter: T, turn: Turn) -> Ticket {
        let key = self.enter(waiter, turn);
        self.link_in_turn(key);
        Ticket(key)
    }

    /// Takes an answer back: the waiter goes to its turn.
    pub(super) fn revoke_answer(&mut self, ticket: Ticket) {
        self.link_in_turn(ticket.0);
    }

    pub(super) fn head(&self) -> Option<Ticket> {
        (self.head != NONE).then_some(Ticket(self.head))
    }

    pub(super) fn tail(&self) -> Option<Ticket> {
        (self.tail != NONE).then_some(Ticket(self.tail))
    }

    /// Takes a waiter out of the list and leaves the answer in its place.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: u32) -> (&mut T, Turn) {
        self.unlink(ticket.0);
        let place = self.place(ticket.0);
        (place.before, place.after) = (ANSWERED, answer);
        (&mut place.waiter, place.turn)
    }

    /// What a waiter has been answered, if it has.
    pub(super) fn answered(&self, ticket: Ticket) -> Option<u32> {
        let place = &self.places[ticket.0 as usize];
        (place.before == ANSWERED).then_some(place.after)
    }

    /// Gives up the place, answered or not, and returns what was in it.
    pub(super) fn leave(&mut self, ticket: Ticket) -> T {
        if self.place(ticket.0).before != ANSWERED {
            self.unlink(ticket.0);
        }
        let free = std::mem::replace(&mut self.free, ticket.0);
        let place = self.place(ticket.0);
        (place.before, place.after) = (NONE, free);
        let waiter = std::mem::take(&mut place.waiter);
        self.taken -= 1;
        if self.taken == 0 && self.places.len() > KEPT {
            (self.places, self.free) = (Box::default(), NONE);
        }
        waiter
    }

    pub(super) fn get(&mut self, ticket: Ticket) -> (&mut T, Turn) {
        let place = self.place(ticket.0);
        (&mut place.waiter, place.turn)
    }

    /// One more than the number of those ahead. It walks the queue.
    pub(super) fn position(&self, ticket: Ticket) -> usize {
        let mut position = 1;
        let mut key = self.head;
        while key != ticket.0 && key != NONE {
            position += 1;
            key = self.places[key as usize].after;
        }
        position
    }

    /// Everybody who waits, from the head, for as long as `each` says `true`.
    pub(super) fn walk(&mut self, mut each: impl FnMut(Ticket, &mut T, Turn) -> bool) {
        let mut key = self.head;
        while key != NONE {
            let place = self.place(key);
            if !each(Ticket(key), &mut place.waiter, place.turn) {
                break;
            }
            key = place.after;
        }
    }

    fn place(&mut self, key: u32) -> &mut Place<T> {
        &mut self.places[key as usize]
    }

    fn enter(&mut self, waiter: T, turn: Turn) -> u32 {
        if self.free == NONE {
            self.grow();
        }
        let key = self.free;
        let place = self.place(key);
        let free = place.after;
        *place = Place { waiter, turn, before: NONE, after: NONE };
        self.free = free;
        self.taken += 1;
        key
    }

    fn grow(&mut self) {
        let old = self.places.len();
        let new = old + (old / 4).max(4);
        let end =
            u32::try_from(new).ok().filter(|end| *end < ANSWERED).expect("fewer than 2^32 - 2 acquires wait");
        let mut places = std::mem::take(&mut self.places).into_vec();
        places.reserve_exact(new - old);
        for key in old as u32 + 1..=end {
            let after = if key == end { NONE } else { key };
            places.push(Place { after, ..Place::default() });
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
        let common = !place.turn.has_own_deadline();
        self.len += 1;
        self.common += u32::from(common);
    }

    fn unlink(&mut self, key: u32) {
        let place = self.place(key);
        let (before, after) = (place.before, place.after);
        let common = !place.turn.has_own_deadline();
        match before {
            NONE => self.head = after,
            before => self.place(before).after = after,
        }
        match after {
            NONE => self.tail = before,
            after => self.place(after).before = before,
        }
        self.len -= 1;
        self.common -= u32::from(common);
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
            let mut queue = WaitQueue::new();
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
                        let head = queue.head();
                        assert_eq!(head, model.front().map(|(ticket, _)| *ticket), "seed {seed}");
                        if let (Some(ticket), Some(first)) = (head, model.pop_front()) {
                            assert_eq!(*queue.answer(ticket, step).0, first.1, "seed {seed}");
                            served.push(first);
                        }
                    }
                }
                assert_eq!(queue.len(), model.len(), "seed {seed}");
                if let Some(&(ticket, _)) = model.back() {
                    assert_eq!(queue.position(ticket), model.len(), "seed {seed}");
                }
                let mut seen = Vec::new();
                queue.walk(|_, value, _| {
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

    /// A search for the first waiter for the common time need not walk the queue for nothing.
    #[test]
    fn it_knows_whether_anybody_waits_for_the_common_time() {
        let mut queue = WaitQueue::new();
        assert!(!queue.any_common());
        let (common, own) = (queue.join((), false), queue.join((), true));
        assert!(queue.any_common());
        queue.answer(common, 7);
        assert!(!queue.any_common());
        queue.revoke_answer(common);
        assert!(queue.any_common());
        queue.leave(own);
        queue.leave(common);
        assert!(!queue.any_common());
    }

    #[test]
    fn places_are_reused() {
        let mut queue = WaitQueue::new();
        for _ in 0..1000 {
            let ticket = queue.join((), false);
            queue.answer(ticket, 7);
            assert_eq!(queue.answered(ticket), Some(7));
            queue.leave(ticket);
        }
        assert_eq!(queue.places.len(), 4);
    }

    /// By a quarter at a time: otherwise a crowd would be copied again and again.
    #[test]
    fn it_grows_seldom() {
        let mut queue = WaitQueue::new();
        let mut sizes = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            queue.join((), false);
            sizes.insert(queue.places.len());
        }
        assert!(sizes.len() < 60, "{sizes:?}");
    }

    #[test]
    fn the_memory_of_a_crowd_goes_with_it() {
        let mut queue = WaitQueue::new();
        let crowd: Vec<_> = (0..100_000).map(|_| queue.join((), false)).collect();
        crowd.into_iter().for_each(|ticket| queue.leave(ticket));
        assert_eq!(queue.places.len(), 0);
        let ticket = queue.join((), false);
        assert_eq!((queue.position(ticket), queue.len()), (1, 1));
    }

    /// A line of a hundred thousand keeps 48 bytes for each, and a quarter in reserve at the most.
    #[test]
    fn a_long_line_is_small() {
        type Waiter = super::super::waiting::Waiter<std::task::Waker>;
        let mut queue = WaitQueue::<Waiter>::new();
        for _ in 0..100_000 {
            queue.join(Waiter::default(), false);
        }
        let bytes = queue.places.len() * size_of::<Place<Waiter>>();
        assert!(bytes <= 100_000 * 60, "{} bytes each", bytes / 100_000);
        assert_eq!(size_of::<Place<Waiter>>(), 48);
    }
}
