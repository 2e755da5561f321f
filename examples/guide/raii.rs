//! Five ways in which a scope ends. The connection comes back from each of them.
//!
//! `cargo run --example raii` starts its own echo server.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{PacketPool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::time::timeout;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: ways
async fn to_the_end(pool: PacketPool) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("hello").await?;
    connection.receive().await?;
    Ok(())
}

async fn early_return(pool: PacketPool) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("hello").await?;
    let reply = connection.receive().await?;
    let number: u32 = std::str::from_utf8(&reply)?.parse()?;
    println!("never here, for hello is no number: {number}");
    Ok(())
}

async fn half_way(pool: PacketPool) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("hello").await?;
    // The caller gives up while this waits for the reply.
    connection.receive().await?;
    Ok(())
}

async fn panicking(pool: PacketPool) -> Result<(), AnyError> {
    let _connection = pool.acquire().await?;
    panic!("a bug");
}
// ANCHOR_END: ways

fn report(how: &str, pool: &PacketPool) {
    let stats = pool.stats();
    let (held, idle, closed) = (
        stats.active_connections,
        stats.idle_connections,
        stats.connections_destroyed,
    );
    println!("{how}: held {held}, idle {idle}, closed so far {closed}");
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    let config = PoolConfig { min_connections: 0, ..PoolConfig::default() };
    let pool = PacketPool::new((server.host(), server.port()), config)?;

    to_the_end(pool.clone()).await?;
    report("to the end", &pool);

    if early_return(pool.clone()).await.is_ok() {
        return Err("hello is a number".into());
    }
    report("early return", &pool);

    pool.acquire().await?.release();
    report("release()", &pool);

    if tokio::spawn(panicking(pool.clone())).await.is_ok() {
        return Err("it did not panic".into());
    }
    report("panic", &pool);

    server.set_faults(Faults {
        latency: Some(Duration::from_secs(60)),
        ..Faults::default()
    });
    let task = tokio::spawn(half_way(pool.clone()));
    let sent = server.wait_for(|counts| counts.frames_received == 3);
    timeout(Duration::from_secs(10), sent).await?;
    task.abort();
    if task.await.is_ok() {
        return Err("it was not given up".into());
    }
    report("given up half-way", &pool);
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
