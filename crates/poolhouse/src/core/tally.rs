//! How long waits and holds took, on the way into their histograms.
//!
//! A histogram is spread over memory, and where several threads use a pool, each line of the cache that a call touches
//! has to change hands. So most durations are noted here first, a handful in one line, and carried over together.
//! Brief ones are not noted at all: they are those that are counted and not noted.

use std::time::Duration;

use crate::histogram::Histogram;

/// What is shorter than this goes into the first bucket of a histogram.
const BRIEF_NANOS: u64 = 1000;
const NOTES: usize = 11;
/// In a note: a hold, not a wait.
const HOLD: u32 = 1 << 31;

#[derive(Debug, Default)]
pub(super) struct Tally {
    waits: u64,
    holds: u64,
    noted: u32,
    notes: [u32; NOTES],
}

/// How long things took, for the statistics.
#[derive(Clone, Default)]
pub(super) struct Times {
    pub(super) wait: Histogram,
    pub(super) hold: Histogram,
    pub(super) connect: Histogram,
}

impl Tally {
    /// How many waits have been counted.
    #[inline]
    pub(super) fn waits(&self) -> u64 {
        self.waits
    }

    /// A wait of no time.
    #[inline]
    pub(super) fn no_wait(&mut self) {
        self.waits += 1;
    }

    #[inline]
    pub(super) fn wait(&mut self, nanos: u64, times: &mut Times) {
        self.waits += 1;
        if nanos >= BRIEF_NANOS {
            self.note(nanos, 0, times);
        }
    }

    #[inline]
    pub(super) fn hold(&mut self, nanos: u64, times: &mut Times) {
        self.holds += 1;
        if nanos >= BRIEF_NANOS {
            self.note(nanos, HOLD, times);
        }
    }

    #[inline]
    fn note(&mut self, nanos: u64, kind: u32, times: &mut Times) {
        // What ended before it began, because the clock was set back, took no time.
        let nanos = if nanos > u64::MAX / 2 { 0 } else { nanos };
        match u32::try_from(nanos / 1000) {
            Ok(micros) if micros < HOLD => {
                self.notes[self.noted as usize] = micros | kind;
                self.noted += 1;
                if self.noted as usize == NOTES {
                    self.carry_over(times);
                }
            }
            _ => times.of(kind).record_micros(nanos / 1000),
        }
    }

    #[inline(never)]
    fn carry_over(&mut self, times: &mut Times) {
        for note in &self.notes[..self.noted as usize] {
            times.of(note & HOLD).record_micros(u64::from(note & !HOLD));
        }
        self.noted = 0;
    }

    /// The histograms with everything in them.
    pub(super) fn complete(&self, times: &Times) -> Times {
        let mut times = times.clone();
        let mut rest = Self { notes: self.notes, ..*self };
        rest.carry_over(&mut times);
        for (counted, histogram) in [(self.waits, &mut times.wait), (self.holds, &mut times.hold)] {
            histogram.record_brief(counted - histogram.count());
        }
        times
    }
}

impl Times {
    pub(super) fn connect(&mut self, took: Duration) {
        self.connect.record(took);
    }

    fn of(&mut self, kind: u32) -> &mut Histogram {
        if kind == HOLD { &mut self.hold } else { &mut self.wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes through the tally is counted as it would be without.
    #[test]
    fn nothing_is_lost_on_the_way() {
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut tally, mut times) = (Tally::default(), Times::default());
        let (mut wait, mut hold) = (Histogram::default(), Histogram::default());
        for _ in 0..1000 {
            let most = 1 << rng.u32(1..60);
            let nanos = rng.u64(0..most);
            if rng.bool() {
                tally.wait(nanos, &mut times);
                wait.record(Duration::from_nanos(nanos));
            } else {
                tally.hold(nanos, &mut times);
                hold.record(Duration::from_nanos(nanos));
            }
            let complete = tally.complete(&times);
            assert!(complete.wait == wait && complete.hold == hold, "after {nanos} ns");
        }
        assert_eq!(tally.waits(), wait.count());
    }

    #[test]
    fn what_ended_before_it_began_took_no_time() {
        let (mut tally, mut times) = (Tally::default(), Times::default());
        tally.hold(0_u64.wrapping_sub(5_000_000), &mut times);
        assert_eq!(tally.complete(&times).hold.quantile(1.0), Some(Duration::ZERO));
    }

    #[test]
    fn it_fits_one_line_of_the_cache() {
        assert_eq!(size_of::<Tally>(), 64);
    }
}
