//! S10: many arrive at once at a pool that has few connections open.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::waits;
use crate::competitor::{Acquire, Kind, Source, Visitor};
use crate::competitors;
use crate::harness::{Bench, Sample, Scenario};
use crate::stats::percentile;

const MAX: usize = 50;
const IDLE: usize = 5;
const CONNECT: Duration = Duration::from_millis(150);
const WORK: Duration = Duration::from_millis(2);

pub(super) fn scenario() -> Scenario {
    let mut scenario = Scenario::new(
        "S10",
        "The spike",
        "50 tasks arrive at once at a pool of at most 50 with 5 idle. A connect takes 150 ms, the work 2 ms. The wait is \
         until the connection is had; `connects` are those that the spike caused",
    );
    competitors::each(&mut Add(&mut scenario));
    scenario
}

struct Add<'a>(&'a mut Scenario);

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        let about = K::about();
        if !waits::<K>(self.0) {
            return;
        }
        if about.kind != "pool" {
            self.0.note(&about, "opens every connection at the start");
            return;
        }
        self.0.lane(&about, |bench| bench.two.block_on(round::<K>(bench)));
    }
}

/// Connects slowly, and counts it.
#[derive(Debug)]
struct Slow(Arc<AtomicU64>);

impl Source for Slow {
    type Connection = u64;

    async fn open(&self) -> io::Result<u64> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        sleep(CONNECT).await;
        Ok(number)
    }
}

async fn round<K: Kind>(bench: &Bench) -> Sample {
    let opened = Arc::new(AtomicU64::new(0));
    let pool = Arc::new(K::build(Slow(Arc::clone(&opened)), MAX).await);
    at_once(bench, IDLE, &pool, Duration::from_millis(20)).await;
    let before = opened.load(Ordering::Relaxed);
    assert_eq!(before, IDLE as u64, "{}: as many connects as acquires", K::about().id);

    let mut waits = at_once(bench, MAX, &pool, WORK).await;
    // Connects that nobody waits for any more.
    sleep(CONNECT + WORK).await;
    waits.sort_by(f64::total_cmp);
    let wait = |share| percentile(&waits, share).expect("somebody waited");
    let connects = opened.load(Ordering::Relaxed) - before;
    vec![("wait_p50_ms", wait(0.5)), ("wait_max_ms", wait(1.0)), ("connects", connects as f64)]
}

/// Acquires in as many tasks, and says how long each waited, in milliseconds.
async fn at_once<P: Acquire>(bench: &Bench, tasks: usize, pool: &Arc<P>, work: Duration) -> Vec<f64> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let pool = Arc::clone(pool);
            bench.two.spawn(async move {
                let guard = pool.acquire().await;
                let waited = start.elapsed();
                sleep(work).await;
                drop(guard);
                waited.as_secs_f64() * 1e3
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.push(task.await.expect("no task panics"));
    }
    waits
}
