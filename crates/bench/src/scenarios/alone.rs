//! S1: what an acquire and a release cost when nothing is in the way.

use super::operations;
use crate::competitor::{Kind, Plain, Visitor, filled};
use crate::competitors;
use crate::harness::{Bench, Scenario};
use crate::load::cycle;

pub(super) fn scenario() -> Scenario {
    let mut scenario =
        Scenario::new("S1", "One task alone", "One task on one worker acquires and drops, on a pool of 8");
    competitors::each(&mut Add(&mut scenario));
    scenario.times_floor("mutex-vec", "ns_per_op", "times_mutex_vec");
    scenario
}

struct Add<'a>(&'a mut Scenario);

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        let mut ops = 2_000;
        self.0.lane(&K::about(), move |bench| {
            let ns = round::<K>(bench, ops);
            ops = operations(bench, ns);
            vec![("ns_per_op", ns)]
        });
    }
}

fn round<K: Kind>(bench: &Bench, ops: u64) -> f64 {
    let task = bench.one.spawn(async move {
        let pool = filled::<K, _>(Plain::default(), 8).await;
        cycle(&*pool, ops / 8).await;
        cycle(&*pool, ops).await
    });
    bench.one.block_on(task).expect("no task panics").as_nanos() as f64 / ops as f64
}
