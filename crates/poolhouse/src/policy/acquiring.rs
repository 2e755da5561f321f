//! The life of an acquire: taking or joining the queue, asking what has come of the wait, and giving up.

use std::time::Duration;

use super::connects::ClosedAtOnce;
use super::deadlines::Deadline;
use super::diagnosis::Diagnosis;
use super::wait_queue::Ticket;
use super::waiting::{Answer, Outcome, Refusal, Wait};
use super::{Caller, Effects, Entry, Policy, Site, Span, Tick};
use crate::events::RetireReason;

/// A waiter that is woken comes for its connection within microseconds. Only one whose process or runtime stood still
/// takes longer than this.
const PICK_UP: Duration = Duration::from_millis(100);

/// How an acquire begins, or what became of its wait.
pub(crate) enum Polled<C, E> {
    Granted(Box<Entry<C>>),
    Refused(Refusal<E>),
    TimedOut(Diagnosis<E>),
    Waiting(Wait),
}

impl<C, E, W> Policy<C, E, W> {
    pub(crate) fn somebody_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes an idle connection, or joins the queue unless the pool is closed or too many wait. One call, so that no
    /// connection can become idle between the look and the queue. Takes the waker if it joins.
    pub(crate) fn take_or_join(
        &mut self,
        now: Tick,
        site: Site,
        (waker, own_limit): (&mut Option<W>, Option<Span>),
        fx: &mut Effects<C, E, W>,
    ) -> Polled<C, E> {
        if let Some(entry) = self.try_take(now, site, fx) {
            return Polled::Granted(entry);
        }
        let refusal = if self.is_closed() {
            Some(Refusal::Closed)
        } else {
            self.outage(now).or_else(|| self.waiting.overload(self.waiting.len()))
        };
        if let Some(refusal) = refusal {
            self.stats.failed_acquisitions += 1;
            return Polled::Refused(refusal);
        }
        let ticket = self.waiting.join(waker.take(), (now, own_limit), site.at);
        self.wake_by(Deadline::Wait, self.waiting.deadline(now, own_limit), fx);
        self.request_plan_if_work(now, fx);
        Polled::Waiting(Wait { ticket, since: now, own_limit })
    }

    /// An idle connection, if nobody waits for one. `None` says nothing about why.
    pub(crate) fn try_take(
        &mut self,
        now: Tick,
        site: Site,
        fx: &mut Effects<C, E, W>,
    ) -> Option<Box<Entry<C>>> {
        if self.somebody_waits() {
            return None;
        }
        let Some(mut entry) = self.take_fit(now) else {
            // What is overdue is the background's to close: an acquire does not wait for that.
            fx.plan |= self.idle.iter().any(|entry| self.retire_reason(entry, now).is_some());
            return None;
        };
        // It waits for nothing, but goes back to this turn if the connection turns out dead.
        entry.turn = self.waiting.next_turn();
        entry.held_since = now;
        self.holders.on_acquired(entry.record, now, site);
        self.stats.wait_times.record_micros(0);
        self.wake_by(Deadline::Leak, now + self.limits.leak_threshold, fx);
        // It is in use from here on, so its successor may be due.
        if self.config.min_idle > 0 || self.holders.needs_successor(entry.record, now) {
            self.request_plan_if_work(now, fx);
        }
        Some(entry)
    }

    /// The next idle connection that may be handed out as it is.
    pub(super) fn take_fit(&mut self, now: Tick) -> Option<Box<Entry<C>>> {
        let fit = |entry: &Entry<C>| {
            self.retire_reason(entry, now).is_none() && self.due_chore(entry, now).is_none()
        };
        let place = self.idle.find_first(fit)?;
        self.idle.take_at(place)
    }

    /// What became of a waiter. If its time is up, all waits end whose time is up. If nothing has become of it, and
    /// there is a waker, that takes the place of the one before, to be dropped outside of the lock.
    pub(crate) fn poll(
        &mut self,
        wait: Wait,
        now: Tick,
        caller: Option<Caller>,
        waker: &mut Option<W>,
        fx: &mut Effects<C, E, W>,
    ) -> Polled<C, E> {
        self.revoke_if_unfit(wait.ticket, now, fx);
        let deadline = self.waiting.deadline(wait.since, wait.own_limit);
        if deadline <= now && self.waiting.answered(wait.ticket).is_none() {
            self.end_late_wait(wait, now, fx);
        }
        if self.waiting.answered(wait.ticket).is_none() {
            if let Some(fresh) = waker.take() {
                *waker = self.waiting.waker_of(wait.ticket).replace(fresh);
            }
            self.waiting.keep_own_deadline(wait);
            self.wake_by(Deadline::Wait, deadline, fx);
            return Polled::Waiting(wait);
        }
        let (waker, outcome) = self.waiting.leave(wait);
        fx.spent_waker = waker;
        match outcome.expect("it has been answered") {
            Outcome::Granted(record) => {
                let entry = self.holders.pick_up(record, caller);
                Polled::Granted(entry.expect("the answer says that it is there"))
            }
            Outcome::Refused(refusal) => {
                self.stats.failed_acquisitions += 1;
                Polled::Refused(refusal)
            }
            Outcome::TimedOut(mut diagnosis) => {
                self.stats.failed_acquisitions += 1;
                self.stats.timed_out_waits.record_micros(now.span_since(wait.since).as_micros());
                // What is the waiter's own; the rest is of the moment at which its wait ended.
                diagnosis.timeout.waited = now.since(wait.since);
                diagnosis.timeout.nested = self.nested(caller, now);
                Polled::TimedOut(diagnosis)
            }
        }
    }

