//! One timeout, four causes of five: the error says which, and each wants another
//! answer.
//!
//! `cargo run --example timeout_phases` starts its own echo servers.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{AcquireError, AcquireTimeout, PacketPool, Phase, PoolConfig};
use poolhouse_echo::{EchoServer, Faults, Reply};

type AnyError = Box<dyn Error + Send + Sync>;

fn pool_of_one(address: SocketAddr) -> Result<PacketPool, AnyError> {
    let config = PoolConfig {
        max_connections: 1,
        connection_timeout: Duration::from_millis(400),
        check_after_idle: Duration::ZERO,
        ..PoolConfig::default()
    };
    Ok(PacketPool::new(address, config)?)
}

// ANCHOR: advice
/// Whose fault it is, and so who has to be woken.
fn advice(timeout: &AcquireTimeout) -> &'static str {
    match timeout.phase {
        Phase::Queueing => "ours: all are held, look at the holders",
        Phase::Connecting => {
            "the server's or the network's: look at the last connect error"
        }
        Phase::Checking => "the server's: it accepts, and does not answer",
        Phase::Resetting => "the server's or ours: the reset is slow",
        Phase::Suspended => "somebody's intention: the pool is suspended",
        _ => "new: read the text",
    }
}
// ANCHOR_END: advice

async fn expect_timeout(pool: &PacketPool) -> Result<(), AnyError> {
    match pool.acquire().await {
        Err(AcquireError::Timeout(timeout)) => {
            println!("{timeout}");
            println!("-> {}", advice(&timeout));
            Ok(())
        }
        Err(other) => Err(other.into()),
        Ok(_) => Err("it got a connection".into()),
    }
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;

    println!("== all held");
    let pool = pool_of_one(server.addr())?;
    let held = pool.acquire().await?;
    expect_timeout(&pool).await?;
    drop(held);

    println!("== the server does not answer");
    server.set_faults(Faults { reply: Reply::Never, ..Faults::default() });
    expect_timeout(&pool).await?;

    println!("== suspended");
    pool.suspend();
    expect_timeout(&pool).await?;

    println!("== nobody listens");
    // Nobody listens at port 1. (A port that is free now may have a server soon.)
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    expect_timeout(&pool_of_one(nobody)?).await
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
