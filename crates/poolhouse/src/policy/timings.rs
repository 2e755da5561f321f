//! How long waits, holds and connects took, for the statistics.

use std::time::Duration;

use crate::histogram::Histogram;

#[derive(Clone, Default)]
pub(super) struct Timings {
    waits: Histogram,
    holds: Histogram,
    connects: Histogram,
}

impl Timings {
    /// An acquisition, after so long a wait.
    pub(super) fn on_acquired(&mut self, waited: Duration) {
        self.waits.record(waited);
    }

    pub(super) fn on_returned(&mut self, held_for: Duration) {
        self.holds.record(held_for);
    }

    pub(super) fn on_connected(&mut self, took: Duration) {
        self.connects.record(took);
    }

    pub(super) fn acquisitions(&self) -> u64 {
        self.waits.count()
    }

    pub(super) fn waits(&self) -> Histogram {
        self.waits.clone()
    }

    pub(super) fn holds(&self) -> Histogram {
        self.holds.clone()
    }

    pub(super) fn connects(&self) -> Histogram {
        self.connects.clone()
    }
}
