//! Many callers at once, a server that can take them: a large pool that grows for
//! a burst and shrinks after it.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{ConfigError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::task::JoinSet;
use tokio::time::sleep;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: config
fn high_throughput() -> PoolConfig {
    PoolConfig {
        min_connections: 10,
        max_connections: 100,
        connection_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(10 * 60),
        max_connecting: 16,
        max_pending: Some(1000),
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
    let pool = pool(&server, high_throughput())?;
    pool.warm_up().await?;
    println!("open before the burst: {}", pool.stats().total_connections);

    let mut callers = JoinSet::new();
    for _ in 0..500 {
        let pool = pool.clone();
        callers.spawn(async move { exchange(&pool).await });
    }
    while let Some(joined) = callers.join_next().await {
        joined??;
    }
    let stats = pool.stats();
    println!(
        "requests served: {}, failed: {}",
        stats.total_acquisitions, stats.failed_acquisitions
    );
    println!("open after the burst: {}", stats.total_connections);
    println!("most that the server saw at once: {}", server.counts().peak_open);

    sleep(Duration::from_secs(11 * 60)).await;
    println!("open eleven minutes later: {}", pool.stats().total_connections);
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
