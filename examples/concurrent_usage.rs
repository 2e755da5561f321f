//! A hundred tasks share twenty connections.
//!
//! `cargo run --example concurrent_usage` starts its own echo server, and asks it
//! how many connections it saw;
//! `cargo run --example concurrent_usage 127.0.0.1:5555` uses yours.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
use poolhouse_echo::EchoServer;
use tokio::task::JoinSet;

const TASKS: usize = 100;
const CONNECTIONS: usize = 20;

// ANCHOR: task
async fn request(
    pool: PacketPool,
    number: usize,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let message = format!("task {number}");
    let mut connection = pool.acquire().await?;
    connection.send_packet(message.clone()).await?;
    let reply = connection.receive().await?;
    if reply != message {
        // Somebody else's reply: nothing that comes after it on this connection
        // can be trusted.
        connection.invalidate();
        return Err(format!("{message} received another request's reply").into());
    }
    Ok(())
}
// ANCHOR_END: task

async fn run() -> Result<(), Box<dyn Error>> {
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
        max_connections: CONNECTIONS,
        connection_timeout: Duration::from_secs(10),
        ..PoolConfig::default()
    };
    let pool = PacketPool::new(manager, config)?;

    // ANCHOR: spawn
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        tasks.spawn(request(pool.clone(), number));
    }

    let mut successes = 0;
    let mut failures = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        match joined? {
            Ok(()) => successes += 1,
            Err(error) => failures.push(error.to_string()),
        }
    }
    // ANCHOR_END: spawn
    println!("successful requests: {successes}/{TASKS}");

    let stats = pool.stats();
    println!(
        "acquired {}, released {}",
        stats.total_acquisitions, stats.total_releases
    );
    println!(
        "still waiting: {}, still held: {}",
        stats.pending_requests, stats.active_connections
    );
    if let Some(server) = server {
        let peak = server.counts().peak_open;
        println!(
            "the server saw at most {CONNECTIONS} connections at once: {}",
            peak <= CONNECTIONS as u64
        );
    }
    pool.close().await;

    match failures.first() {
        None => Ok(()),
        Some(first) => {
            Err(format!("{} requests failed; the first: {first}", failures.len())
                .into())
        }
    }
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
