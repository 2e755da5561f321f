//! A proxy or a load balancer between, which closes connections that idle: be the
//! first to close.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{ConfigError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::time::sleep;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: config
/// What the proxy is set to.
const PROXY_IDLE_LIMIT: Duration = Duration::from_secs(60);

fn behind_a_proxy() -> PoolConfig {
    PoolConfig {
        // Nothing is kept open that nobody uses: the minimum would be kept up
        // against the proxy.
        min_connections: 0,
        max_connections: 10,
        // Before the proxy does.
        idle_timeout: PROXY_IDLE_LIMIT.mul_f64(0.75),
        // The proxy moves its backends: look for the new ones now and then.
        max_lifetime: Duration::from_secs(10 * 60),
        // A check would keep alive what nobody uses.
        health_check_interval: Duration::MAX,
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

/// A request each minute or so. Who closes the connections between?
async fn one_a_minute(config: PoolConfig) -> Result<(), AnyError> {
    let idle_limit =
        Faults { close_idle_after: Some(PROXY_IDLE_LIMIT), ..Faults::default() };
    let proxy = EchoServer::builder().faults(idle_limit).in_memory();
    let pool = pool(&proxy, config)?;
    let mut closed_by_the_proxy = 0;
    for _ in 0..10 {
        exchange(&pool).await?;
        sleep(Duration::from_secs(65)).await;
        // What the pool still counts as open, and the proxy does not.
        closed_by_the_proxy +=
            u64::try_from(pool.stats().total_connections)? - proxy.counts().open;
    }
    println!("closed by the proxy, unnoticed: {closed_by_the_proxy}");
    println!("failed requests: {}", pool.stats().failed_acquisitions);
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    println!("== without a thought for the proxy");
    one_a_minute(PoolConfig {
        health_check_interval: Duration::MAX,
        ..PoolConfig::default()
    })
    .await?;
    println!("== the pool closes first");
    one_a_minute(behind_a_proxy()).await
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
