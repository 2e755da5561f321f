//! Who waits, who is answered what, and whose time is up.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::diagnosis::Diagnosis;
use super::wait_queue::{Ticket, Turn, WaitQueue};
use super::{Span, Tick};
use crate::error::Retry;

/// Room for this many refusals, and for as many diagnoses, is kept when there are none.
const KEPT: usize = 1024;

/// In the place of a deadline that passed after its waiter had been answered. It is never due, unless the answer is taken
/// back: then it is due at once.
const PASSED: Tick = Tick::NEVER;
const OVERDUE: Tick = Tick::START;

/// Why an acquire gets no connection, other than time.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    Closed,
    Overloaded { waiting: usize, max_pending: usize },
    Connect { error: Arc<E>, attempts: u64, retry: Option<Retry> },
}

/// One wait, as the acquire that waits knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) ticket: Ticket,
    pub(crate) since: Tick,
    /// `None` for `connection_timeout`.
    pub(crate) own_limit: Option<Span>,
}

pub(super) struct Waiter<W> {
    /// `None` once the waiter has been woken, until it asks.
    waker: Option<W>,
    stage: Stage,
}

/// No larger than a wait alone, as two variants are: the place of a timeout takes the room of what it does not need.
#[derive(Clone, Copy)]
enum Stage {
    Waits {
        since: Tick,
        at: &'static Location<'static>,
    },
    /// Its time was up when it had this place in the queue, from 1. Nobody is in a free place of the queue: 0.
    TimedOut {
        position: u32,
    },
}

impl<W> Default for Waiter<W> {
    fn default() -> Self {
        Self { waker: None, stage: Stage::TimedOut { position: 0 } }
    }
}

impl<W> Waiter<W> {
    fn new(waker: Option<W>, since: Tick, at: &'static Location<'static>) -> Self {
        Self { waker, stage: Stage::Waits { since, at } }
    }

    /// Since when it waits, and where, as long as its time is not up.
    fn wait(&self) -> Option<(Tick, &'static Location<'static>)> {
        match self.stage {
            Stage::Waits { since, at } => Some((since, at)),
            Stage::TimedOut { .. } => None,
        }
    }
}

/// What a waiter was answered, when it asks or goes.
pub(super) enum Outcome<E> {
    /// A connection, by its record.
    Granted(u32),
    Refused(Refusal<E>),
    /// What was true of the pool when the wait ended.
    TimedOut(Diagnosis<E>),
}

/// One diagnosis for all whose waits ended in one walk of the queue.
struct SharedDiagnosis<E> {
    diagnosis: Diagnosis<E>,
    /// How many have not asked for it yet.
    unasked: usize,
}

/// What a waiter is answered, packed into the link that its place does not need any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A connection, by its record.
    Granted(u32),
    /// A refusal, by its key.
    Refused(u32),
    /// Its time is up, by the key of the diagnosis.
    TimedOut(u32),
}

impl Answer {
    const KIND: u32 = 30;
    const NUMBER: u32 = (1 << Self::KIND) - 1;

    fn pack(self) -> u32 {
        let (kind, number) = match self {
            Self::Granted(number) => (0, number),
            Self::Refused(number) => (1, number),
            Self::TimedOut(number) => (2, number),
        };
        debug_assert!(number <= Self::NUMBER, "fewer than 2^30 connections are open and acquires wait");
        kind << Self::KIND | number
    }

    fn unpack(packed: u32) -> Self {
        let number = packed & Self::NUMBER;
        match packed >> Self::KIND {
            0 => Self::Granted(number),
            1 => Self::Refused(number),
            _ => Self::TimedOut(number),
        }
    }
}

/// The queue, what its waiters are refused with, and the deadlines that are not the common one.
pub(super) struct Waiting<E, W> {
    queue: WaitQueue<Waiter<W>>,
    /// What waiters were refused with, until they ask.
    refusals: Slab<Refusal<E>>,
    /// Why waits ran out of time, until everybody has asked whose wait ended in the same walk.
    diagnoses: Slab<SharedDiagnosis<E>>,
    /// Everybody with a deadline of its own who may still wait.
    own_deadlines: BTreeSet<(Tick, Ticket)>,
    common_limit: Span,
    max_pending: Option<usize>,
}

