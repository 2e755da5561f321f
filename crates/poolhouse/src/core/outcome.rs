//! What the core makes of connects and checks that end.

use std::sync::Arc;
use std::time::Duration;

use super::tally::Tally;
use super::types::AttemptState;
use super::{Attempt, Checked, Core, Effects, Entry, Failure, Record, Refusal, Tick};
use crate::events::RetireReason;
use crate::manager::FailureKind;

impl<C, E, W> Core<C, E, W> {
    /// A connect has succeeded, and `connected` follows. Gives the connection its number, so that it can be told of before
    /// anybody has it, and says how long the connect took.
    pub(crate) fn announce(&mut self, attempt: usize, now: Tick) -> (u64, Duration) {
        self.last_connection += 1;
        let attempt = &mut self.attempts[attempt];
        attempt.connection = Some(self.last_connection);
        (self.last_connection, now.since(attempt.started))
    }

    /// A connect has succeeded, or so it seems: a waiter looks at the connection before it ends the pause after failures.
    /// Returns the connection's number, and how long the connect took.
    pub(crate) fn connected(
        &mut self,
        attempt: usize,
        connection: C,
        now: Tick,
        fx: &mut Effects<C, W>,
    ) -> (u64, Duration) {
        let attempt = self.attempt_ended(attempt, fx);
        let took = now.since(attempt.started);
        self.counts.created += 1;
        self.times.connect(took);
        self.pace.record(took);
        let early = self.config.lifetime_jitter * self.rng.f64();
        let lifetime = self.config.max_lifetime - self.config.max_lifetime.mul_f64(early.min(0.999));
        let lead = self.config.connect_timeout.min(lifetime / 10);
        let id = attempt.connection.unwrap_or_else(|| {
            self.last_connection += 1;
            self.last_connection
        });
        let replace_at = now + (lifetime - lead);
        let record = self.records.insert(Record {
            connection: id,
            replace_at,
            hold: None,
            replaced: false,
            reported: false,
            served: None,
            tally: Tally::default(),
        });
        let mut entry = Box::new(Entry {
            connection,
            id,
            began_at: attempt.started,
            opened_at: now,
            home: attempt.home,
            epoch: attempt.epoch,
            regime: Self::NO_REGIME,
            replace_at,
            retire_at: now + lifetime,
            ages_at: replace_at,
            idle_since: now,
            held_since: now,
            checked_at: now,
            wanted_since: None,
            fresh: true,
            record: u32::try_from(record).expect("fewer than 2^31 connections are open"),
            turn: self.waiters.next_turn(),
        });
        self.callers.make_room(self.records.capacity());
        self.wake_by(replace_at, fx);
        // With one more there may be one too many, so that the idle time of the others counts.
        if self.open() > self.config.min_connections
            && let Some(longest) = self.idle.first()
        {
            self.wake_by(longest.idle_since + self.limits.idle, fx);
        }
        if let Some(idle_since) = attempt.replaces.and_then(|old| self.replace(old, fx)) {
            entry.idle_since = idle_since;
        }
        self.place(entry, now, fx);
        // Room that backoff or `max_connecting` kept closed may be open now.
        self.ask_for_more(now, fx);
        (id, took)
    }

    /// The successor of `old` is here. An idle one goes, and hands on how long it has idled, so that replacing a
    /// connection does not keep it from idling out. A held one goes when it comes back.
    fn replace(&mut self, old: u64, fx: &mut Effects<C, W>) -> Option<Tick> {
        if let Some(index) = self.idle.iter().position(|entry| entry.id == old) {
            let entry = self.idle.remove(index);
            let idle_since = entry.idle_since;
            self.retire(entry, RetireReason::Lifetime, fx);
            return Some(idle_since);
        }
        let mut records = self.records.iter_mut().map(|(_, record)| record);
        if let Some(record) = records.find(|record| record.connection == old && record.hold.is_some()) {
            record.replaced = true;
            // Whoever takes it back has to look.
            self.regime += 1;
        }
        None
    }

    /// A connect has failed. A permanent failure is the answer to everybody who waits. What was begun before
    /// `invalidate_all` says nothing about now. Returns how long the connect took.
    pub(crate) fn connect_failed(
        &mut self,
        attempt: usize,
        failure: Failure<E>,
        now: Tick,
        fx: &mut Effects<C, W>,
    ) -> Duration {
        let attempt = self.attempt_ended(attempt, fx);
        if attempt.epoch == self.epoch {
            let last = self.failed_to_connect(failure.error, attempt.started, now);
            if failure.kind == FailureKind::Permanent {
                let refusal = || Refusal::Connect { error: Arc::clone(&last.error), attempts: last.in_a_row };
                self.refuse_all(refusal, fx);
            }
        } else {
            self.counts.failed_connects += 1;
        }
        self.ask_for_more(now, fx);
        now.since(attempt.started)
    }

    /// A connect went away without an outcome: abandoned, or the pool closed, or the runtime ended.
    pub(crate) fn connect_lost(&mut self, attempt: usize, now: Tick, fx: &mut Effects<C, W>) {
        self.attempt_ended(attempt, fx);
        self.ask_for_more(now, fx);
    }

    fn attempt_ended(&mut self, attempt: usize, fx: &mut Effects<C, W>) -> Attempt {
        let attempt = self.attempts.remove(attempt);
        if attempt.state != AttemptState::Wanted {
            self.abandoned -= 1;
        } else if attempt.replaces.is_some() {
            self.replacing -= 1;
        }
        fx.progress = true;
        attempt
    }

    /// Gives up the youngest attempts, `count` of them at most. Each keeps its share of the maximum
    /// until its background task has dropped it.
    pub(super) fn abandon(&mut self, count: usize, fx: &mut Effects<C, W>) {
        let mut keys: Vec<_> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.state == AttemptState::Wanted)
            .map(|(key, attempt)| (attempt.started, key))
            .collect();
        keys.sort_unstable();
        for (_, key) in keys.into_iter().rev().take(count) {
            let attempt = &mut self.attempts[key];
            attempt.state = AttemptState::Abandoned;
            self.abandoned += 1;
            self.replacing -= usize::from(attempt.replaces.is_some());
            fx.drive = true;
        }
    }

    /// A health check has ended. Passing it does not count as use: the connection goes on growing idle.
    pub(crate) fn checked(
        &mut self,
        mut entry: Box<Entry<C>>,
        outcome: Checked,
        now: Tick,
        fx: &mut Effects<C, W>,
    ) {
        self.checking -= 1;
        if let Some(began) = entry.wanted_since.take()
            && let Some(index) = self.wanted_checks.iter().position(|other| *other == began)
        {
            self.wanted_checks.swap_remove(index);
        }
        fx.drive = true;
        match outcome {
            Checked::Passed => {
                entry.checked_at = now;
                self.place(entry, now, fx);
            }
            Checked::Failed => {
                self.counts.failed_checks += 1;
                self.retire(entry, RetireReason::CheckFailed, fx);
            }
            Checked::Cut => {
                let reason = match () {
                    () if self.closed => RetireReason::PoolClosed,
                    () if self.suspended => RetireReason::Suspended,
                    () if entry.epoch != self.epoch => RetireReason::InvalidatedAll,
                    () => RetireReason::RuntimeGone,
                };
                self.retire(entry, reason, fx);
            }
        }
    }
}
