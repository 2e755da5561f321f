//! The statistics of a pool as Prometheus reads them.

use axum::extract::State;
use axum::http::{HeaderName, header};
use poolhouse::{Histogram, PacketPool, PoolStats};

/// The upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

pub(crate) async fn metrics(
    State(pool): State<PacketPool>,
) -> ([(HeaderName, &'static str); 1], String) {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        render("echo", &pool.stats()),
    )
}

/// One pool's numbers. All come from one snapshot, so they fit each other.
fn render(pool: &str, stats: &PoolStats) -> String {
    let mut text = String::new();
    let gauges = [
        ("pool_active_connections", stats.active_connections),
        ("pool_idle_connections", stats.idle_connections),
        ("pool_connecting", stats.connecting),
        ("pool_max_connections", stats.max_connections),
        ("pool_pending_requests", stats.pending_requests),
    ];
    for (name, value) in gauges {
        text +=
            &format!("# TYPE {name} gauge\n{name}{{pool=\"{pool}\"}} {value}\n");
    }
    let counters = [
        ("pool_acquisitions_total", stats.total_acquisitions),
        ("pool_failed_acquisitions_total", stats.failed_acquisitions),
        ("pool_timed_out_acquisitions_total", stats.timed_out_acquisitions),
        ("pool_connections_created_total", stats.connections_created),
        ("pool_connections_destroyed_total", stats.connections_destroyed),
        ("pool_failed_connects_total", stats.failed_connects),
        ("pool_failed_checks_total", stats.failed_checks),
        ("pool_reported_leaks_total", stats.reported_leaks),
    ];
    for (name, value) in counters {
        text +=
            &format!("# TYPE {name} counter\n{name}{{pool=\"{pool}\"}} {value}\n");
    }
    text += &histogram("pool_wait_seconds", pool, &stats.wait_times);
    text += &histogram("pool_hold_seconds", pool, &stats.hold_times);
    text += &histogram("pool_connect_seconds", pool, &stats.connect_times);
    text
}

/// Each bucket counts all below it too, and the sum is what the mean is made from.
fn histogram(name: &str, pool: &str, times: &Histogram) -> String {
    let mut text = format!("# TYPE {name} histogram\n");
    for bound in BOUNDS {
        let within =
            times.buckets().filter(|(up_to, _)| up_to.as_secs_f64() <= bound);
        let count: u64 = within.map(|(_, count)| count).sum();
        text +=
            &format!("{name}_bucket{{pool=\"{pool}\",le=\"{bound}\"}} {count}\n");
    }
    let count = times.count();
    text += &format!("{name}_bucket{{pool=\"{pool}\",le=\"+Inf\"}} {count}\n");
    let sum = times.sum().as_secs_f64();
    text += &format!(
        "{name}_sum{{pool=\"{pool}\"}} {sum}\n\
         {name}_count{{pool=\"{pool}\"}} {count}\n"
    );
    text
}
