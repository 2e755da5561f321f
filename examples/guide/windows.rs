//! A rate over the life of a pool, and one over the last window: what each of them shows of a bad minute.
//!
//! `cargo run --example windows` starts its own echo server.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{Histogram, PacketPool, PoolConfig, PoolStats};
use poolhouse_echo::EchoServer;

// ANCHOR: window
/// What happened between two looks at the same pool.
struct Window {
    acquired: u64,
    failed: u64,
    waits: BTreeMap<Duration, u64>,
}

impl Window {
    fn between(before: &PoolStats, after: &PoolStats) -> Self {
        Self {
            acquired: after.total_acquisitions - before.total_acquisitions,
            failed: after.failed_acquisitions - before.failed_acquisitions,
            waits: subtract(&after.wait_times, &before.wait_times),
        }
    }

    /// `None` when nobody asked: that is neither good nor bad.
    fn failed_share(&self) -> Option<f64> {
        // An acquire that failed is not among those that were served.
        let asked = self.acquired + self.failed;
        (asked > 0).then(|| self.failed as f64 / asked as f64)
    }

    /// The wait that a share of those who were served stayed within.
    fn wait(&self, share: f64) -> Option<Duration> {
        let served: u64 = self.waits.values().sum();
        let mut left = (served as f64 * share).ceil() as u64;
        self.waits.iter().find_map(|(up_to, count)| {
            left = left.saturating_sub(*count);
            (left == 0).then_some(*up_to)
        })
    }
}

fn subtract(after: &Histogram, before: &Histogram) -> BTreeMap<Duration, u64> {
    let mut counts: BTreeMap<Duration, u64> = after.buckets().collect();
    for (up_to, count) in before.buckets() {
        counts.entry(up_to).and_modify(|left| *left -= count);
    }
    counts.retain(|_, count| *count > 0);
    counts
}
// ANCHOR_END: window

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "nobody asked".to_owned(), |share| format!("{:.1} % failed", share * 100.0))
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let pool = PacketPool::new((server.host(), server.port()), config)?;

    let stats = pool.stats();
    println!(
        "before the first acquire: {}",
        stats.failed_acquisitions as f64 / stats.total_acquisitions as f64
    );

    for _ in 0..10_000 {
        drop(pool.acquire().await?);
    }
    let before = pool.stats();

    // The bad minute: of twenty acquires ten find no connection in time, and ten do.
    let held = pool.acquire().await?;
    for _ in 0..10 {
        if pool.acquire_within(Duration::from_millis(20)).await.is_ok() {
            return Err("a pool of one gave a second connection".into());
        }
    }
    drop(held);
    for _ in 0..9 {
        drop(pool.acquire().await?);
    }

    let after = pool.stats();
    println!("over the life of the pool: {}", percent(Window::between(&stats, &after).failed_share()));
    let window = Window::between(&before, &after);
    println!("in the last window: {}", percent(window.failed_share()));
    println!("half of those served in it waited at most {:?}", window.wait(0.5).unwrap_or_default());
    println!("in an empty window: {}", percent(Window::between(&after, &after).failed_share()));
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
