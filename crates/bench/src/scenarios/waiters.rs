//! S8: whether a hand-off costs more when more wait.

use std::sync::Arc;
use std::time::Duration;

use super::waits;
use crate::competitor::{Kind, Plain, Visitor, filled};
use crate::competitors::{self, Yields};
use crate::harness::{Bench, Sample, Scenario};
use crate::load::Crowd;

const CROWDS: [(usize, &str); 4] = [
    (64, "ns_per_op_64"),
    (1_000, "ns_per_op_1000"),
    (10_000, "ns_per_op_10000"),
    (100_000, "ns_per_op_100000"),
];

pub(super) fn scenario() -> Scenario {
    let mut scenario = Scenario::new(
        "S8",
        "From 64 to 100,000 tasks",
        "So many tasks on a pool of 8, two workers; each holds across one yield. Wall time by operations; `growth` is the \
         cost at 100,000 by that at 64. The yields alone are of as many tasks",
    );
    competitors::each(&mut Add(&mut scenario));
    scenario.lane(&Yields::about(), |bench| {
        sample(|tasks| crowd(bench, tasks).ns_per_op(&bench.two, &Arc::new(Yields)))
    });
    scenario
}

struct Add<'a>(&'a mut Scenario);

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        if !waits::<K>(self.0) {
            return;
        }
        self.0.lane(&K::about(), |bench| {
            sample(|tasks| {
                let pool = bench.two.block_on(filled::<K, _>(Plain::default(), 8));
                crowd(bench, tasks).ns_per_op(&bench.two, &pool)
            })
        });
    }
}

/// Every task has had its turn when the measuring starts, and has another while it lasts.
fn crowd(bench: &Bench, tasks: usize) -> Crowd {
    let turn = Duration::from_micros(tasks as u64);
    Crowd { tasks, warm: Duration::from_millis(2) + 2 * turn, measure: bench.slice().max(turn) }
}

fn sample(measure: impl Fn(usize) -> f64) -> Sample {
    let mut sample: Sample = CROWDS.iter().map(|&(tasks, metric)| (metric, measure(tasks))).collect();
    sample.push(("growth", sample[CROWDS.len() - 1].1 / sample[0].1));
    sample
}
