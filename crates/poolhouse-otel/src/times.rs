//! What is measured as it happens: how long connects, acquires and holds take, and what timed out.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use poolhouse::{AcquireError, Event};

use crate::pool_name;

/// Upper bounds in seconds. Those of the exporters are made for milliseconds, and would put every time into the first.
/// A hand-out takes microseconds, and the longest deadline that people set is half a minute.
const BOUNDS: [f64; 13] =
    [0.000_01, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

pub(crate) struct Times {
    create: Histogram<f64>,
    wait: Histogram<f64>,
    hold: Histogram<f64>,
    timeouts: Counter<u64>,
}

impl Times {
    pub(crate) fn new(meter: &Meter) -> Self {
        let histogram = |name: &'static str, what: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(what);
            histogram.with_boundaries(BOUNDS.to_vec()).build()
        };
        Self {
            create: histogram("db.client.connection.create_time", "How long it took to open a connection."),
            wait: histogram(
                "db.client.connection.wait_time",
                "How long it took to get a connection from the pool, or to time out.",
            ),
            hold: histogram("db.client.connection.use_time", "How long a connection was held."),
            timeouts: meter
                .u64_counter("db.client.connection.timeouts")
                .with_unit("{timeout}")
                .with_description("How many acquires have timed out.")
                .build(),
        }
    }

    /// Exports a zero for a new pool, as `Counts::start` does.
    pub(crate) fn start(&self, pool: &KeyValue) {
        self.timeouts.add(0, std::slice::from_ref(pool));
    }

    pub(crate) fn on_event(&self, event: &Event<'_>) {
        let pool = || pool_name(event.pool());
        match event {
            Event::Created { took, .. } => self.create.record(seconds(took), &[pool()]),
            Event::Acquired { waited, .. } => self.wait.record(seconds(waited), &[pool()]),
            Event::Released { held_for, .. } => self.hold.record(seconds(held_for), &[pool()]),
            Event::AcquireFailed { error: AcquireError::Timeout(timeout), .. } => {
                self.timeouts.add(1, &[pool()]);
                self.wait.record(seconds(&timeout.waited), &[pool(), KeyValue::new("error.type", "timeout")]);
            }
            _ => {}
        }
    }
}

fn seconds(time: &Duration) -> f64 {
    time.as_secs_f64()
}
