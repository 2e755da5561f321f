//! For how long an attempt to connect is relied upon, and what becomes of one that is given up.
//!
//! Where idle connections have to pass a check first, those who wait rely on a check, or on an attempt, for about as long as
//! a connect takes. Then the next one begins beside it (hedging).
//!
//! A background task ends its attempts in time. One that is overdue all the same belongs to a runtime that nobody drives:
//! it keeps its share of the maximum, for its connection may be half open, but nobody waits for it any more.

use std::time::Duration;

use super::{Attempt, AttemptState, Connects};
use crate::policy::Tick;
use crate::policy::eviction::Home;

/// How late a background task may be.
pub(in crate::policy) const GRACE: Duration = Duration::from_secs(1);

/// How long a connect takes: an exponentially weighted moving average, so that one slow connect says little.
#[derive(Default)]
pub(super) struct ConnectTimeEwma(Option<Duration>);

impl ConnectTimeEwma {
    pub(super) fn record(&mut self, took: Duration) {
        self.0 = Some(self.0.map_or(took, |mean| mean - mean / 8 + took / 8));
    }
}

impl<E> Connects<E> {
    /// Attempts that began so short a time ago that waiters can rely on them.
    pub(in crate::policy) fn young(&self, now: Tick) -> usize {
        let patience = self.patience();
        let wanted = self.attempts.iter().filter(|(_, attempt)| attempt.state == AttemptState::Wanted);
        wanted.filter(|(_, attempt)| now.since(attempt.started) < patience).count()
    }

    /// When each has been under way for so long that nobody relies on it any more.
    pub(in crate::policy) fn out_of_patience(&self) -> impl Iterator<Item = Tick> {
        let patience = self.patience();
        self.attempts.iter().map(move |(_, attempt)| attempt.started + patience)
    }

    /// How long a health check may take before a connect begins beside it: by then a new connection would have been
    /// there.
    pub(in crate::policy) fn patience(&self) -> Duration {
        self.connect_time.0.unwrap_or_default().max(Duration::from_millis(1))
    }

    /// Gives up the youngest attempts, `count` of them at most. Each keeps its share of the maximum until its background
    /// task has dropped it. Returns whether there were any.
    pub(in crate::policy) fn abandon(&mut self, count: usize) -> bool {
        let wanted = self.attempts.iter().filter(|(_, attempt)| attempt.state == AttemptState::Wanted);
        let mut keys: Vec<_> = wanted.map(|(key, attempt)| (attempt.started, key)).collect();
        keys.sort_unstable();
        for (_, key) in keys.iter().rev().take(count) {
            self.abandon_one(*key);
        }
        count > 0 && !keys.is_empty()
    }

    fn abandon_one(&mut self, key: usize) {
        let attempt = &mut self.attempts[key];
        attempt.state = AttemptState::Abandoned;
        self.abandoned += 1;
        self.replacing -= usize::from(attempt.replaces.is_some());
    }

    /// The attempts that a background task has to drop. It is told once.
    pub(in crate::policy) fn take_abandoned(&mut self, home: Home) -> Vec<usize> {
        let of_home = self.attempts.iter_mut().filter(|(_, attempt)| attempt.origin.home == home);
        let abandoned = of_home.filter(|(_, attempt)| attempt.state == AttemptState::Abandoned);
        abandoned
            .map(|(key, attempt)| {
                attempt.state = AttemptState::Dropping;
                key
            })
            .collect()
    }

    /// Gives up the overdue attempts of all background tasks but the one in `home`, which is about to end its own. Each
    /// keeps its share of the maximum, but neither is it relied upon nor does it count for `max_connecting`.
    ///
    /// If this task comes late itself, the machine may have slept, or the process been stopped: then the other task gets as long
    /// as it had again.
    pub(in crate::policy) fn give_up_overdue(&mut self, home: Home, now: Tick) {
        let overdue = self.attempts_elsewhere(home).filter(|(_, attempt)| attempt.overdue_at <= now);
        for key in overdue.map(|(key, _)| key).collect::<Vec<_>>() {
            if now.since(self.attempts[key].overdue_at) > GRACE {
                self.attempts[key].overdue_at = now + GRACE;
                continue;
            }
            self.attempts[key].stalled = true;
            self.stalled += 1;
            if self.attempts[key].state == AttemptState::Wanted {
                self.abandon_one(key);
            }
        }
    }

    /// When the background task in `home` has to look for overdue attempts of others.
    pub(in crate::policy) fn next_stall(&self, home: Home) -> Tick {
        self.attempts_elsewhere(home).map(|(_, attempt)| attempt.overdue_at).min().unwrap_or(Tick::NEVER)
    }

    /// The attempts of other background tasks that have not stalled.
    fn attempts_elsewhere(&self, home: Home) -> impl Iterator<Item = (usize, &Attempt)> {
        self.attempts.iter().filter(move |(_, attempt)| attempt.origin.home != home && !attempt.stalled)
    }

    /// Attempts that have stalled, wanted or not.
    pub(in crate::policy) fn stalled(&self) -> usize {
        self.stalled
    }
}
