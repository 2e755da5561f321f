//! Failing fast, a circuit breaker: while nothing is open and connecting has failed for `fail_fast_after`, acquires are
//! told at once. Failures while a working connection was open do not count.
//!
//! It lasts until a connect succeeds, so the background has to go on trying whether or not anybody waits: one attempt at a
//! time, at the pace of the backoff. When the last background task has ended, nobody tries, and the outage is forgotten.

use std::sync::Arc;

use super::connects::GRACE;
use super::deadlines::Deadline;
use super::waiting::Refusal;
use super::{Effects, Policy, Span, Tick};
use crate::error::Retry;

impl<C, E, W> Policy<C, E, W> {
    /// From when acquires fail fast, if connecting goes on failing and nothing opens.
    pub(super) fn outage_from(&self) -> Option<Tick> {
        let is_on = self.limits.fail_fast_after != Span::FOREVER && self.eviction.is_in_service();
        if !is_on || self.open() > 0 {
            return None;
        }
        let down_since = self.connects.last_failure()?.down_since?;
        Some(down_since + self.limits.fail_fast_after)
    }

    /// What an acquire is told at once, if so.
    pub(super) fn outage(&self, now: Tick) -> Option<Refusal<E>> {
        self.outage_from().filter(|from| *from <= now)?;
        if self.is_unobserved(now) {
            return None;
        }
        let last = self.connects.last_failure()?;
        let next_in = self.connects.pause(now).map(|end| end.since(now)).unwrap_or_default();
        let retry = Retry { age: now.since(last.at), next_in };
        Some(Refusal::Connect { error: Arc::clone(&last.error), attempts: last.in_a_row, retry: Some(retry) })
    }

    /// Whether nobody has tried for longer than the background would take: the process was stopped, or the runtime is not
    /// driven. Then nothing is known of now, and an acquire that waits starts a background of its own.
    fn is_unobserved(&self, now: Tick) -> bool {
        let begins = self.connects.next_attempt().unwrap_or(now);
        begins + self.config.connect_attempt_timeout + GRACE < now
    }

    pub(super) fn end_waits_in_outage(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        if !self.somebody_waits() {
            return;
        }
        while let Some(refusal) = self.outage(now)
            && self.waiting.refuse_head(refusal, &mut fx.wake)
        {}
    }

    /// A connect has failed, or nothing is open any more: from some time on acquires may have to fail fast.
    pub(super) fn wake_for_outage(&mut self, fx: &mut Effects<C, E, W>) {
        if let Some(from) = self.outage_from() {
            self.wake_by(Deadline::FailFast, from, fx);
        }
    }

    /// How many attempts to begin to learn whether an outage is over.
    pub(super) fn probes_wanted(&self) -> usize {
        usize::from(self.outage_from().is_some()).saturating_sub(self.connects.coming())
    }
}
