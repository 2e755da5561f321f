//! What the core makes of connects and checks that end.

use std::sync::Arc;
use std::time::Instant;

use super::{Core, Effects, Entry, Home, LastFailure, Refusal, Reply, RetireReason};
use crate::error::ConnectError;
use crate::manager::FailureKind;

impl<C, E, W> Core<C, E, W> {
    /// A connect has succeeded.
    pub(crate) fn connected(
        &mut self,
        connection: C,
        home: Home,
        now: Instant,
        fx: &mut Effects<C, W>,
    ) -> u64 {
        self.connecting -= 1;
        self.counts.created += 1;
        self.backoff.succeeded();
        self.last_failure = None;
        fx.progress = true;
        let early = self.config.lifetime_jitter * self.rng.f64();
        let lifetime = self.config.max_lifetime - self.config.max_lifetime.mul_f64(early.min(0.999));
        let id = self.counts.created;
        let entry = Box::new(Entry {
            connection,
            id,
            home,
            retire_at: now.checked_add(lifetime),
            idle_since: now,
            proven_at: now,
            hold: usize::MAX,
        });
        self.place(entry, now, fx);
        // Room that backoff or `max_connecting` kept closed may be open now.
        self.ask_for_connects(now, fx);
        id
    }

    /// A connect has failed. A permanent failure is the answer to everybody who waits.
    pub(crate) fn connect_failed(
        &mut self,
        error: ConnectError<E>,
        kind: FailureKind,
        (started, now): (Instant, Instant),
        fx: &mut Effects<C, W>,
    ) {
        self.connecting -= 1;
        self.counts.failed_connects += 1;
        fx.progress = true;
        let pauses = (self.config.connect_backoff, self.config.max_connect_backoff);
        self.backoff.failed(started, now, pauses, &mut self.rng);
        let in_a_row = self.last_failure.as_ref().map_or(0, |last| last.in_a_row) + 1;
        let error = Arc::new(error);
        self.last_failure = Some(LastFailure { error: Arc::clone(&error), at: now, in_a_row });
        if kind == FailureKind::Permanent {
            self.refuse_all(|| Refusal::Connect { error: Arc::clone(&error), attempts: in_a_row }, fx);
        }
        self.ask_for_connects(now, fx);
    }

    /// A connect went away without an outcome: the pool closed, or the runtime ended.
    pub(crate) fn connect_lost(&mut self, now: Instant, fx: &mut Effects<C, W>) {
        self.connecting -= 1;
        fx.progress = true;
        self.ask_for_connects(now, fx);
    }

    /// A health check has ended. Passing it does not count as use: the connection goes on growing idle.
    pub(crate) fn checked(
        &mut self,
        mut entry: Box<Entry<C>>,
        passed: bool,
        now: Instant,
        fx: &mut Effects<C, W>,
    ) {
        self.checking -= 1;
        fx.progress |= self.closed;
        fx.drive = true;
        if passed {
            entry.proven_at = now;
            let idle_since = entry.idle_since;
            self.place_idle_since(entry, idle_since, now, fx);
        } else {
            self.counts.failed_checks += 1;
            self.retire(entry, RetireReason::CheckFailed, fx);
        }
    }

    pub(super) fn refuse_all(&mut self, refusal: impl Fn() -> Refusal<E>, fx: &mut Effects<C, W>) {
        while let Some(waiter) = self.waiters.serve() {
            if let Reply::None(Some(waker)) = std::mem::replace(&mut waiter.reply, Reply::Refused(refusal()))
            {
                fx.wake.push(waker);
            }
        }
    }
}
