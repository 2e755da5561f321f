//! S2: what two workers cost each other when nobody waits.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, atomic};
use std::time::Instant;

use super::operations;
use crate::competitor::{Kind, Plain, Visitor, filled};
use crate::competitors;
use crate::harness::{Bench, Scenario};
use crate::load::cycle;

const WORKERS: u32 = 2;

pub(super) fn scenario() -> Scenario {
    let mut scenario = Scenario::new(
        "S2",
        "Two workers, nobody waits",
        "One task on each of two workers acquires and drops, on a pool of 8. Wall time by the operations of both; \
         `speedup` is the throughput by that of one task on the same runtime",
    );
    competitors::each(&mut Add(&mut scenario));
    scenario
}

struct Add<'a>(&'a mut Scenario);

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        let mut ops = 2_000;
        self.0.lane(&K::about(), move |bench| {
            let one = round::<K>(bench, 1, ops);
            let two = round::<K>(bench, WORKERS, ops);
            ops = operations(bench, two);
            vec![("ns_per_op", two), ("speedup", one / two)]
        });
    }
}

/// Nanoseconds per operation of all workers together.
fn round<K: Kind>(bench: &Bench, workers: u32, ops: u64) -> f64 {
    let pool = bench.two.block_on(filled::<K, _>(Plain::default(), 8));
    let started = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let (pool, started) = (Arc::clone(&pool), Arc::clone(&started));
            bench.two.spawn(async move {
                cycle(&*pool, 100).await;
                // Spins, so that each has a worker to itself.
                started.fetch_add(1, Ordering::AcqRel);
                while started.load(Ordering::Acquire) < workers {
                    std::hint::spin_loop();
                }
                atomic::fence(Ordering::SeqCst);
                let start = Instant::now();
                cycle(&*pool, ops).await;
                (start, Instant::now())
            })
        })
        .collect();
    let spans: Vec<(Instant, Instant)> = bench.two.block_on(async {
        let mut spans = Vec::new();
        for task in tasks {
            spans.push(task.await.expect("no task panics"));
        }
        spans
    });
    let start = spans.iter().map(|span| span.0).min().expect("there are workers");
    let end = spans.iter().map(|span| span.1).max().expect("there are workers");
    (end - start).as_nanos() as f64 / (ops * u64::from(workers)) as f64
}
