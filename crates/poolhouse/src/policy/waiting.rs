//! Who waits, who is answered what, and whose time is up.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::wait_queue::{Ticket, Turn, WaitQueue};
use super::{Span, Tick};
use crate::error::ConnectError;

/// Room for this many refusals is kept when there are none.
const KEPT_REFUSALS: usize = 1024;

/// Why an acquire gets no connection, other than time.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    Closed,
    Overloaded { waiting: usize, max_pending: usize },
    Connect { error: Arc<ConnectError<E>>, attempts: u64 },
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
    since: Tick,
    at: Option<&'static Location<'static>>,
}

impl<W> Default for Waiter<W> {
    fn default() -> Self {
        Self { waker: None, since: Tick::START, at: None }
    }
}

/// What a waiter is answered, packed into the link that its place does not need any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A connection, by its record.
    Granted(u32),
    /// A refusal, by its key.
    Refused(u32),
    /// Its time is up. The number is its place in the queue at that moment.
    TimedOut(u32),
}

impl Answer {
    const KIND: u32 = 30;
    const NUMBER: u32 = (1 << Self::KIND) - 1;

    fn pack(self) -> u32 {
        let (kind, number) = match self {
            Self::Granted(number) => (0, number),
            Self::Refused(number) => (1, number),
            Self::TimedOut(number) => (2, number.min(Self::NUMBER)),
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
    /// Everybody with a deadline of its own who may still wait.
    own_deadlines: BTreeSet<(Tick, Ticket)>,
    /// How many have run out of time and do not know yet.
    timed_out: usize,
    common_limit: Span,
    max_pending: Option<usize>,
}

/// A waiter that is about to be served.
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
            own_deadlines: BTreeSet::new(),
            timed_out: 0,
            common_limit: common_limit.into(),
            max_pending,
        }
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

    /// How many wait or have just run out of time.
    pub(super) fn len_with_timed_out(&self) -> usize {
        self.queue.len() + self.timed_out
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
        let waiter = Waiter { waker, since, at: Some(at) };
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
        let waiter = Waiter { waker: None, since, at: Some(at) };
        let ticket = self.queue.join_in_turn(waiter, turn.with_own_deadline(own_limit.is_some()));
        self.keep_own_deadline(Wait { ticket, since, own_limit });
        ticket
    }

    /// Takes back what a waiter was answered. It has been woken, and asks before it sleeps again.
    pub(super) fn rejoin(&mut self, ticket: Ticket) {
        self.queue.rejoin(ticket);
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
        let at = waiter.at.expect("a waiter says where it waits");
        Head { ticket, turn, since: waiter.since, at, waker: waiter.waker.take() }
    }

    fn refuse(&mut self, ticket: Ticket, refusal: Refusal<E>) -> Option<W> {
        let key = u32::try_from(self.refusals.insert(refusal)).expect("fewer than 2^32 acquires wait");
        self.queue.answer(ticket, Answer::Refused(key).pack()).0.waker.take()
    }

    pub(super) fn refuse_all(&mut self, refusal: impl Fn() -> Refusal<E>, wake: &mut impl Extend<W>) {
        while let Some(ticket) = self.queue.head() {
            wake.extend(self.refuse(ticket, refusal()));
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

    /// Gives up a place. Returns the waker and what the waiter was refused with, to be dropped outside of the lock.
    pub(super) fn leave(&mut self, wait: Wait) -> (Option<W>, Option<Refusal<E>>) {
        if let Some(limit) = wait.own_limit {
            self.own_deadlines.remove(&(wait.since + limit, wait.ticket));
        }
        let refusal = match self.answered(wait.ticket) {
            Some(Answer::Refused(key)) => self.refusals.try_remove(key as usize),
            Some(Answer::TimedOut(_)) => {
                self.timed_out -= 1;
                None
            }
            Some(Answer::Granted(_)) | None => None,
        };
        // The memory of a crowd goes with it.
        if self.refusals.is_empty() && self.refusals.capacity() > KEPT_REFUSALS {
            self.refusals = Slab::new();
        }
        (self.queue.leave(wait.ticket).waker, refusal)
    }

    pub(super) fn wake_all(&mut self, wake: &mut impl Extend<W>) {
        self.queue.walk(|_, waiter, _| {
            wake.extend(waiter.waker.take());
            true
        });
    }

    /// Ends every wait whose time is up, in one walk however many they are, and notes the place in the queue that each
    /// had. Arrival order is deadline order for those with the common limit.
    pub(super) fn expire_due(&mut self, now: Tick, wake: &mut impl Extend<W>) {
        let mut own = BTreeSet::new();
        while let Some((deadline, ticket)) = self.own_deadlines.first().copied()
            && deadline <= now
        {
            self.own_deadlines.pop_first();
            // A waiter that has been answered asks soon, and enters its deadline again if it has to go on waiting.
            if self.queue.answered(ticket).is_none() {
                own.insert(ticket);
            }
        }
        let (mut due, mut position, mut common_due) = (Vec::new(), 0, self.queue.any_common());
        if own.is_empty() && !common_due {
            return;
        }
        let (mut own_due, limit) = (own.len(), self.common_limit);
        self.queue.walk(|ticket, waiter, turn| {
            position += 1;
            if turn.has_own_deadline() {
                if own_due > 0 && own.contains(&ticket) {
                    own_due -= 1;
                    due.push((ticket, position));
                }
            } else if common_due && waiter.since + limit <= now {
                due.push((ticket, position));
            } else {
                common_due = false;
            }
            own_due > 0 || common_due
        });
        for (ticket, position) in due {
            wake.extend(self.time_out(ticket, position));
        }
    }

    pub(super) fn time_out(&mut self, ticket: Ticket, position: u32) -> Option<W> {
        self.timed_out += 1;
        self.queue.answer(ticket, Answer::TimedOut(position).pack()).0.waker.take()
    }

    /// When the first wait ends.
    pub(super) fn first_deadline(&mut self) -> Tick {
        let own = self.own_deadlines.first().map_or(Tick::NEVER, |(deadline, _)| *deadline);
        let (mut first_common, limit) = (Tick::NEVER, self.common_limit);
        let any_common = self.queue.any_common();
        self.queue.walk(|_, waiter, turn| {
            if !turn.has_own_deadline() {
                first_common = waiter.since + limit;
            }
            any_common && turn.has_own_deadline()
        });
        own.min(first_common)
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

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        for answer in
            [Answer::Granted(0), Answer::Refused(7), Answer::TimedOut(1), Answer::Granted(Answer::NUMBER)]
        {
            assert_eq!(Answer::unpack(answer.pack()), answer);
        }
    }
}
