//! S6: acquires that are given up at random points, and what they cost the pool.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::yield_now;
use tokio::time::timeout;

use super::waits;
use crate::competitor::{Acquire, Kind, Source, Visitor};
use crate::competitors;
use crate::harness::{Bench, SUBJECT, Sample, Scenario};

const MAX: usize = 8;
const TASKS: u64 = 64;

pub(super) fn scenario() -> Scenario {
    let mut scenario = Scenario::new(
        "S6",
        "Cancellation storm",
        "64 tasks on two workers, a pool of 8 that has opened nothing yet. Each drops most of its acquires after one to \
         three polls, and holds across up to three yields what it gets. `lost` is the capacity that is missing \
         afterwards, `above_max` by how much more connections than 8 were open or opening at once",
    );
    competitors::each(&mut Add(&mut scenario));
    scenario
}

struct Add<'a>(&'a mut Scenario);

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        if !waits::<K>(self.0) {
            return;
        }
        let about = K::about();
        self.0.lane(&about, move |bench| {
            let subject = about.id == SUBJECT;
            round::<K>(bench, bench.pick(10_000, if subject { 250_000 } else { 25_000 }))
        });
    }
}

/// How many connections there are, and the most that there were.
#[derive(Debug, Default)]
struct Alive {
    now: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Debug)]
struct Counted(Arc<Alive>);

/// From the moment in which it begins to open until it is dropped.
#[derive(Debug)]
struct One(Arc<Alive>);

impl One {
    fn new(alive: &Arc<Alive>) -> Self {
        let now = alive.now.fetch_add(1, Ordering::AcqRel) + 1;
        alive.peak.fetch_max(now, Ordering::AcqRel);
        Self(Arc::clone(alive))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Source for Counted {
    type Connection = One;

    async fn open(&self) -> io::Result<One> {
        let one = One::new(&self.0);
        for _ in 0..3 {
            yield_now().await;
        }
        Ok(one)
    }
}

fn round<K: Kind>(bench: &Bench, cancellations: u64) -> Sample {
    let alive = Arc::new(Alive::default());
    let pool = Arc::new(bench.two.block_on(K::build(Counted(Arc::clone(&alive)), MAX)));
    let left = Arc::new(AtomicU64::new(cancellations));
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|seed| {
            bench.two.spawn(storm(Arc::clone(&pool), Arc::clone(&left), fastrand::Rng::with_seed(seed)))
        })
        .collect();
    bench.two.block_on(async {
        for task in tasks {
            task.await.expect("no task panics");
        }
    });
    let elapsed = start.elapsed();
    let obtained = bench.two.block_on(capacity(&pool));
    vec![
        ("lost", (MAX - obtained) as f64),
        ("above_max", alive.peak.load(Ordering::Acquire).saturating_sub(MAX) as f64),
        ("ns_per_cancellation", elapsed.as_nanos() as f64 / cancellations as f64),
    ]
}

/// Acquires and gives up until none of the cancellations is left. Without a time limit of its own: it polls, so a pool that
/// has lost everything does not stop it.
async fn storm<P: Acquire>(pool: Arc<P>, left: Arc<AtomicU64>, mut rng: fastrand::Rng) {
    while left.load(Ordering::Relaxed) > 0 {
        let mut served = None;
        {
            let mut acquire = pin!(pool.acquire());
            // One in eight waits for longer, so that connections do get about.
            let polls = if rng.u8(..8) == 0 { 64 } else { rng.u8(1..=3) };
            for _ in 0..polls {
                let polled = poll_fn(|cx| Poll::Ready(acquire.as_mut().poll(cx))).await;
                if let Poll::Ready(guard) = polled {
                    served = Some(guard);
                    break;
                }
                yield_now().await;
            }
        }
        match served {
            Some(guard) => {
                for _ in 0..rng.u8(..4) {
                    yield_now().await;
                }
                drop(guard);
            }
            None => {
                let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            }
        }
    }
}

/// How many connections can be held at once.
async fn capacity<P: Acquire>(pool: &Arc<P>) -> usize {
    let mut held = Vec::new();
    while held.len() < MAX {
        match timeout(Duration::from_secs(2), pool.acquire()).await {
            Ok(guard) => held.push(guard),
            Err(_) => break,
        }
    }
    held.len()
}
