//! When the next connect may begin after failures: a pause that doubles, shortened at random by up to half.
//!
//! The pause is the pool's, not a waiter's: however many wait, a dead server sees one attempt at a time until a connect
//! succeeds. Attempts that were under way together count as one failure.
//!
//! While the server is down and acquires do not fail fast yet, the pause is shorter: `pauses_for` in `connects.rs`. The
//! plan, in `schedule.rs`, begins the attempts.

use std::time::Duration;

use super::Tick;

/// Instead of a pause that never ends.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    /// When the latest pause was drawn: a failure of an older attempt is old news.
    drawn: Option<Tick>,
    until: Option<Tick>,
}

impl Backoff {
    pub(crate) fn failed(
        &mut self,
        started: Tick,
        now: Tick,
        (first, most): (Duration, Duration),
        rng: &mut fastrand::Rng,
    ) {
        if self.drawn.is_some_and(|drawn| started <= drawn) {
            return;
        }
        let doubled = first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(most);
        let pause = doubled - doubled.mul_f64(rng.f64() / 2.0);
        self.failures = (self.failures + 1).min(31);
        self.drawn = Some(now);
        self.until = (now + pause).if_ever().or(Some(now + A_DAY));
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The limits have changed: no pause is longer than that any more, nor the one that is under way.
    pub(crate) fn shorten(&mut self, most: Duration) {
        if let (Some(drawn), Some(until)) = (self.drawn, &mut self.until) {
            *until = (*until).min(drawn + most);
        }
    }

    /// Whether the last word from the server was a failure.
    pub(crate) fn failing(&self) -> bool {
        self.failures > 0
    }

    /// The end of the latest pause.
    pub(crate) fn until(&self) -> Option<Tick> {
        self.until
    }

    /// The end of the pause, while it lasts.
    pub(crate) fn pause(&self, now: Tick) -> Option<Tick> {
        self.until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

    #[test]
    fn the_pause_doubles_up_to_its_limit_and_jitter_only_shortens_it() {
        let mut now = Tick::START;
        let mut backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(1);
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            backoff.failed(now, now, LIMITS, &mut rng);
            let pause = backoff.pause(now).unwrap().since(now);
            let most = Duration::from_millis(expected);
            assert!(pause <= most && pause >= most / 2, "{pause:?} for {most:?}");
            now = now + pause;
            assert_eq!(backoff.pause(now), None);
        }
        backoff.succeeded();
        assert!(!backoff.failing());
    }

    #[test]
    fn failures_in_the_instant_of_their_start_count_once() {
        let now = Tick::START;
        let mut backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..8 {
            backoff.failed(now, now, LIMITS, &mut rng);
        }
        assert_eq!(backoff.failures, 1);
    }

    #[test]
    fn a_pause_without_end_is_a_pause() {
        let now = Tick::START;
        let mut backoff = Backoff::default();
        backoff.failed(now, now, (Duration::MAX, Duration::MAX), &mut fastrand::Rng::with_seed(1));
        assert!(backoff.pause(now + Duration::from_secs(23 * 60 * 60)).is_some());
    }

    #[test]
    fn failures_of_attempts_that_ran_together_count_once() {
        let started = Tick::START;
        let now = started + Duration::from_millis(10);
        let mut backoff = Backoff::default();
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..8 {
            backoff.failed(started, now, LIMITS, &mut rng);
        }
        assert_eq!(backoff.failures, 1);
    }
}
