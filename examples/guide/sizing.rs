//! From a rate and a hold time to a number of connections, and the waits that each
//! number gives.
//!
//! `cargo run --example sizing`. Virtual time: the four minutes of load take some
//! seconds, and every run is the same.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{
    Histogram, Manager, PacketConnection, PacketManager, Pool, PoolConfig,
    PoolStats,
};
use poolhouse_echo::{EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

type AnyError = Box<dyn Error + Send + Sync>;

const REQUESTS: u32 = 3_000;

/// A hundred requests a second, at random moments, on a pool of `size`. Gives back
/// the statistics and the time it took.
async fn load(size: usize) -> Result<(PoolStats, Duration), AnyError> {
    // Each request holds its connection for 10 to 90 ms.
    let latency = Duration::from_millis(10)..=Duration::from_millis(90);
    let faults =
        Faults { random_latency: Some(latency), seed: 7, ..Faults::default() };
    let server = EchoServer::builder().faults(faults).in_memory();
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let config = PoolConfig {
        max_connections: size,
        connection_timeout: Duration::from_secs(1),
        ..PoolConfig::default()
    };
    let pool = Pool::new(PacketManager::new(dial), config)?;

    let mut random = fastrand::Rng::with_seed(7);
    let start = Instant::now();
    let mut next = start;
    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS {
        next += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / 100.0);
        sleep_until(next).await;
        let pool = pool.clone();
        requests.spawn(async move { request(&pool).await });
    }
    // One that finds no connection in time has its place in the statistics.
    while let Some(joined) = requests.join_next().await {
        let _ = joined?;
    }
    Ok((pool.stats(), start.elapsed()))
}

async fn request<M>(pool: &Pool<M>) -> Result<(), AnyError>
where
    M: Manager<Connection = PacketConnection<DuplexStream>>,
{
    let mut connection = pool.acquire().await?;
    connection.send_packet("hello").await?;
    connection.receive().await?;
    Ok(())
}

// ANCHOR: need
/// How many connections are held on average: the rate, times the mean hold.
fn need(stats: &PoolStats, elapsed: Duration) -> f64 {
    let rate = stats.total_acquisitions as f64 / elapsed.as_secs_f64();
    rate * mean(&stats.hold_times)
}

fn mean(times: &Histogram) -> f64 {
    times.sum().as_secs_f64() / times.count().max(1) as f64
}
// ANCHOR_END: need

async fn run() -> Result<(), AnyError> {
    let (stats, elapsed) = load(50).await?;
    let rate = stats.total_acquisitions as f64 / elapsed.as_secs_f64();
    let need = need(&stats, elapsed);
    let size = (need + 2.0 * need.sqrt()).ceil() as usize;
    println!(
        "{rate:.0} acquires a second, held for {:.0} ms each",
        mean(&stats.hold_times) * 1e3
    );
    println!("held on average: {need:.1}; with headroom: {size} connections");

    println!("size | half waited | 99 of 100 waited | timed out");
    for size in [4, 5, 6, 8, size, 15, 75] {
        let (stats, _) = load(size).await?;
        let waited = |share| {
            stats.wait_times.quantile(share).unwrap_or_default().as_millis()
        };
        let (half, most, lost) =
            (waited(0.5), waited(0.99), stats.timed_out_acquisitions);
        println!("{size:4} | {half:8} ms | {most:13} ms | {lost} of {REQUESTS}");
    }
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
