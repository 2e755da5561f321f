//! One deadline handed on from step to step, and what an acquire can tell when the
//! limits are the wrong way round.
//!
//! The server is in memory and the clock is paused, so the times are exact and
//! none of them passes.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use poolhouse::{Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::time::{Instant, timeout_at};

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: deadline
/// Answers within `deadline`, whatever it is that takes long.
async fn answer<D: Dial>(
    pool: &Pool<PacketManager<D>>,
    request: &'static str,
    deadline: Instant,
) -> Result<Bytes, AnyError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut connection = pool.acquire_within(left).await?;
    // What is left after the acquire is for the exchange.
    timeout_at(deadline, async {
        connection.send_packet(request).await?;
        Ok(connection.receive().await?)
    })
    .await
    .map_err(|_| "no reply in time")?
}
// ANCHOR_END: deadline

async fn one_deadline() -> Result<(), AnyError> {
    println!("== one deadline of 500 ms for everything; replies take 400 ms");
    let server = EchoServer::in_memory();
    server.set_faults(Faults {
        latency: Some(Duration::from_millis(400)),
        ..Faults::default()
    });
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let pool = Pool::new(
        PacketManager::new(dial),
        PoolConfig { max_connections: 1, ..PoolConfig::default() },
    )?;
    let begin = Instant::now();
    let deadline = begin + Duration::from_millis(500);
    let both = tokio::join!(
        answer(&pool, "first", deadline),
        answer(&pool, "second", deadline)
    );
    for (name, outcome) in [("first", both.0), ("second", both.1)] {
        match outcome {
            Ok(reply) => println!("{name}: {}", String::from_utf8_lossy(&reply)),
            Err(error) => println!("{name}: {error}"),
        }
    }
    println!(
        "both ended by the deadline: {}",
        begin.elapsed() <= Duration::from_millis(502)
    );
    Ok(())
}

async fn never() -> io::Result<DuplexStream> {
    std::future::pending().await
}

async fn wrong_way_round() -> Result<(), AnyError> {
    println!("== a network that swallows every connect; connection_timeout is 2 s");
    for connect_attempt_timeout in
        [Duration::from_secs(10), Duration::from_millis(500)]
    {
        let config = PoolConfig {
            connection_timeout: Duration::from_secs(2),
            connect_attempt_timeout,
            ..PoolConfig::default()
        };
        let pool = Pool::new(PacketManager::new(never), config)?;
        if let Err(error) = pool.acquire().await {
            println!(
                "connect_attempt_timeout {connect_attempt_timeout:?}:\n  {}",
                error.to_string().replace("; ", ";\n  ")
            );
        }
    }
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    one_deadline().await?;
    wrong_way_round().await
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
