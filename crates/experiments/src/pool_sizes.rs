//! What a minimum buys when a burst comes, and what it costs the rest of the time.

use std::time::Duration;

use poolhouse::PoolConfig;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use crate::sim::{Dialer, Draws, in_virtual_time, mins, poisson, pool, quantile, round, secs};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "pool-sizes.json";

const MAX: usize = 10;
const CONNECT: Duration = Duration::from_millis(150);
const HOLD: Duration = Duration::from_millis(20);
const BURST: usize = 20;
const EVERY: Duration = mins(10);
const BURSTS: u32 = 24;
const TRICKLE: f64 = 0.2;

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// `max_connections`.
    pub max: usize,
    /// How long a connect takes, in milliseconds.
    pub connect_ms: f64,
    /// How long a request holds, in milliseconds.
    pub hold_ms: f64,
    /// Requests in a burst, all at once.
    pub burst: usize,
    /// Minutes from burst to burst.
    pub every_minutes: f64,
    /// How many bursts there were.
    pub bursts: u32,
    /// Requests in a second between the bursts, in the cases with a trickle.
    pub trickle: f64,
    /// One minimum each, without and with a trickle.
    pub cases: Vec<Case>,
}

/// One minimum.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    /// `min_connections`.
    pub min: usize,
    /// Whether there are requests between the bursts.
    pub trickle: bool,
    /// Connects in an hour.
    pub connects_per_hour: f64,
    /// The median wait of the requests of a burst, in milliseconds.
    pub median_ms: f64,
    /// Their longest wait, in milliseconds.
    pub longest_ms: f64,
    /// Open connections, averaged over the time.
    pub open: f64,
}

pub(crate) fn run() -> Data {
    let mut cases = Vec::new();
    let mut seed = 500;
    for trickle in [false, true] {
        for min in [0, 1, 5, MAX] {
            seed += 1;
            cases.push(in_virtual_time(seed, measure(min, trickle, seed)));
        }
    }
    Data {
        max: MAX,
        connect_ms: CONNECT.as_secs_f64() * 1e3,
        hold_ms: HOLD.as_secs_f64() * 1e3,
        burst: BURST,
        every_minutes: EVERY.as_secs_f64() / 60.0,
        bursts: BURSTS,
        trickle: TRICKLE,
        cases,
    }
}

async fn measure(min: usize, trickle: bool, seed: u64) -> Case {
    let dialer = Dialer::new(CONNECT);
    let config = PoolConfig {
        min_connections: min,
        max_connections: MAX,
        health_check_interval: Duration::MAX,
        ..PoolConfig::default()
    };
    let pool = pool(&dialer, config);
    pool.warm_up().await.expect("nothing refuses");
    let start = Instant::now();
    let opened = dialer.births().len();
    let end = start + EVERY * BURSTS;
    let request = {
        let pool = pool.clone();
        move || {
            let pool = pool.clone();
            tokio::spawn(async move {
                let asked = Instant::now();
                let connection = pool.acquire().await.expect("there is time");
                let waited = asked.elapsed();
                sleep(HOLD).await;
                drop(connection);
                waited
            })
        }
    };
    let open = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut samples = Vec::new();
            while Instant::now() < end {
                samples.push(pool.stats().total_connections);
                sleep(secs(5)).await;
            }
            samples.iter().sum::<usize>() as f64 / samples.len() as f64
        }
    });
    if trickle {
        let request = request.clone();
        tokio::spawn(async move {
            poisson(&mut Draws::new(seed), TRICKLE, end, |_| {
                request();
            })
            .await;
        });
    }
    let mut waits = Vec::new();
    for burst in 1..=BURSTS {
        sleep_until(start + EVERY * burst - mins(1)).await;
        let requests: Vec<_> = (0..BURST).map(|_| request()).collect();
        for one in requests {
            waits.push(one.await.expect("no client panics"));
        }
    }
    let open = open.await.expect("it does not panic");
    let hours = (EVERY * BURSTS).as_secs_f64() / 3600.0;
    Case {
        min,
        trickle,
        connects_per_hour: round((dialer.births().len() - opened) as f64 / hours, 1),
        median_ms: round(quantile(&waits, 0.5) * 1e3, 0),
        longest_ms: round(quantile(&waits, 1.0) * 1e3, 0),
        open: round(open, 1),
    }
}
