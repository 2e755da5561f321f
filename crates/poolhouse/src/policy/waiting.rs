//! The life of a wait: joining the queue, asking what has come of it, running out of time, and giving up.

use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::deadlines::Deadline;
use super::wait_queue::{Ticket, Turn, WaitQueue};
use super::{Caller, Disposition, Effects, Entry, Policy, Site, Span, Tick};
use crate::error::{AcquireTimeout, ConnectError};
use crate::events::RetireReason;

/// A waiter that is woken comes for its connection within microseconds. Only one whose process or runtime stood still
/// takes longer than this.
const PICK_UP: Duration = Duration::from_millis(100);

/// Room for this many refusals is kept when there are none.
const KEPT_REFUSALS: usize = 1024;

/// Why an acquire gets no connection, other than time.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    Closed,
    Overloaded { waiting: usize, max_pending: usize },
    Connect { error: Arc<ConnectError<E>>, attempts: u64 },
}

/// How an acquire begins that found nothing idle at first.
pub(crate) enum Enqueued<C, W> {
    /// With the waker, which is not needed.
    Taken(Box<Entry<C>>, W),
    Waiting(Ticket),
}

/// What became of a wait.
pub(crate) enum Polled<C, E> {
    Granted(Box<Entry<C>>),
    Refused(Refusal<E>),
    /// The diagnosis lacks the target, which the policy does not know.
    TimedOut(Box<AcquireTimeout<E>>),
    Waiting,
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
enum Answer {
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
    fn overload(&self, waiting: usize) -> Option<Refusal<E>> {
        let max_pending = self.max_pending.filter(|max_pending| waiting >= *max_pending)?;
        Some(Refusal::Overloaded { waiting, max_pending })
    }

    fn deadline(&self, since: Tick, own_limit: Option<Span>) -> Tick {
        since + own_limit.unwrap_or(self.common_limit)
    }

    fn join(
        &mut self,
        waker: W,
        (since, own_limit): (Tick, Option<Span>),
        at: &'static Location<'static>,
    ) -> Ticket {
        let waiter = Waiter { waker: Some(waker), since, at: Some(at) };
        let ticket = self.queue.join(waiter, own_limit.is_some());
        self.keep_own_deadline(Wait { ticket, since, own_limit });
        ticket
    }

