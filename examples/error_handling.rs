//! What a pool refuses, how it says so, and what to do: exhausted, timed out,
//! unreachable, broken.
//!
//! `cargo run --example error_handling` starts its own echo server; `cargo run
//! --example error_handling 127.0.0.1:5555` uses yours.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use poolhouse::{
    AcquireError, PacketConnection, PacketError, PacketManager, PacketOptions,
    PacketPool, PoolConfig, TcpDialer,
};
use poolhouse_echo::EchoServer;

fn pool_of_two(address: SocketAddr) -> Result<PacketPool, Box<dyn Error>> {
    let options = PacketOptions {
        io_timeout: Duration::from_secs(2),
        ..PacketOptions::default()
    };
    let manager =
        PacketManager::new(TcpDialer::from(address)).with_options(options);
    let config = PoolConfig {
        max_connections: 2,
        connection_timeout: Duration::from_millis(500),
        ..PoolConfig::default()
    };
    Ok(PacketPool::new(manager, config)?)
}

// ANCHOR: exhausted
async fn exhausted(pool: &PacketPool) -> Result<(), Box<dyn Error>> {
    println!("== exhausted");
    let first = pool.acquire().await?;
    let _second = pool.acquire().await?;
    println!(
        "two are held; try_acquire gives one: {}",
        pool.try_acquire().is_some()
    );
    first.release();
    println!(
        "one came back; try_acquire gives one: {}",
        pool.try_acquire().is_some()
    );
    Ok(())
}
// ANCHOR_END: exhausted

// ANCHOR: timed_out
async fn timed_out(pool: &PacketPool) -> Result<(), Box<dyn Error>> {
    println!("== timed out");
    let _first = pool.acquire().await?;
    let _second = pool.acquire().await?;
    match pool.acquire().await {
        // Say "busy" to the client, and keep the diagnosis for the log.
        Err(AcquireError::Timeout(timeout)) => {
            println!("503 service unavailable");
            println!("log: {timeout}");
            Ok(())
        }
        Err(other) => Err(other.into()),
        Ok(_) => Err("a pool of two gave a third connection".into()),
    }
}
// ANCHOR_END: timed_out

// ANCHOR: unreachable
async fn unreachable() -> Result<(), Box<dyn Error>> {
    println!("== unreachable");
    // Nobody listens at port 1. (A port that is free now may have a server soon.)
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let pool = pool_of_two(nobody)?;
    match pool.warm_up().await {
        Err(AcquireError::Connect(failed)) => {
            println!("at start-up: cannot reach {}", failed.target);
        }
        other => {
            return Err(format!("expected a failed connect, not {other:?}").into());
        }
    }
    match pool.acquire().await {
        Err(AcquireError::Timeout(timeout)) => {
            println!(
                "in service: no connection, and the pool was {}",
                timeout.phase
            );
            println!(
                "it has tried more than once: {}",
                timeout.failed_connects > 1
            );
            Ok(())
        }
        other => Err(format!("expected a timeout, not {other:?}").into()),
    }
}
// ANCHOR_END: unreachable

// ANCHOR: broken
async fn broken(server: &EchoServer) -> Result<(), Box<dyn Error>> {
    println!("== broken");
    let pool = pool_of_two(server.addr())?;
    let mut connection = pool.acquire().await?;
    exchange(&mut connection).await?;
    server.disconnect_all();
    server.wait_for(|counts| counts.open == 0).await;

    match exchange(&mut connection).await {
        Ok(_) => {
            return Err("the server closed the connection, and it answered".into());
        }
        Err(_) => {
            println!("the exchange failed: the connection is no use to anybody");
            connection.invalidate();
        }
    }

    let mut connection = pool.acquire().await?;
    let reply = exchange(&mut connection).await?;
    println!("a new one answers: {}", String::from_utf8_lossy(&reply));
    Ok(())
}

async fn exchange(connection: &mut PacketConnection) -> Result<Bytes, PacketError> {
    connection.send_packet("hello").await?;
    connection.receive().await
}
// ANCHOR_END: broken

async fn run() -> Result<(), Box<dyn Error>> {
    let (address, server) = match std::env::args().nth(1) {
        Some(address) => (address.parse()?, None),
        None => {
            let server = EchoServer::start().await?;
            (server.addr(), Some(server))
        }
    };
    let pool = pool_of_two(address)?;
    exhausted(&pool).await?;
    timed_out(&pool).await?;
    pool.close().await;
    unreachable().await?;
    match &server {
        Some(server) => broken(server).await?,
        None => {
            println!(
                "== broken\nskipped: this part has to close the server's side"
            );
        }
    }
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
