//! A rate over the life of a pool, and one over the last window: what each of them
//! shows of a bad minute.
//!
//! `cargo run --example windows` starts its own echo server.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{PacketPool, PoolConfig, PoolStats};
use poolhouse_echo::EchoServer;

// ANCHOR: window
/// The share of acquires that failed in a window: `stats.since(&earlier)`. `None`
/// when nobody asked, which is neither good nor bad.
fn failed_share(window: &PoolStats) -> Option<f64> {
    // An acquire that failed is not among those that were served.
    let asked = window.total_acquisitions + window.failed_acquisitions;
    (asked > 0).then(|| window.failed_acquisitions as f64 / asked as f64)
}
// ANCHOR_END: window

fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "nobody asked".to_owned(),
        |share| format!("{:.1} % failed", share * 100.0),
    )
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

    // The bad minute: of twenty acquires ten find no connection in time, and ten
    // do.
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
    println!(
        "over the life of the pool: {}",
        percent(failed_share(&after.since(&stats)))
    );
    let window = after.since(&before);
    println!("in the last window: {}", percent(failed_share(&window)));
    println!(
        "half of those served in it waited at most {:?}",
        window.wait_times.quantile(0.5).unwrap_or_default()
    );
    println!("in an empty window: {}", percent(failed_share(&after.since(&after))));
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
