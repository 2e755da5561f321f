//! Which idle connection is used next, and what becomes of the others: after a burst, and in a pool of fixed size.

use std::time::Duration;

use poolhouse::{IdleOrder, Pool, PoolConfig};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use crate::sim::{Dialer, Draws, in_virtual_time, mins, ms, poisson, pool, round, secs, undisturbed};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "idle-order.json";

const BURST: usize = 20;
const HOLD: Duration = Duration::from_millis(20);
const AFTER: Duration = mins(30);
const FIXED: Duration = mins(60);

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Connections that a burst opens at once.
    pub burst: usize,
    /// How long it was measured after the burst, in minutes.
    pub minutes: f64,
    /// After a burst, with a minimum of one.
    pub shrinking: Vec<Shrinking>,
    /// A pool whose minimum is its maximum.
    pub fixed: Vec<Fixed>,
}

/// One order, one `idle_timeout` and one rate.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shrinking {
    /// `Lifo` or `Fifo`.
    pub order: String,
    /// In seconds.
    pub idle_timeout: f64,
    /// Requests in a second after the burst.
    pub rate: f64,
    /// Open connections, averaged over the last ten minutes.
    pub open: f64,
    /// Connects after the burst.
    pub connects: usize,
    /// Open connections every half minute from the burst on.
    pub series: Vec<usize>,
}

/// One order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fixed {
    /// `Lifo` or `Fifo`.
    pub order: String,
    /// The size of the pool.
    pub connections: usize,
    /// Requests in a second.
    pub rate: f64,
    /// Connections that were used at all within the hour.
    pub used: usize,
    /// The longest that a connection had lain unused when it was handed out, in seconds.
    pub longest_unused: f64,
}

pub(crate) fn run() -> Data {
    let mut shrinking = Vec::new();
    let mut seed = 400;
    for rate in [0.1, 1.0, 10.0] {
        for idle_timeout in [secs(30), mins(1), mins(5)] {
            for order in [IdleOrder::Lifo, IdleOrder::Fifo] {
                seed += 1;
                shrinking.push(in_virtual_time(seed, shrink(order, idle_timeout, rate, seed)));
            }
        }
    }
    let fixed = [(IdleOrder::Lifo, 450), (IdleOrder::Fifo, 451)];
    let fixed = fixed.map(|(order, seed)| in_virtual_time(seed, stay(order, seed)));
    Data { burst: BURST, minutes: AFTER.as_secs_f64() / 60.0, shrinking, fixed: fixed.into() }
}

fn config(order: IdleOrder, min_connections: usize, idle_timeout: Duration) -> PoolConfig {
    let config = PoolConfig {
        min_connections,
        max_connections: BURST,
        max_connecting: BURST,
        idle_timeout,
        idle_order: order,
        ..PoolConfig::default()
    };
    undisturbed(config)
}

async fn shrink(order: IdleOrder, idle_timeout: Duration, rate: f64, seed: u64) -> Shrinking {
    let dialer = Dialer::new(ms(10));
    let pool = pool(&dialer, config(order, 1, idle_timeout));
    let burst: Vec<_> = (0..BURST).map(|_| request(&pool, secs(1))).collect();
    for one in burst {
        one.await.expect("no client panics");
    }
    let start = Instant::now();
    let samples = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut samples = Vec::new();
            let mut next = start;
            while next <= start + AFTER {
                sleep_until(next).await;
                samples.push(pool.stats().total_connections);
                next += secs(30);
            }
            samples
        }
    });
    poisson(&mut Draws::new(seed), rate, start + AFTER, |_| {
        request(&pool, HOLD);
    })
    .await;
    let series = samples.await.expect("it does not panic");
    let last = &series[series.len() - 20..];
    Shrinking {
        order: format!("{order:?}"),
        idle_timeout: idle_timeout.as_secs_f64(),
        rate,
        open: round(last.iter().sum::<usize>() as f64 / last.len() as f64, 1),
        connects: dialer.births().len() - BURST,
        series,
    }
}

fn request(pool: &Pool<Dialer>, hold: Duration) -> tokio::task::JoinHandle<()> {
    let pool = pool.clone();
    tokio::spawn(async move {
        let connection = pool.acquire().await.expect("there is room");
        sleep(hold).await;
        drop(connection);
    })
}

async fn stay(order: IdleOrder, seed: u64) -> Fixed {
    const RATE: f64 = 1.0;
    let pool = pool(&Dialer::new(ms(10)), config(order, BURST, mins(5)));
    pool.warm_up().await.expect("nothing refuses");
    // A connection is the time of its birth, and then that of its last use.
    let (tell, told) = std::sync::mpsc::channel();
    let born = Instant::now();
    sleep(secs(1)).await;
    poisson(&mut Draws::new(seed), RATE, Instant::now() + FIXED, |_| {
        let (pool, tell) = (pool.clone(), tell.clone());
        tokio::spawn(async move {
            let mut connection = pool.acquire().await.expect("there is room");
            let unused = connection.elapsed();
            sleep(HOLD).await;
            let first = *connection <= born;
            *connection = Instant::now();
            drop(connection);
            // The receiver is gone once the hour is over.
            let _ = tell.send((first, unused));
        });
    })
    .await;
    let uses: Vec<(bool, Duration)> = told.try_iter().collect();
    Fixed {
        order: format!("{order:?}"),
        connections: BURST,
        rate: RATE,
        used: uses.iter().filter(|(first, _)| *first).count(),
        longest_unused: round(uses.iter().map(|(_, unused)| unused.as_secs_f64()).fold(0.0, f64::max), 0),
    }
}
