//! How many connections are held on average: the rate of acquires times how long each holds.
//!
//! Everything measured comes from two snapshots of the statistics, and from samples of `active_connections` between
//! them: what a reader can do in production.

use std::time::Duration;

use poolhouse::PoolConfig;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::sim::{Draws, full_pool, in_virtual_time, ms, poisson, round, secs};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "littles-law.json";

/// Requests in a second.
const RATE: f64 = 200.0;
const CONNECTIONS: usize = 60;
const WARM_UP: Duration = secs(5);
const MEASURED: Duration = secs(60);
const SAMPLE: Duration = Duration::from_millis(10);

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Requests that arrive in a second, at random.
    pub rate: f64,
    /// The size of the pool.
    pub connections: usize,
    /// How long it was measured, in seconds.
    pub seconds: f64,
    /// One way to hold connections each.
    pub cases: Vec<Case>,
}

/// One way to hold connections.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    /// What a request does.
    pub name: String,
    /// Acquires of one request.
    pub acquires: usize,
    /// How long each of them holds on average, in milliseconds, as it was set.
    pub hold_ms: f64,
    /// Rate of acquires times hold.
    pub predicted_held: f64,
    /// Acquires in a second, from the statistics.
    pub measured_rate: f64,
    /// The mean of `active_connections`.
    pub measured_held: f64,
    /// The greatest of `active_connections`.
    pub most_held: usize,
}

/// How long one acquire holds its connection.
type Hold = fn(&mut Draws) -> Duration;

struct Set {
    name: &'static str,
    acquires: usize,
    mean_ms: f64,
    hold: Hold,
    /// What the request does between its acquires, without a connection.
    between: Duration,
}

const SETS: [Set; 7] = [
    Set::plain("every hold 20 ms", 20.0, |_| ms(20)),
    Set::plain("exponential holds, mean 20 ms", 20.0, |draws| draws.exponential(ms(20))),
    Set::plain("9 of 10 holds 10 ms, 1 of 10 110 ms", 20.0, |draws| {
        ms(if draws.share() < 0.1 { 110 } else { 10 })
    }),
    Set::plain("20 ms of queries, and a call of 80 ms while holding", 100.0, |_| ms(100)),
    Set {
        acquires: 2,
        between: Duration::from_millis(80),
        ..Set::plain("the same, released for the call: two holds of 10 ms", 10.0, |_| ms(10))
    },
    Set::plain("N+1: 21 queries of 5 ms in one hold", 105.0, |_| ms(105)),
    Set::plain("the same rows in one query of 8 ms", 8.0, |_| ms(8)),
];

impl Set {
    const fn plain(name: &'static str, mean_ms: f64, hold: Hold) -> Self {
        Self { name, acquires: 1, mean_ms, hold, between: Duration::ZERO }
    }
}

pub(crate) fn run() -> Data {
    let cases = SETS.iter().zip(1..).map(|(set, seed)| in_virtual_time(seed, measure(set, seed))).collect();
    Data { rate: RATE, connections: CONNECTIONS, seconds: MEASURED.as_secs_f64(), cases }
}

async fn measure(set: &Set, seed: u64) -> Case {
    let pool = full_pool(CONNECTIONS, PoolConfig::default()).await;
    let clients = tokio::spawn({
        let (pool, hold, between, acquires) = (pool.clone(), set.hold, set.between, set.acquires);
        async move {
            let end = Instant::now() + WARM_UP + MEASURED;
            poisson(&mut Draws::new(seed), RATE, end, |draws| {
                let (pool, holds) = (pool.clone(), (0..acquires).map(|_| hold(draws)).collect::<Vec<_>>());
                tokio::spawn(async move {
                    for (index, hold) in holds.into_iter().enumerate() {
                        if index > 0 {
                            sleep(between).await;
                        }
                        let connection = pool.acquire().await.expect("the pool is larger than the need");
                        sleep(hold).await;
                        drop(connection);
                    }
                });
            })
            .await;
        }
    });
    sleep(WARM_UP).await;
    let before = pool.stats().total_acquisitions;
    let mut samples = Vec::new();
    let end = Instant::now() + MEASURED;
    while Instant::now() < end {
        samples.push(pool.stats().active_connections);
        sleep(SAMPLE).await;
    }
    let acquired = pool.stats().total_acquisitions - before;
    clients.await.expect("no client panics");
    let held = samples.iter().sum::<usize>() as f64 / samples.len() as f64;
    Case {
        name: set.name.to_owned(),
        acquires: set.acquires,
        hold_ms: set.mean_ms,
        predicted_held: round(RATE * set.acquires as f64 * set.mean_ms / 1e3, 2),
        measured_rate: round(acquired as f64 / MEASURED.as_secs_f64(), 1),
        measured_held: round(held, 2),
        most_held: samples.into_iter().max().unwrap_or_default(),
    }
}
