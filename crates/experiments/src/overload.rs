//! What is answered in time, when more is asked than the connections can serve.
//!
//! A request is good when its answer comes within the patience of whoever asked. Who has lost patience leaves, and the
//! server works for nobody: it does not notice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolhouse::PoolConfig;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::sim::{Draws, full_pool, in_virtual_time, ms, poisson, quantile, round, secs};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "overload.json";

const CONNECTIONS: usize = 10;
const HOLD: Duration = Duration::from_millis(100);
const PATIENCE: Duration = secs(1);
const WARM_UP: Duration = secs(30);
const MEASURED: Duration = secs(30);
const LOADS: [f64; 7] = [0.5, 0.8, 0.9, 1.0, 1.1, 1.5, 2.0];

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// The connections of the pool.
    pub connections: usize,
    /// The mean hold, in milliseconds. Holds are exponential.
    pub hold_ms: f64,
    /// What the connections can serve in a second.
    pub capacity: f64,
    /// How long whoever asks waits for an answer, in seconds.
    pub patience: f64,
    /// One way to bound the queue each.
    pub policies: Vec<Policy>,
}

/// One way to bound the queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct Policy {
    /// In words.
    pub name: String,
    /// At each load.
    pub points: Vec<Point>,
}

/// What became of the requests at one load, in a second.
#[derive(Debug, Serialize, Deserialize)]
pub struct Point {
    /// Asked by capacity.
    pub load: f64,
    /// Answered within the patience.
    pub good: f64,
    /// Answered, but too late.
    pub late: f64,
    /// Refused: timed out, or `Overloaded`.
    pub refused: f64,
    /// The 99th percentile of the waits of those who got a connection, in seconds.
    pub p99_wait: f64,
    /// How long the refused waited for their answer, in seconds: the median.
    pub refused_after: f64,
}

#[derive(Default)]
struct Ledger {
    good: usize,
    late: usize,
    waits: Vec<Duration>,
    refused: Vec<Duration>,
}

pub(crate) fn run() -> Data {
    let policies = [
        ("deadline 30 s", PoolConfig::default()),
        ("deadline 500 ms", PoolConfig { connection_timeout: ms(500), ..PoolConfig::default() }),
        ("max_pending 20", PoolConfig { max_pending: Some(20), ..PoolConfig::default() }),
    ];
    let policies = policies.map(|(name, config)| {
        let points = LOADS.iter().zip(300..);
        let points = points.map(|(load, seed)| in_virtual_time(seed, serve(*load, config.clone(), seed)));
        Policy { name: name.to_owned(), points: points.collect() }
    });
    Data {
        connections: CONNECTIONS,
        hold_ms: HOLD.as_secs_f64() * 1e3,
        capacity: CONNECTIONS as f64 / HOLD.as_secs_f64(),
        patience: PATIENCE.as_secs_f64(),
        policies: policies.into(),
    }
}

async fn serve(load: f64, config: PoolConfig, seed: u64) -> Point {
    let pool = full_pool(CONNECTIONS, config).await;
    let rate = load * CONNECTIONS as f64 / HOLD.as_secs_f64();
    let ledger: Arc<Mutex<Ledger>> = Arc::default();
    let begin = Instant::now() + WARM_UP;
    let end = begin + MEASURED;
    // What ends in the measured time is counted, whenever it began: that is what flows.
    let counts = move || (begin..end).contains(&Instant::now());
    let mut draws = Draws::new(seed);
    poisson(&mut draws, rate, end, |draws| {
        let (pool, ledger, hold) = (pool.clone(), Arc::clone(&ledger), draws.exponential(HOLD));
        tokio::spawn(async move {
            let asked = Instant::now();
            let acquired = pool.acquire().await;
            let waited = asked.elapsed();
            let Ok(connection) = acquired else {
                if counts() {
                    ledger.lock().unwrap_or_else(PoisonError::into_inner).refused.push(waited);
                }
                return;
            };
            sleep(hold).await;
            drop(connection);
            if counts() {
                let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
                ledger.waits.push(waited);
                if asked.elapsed() <= PATIENCE { ledger.good += 1 } else { ledger.late += 1 }
            }
        });
    })
    .await;
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let per_second = |count: usize| round(count as f64 / MEASURED.as_secs_f64(), 1);
    Point {
        load,
        good: per_second(ledger.good),
        late: per_second(ledger.late),
        refused: per_second(ledger.refused.len()),
        p99_wait: round(quantile(&ledger.waits, 0.99), 3),
        refused_after: round(quantile(&ledger.refused, 0.5), 3),
    }
}
