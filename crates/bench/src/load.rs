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

/// What happened while a crowd was measured.
pub struct Window<T> {
    pub elapsed: Duration,
    /// Processor time of this process.
    pub cpu: Duration,
    /// What each task returned.
    pub tasks: Vec<T>,
}

/// Tells the tasks of a crowd what to do.
#[derive(Debug, Clone)]
pub struct Phase(Arc<AtomicU8>);

impl Phase {
    /// Whether the operation that starts now counts; `None` when it is time to stop.
    pub fn counts(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            STOP => None,
            phase => Some(phase == MEASURE),
        }
    }
}

impl Crowd {
    /// Nanoseconds per operation: wall time by operations of all tasks. It is a steady state, in which all tasks run: those
    /// that an unfair pool has held back do not finish the round alone.
    pub fn ns_per_op<P: Acquire>(self, runtime: &Runtime, pool: &Arc<P>) -> f64 {
        let window = self.run(runtime, |_, phase| {
            let pool = Arc::clone(pool);
            async move {
                let mut ops = 0;
                while let Some(counts) = phase.counts() {
                    hold(&*pool, 1).await;
                    ops += u64::from(counts);
                }
                ops
            }
        });
        window.elapsed.as_nanos() as f64 / window.tasks.iter().sum::<u64>() as f64
    }

    /// How long each acquire took, in microseconds and in order.
    pub fn waits_us<P: Acquire>(self, runtime: &Runtime, pool: &Arc<P>) -> Vec<f64> {
        let window = self.run(runtime, |_, phase| {
            let pool = Arc::clone(pool);
            async move {
                let mut waits = Vec::with_capacity(4096);
                while let Some(counts) = phase.counts() {
                    let asked = Instant::now();
                    let guard = pool.acquire().await;
                    let waited = asked.elapsed();
                    yield_now().await;
                    drop(black_box(guard));
                    if counts {
                        waits.push(waited.as_nanos() as f64 / 1e3);
                    }
                }
                waits
            }
        });
        let mut waits = window.tasks.concat();
        waits.sort_by(f64::total_cmp);
        waits
    }

    /// Runs `task` that many times at once. It gets its number.
    pub fn run<T, F>(self, runtime: &Runtime, task: impl Fn(usize, Phase) -> F) -> Window<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let phase = Phase(Arc::new(AtomicU8::new(WARM)));
        let tasks: Vec<JoinHandle<T>> =
            (0..self.tasks).map(|number| runtime.spawn(task(number, phase.clone()))).collect();
        std::thread::sleep(self.warm);
        let (start, cpu) = (Instant::now(), cpu_time());
        phase.0.store(MEASURE, Ordering::Relaxed);
        std::thread::sleep(self.measure);
        phase.0.store(STOP, Ordering::Relaxed);
        let (elapsed, cpu) = (start.elapsed(), cpu_time() - cpu);
        let tasks = runtime.block_on(async {
            let mut results = Vec::with_capacity(tasks.len());
            for task in tasks {
                results.push(task.await.expect("no task panics"));
            }
            results
        });
        Window { elapsed, cpu, tasks }
    }
}

/// Of this process, user and system together.
fn cpu_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask about itself");
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}
