//! Workers that take jobs from a queue: one connection each, open as long as they
//! are.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{ConfigError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::task::JoinSet;
use tokio::time::sleep;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: config
const WORKERS: usize = 4;

fn worker() -> PoolConfig {
    PoolConfig {
        // As many as there are workers: nothing is reaped, and a job waits for
        // no other. It may wait for a connect when a lifetime ends.
        min_connections: WORKERS,
        max_connections: WORKERS,
        connection_timeout: Duration::from_secs(60),
        max_connect_backoff: Duration::from_secs(15),
        leak_threshold: Duration::from_secs(15 * 60),
        ..PoolConfig::default()
    }
}
// ANCHOR_END: config

/// A pool on a server in memory, so that the clock can be virtual.
fn pool(
    server: &EchoServer,
    config: PoolConfig,
) -> Result<Pool<PacketManager<impl Dial>>, ConfigError> {
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    Pool::new(PacketManager::new(dial), config)
}

async fn exchange<D: Dial>(pool: &Pool<PacketManager<D>>) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("request").await?;
    connection.receive().await?;
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let slow =
        Faults { latency: Some(Duration::from_millis(20)), ..Faults::default() };
    let server = EchoServer::builder().faults(slow).in_memory();
    let pool = pool(&server, worker())?;
    pool.warm_up().await?;

    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let pool = pool.clone();
        workers.spawn(async move {
            for _ in 0..100 {
                exchange(&pool).await?;
                // The next job is not there yet. The connection is not held
                // meanwhile.
                sleep(Duration::from_secs(2)).await;
            }
            Ok::<_, AnyError>(())
        });
    }
    while let Some(joined) = workers.join_next().await {
        joined??;
    }
    let stats = pool.stats();
    println!(
        "jobs done: {}, failed: {}",
        stats.total_acquisitions, stats.failed_acquisitions
    );
    println!("connections opened: {}", stats.connections_created);
    println!(
        "nobody waited: {}",
        stats.wait_times.quantile(1.0) == Some(Duration::ZERO)
    );
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
