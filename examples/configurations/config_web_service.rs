//! A web service in front of a database: answer in time or say so at once, and
//! stay honest when the database hangs.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{AcquireError, ConfigError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::task::JoinSet;
use tokio::time::Instant;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: config
fn web_service() -> PoolConfig {
    PoolConfig {
        min_connections: 5,
        max_connections: 20,
        // Requests have five seconds in all: see the hierarchy of timeouts.
        connection_timeout: Duration::from_secs(2),
        connect_attempt_timeout: Duration::from_millis(800),
        max_connect_backoff: Duration::from_secs(1),
        max_pending: Some(100),
        check_after_idle: Duration::from_secs(30),
        health_check_timeout: Duration::from_millis(500),
        leak_threshold: Duration::from_secs(30),
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
    let pool = pool(&server, web_service())?;
    pool.warm_up().await?;
    for _ in 0..50 {
        exchange(&pool).await?;
    }
    println!(
        "in good health: {} requests, {} failed",
        pool.stats().total_acquisitions,
        pool.stats().failed_acquisitions
    );

    // The database hangs, and 200 requests come.
    server.set_faults(Faults { reply: Reply::Never, ..Faults::default() });
    let started = Instant::now();
    let mut requests = JoinSet::new();
    for _ in 0..200 {
        let pool = pool.clone();
        requests.spawn(async move {
            let mut connection = match pool.acquire().await {
                Ok(connection) => connection,
                Err(AcquireError::Overloaded { .. }) => {
                    return Ok::<_, AnyError>(("busy, at once", started.elapsed()));
                }
                Err(AcquireError::Timeout(_)) => {
                    return Ok(("busy, after two seconds", started.elapsed()));
                }
                Err(other) => return Err(other.into()),
            };
            // The caller's own deadline ends the exchange; the pool closes the
            // connection.
            let answered = tokio::time::timeout(Duration::from_secs(3), async {
                connection.send_packet("request").await?;
                connection.receive().await
            });
            Ok((
                if answered.await.is_ok() {
                    "answered"
                } else {
                    "gave up on the database"
                },
                started.elapsed(),
            ))
        });
    }
    let (mut counts, mut longest) =
        (std::collections::BTreeMap::new(), Duration::ZERO);
    while let Some(joined) = requests.join_next().await {
        let (answer, took) = joined??;
        *counts.entry(answer).or_insert(0) += 1;
        longest = longest.max(took);
    }
    for (answer, count) in counts {
        println!("{answer}: {count}");
    }
    println!(
        "everybody has an answer within five seconds: {}",
        longest < Duration::from_secs(5)
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
