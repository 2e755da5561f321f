//! How long waits, holds and connects took, for the statistics.

use super::Span;
use crate::histogram::Histogram;

#[derive(Clone, Default)]
pub(super) struct Timings {
    pub(super) waits: Histogram,
    pub(super) holds: Histogram,
    pub(super) connects: Histogram,
    /// Of acquires that ran out of time, and of those that were dropped.
    pub(super) timed_out: Histogram,
    pub(super) cancelled: Histogram,
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

    pub(super) fn acquisitions(&self) -> u64 {
        self.waits.count()
    }
}
