//! A function that runs for a moment, is frozen, and may wake an hour later with
//! dead connections.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{ConfigError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::EchoServer;
use tokio::time::sleep;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: config
fn serverless() -> PoolConfig {
    PoolConfig {
        // A Lambda instance serves one request at a time by default, and there may
        // be a thousand instances.
        min_connections: 0,
        max_connections: 1,
        connection_timeout: Duration::from_secs(3),
        connect_attempt_timeout: Duration::from_secs(1),
        // After a freeze nothing is known about the connection: ask it first.
        check_after_idle: Duration::ZERO,
        health_check_timeout: Duration::from_millis(500),
        // Nobody is awake to do it in the background.
        health_check_interval: Duration::MAX,
        idle_timeout: Duration::MAX,
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
    let server = EchoServer::in_memory();
    let pool = pool(&server, serverless())?;
    println!(
        "opened before the first request: {}",
        pool.stats().connections_created
    );
    for _ in 0..3 {
        exchange(&pool).await?;
    }
    println!("opened for three requests: {}", pool.stats().connections_created);

    // Frozen for an hour, in which the server lets go of us.
    server.disconnect_all();
    sleep(Duration::from_secs(3600)).await;
    exchange(&pool).await?;
    let stats = pool.stats();
    println!(
        "opened after the freeze: {}, failed requests: {}",
        stats.connections_created, stats.failed_acquisitions
    );
    println!("most that the server saw at once: {}", server.counts().peak_open);
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
