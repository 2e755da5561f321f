//! The loops that are measured.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, yield_now};

use crate::competitor::Acquire;

/// Acquires and drops, `count` times.
pub async fn cycle<P: Acquire>(pool: &P, count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        drop(black_box(pool.acquire().await));
    }
    start.elapsed()
}

/// Acquires, yields once and drops, `count` times.
pub async fn hold<P: Acquire>(pool: &P, count: u64) {
    for _ in 0..count {
        let guard = pool.acquire().await;
        yield_now().await;
        drop(black_box(guard));
    }
}

const WARM: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// Many tasks that hold across a yield, for a while.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    pub tasks: usize,
    pub warm: Duration,
    pub measure: Duration,
}

impl Crowd {
    /// Nanoseconds per operation: wall time by operations of all tasks. It is a steady state, in which all tasks run: those
    /// that a fair pool would have held back do not finish the round alone.
    pub fn ns_per_op<P: Acquire>(self, runtime: &Runtime, pool: &Arc<P>) -> f64 {
        let (elapsed, ops) = self.run(runtime, pool, |pool, phase| async move {
            let mut ops = 0;
            loop {
                let now = phase.load(Ordering::Relaxed);
                if now == STOP {
                    return ops;
                }
                hold(&*pool, 1).await;
                ops += u64::from(now == MEASURE);
            }
        });
        elapsed.as_nanos() as f64 / ops.iter().sum::<u64>() as f64
    }

    /// How long each acquire took, in microseconds and in order.
    pub fn waits_us<P: Acquire>(self, runtime: &Runtime, pool: &Arc<P>) -> Vec<f64> {
        let (_, waits) = self.run(runtime, pool, |pool, phase| async move {
            let mut waits = Vec::with_capacity(4096);
            loop {
                let now = phase.load(Ordering::Relaxed);
                if now == STOP {
                    return waits;
                }
                let asked = Instant::now();
                let guard = pool.acquire().await;
                let waited = asked.elapsed();
                yield_now().await;
                drop(black_box(guard));
                if now == MEASURE {
                    waits.push(waited.as_nanos() as f64 / 1e3);
                }
            }
        });
        let mut waits = waits.concat();
        waits.sort_by(f64::total_cmp);
        waits
    }

    fn run<P, T, F>(
        self,
        runtime: &Runtime,
        pool: &Arc<P>,
        task: impl Fn(Arc<P>, Arc<AtomicU8>) -> F,
    ) -> (Duration, Vec<T>)
    where
        P: Acquire,
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let phase = Arc::new(AtomicU8::new(WARM));
        let tasks: Vec<JoinHandle<T>> =
            (0..self.tasks).map(|_| runtime.spawn(task(Arc::clone(pool), Arc::clone(&phase)))).collect();
        std::thread::sleep(self.warm);
        let start = Instant::now();
        phase.store(MEASURE, Ordering::Relaxed);
        std::thread::sleep(self.measure);
        phase.store(STOP, Ordering::Relaxed);
        let elapsed = start.elapsed();
        let results = runtime.block_on(async {
            let mut results = Vec::with_capacity(tasks.len());
            for task in tasks {
                results.push(task.await.expect("no task panics"));
            }
            results
        });
        (elapsed, results)
    }
}
