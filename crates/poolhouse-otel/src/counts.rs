//! What the conventions have no name for: acquires and connects that fail, leaks, and why connections are closed.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use poolhouse::{AcquireErrorKind, Event, FailureKind};

use crate::pool_name;

const ERROR: &str = "error.type";
const REASON: &str = "poolhouse.close.reason";

pub(crate) struct Counts {
    failed_acquires: Counter<u64>,
    failed_connects: Counter<u64>,
    closed: Counter<u64>,
    leaked: Counter<u64>,
}

impl Counts {
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(what).build()
        };
        Self {
            failed_acquires: counter(
                "poolhouse.acquire.failures",
                "{acquire}",
                "How many acquires gave no connection, by the kind of error.",
            ),
            failed_connects: counter(
                "poolhouse.connect.failures",
                "{connect}",
                "How many attempts to open a connection failed, by what retrying can do about it.",
            ),
            closed: counter(
                "poolhouse.connection.closed",
                "{connection}",
                "How many connections the pool has closed, by reason.",
            ),
            leaked: counter(
                "poolhouse.connection.leaked",
                "{connection}",
                "How many holds lasted longer than leak_threshold.",
            ),
        }
    }

    /// Exports zeros for a new pool. A counter that appears with its first event has no earlier point to grow from:
    /// `increase` in Prometheus would be 0 for a pool's first leak, and no alert would fire.
    pub(crate) fn start(&self, pool: &KeyValue) {
        for kind in [AcquireErrorKind::Timeout, AcquireErrorKind::Connect] {
            self.failed_acquires.add(0, &[pool.clone(), KeyValue::new(ERROR, kind.as_str())]);
        }
        for kind in [FailureKind::Transient, FailureKind::Busy, FailureKind::Permanent] {
            self.failed_connects.add(0, &[pool.clone(), KeyValue::new(ERROR, kind.as_str())]);
        }
        self.leaked.add(0, std::slice::from_ref(pool));
    }

    pub(crate) fn on_event(&self, event: &Event<'_>) {
        let pool = || pool_name(event.pool());
        match event {
            Event::AcquireFailed { error, .. } => {
                self.failed_acquires.add(1, &[pool(), KeyValue::new(ERROR, error.kind().as_str())]);
            }
            Event::ConnectFailed { kind, .. } => {
                self.failed_connects.add(1, &[pool(), KeyValue::new(ERROR, kind.as_str())]);
            }
            Event::Retired { reason, .. } => {
                self.closed.add(1, &[pool(), KeyValue::new(REASON, reason.as_str())]);
            }
            Event::Leaked { .. } => self.leaked.add(1, &[pool()]),
            _ => {}
        }
    }
}
