//! S3, S4 and S9: more tasks than connections, each holding across one yield.

use std::sync::Arc;
use std::time::Duration;

use super::waits;
use crate::competitor::{Kind, Plain, Visitor, filled};
use crate::competitors::{self, Yields};
use crate::harness::{Sample, Scenario};
use crate::load::Crowd;
use crate::stats::percentile;

pub(super) fn s3() -> Scenario {
    crowd("S3", "64 tasks on 8", 64, 8)
}

pub(super) fn s4() -> Scenario {
    crowd("S4", "1,000 tasks on 10", 1_000, 10)
}

pub(super) fn s9() -> Scenario {
    crowd("S9", "Nearly full", 9, 8)
}

fn crowd(id: &'static str, title: &'static str, tasks: usize, max: usize) -> Scenario {
    let setup = format!(
        "{tasks} tasks on two workers, a pool of {max}; each holds its connection across one yield. Wall time by \
         operations; the waits are from a pass of their own"
    );
    let mut scenario = Scenario::new(id, title, setup);
    competitors::each(&mut Add { scenario: &mut scenario, tasks, max });
    scenario.lane(&Yields::about(), move |bench| {
        let crowd = Crowd { tasks: max, warm: Duration::from_millis(2), measure: bench.slice() };
        vec![("ns_per_op", crowd.ns_per_op(&bench.two, &Arc::new(Yields)))]
    });
    scenario.times_floor("yields", "ns_per_op", "times_yields");
    scenario.above_floor("yields", "ns_per_op", "ns_above_yields");
    scenario
}

struct Add<'a> {
    scenario: &'a mut Scenario,
    tasks: usize,
    max: usize,
}

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        let (tasks, max) = (self.tasks, self.max);
        if !waits::<K>(self.scenario) {
            return;
        }
        self.scenario.lane(&K::about(), move |bench| {
            let pool = bench.two.block_on(filled::<K, _>(Plain::default(), max));
            let crowd = Crowd { tasks, warm: Duration::from_millis(2), measure: bench.slice() };
            let mut sample = vec![("ns_per_op", crowd.ns_per_op(&bench.two, &pool))];
            sample.extend(waiting(&crowd.waits_us(&bench.two, &pool)));
            sample
        });
    }
}

/// The median, the 99th percentile and the longest of waits that are in order.
fn waiting(waits: &[f64]) -> Sample {
    let at = |share| percentile(waits, share).expect("there were operations");
    vec![("wait_p50_us", at(0.5)), ("wait_p99_us", at(0.99)), ("wait_max_us", at(1.0))]
}