    /// Joins again, behind those that arrived earlier. The waiter asks before it sleeps.
    fn join_in_turn(
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

    fn keep_own_deadline(&mut self, wait: Wait) {
        if let Some(limit) = wait.own_limit
            && let Some(deadline) = (wait.since + limit).if_ever()
        {
            self.own_deadlines.insert((deadline, wait.ticket));
        }
    }

    fn answered(&self, ticket: Ticket) -> Option<Answer> {
        self.queue.answered(ticket).map(Answer::unpack)
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
    fn shed(&mut self, wake: &mut impl Extend<W>) {
        while let Some(refusal) = self.queue.len().checked_sub(1).and_then(|others| self.overload(others))
            && let Some(ticket) = self.queue.tail()
        {
            wake.extend(self.refuse(ticket, refusal));
        }
    }

    /// Gives up a place. Returns the waker and what the waiter was refused with, to be dropped outside of the lock.
    fn leave(&mut self, wait: Wait) -> (Option<W>, Option<Refusal<E>>) {
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

    fn time_out(&mut self, ticket: Ticket, position: u32) -> Option<W> {
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

impl<C, E, W> Policy<C, E, W> {
    pub(crate) fn somebody_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes an idle connection, or joins the queue unless the pool is closed or too many wait. One call, so that no
    /// connection can become idle between the look and the queue.
    pub(crate) fn take_or_join(
        &mut self,
        now: Tick,
        site: Site,
        (waker, own_limit): (W, Option<Span>),
        fx: &mut Effects<C, E, W>,
    ) -> Result<Enqueued<C, W>, Refusal<E>> {
        if let Some(entry) = self.try_take(now, site, fx) {
            return Ok(Enqueued::Taken(entry, waker));
        }
        let refusal =
            if self.is_closed() { Some(Refusal::Closed) } else { self.waiting.overload(self.waiting.len()) };
        if let Some(refusal) = refusal {
            fx.spent_waker = Some(waker);
            self.counts.failed += 1;
            return Err(refusal);
        }
        let ticket = self.waiting.join(waker, (now, own_limit), site.at);
        self.wake_by(Deadline::Wait, self.waiting.deadline(now, own_limit), fx);
        self.request_plan_if_work(now, fx);
        Ok(Enqueued::Waiting(ticket))
    }

    /// What became of a waiter. If nothing has, `refresh` may replace its waker.
    pub(crate) fn poll(
        &mut self,
        wait: Wait,
        now: Tick,
        caller: Option<Caller>,
        refresh: impl FnOnce(&mut Option<W>),
        fx: &mut Effects<C, E, W>,
    ) -> Polled<C, E> {
        self.look_again_at_served(wait.ticket, now, fx);
        let deadline = self.waiting.deadline(wait.since, wait.own_limit);
        if deadline <= now && self.waiting.answered(wait.ticket).is_none() {
            self.time_out(wait, now, fx);
        }
        let Some(answer) = self.waiting.answered(wait.ticket) else {
            refresh(&mut self.waiting.queue.get(wait.ticket).0.waker);
            self.waiting.keep_own_deadline(wait);
            self.wake_by(Deadline::Wait, deadline, fx);
            return Polled::Waiting;
        };
        let (waker, refusal) = self.waiting.leave(wait);
        fx.spent_waker = waker;
        match answer {
            Answer::Granted(record) => {
                let entry = self.holders.pick_up(record, caller);
                Polled::Granted(entry.expect("the answer says that it is there"))
            }
            Answer::Refused(_) => {
                self.counts.failed += 1;
                Polled::Refused(refusal.expect("the answer says that it is there"))
            }
            Answer::TimedOut(position) => {
                self.counts.failed += 1;
                self.counts.timed_out += 1;
                Polled::TimedOut(self.diagnose_waiter(wait, position as usize, caller, now))
            }
        }
    }

    /// With all others whose time is up: otherwise each of a crowd would walk the queue for its own position.
    fn time_out(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        self.waiting.keep_own_deadline(wait);
        self.waiting.expire_due(now, &mut fx.wake);
        if self.waiting.answered(wait.ticket).is_none() {
            // It came back into the queue, so it is not where its deadline would have it.
            let position = self.waiting.position(wait.ticket) as u32;
            fx.wake.extend(self.waiting.time_out(wait.ticket, position));
        }
    }

    /// Takes back what a waiter was served if it has become unfit before the waiter came for it, as happens when its
    /// runtime has been blocked for long.
    fn look_again_at_served(&mut self, ticket: Ticket, now: Tick, fx: &mut Effects<C, E, W>) {
        let Some(Answer::Granted(record)) = self.waiting.answered(ticket) else { return };
        let Some(entry) = self.holders.served(record) else { return };
        let stale_at = entry.held_since + self.limits.trust.max(PICK_UP.into());
        let (expired, stale) = (entry.retire_at <= now, stale_at <= now || self.checks.is_in_doubt(entry));
        if !expired && !stale {
            return;
        }
        for (entry, ticket) in self.holders.take_back(|entry| entry.record == record) {
            self.waiting.rejoin(ticket);
            match self.retire_reason(&entry, now) {
                Some(reason) => self.retire(entry, reason, fx),
                None => self.shelve(entry, now, fx),
            }
        }
        self.serve_after_rejoin(now, fx);
    }

    /// Takes back what waiters were served, and have not picked up, that is no longer eligible.
    pub(super) fn take_back_ineligible(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        let Self { holders, eviction, .. } = self;
        let taken = holders.take_back(|entry| eviction.no_longer_eligible(entry.origin).is_some());
        if taken.is_empty() {
            return;
        }
        for (entry, ticket) in taken {
            let reason = self.retire_reason(&entry, now).unwrap_or(RetireReason::RuntimeGone);
            self.retire(entry, reason, fx);
            self.waiting.rejoin(ticket);
        }
        self.serve_after_rejoin(now, fx);
    }

    /// A waiter has come back to its turn: what became idle in the meantime is for those who wait.
    fn serve_after_rejoin(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        self.serve_idle(now, fx);
        // On close all who wait are told that instead.
        if !self.is_closed() {
            self.waiting.shed(&mut fx.wake);
        }
        self.request_plan_if_work(now, fx);
    }

    /// Serves those who wait with what is idle and fit.
    pub(super) fn serve_idle(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        while self.somebody_waits()
            && let Some(entry) = self.take_fit(now)
        {
            self.place(entry, now, fx);
        }
    }

    /// An acquire goes back to its turn, because the connection that it was handed is dead.
    pub(crate) fn rejoin(
        &mut self,
        dead: Box<Entry<C>>,
        (since, own_limit): (Tick, Option<Span>),
        now: Tick,
        site: Site,
        fx: &mut Effects<C, E, W>,
    ) -> Result<Ticket, Refusal<E>> {
        let turn = dead.turn;
        self.found_dead(dead, now, fx);
        if self.is_closed() {
            self.counts.failed += 1;
            return Err(Refusal::Closed);
        }
        let ticket = self.waiting.join_in_turn(turn, (since, own_limit), site.at);
        self.serve_after_rejoin(now, fx);
        Ok(ticket)
    }

    /// An acquire was dropped while it waited. What it was served goes to the next.
    pub(crate) fn cancel(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        self.counts.cancelled += 1;
        self.give_up(wait, now, fx);
    }

    /// A wait ends because nobody can serve it.
    pub(crate) fn fail(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        self.counts.failed += 1;
        self.give_up(wait, now, fx);
    }

    fn give_up(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        let answer = self.waiting.answered(wait.ticket);
        let (waker, refusal) = self.waiting.leave(wait);
        fx.spent_waker = waker;
        if let Some(Refusal::Connect { error, .. }) = refusal {
            fx.spent_errors.push(error);
        }
        if let Some(Answer::Granted(record)) = answer
            && let Some(entry) = self.holders.pick_up(record, None)
        {
            self.give_back(entry, Disposition::Reuse, now, fx);
        }
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