/// The head of the queue, which has just been answered with a connection.
pub(super) struct Head<W> {
    pub(super) ticket: Ticket,
    pub(super) turn: Turn,
    pub(super) since: Tick,
    pub(super) at: &'static Location<'static>,
    pub(super) waker: Option<W>,
}

impl<E, W> Waiting<E, W> {
    pub(super) fn new(common_limit: Duration, max_pending: Option<usize>) -> Self {
        Self {
            queue: WaitQueue::new(),
            refusals: Slab::new(),
            diagnoses: Slab::new(),
            own_deadlines: BTreeSet::new(),
            common_limit: common_limit.into(),
            max_pending,
        }
    }

    pub(super) fn set_limits(&mut self, common_limit: Duration, max_pending: Option<usize>) {
        (self.common_limit, self.max_pending) = (common_limit.into(), max_pending);
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn next_turn(&mut self) -> Turn {
        self.queue.next_turn()
    }

    pub(super) fn position(&self, ticket: Ticket) -> usize {
        self.queue.position(ticket)
    }

    /// What an acquire is told that would be one too many.
    pub(super) fn overload(&self, waiting: usize) -> Option<Refusal<E>> {
        let max_pending = self.max_pending.filter(|max_pending| waiting >= *max_pending)?;
        Some(Refusal::Overloaded { waiting, max_pending })
    }

    pub(super) fn deadline(&self, since: Tick, own_limit: Option<Span>) -> Tick {
        since + own_limit.unwrap_or(self.common_limit)
    }

    pub(super) fn join(
        &mut self,
        waker: Option<W>,
        (since, own_limit): (Tick, Option<Span>),
        at: &'static Location<'static>,
    ) -> Ticket {
        let waiter = Waiter::new(waker, since, at);
        let ticket = self.queue.join(waiter, own_limit.is_some());
        self.keep_own_deadline(Wait { ticket, since, own_limit });
        ticket
    }

    /// Joins again, behind those that arrived earlier. The waiter asks before it sleeps.
    pub(super) fn join_in_turn(
        &mut self,
        turn: Turn,
        (since, own_limit): (Tick, Option<Span>),
        at: &'static Location<'static>,
    ) -> Ticket {
        let waiter = Waiter::new(None, since, at);
        let ticket = self.queue.join_in_turn(waiter, turn.with_own_deadline(own_limit.is_some()));
        self.keep_own_deadline(Wait { ticket, since, own_limit });
        ticket
    }

    /// Takes back what a waiter was answered. It has been woken, but may have been left alone: so its deadline is entered
    /// again.
    pub(super) fn revoke_answer(&mut self, ticket: Ticket) {
        self.queue.revoke_answer(ticket);
        if self.own_deadlines.remove(&(PASSED, ticket)) {
            self.own_deadlines.insert((OVERDUE, ticket));
        }
    }

    pub(super) fn keep_own_deadline(&mut self, wait: Wait) {
        if let Some(limit) = wait.own_limit
            && let Some(deadline) = (wait.since + limit).if_ever()
        {
            self.own_deadlines.insert((deadline, wait.ticket));
        }
    }

    pub(super) fn answered(&self, ticket: Ticket) -> Option<Answer> {
        self.queue.answered(ticket).map(Answer::unpack)
    }

    /// What wakes a waiter that has not been answered.
    pub(super) fn waker_of(&mut self, ticket: Ticket) -> &mut Option<W> {
        &mut self.queue.get(ticket).0.waker
    }

    /// Answers the waiter at the head with a connection.
    pub(super) fn serve_head(&mut self, record: u32) -> Head<W> {
        let ticket = self.queue.head().expect("somebody waits");
        let (waiter, turn) = self.queue.answer(ticket, Answer::Granted(record).pack());
        let (since, at) = waiter.wait().expect("it waits");
        Head { ticket, turn, since, at, waker: waiter.waker.take() }
    }

    fn refuse(&mut self, ticket: Ticket, refusal: Refusal<E>) -> Option<W> {
        let key = u32::try_from(self.refusals.insert(refusal)).expect("fewer than 2^32 acquires wait");
        self.queue.answer(ticket, Answer::Refused(key).pack()).0.waker.take()
    }

    /// Refuses the waiter at the head. Returns whether there was one.
    pub(super) fn refuse_head(&mut self, refusal: Refusal<E>, wake: &mut impl Extend<W>) -> bool {
        let head = self.queue.head();
        wake.extend(head.and_then(|ticket| self.refuse(ticket, refusal)));
        head.is_some()
    }

    pub(super) fn refuse_all(&mut self, refusal: impl Fn() -> Refusal<E>, wake: &mut impl Extend<W>) {
        while !self.is_empty() {
            self.refuse_head(refusal(), wake);
        }
    }

    /// After a waiter has come back to its turn there may be too many. Those that arrived last are refused.
    pub(super) fn shed(&mut self, wake: &mut impl Extend<W>) {
        while let Some(refusal) = self.queue.len().checked_sub(1).and_then(|others| self.overload(others))
            && let Some(ticket) = self.queue.tail()
        {
            wake.extend(self.refuse(ticket, refusal));
        }
    }

    /// Gives up a place. Returns the waker and what the waiter was answered, to be dropped outside of the lock.
    pub(super) fn leave(&mut self, wait: Wait) -> (Option<W>, Option<Outcome<E>>) {
        if let Some(limit) = wait.own_limit {
            for deadline in [wait.since + limit, PASSED, OVERDUE] {
                self.own_deadlines.remove(&(deadline, wait.ticket));
            }
        }
        let answer = self.answered(wait.ticket);
        let waiter = self.queue.leave(wait.ticket);
        let outcome = answer.map(|answer| match answer {
            Answer::Granted(record) => Outcome::Granted(record),
            Answer::Refused(key) => Outcome::Refused(self.refusals.remove(key as usize)),
            Answer::TimedOut(key) => Outcome::TimedOut(self.diagnosis(key, waiter.stage)),
        });
        // The memory of a crowd goes with it.
        if self.refusals.is_empty() && self.refusals.capacity() > KEPT {
            self.refusals = Slab::new();
        }
        if self.diagnoses.is_empty() && self.diagnoses.capacity() > KEPT {
            self.diagnoses = Slab::new();
        }
        (waiter.waker, outcome)
    }

    /// The last to ask takes the diagnosis with it, so it keeps none of the user's errors longer than it has to.
    fn diagnosis(&mut self, key: u32, stage: Stage) -> Diagnosis<E> {
        let shared = &mut self.diagnoses[key as usize];
        shared.unasked -= 1;
        let mut diagnosis = if shared.unasked > 0 {
            shared.diagnosis.copy()
        } else {
            self.diagnoses.remove(key as usize).diagnosis
        };
        if let Stage::TimedOut { position } = stage {
            diagnosis.timeout.position = position as usize;
        }
        diagnosis
    }

    pub(super) fn wake_all(&mut self, wake: &mut impl Extend<W>) {
        self.queue.walk(|_, waiter, _| {
            wake.extend(waiter.waker.take());
            true
        });
    }

    /// Everybody whose time is up, with the place in the queue that each has, in one walk however many they are. Arrival
    /// order is deadline order for those with the common limit.
    pub(super) fn due(&mut self, now: Tick) -> Vec<(Ticket, u32)> {
        let mut own = BTreeSet::new();
        while let Some((deadline, ticket)) = self.own_deadlines.first().copied()
            && deadline <= now
        {
            self.own_deadlines.pop_first();
            if self.queue.answered(ticket).is_none() {
                own.insert(ticket);
            } else {
                self.own_deadlines.insert((PASSED, ticket));
            }
        }
        let (mut due, mut position, mut common_due) = (Vec::new(), 0, self.queue.any_common());
        if own.is_empty() && !common_due {
            return due;
        }
        let limit = self.common_limit;
        self.queue.walk(|ticket, waiter, turn| {
            position += 1;
            if turn.has_own_deadline() {
                if own.remove(&ticket) {
                    due.push((ticket, position));
                }
            } else if common_due && waiter.wait().is_some_and(|(since, _)| since + limit <= now) {
                due.push((ticket, position));
            } else {
                common_due = false;
            }
            !own.is_empty() || common_due
        });
        due
    }

    /// Ends these waits. One diagnosis serves all of them, for it is of this moment, whenever each of them asks.
    pub(super) fn time_out(
        &mut self,
        due: Vec<(Ticket, u32)>,
        diagnosis: Diagnosis<E>,
        wake: &mut impl Extend<W>,
    ) {
        let shared = SharedDiagnosis { diagnosis, unasked: due.len() };
        let key = u32::try_from(self.diagnoses.insert(shared)).expect("fewer than 2^32 acquires wait");
        for (ticket, position) in due {
            let (waiter, _) = self.queue.answer(ticket, Answer::TimedOut(key).pack());
            waiter.stage = Stage::TimedOut { position };
            wake.extend(waiter.waker.take());
        }
    }

    /// When the first wait ends.
    pub(super) fn first_deadline(&mut self) -> Tick {
        let own = self.own_deadlines.first().map_or(Tick::NEVER, |(deadline, _)| *deadline);
        let (mut first_common, limit) = (Tick::NEVER, self.common_limit);
        let any_common = self.queue.any_common();
        self.queue.walk(|_, waiter, turn| {
            if !turn.has_own_deadline()
                && let Some((since, _)) = waiter.wait()
            {
                first_common = since + limit;
            }
            any_common && turn.has_own_deadline()
        });
        own.min(first_common)
    }

    /// How many diagnoses are kept for those who have not asked.
    #[cfg(test)]
    pub(super) fn diagnoses(&self) -> usize {
        self.diagnoses.len()
    }

    /// Everybody who waits, from the head.
    #[cfg(test)]
    pub(super) fn tickets(&mut self) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        self.queue.walk(|ticket, _, _| {
            tickets.push(ticket);
            true
        });
        tickets
    }

