//! How long waits and holds took, on the way into their histograms.
//!
//! A histogram is spread over memory, and where several threads use a pool, each line of the cache that a call touches
//! has to change hands. So durations are noted first with the connection that they are of, which its holder has at hand,
//! and carried over together when there is no more room. A note is the number of the histogram's bucket. Brief ones are not noted
//! at all: they are those that are counted and not noted.

use std::time::Duration;

use crate::histogram::{Histogram, bucket_of};

/// What is shorter than this goes into the first bucket of a histogram.
const BRIEF_NANOS: u64 = 1000;
const NOTES: usize = 23;

/// Of one connection. As large as a line of the cache.
#[derive(Debug, Default)]
pub(super) struct Tally {
    waits: u64,
    holds: u64,
    wait_notes: Notes,
    hold_notes: Notes,
}

/// The numbers of buckets.
#[derive(Debug, Default)]
struct Notes {
    len: u8,
    buckets: [u8; NOTES],
}

/// How long things took, for the statistics.
#[derive(Clone, Default)]
pub(super) struct Times {
    pub(super) wait: Histogram,
    pub(super) hold: Histogram,
    pub(super) connect: Histogram,
    /// How many waits and holds there were of connections that are gone.
    waits: u64,
    holds: u64,
}

impl Tally {
    /// A wait of no time.
    #[inline]
    pub(super) fn no_wait(&mut self) {
        self.waits += 1;
    }

    #[inline(always)]
    pub(super) fn wait(&mut self, nanos: u64, times: &mut Times) {
        self.waits += 1;
        if nanos >= BRIEF_NANOS {
            self.wait_notes.note(nanos, &mut times.wait);
        }
    }

    #[inline(always)]
    pub(super) fn hold(&mut self, nanos: u64, times: &mut Times) {
        self.holds += 1;
        if nanos >= BRIEF_NANOS {
            self.hold_notes.note(nanos, &mut times.hold);
        }
    }

    /// Adds what it has counted: for the statistics, and for good when the connection is gone.
    pub(super) fn add_to(&self, times: &mut Times) {
        self.wait_notes.add_to(&mut times.wait);
        self.hold_notes.add_to(&mut times.hold);
        times.waits += self.waits;
        times.holds += self.holds;
    }
}

impl Notes {
    #[inline(never)]
    fn note(&mut self, nanos: u64, times: &mut Histogram) {
        // What ended before it began, because the clock was set back, took no time.
        let nanos = if nanos > u64::MAX / 2 { 0 } else { nanos };
        self.buckets[usize::from(self.len) % NOTES] = bucket_of(nanos / 1000);
        self.len += 1;
        if usize::from(self.len) == NOTES {
            self.add_to(times);
            self.len = 0;
        }
    }

    fn add_to(&self, times: &mut Histogram) {
        for bucket in &self.buckets[..usize::from(self.len)] {
            times.record_bucket(*bucket);
        }
    }
}

impl Times {
    pub(super) fn connect(&mut self, took: Duration) {
        self.connect.record(took);
    }

    /// How many waits have been counted.
    pub(super) fn waits<'a>(&self, tallies: impl Iterator<Item = &'a Tally>) -> u64 {
        self.waits + tallies.map(|tally| tally.waits).sum::<u64>()
    }

    /// The histograms with everything in them.
    pub(super) fn complete<'a>(&self, tallies: impl Iterator<Item = &'a Tally>) -> Self {
        let mut times = self.clone();
        tallies.for_each(|tally| tally.add_to(&mut times));
        times.wait.record_brief(times.waits - times.wait.count());
        times.hold.record_brief(times.holds - times.hold.count());
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes through the tallies is counted as it would be without.
    #[test]
    fn nothing_is_lost_on_the_way() {
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut tallies, mut times) = ([Tally::default(), Tally::default()], Times::default());
        let (mut wait, mut hold, mut waits) = (Histogram::default(), Histogram::default(), 0);
        for _ in 0..2000 {
            let tally = &mut tallies[usize::from(rng.bool())];
            let most = 1 << rng.u32(1..60);
            let nanos = rng.u64(0..most);
            if rng.u8(0..20) == 0 {
                std::mem::take(tally).add_to(&mut times);
            } else if rng.bool() {
                tally.wait(nanos, &mut times);
                wait.record(Duration::from_nanos(nanos));
                waits += 1;
            } else {
                tally.hold(nanos, &mut times);
                hold.record(Duration::from_nanos(nanos));
            }
            let complete = times.complete(tallies.iter());
            assert!(complete.wait == wait && complete.hold == hold, "after {nanos} ns");
            assert_eq!(times.waits(tallies.iter()), waits);
        }
    }

    #[test]
    fn what_ended_before_it_began_took_no_time() {
        let (mut tally, mut times) = (Tally::default(), Times::default());
        tally.hold(0_u64.wrapping_sub(5_000_000), &mut times);
        let complete = times.complete([tally].iter());
        assert_eq!(complete.hold.quantile(1.0), Some(Duration::ZERO));
    }

    #[test]
    fn it_is_as_large_as_a_line_of_the_cache() {
        assert_eq!(size_of::<Tally>(), 64);
    }
}
