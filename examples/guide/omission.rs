//! Coordinated omission: the same pool, the same stall of one second, and two ways
//! to measure it. In virtual time.
//!
//! `cargo run --example omission`

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{Manager, Pool, PoolConfig};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

/// Connections without a network: only the pool is looked at.
struct Nothing;

impl Manager for Nothing {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        Ok(())
    }
}

const BETWEEN: Duration = Duration::from_millis(10);
const WORK: Duration = Duration::from_millis(1);
const RUN: Duration = Duration::from_secs(10);

/// A pool of one. After five seconds something holds its connection for one
/// second.
fn pool() -> Result<Pool<Nothing>, Box<dyn Error>> {
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let pool = Pool::new(Nothing, config)?;
    let stalled = pool.clone();
    tokio::spawn(async move {
        sleep(RUN / 2).await;
        if let Ok(held) = stalled.acquire().await {
            sleep(Duration::from_secs(1)).await;
            drop(held);
        }
    });
    Ok(pool)
}

// ANCHOR: closed
/// A caller that sends the next request when it has the answer. Each is timed from
/// when it was sent.
async fn closed() -> Result<Vec<Duration>, Box<dyn Error>> {
    let pool = pool()?;
    let end = Instant::now() + RUN;
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let sent = Instant::now();
        let held = pool.acquire().await?;
        sleep(WORK).await;
        drop(held);
        latencies.push(sent.elapsed());
        sleep(BETWEEN - WORK).await;
    }
    Ok(latencies)
}
// ANCHOR_END: closed

// ANCHOR: open
/// A request every ten milliseconds, whether or not the last one is answered. Each
/// is timed from when it was due.
async fn open() -> Result<Vec<Duration>, Box<dyn Error>> {
    let pool = pool()?;
    let start = Instant::now();
    let mut requests = JoinSet::new();
    let mut due = start;
    while due < start + RUN {
        sleep_until(due).await;
        let pool = pool.clone();
        requests.spawn(async move {
            let held = pool.acquire().await?;
            sleep(WORK).await;
            drop(held);
            Ok::<_, poolhouse::AcquireError>(due.elapsed())
        });
        due += BETWEEN;
    }
    Ok(requests.join_all().await.into_iter().collect::<Result<_, _>>()?)
}
// ANCHOR_END: open

fn report(name: &str, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let share = |percent: usize| {
        latencies[(latencies.len() - 1) * percent / 100].as_millis()
    };
    println!("{name}: {} requests", latencies.len());
    println!(
        "  median {} ms, 99th percentile {} ms, longest {} ms",
        share(50),
        share(99),
        share(100)
    );
}

async fn run() -> Result<(), Box<dyn Error>> {
    report("closed loop, timed from sending", closed().await?);
    report("open loop, timed from when it was due", open().await?);
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
