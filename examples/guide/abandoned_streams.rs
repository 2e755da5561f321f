//! A list that is read half-way, and answers that nobody waits for: what the pool
//! does, and what you can do.

mod kv;

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use kv::connection::KvError;
use kv::manager::KvManager;
use kv::server::KvServer;
use poolhouse::{
    Event, Manager, PacketManager, Pool, PoolConfig, PooledConnection, RetireReason,
};
use poolhouse_echo::{EchoServer, Faults};
use tokio::time::timeout;

type Reasons = mpsc::Receiver<RetireReason>;

fn pool_of_one<M: Manager>(
    manager: M,
) -> Result<(Pool<M>, Reasons), Box<dyn Error>> {
    let (retired, reasons) = mpsc::channel();
    let listener = move |event: &Event<'_>| {
        if let Event::Retired { reason, .. } = event {
            // Nobody listens any more when the pool goes at the end.
            let _ = retired.send(*reason);
        }
    };
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    Ok((Pool::builder(manager).config(config).listener(listener).build()?, reasons))
}

fn outcome(reasons: &Reasons) -> String {
    reasons
        .try_recv()
        .map_or_else(|_| "kept".to_owned(), |reason| format!("closed, {reason}"))
}

async fn fill<D: poolhouse::Dial>(
    connection: &mut PooledConnection<KvManager<D>>,
    space: &str,
    keys: usize,
) -> Result<(), KvError> {
    connection.use_space(space).await?;
    for number in 0..keys {
        connection.set(&format!("key{number}"), "value").await?;
    }
    connection.reset().await
}

async fn lists() -> Result<(), Box<dyn Error>> {
    let server = KvServer::in_memory("app", "s3cret");
    let (pool, reasons) =
        pool_of_one(KvManager::new(server.dial(), "app", "s3cret"))?;
    let mut connection = pool.acquire().await?;
    fill(&mut connection, "small", 6).await?;
    fill(&mut connection, "large", 5000).await?;
    drop(connection);

    println!("== six keys, and the caller leaves after two");
    {
        // ANCHOR: leave
        let mut connection = pool.acquire().await?;
        connection.use_space("small").await?;
        let mut keys = connection.keys().await?;
        keys.next().await?;
        keys.next().await?;
        // The caller has seen enough.
        drop(connection);
        // ANCHOR_END: leave
    }
    println!("connection: {}", outcome(&reasons));

    for space in ["small", "large"] {
        println!(
            "== a {space} list, left after two keys, then drained of a hundred at most"
        );
        let mut connection = pool.acquire().await?;
        connection.use_space(space).await?;
        // ANCHOR: drain
        let mut keys = connection.keys().await?;
        keys.next().await?;
        keys.next().await?;
        let drained = timeout(Duration::from_millis(100), keys.drain(100)).await;
        if !matches!(drained, Ok(Ok(true))) {
            connection.invalidate();
        }
        // ANCHOR_END: drain
        println!("connection: {}", outcome(&reasons));
    }
    Ok(())
}

/// Three requests at once, one answer read, and on to the next caller.
async fn pipelined(say_complete: bool) -> Result<(), Box<dyn Error>> {
    let server = EchoServer::in_memory();
    server.set_faults(Faults {
        latency: Some(Duration::from_millis(20)),
        ..Faults::default()
    });
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let (pool, reasons) = pool_of_one(PacketManager::new(dial))?;

    // ANCHOR: complete
    let mut connection = pool.acquire().await?;
    for number in 1..=3 {
        connection.send_packet(format!("request {number}")).await?;
    }
    connection.receive().await?;
    if say_complete {
        // Wrong: two answers are still to come.
        connection.exchange_complete();
    }
    drop(connection);
    // ANCHOR_END: complete
    println!("connection: {}", outcome(&reasons));

    let mut connection = pool.acquire().await?;
    connection.send_packet("mine").await?;
    println!(
        "the next caller asks for mine and gets: {}",
        String::from_utf8_lossy(&connection.receive().await?)
    );
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    lists().await?;
    // All of it is in memory: with a paused clock, the answers come late in the
    // same way each time.
    tokio::time::pause();
    println!("== three requests at once, one answer read");
    pipelined(false).await?;
    println!("== the same, and the caller says that the exchange is complete");
    pipelined(true).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
