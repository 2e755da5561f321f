//! Twenty requests on two connections: the connection held for the whole request,
//! and for the exchange alone.
//!
//! `cargo run --example per_request`. Virtual time: the same in every run.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{Manager, PacketConnection, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

type AnyError = Box<dyn Error + Send + Sync>;

const REQUESTS: usize = 20;

/// The caller sends its body slowly.
async fn read_body() -> &'static str {
    sleep(Duration::from_millis(40)).await;
    "hello"
}

async fn render(_reply: &[u8]) {
    sleep(Duration::from_millis(50)).await;
}

// ANCHOR: handlers
async fn held_for_the_request<M>(pool: Pool<M>) -> Result<(), AnyError>
where
    M: Manager<Connection = PacketConnection<DuplexStream>>,
{
    let mut connection = pool.acquire().await?;
    let body = read_body().await;
    connection.send_packet(body).await?;
    let reply = connection.receive().await?;
    render(&reply).await;
    Ok(())
}

async fn held_for_the_exchange<M>(pool: Pool<M>) -> Result<(), AnyError>
where
    M: Manager<Connection = PacketConnection<DuplexStream>>,
{
    let body = read_body().await;
    let reply = {
        let mut connection = pool.acquire().await?;
        connection.send_packet(body).await?;
        connection.receive().await?
    };
    render(&reply).await;
    Ok(())
}
// ANCHOR_END: handlers

async fn run() -> Result<(), AnyError> {
    let faults =
        Faults { latency: Some(Duration::from_millis(10)), ..Faults::default() };
    let server = EchoServer::builder().faults(faults).in_memory();
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let config = PoolConfig {
        min_connections: 2,
        max_connections: 2,
        ..PoolConfig::default()
    };
    let pool = Pool::new(PacketManager::new(dial), config)?;
    pool.warm_up().await?;

    for whole in [true, false] {
        let start = Instant::now();
        let mut requests = JoinSet::new();
        for _ in 0..REQUESTS {
            let pool = pool.clone();
            if whole {
                requests.spawn(held_for_the_request(pool));
            } else {
                requests.spawn(held_for_the_exchange(pool));
            }
        }
        while let Some(joined) = requests.join_next().await {
            joined??;
        }
        let how = if whole { "request" } else { "exchange" };
        println!(
            "held for the {how}: {REQUESTS} requests in {} ms",
            start.elapsed().as_millis()
        );
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
