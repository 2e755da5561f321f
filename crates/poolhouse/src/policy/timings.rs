//! How long waits, holds and connects took, for the statistics.

use super::Span;
use crate::histogram::Histogram;

#[derive(Clone, Default)]
pub(super) struct Timings {
    waits: Histogram,
    holds: Histogram,
    connects: Histogram,
    /// Of acquires that ran out of time, and of those that were dropped.
    timed_out: Histogram,
    cancelled: Histogram,
}

impl Timings {
    /// An acquisition, after so long a wait.
    pub(super) fn on_acquired(&mut self, waited: Span) {
        self.waits.record_micros(waited.as_micros());
    }

    pub(super) fn on_returned(&mut self, held_for: Span) {
        self.holds.record_micros(held_for.as_micros());
    }

    pub(super) fn on_connected(&mut self, took: Span) {
        self.connects.record_micros(took.as_micros());
    }

    pub(super) fn on_timed_out(&mut self, waited: Span) {
        self.timed_out.record_micros(waited.as_micros());
    }

    pub(super) fn on_cancelled(&mut self, waited: Span) {
        self.cancelled.record_micros(waited.as_micros());
    }

    pub(super) fn timed_out(&self) -> Histogram {
        self.timed_out.clone()
    }

    pub(super) fn cancelled(&self) -> Histogram {
        self.cancelled.clone()
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
