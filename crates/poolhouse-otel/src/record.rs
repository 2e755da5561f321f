//! What a pool's events mean for the counters and the times.

use std::time::Duration;

use poolhouse::{AcquireError, AcquireErrorKind, CloseCounts, Event, FailureKind};

use crate::instruments::{Attribute, Count, ERROR, REASON, Time, UNNAMED};

/// Where measurements go.
pub(crate) trait Sink {
    fn add(&self, count: Count, value: u64, pool: &str, attribute: Option<Attribute>);
    fn record(&self, time: Time, took: Duration, pool: &str, attribute: Option<Attribute>);
}

/// Every kind of failed acquire.
const FAILED_ACQUIRES: [AcquireErrorKind; 5] = [
    AcquireErrorKind::Timeout,
    AcquireErrorKind::Connect,
    AcquireErrorKind::Closed,
    AcquireErrorKind::Overloaded,
    AcquireErrorKind::RuntimeEnded,
];

/// Exports zeros for a new pool. A counter that appears with its first event has no earlier point to grow from: `increase`
/// in Prometheus would be 0 for a pool's first leak, and no alert would fire.
pub(crate) fn start(sink: &impl Sink, pool: Option<&str>) {
    let pool = pool.unwrap_or(UNNAMED);
    sink.add(Count::Timeouts, 0, pool, None);
    for kind in FAILED_ACQUIRES {
        sink.add(Count::FailedAcquires, 0, pool, Some((ERROR, kind.as_str())));
    }
    for kind in [FailureKind::Transient, FailureKind::Busy, FailureKind::Permanent] {
        sink.add(Count::FailedConnects, 0, pool, Some((ERROR, kind.as_str())));
    }
    for (reason, _) in CloseCounts::default().iter() {
        sink.add(Count::Closed, 0, pool, Some((REASON, reason.as_str())));
    }
    sink.add(Count::Leaked, 0, pool, None);
}

pub(crate) fn on_event(sink: &impl Sink, event: &Event<'_>) {
    let pool = event.pool().unwrap_or(UNNAMED);
    match event {
        Event::Created { took, .. } => sink.record(Time::Create, *took, pool, None),
        Event::Acquired { waited, .. } => sink.record(Time::Wait, *waited, pool, None),
        Event::Released { held_for, .. } => sink.record(Time::Use, *held_for, pool, None),
        Event::AcquireFailed { error, .. } => {
            let kind = Some((ERROR, error.kind().as_str()));
            sink.add(Count::FailedAcquires, 1, pool, kind);
            if let AcquireError::Timeout(timeout) = error {
                sink.add(Count::Timeouts, 1, pool, None);
                sink.record(Time::Wait, timeout.waited, pool, kind);
            }
        }
        Event::ConnectFailed { kind, .. } => {
            sink.add(Count::FailedConnects, 1, pool, Some((ERROR, kind.as_str())));
        }
        Event::Retired { reason, .. } => sink.add(Count::Closed, 1, pool, Some((REASON, reason.as_str()))),
        Event::Leaked { .. } => sink.add(Count::Leaked, 1, pool, None),
        _ => {}
    }
}
