//! Acquire a connection, use it, give it back by leaving its scope, and look at
//! the statistics.
//!
//! `cargo run --example basic_usage` starts its own echo server; `cargo run
//! --example basic_usage 127.0.0.1:5555` uses yours.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
use poolhouse_echo::EchoServer;

// ANCHOR: run
async fn run() -> Result<(), Box<dyn Error>> {
    let (address, _server) = match std::env::args().nth(1) {
        Some(address) => (address.parse()?, None),
        None => {
            let server = EchoServer::start().await?;
            (server.addr(), Some(server))
        }
    };

    // ANCHOR: pool
    let options = PacketOptions {
        io_timeout: Duration::from_secs(2),
        ..PacketOptions::default()
    };
    let manager =
        PacketManager::new(TcpDialer::from(address)).with_options(options);
    let config = PoolConfig {
        min_connections: 2,
        max_connections: 10,
        ..PoolConfig::default()
    };
    let pool = PacketPool::new(manager, config)?;
    pool.warm_up().await?;
    // ANCHOR_END: pool

    // ANCHOR: scope
    {
        let mut connection = pool.acquire().await?;
        connection.send_packet("ping").await?;
        let reply = connection.receive().await?;
        println!(
            "received {} bytes: {}",
            reply.len(),
            String::from_utf8_lossy(&reply)
        );

        println!("while it is held: {} active", pool.stats().active_connections);
    } // The connection goes back to the pool here.
    // ANCHOR_END: scope

    let stats = pool.stats();
    println!(
        "after its scope: {} active, {} idle",
        stats.active_connections, stats.idle_connections
    );
    println!(
        "acquired {}, released {}",
        stats.total_acquisitions, stats.total_releases
    );

    pool.close().await;
    Ok(())
}
// ANCHOR_END: run

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