    /// What a waiter has been answered, in a word.
    #[cfg(test)]
    pub(super) fn answer(&self, ticket: Ticket) -> Option<&'static str> {
        self.answered(ticket).map(|answer| match answer {
            Answer::Granted(_) => "granted",
            Answer::Refused(_) => "refused",
            Answer::TimedOut(_) => "timed out",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PoolConfig;
    use crate::policy::Policy;

    fn crowd(size: u32, own_limit: Option<Span>) -> (Waiting<(), u32>, Vec<Wait>) {
        let mut waiting = Waiting::new(Duration::MAX, None);
        let (since, at) = (Tick::START, Location::caller());
        let mut wait = |waker| {
            let ticket = waiting.join(Some(waker), (since, own_limit), at);
            Wait { ticket, since, own_limit }
        };
        let waits = (0..size).map(&mut wait).collect();
        (waiting, waits)
    }

    /// The room for the answers of a crowd goes with the last waiter that asks, and that for a few is kept.
    #[test]
    fn the_memory_of_the_answers_of_a_crowd_goes_with_it() {
        for (size, kept) in [(1000, true), (2000, false)] {
            let (mut waiting, waits) = crowd(size, None);
            waiting.refuse_all(|| Refusal::Closed, &mut Vec::new());
            for wait in waits {
                assert!(matches!(waiting.leave(wait).1, Some(Outcome::Refused(Refusal::Closed))));
            }
            assert_eq!(waiting.refusals.capacity() > 0, kept, "{size} were refused");
        }
    }

    /// So does the room for the diagnoses, if each wait ended in an instant of its own.
    #[test]
    fn the_memory_of_the_diagnoses_of_a_crowd_goes_with_it() {
        let policy = Policy::<(), (), u32>::new(PoolConfig::default(), fastrand::Rng::with_seed(7));
        for (size, kept) in [(1000, true), (2000, false)] {
            let (mut waiting, waits) = crowd(size, Some(Span::from_nanos(0)));
            for (position, wait) in (1..).zip(&waits) {
                let diagnosis = policy.diagnose(Duration::ZERO, Tick::START);
                waiting.time_out(vec![(wait.ticket, position)], diagnosis, &mut Vec::new());
            }
            assert_eq!(waiting.diagnoses(), size as usize);
            for (position, wait) in (1..).zip(waits) {
                let Some(Outcome::TimedOut(told)) = waiting.leave(wait).1 else { panic!("its time is up") };
                assert_eq!(told.timeout.position, position);
            }
            assert_eq!(waiting.diagnoses.capacity() > 0, kept, "{size} diagnoses");
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for answer in
            [Answer::Granted(0), Answer::Refused(7), Answer::TimedOut(1), Answer::Granted(Answer::NUMBER)]
        {
            assert_eq!(Answer::unpack(answer.pack()), answer);
        }
    }
}
