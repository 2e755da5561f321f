//! What each metric of the data is called, and which way is better.

use crate::Result;
use crate::data::{BENCH, Summary};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) higher_is_better: bool,
    /// Another metric divided by that of a floor: it ranks the competitors as the other one does.
    pub(crate) derived: bool,
}

const METRICS: [Metric; 25] = [
    lower("ns_per_op", "ns per operation"),
    lower("ns_per_op_64", "64 tasks, ns"),
    lower("ns_per_op_1000", "1,000 tasks, ns"),
    lower("ns_per_op_10000", "10,000 tasks, ns"),
    lower("ns_per_op_100000", "100,000 tasks, ns"),
    lower("growth", "growth"),
    derived("times_mutex_vec", "times the floor"),
    Metric { higher_is_better: true, ..lower("speedup", "speedup") },
    derived("times_yields", "times the yields"),
    lower("ns_above_yields", "ns above the yields"),
    lower("wait_p50_us", "median wait, µs"),
    lower("wait_p99_us", "99th percentile of waits, µs"),
    lower("wait_max_us", "longest wait, µs"),
    lower("us_per_op", "wall time, µs per request"),
    lower("cpu_us_per_op", "processor time, µs per request"),
    lower("latency_p50_us", "median latency, µs"),
    lower("latency_p99_us", "99th percentile of the latency, µs"),
    derived("times_dedicated", "wall time, times dedicated"),
    derived("cpu_times_dedicated", "processor time, times dedicated"),
    lower("lost", "lost"),
    lower("above_max", "above the maximum"),
    lower("ns_per_cancellation", "ns per cancellation"),
    lower("wait_p50_ms", "median wait, ms"),
    lower("wait_max_ms", "longest wait, ms"),
    lower("connects", "connects"),
];

const fn lower(id: &'static str, name: &'static str) -> Metric {
    Metric { id, name, higher_is_better: false, derived: false }
}

const fn derived(id: &'static str, name: &'static str) -> Metric {
    Metric { derived: true, ..lower(id, name) }
}

impl Metric {
    pub(crate) fn named(id: &str) -> Result<Metric> {
        METRICS.into_iter().find(|metric| metric.id == id).ok_or_else(|| {
            format!(
                "{BENCH} has a metric `{id}` that nobody has named: add it to crates/figures/src/metrics.rs"
            )
        })
    }

    /// Whether a competitor is ahead of poolhouse, in the median of its figures or in the median of the ratios.
    pub(crate) fn is_ahead(self, theirs: Summary, ours: Summary, ratio: Option<Summary>) -> bool {
        let better = |a: f64, b: f64| if self.higher_is_better { a > b } else { a < b };
        better(theirs.median, ours.median) || ratio.is_some_and(|ratio| better(ratio.median, 1.0))
    }
}
