//! A pool in tests: small, quick to fail, and loud about what would be a deadlock
//! or a leak in production.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{AcquireError, ConfigError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::EchoServer;
use tokio::time::sleep;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: config
fn tests() -> PoolConfig {
    PoolConfig {
        // So small that a test that needs two at once is found.
        min_connections: 0,
        max_connections: 1,
        // A test that hangs is worse than one that fails.
        connection_timeout: Duration::from_secs(1),
        connect_attempt_timeout: Duration::from_millis(500),
        connect_backoff: Duration::from_millis(10),
        max_connect_backoff: Duration::from_millis(50),
        leak_threshold: Duration::from_millis(500),
        detect_nested_acquires: true,
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

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    let pool = pool(&server, tests())?;

    // The bug: a second connection for the same task.
    let first = pool.acquire().await?;
    match pool.acquire().await {
        Err(AcquireError::Timeout(timeout)) => {
            println!("seconds until it failed: {}", timeout.waited.as_secs());
            println!(
                "connections that this task held itself: {}",
                timeout.nested.len()
            );
        }
        other => return Err(format!("expected a timeout, not {other:?}").into()),
    }
    drop(first);

    // Another: a connection that nobody gives back.
    let leaked = pool.acquire().await?;
    sleep(Duration::from_secs(1)).await;
    println!(
        "holds reported as leaks, the one above among them: {}",
        pool.stats().reported_leaks
    );
    drop(leaked);

    // Nothing is left for the next test.
    let report = pool.close_within(Duration::from_secs(1)).await;
    println!("everything is closed: {}", report.is_complete());
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
