//! The server restarts, and callers see a pause instead of errors.
//!
//! `cargo run --example maintenance` starts its own echo server and restarts it in
//! the middle;
//! `cargo run --example maintenance 127.0.0.1:5555` uses yours, and leaves the
//! restart to you.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
use poolhouse_echo::EchoServer;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

type AnyError = Box<dyn Error + Send + Sync>;

const CALLERS: usize = 4;
const REQUESTS: usize = 25;

/// Asks again and again, and knows nothing of the restart.
async fn caller(pool: PacketPool) -> Result<(), AnyError> {
    for number in 0..REQUESTS {
        let mut connection = pool.acquire().await?;
        connection.send_packet(format!("request {number}")).await?;
        connection.receive().await?;
        drop(connection);
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

// ANCHOR: maintain
async fn maintain(
    pool: &PacketPool,
    server: Option<EchoServer>,
) -> Result<Option<EchoServer>, AnyError> {
    pool.suspend();
    let drained = timeout(Duration::from_secs(5), pool.drained()).await;
    let restarted = match drained {
        Ok(()) => restart(pool, server).await,
        Err(_) => {
            Err(format!("not drained in time; who holds on: {:?}", pool.holders())
                .into())
        }
    };
    // Whatever happened: callers wait for it.
    pool.resume();
    restarted
}
// ANCHOR_END: maintain

async fn restart(
    pool: &PacketPool,
    server: Option<EchoServer>,
) -> Result<Option<EchoServer>, AnyError> {
    println!(
        "open connections while the server restarts: {}",
        pool.stats().total_connections
    );
    let Some(server) = server else { return Ok(None) };
    let address: SocketAddr = server.addr();
    server.stop().await;
    // What the server was stopped for.
    sleep(Duration::from_millis(200)).await;
    Ok(Some(EchoServer::builder().listen(address.to_string()).start().await?))
}

async fn run() -> Result<(), AnyError> {
    let (address, server) = match std::env::args().nth(1) {
        Some(address) => (address.parse()?, None),
        None => {
            let server = EchoServer::start().await?;
            (server.addr(), Some(server))
        }
    };
    let options = PacketOptions {
        io_timeout: Duration::from_secs(2),
        ..PacketOptions::default()
    };
    let manager =
        PacketManager::new(TcpDialer::from(address)).with_options(options);
    let config = PoolConfig {
        connection_timeout: Duration::from_secs(5),
        ..PoolConfig::default()
    };
    let pool = PacketPool::new(manager, config)?;

    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(caller(pool.clone()));
    }
    sleep(Duration::from_millis(100)).await;
    let _server = maintain(&pool, server).await?;
    while let Some(joined) = callers.join_next().await {
        joined??;
    }
    println!("{CALLERS} callers made {REQUESTS} requests each, and none failed");

    let stats = pool.stats();
    println!("acquires that ended in an error: {}", stats.failed_acquisitions);
    let longest = stats.wait_times.quantile(1.0).unwrap_or_default();
    println!(
        "somebody waited for the restart: {}",
        longest > Duration::from_millis(100)
    );
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