    /// Ends every wait whose time is up, in one walk however many they are.
    pub(super) fn end_due_waits(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        let due = self.waiting.due(now);
        self.time_out(due, now, fx);
    }

    /// With all others whose time is up: otherwise each of a crowd would walk the queue for its own position.
    fn end_late_wait(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        self.waiting.keep_own_deadline(wait);
        self.end_due_waits(now, fx);
        if self.waiting.answered(wait.ticket).is_none() {
            // It came back into the queue, so it is not where its deadline would have it.
            let position = self.waiting.position(wait.ticket) as u32;
            self.time_out(vec![(wait.ticket, position)], now, fx);
        }
    }

    fn time_out(&mut self, due: Vec<(Ticket, u32)>, now: Tick, fx: &mut Effects<C, E, W>) {
        if !due.is_empty() {
            fx.plan |= self.config.max_idle.is_some();
            let diagnosis = self.diagnose_queue(now);
            self.waiting.time_out(due, diagnosis, &mut fx.wake);
        }
    }

    /// Takes back what a waiter was served if it has become unfit before the waiter came for it, as happens when its
    /// runtime has been blocked for long.
    fn revoke_if_unfit(&mut self, ticket: Ticket, now: Tick, fx: &mut Effects<C, E, W>) {
        let Some(Answer::Granted(record)) = self.waiting.answered(ticket) else { return };
        let Some(entry) = self.holders.granted(record) else { return };
        let late = entry.held_since + PICK_UP <= now;
        let stale = self.checks.is_in_doubt(entry) || (late && self.due_chore(entry, now).is_some());
        // One whose successor is open is fit to the end of its lifetime: taking it back would cost the waiter its turn.
        let expired = self.holders.lifetime(record).retire_at <= now;
        if !expired && !stale {
            return;
        }
        for (entry, ticket) in self.holders.revoke(|entry| entry.record == record) {
            self.waiting.revoke_answer(ticket);
            match self.retire_reason(&entry, now) {
                Some(reason) => self.retire(entry, reason, fx),
                None => self.shelve(entry, now, fx),
            }
        }
        self.serve_after_rejoin(now, fx);
    }

    /// Takes back what waiters were served, and have not picked up, that is no longer eligible.
    pub(super) fn revoke_ineligible(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        let Self { holders, eviction, .. } = self;
        let taken = holders.revoke(|entry| eviction.no_longer_eligible(entry.origin).is_some());
        if taken.is_empty() {
            return;
        }
        for (entry, ticket) in taken {
            let reason = self.retire_reason(&entry, now).unwrap_or(RetireReason::RuntimeGone);
            self.retire(entry, reason, fx);
            self.waiting.revoke_answer(ticket);
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

    /// An acquire goes back to its turn, because the connection that it was handed is dead.
    pub(crate) fn rejoin(
        &mut self,
        dead: Box<Entry<C>>,
        (since, own_limit): (Tick, Option<Span>),
        now: Tick,
        site: Site,
        fx: &mut Effects<C, E, W>,
    ) -> Result<Wait, Refusal<E>>
    where
        E: From<ClosedAtOnce>,
    {
        let turn = dead.turn;
        self.found_dead(dead, now, fx);
        if self.is_closed() {
            self.stats.failed_acquisitions += 1;
            return Err(Refusal::Closed);
        }
        let ticket = self.waiting.join_in_turn(turn, (since, own_limit), site.at);
        self.serve_after_rejoin(now, fx);
        Ok(Wait { ticket, since, own_limit })
    }

    /// An acquire was dropped while it waited. What it was served goes to the next.
    pub(crate) fn cancel(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        self.stats.cancelled_waits.record_micros(now.span_since(wait.since).as_micros());
        self.give_up(wait, now, fx);
    }

    /// A wait ends because nobody can serve it.
    pub(crate) fn fail(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        self.stats.failed_acquisitions += 1;
        self.give_up(wait, now, fx);
    }

    fn give_up(&mut self, wait: Wait, now: Tick, fx: &mut Effects<C, E, W>) {
        let (waker, outcome) = self.waiting.leave(wait);
        fx.spent_waker = waker;
        // What was to be this waiter's may be one too many.
        fx.plan |= self.config.max_idle.is_some();
        match outcome {
            Some(Outcome::Granted(record)) => {
                if let Some(entry) = self.holders.pick_up(record, None) {
                    self.put_back(entry, now, fx);
                }
            }
            Some(Outcome::Refused(Refusal::Connect { error, .. })) => fx.spent_errors.push(error),
            Some(Outcome::TimedOut(diagnosis)) => fx.spent_errors.extend(diagnosis.last_connect_error),
            Some(Outcome::Refused(_)) | None => {}
        }
    }
}
