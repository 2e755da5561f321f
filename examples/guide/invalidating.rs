//! What a pool finds out about a connection by itself, and what it has to be told.
//!
//! `cargo run --example invalidating` starts its own echo server.

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use poolhouse::{
    Event, PacketConnection, PacketError, PacketPool, PoolConfig, PooledConnection,
};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::time::{sleep, timeout};

type AnyError = Box<dyn Error + Send + Sync>;

async fn exchange(
    connection: &mut PacketConnection,
    question: &'static str,
) -> Result<Bytes, PacketError> {
    connection.send_packet(question).await?;
    connection.receive().await
}

// ANCHOR: by_itself
/// Nobody invalidates anything here.
async fn by_itself(
    pool: &PacketPool,
    server: &EchoServer,
    told: &Told,
) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("hello").await?;
    drop(connection);
    told.report("dropped before the reply was read");

    server.set_faults(Faults { reply: Reply::HalfThenClose, ..Faults::default() });
    let mut connection = pool.acquire().await?;
    if exchange(&mut connection, "hello").await.is_ok() {
        return Err("half a reply is no reply".into());
    }
    drop(connection);
    told.report("dropped after an exchange that failed");
    server.set_faults(Faults::default());

    exchange(&mut *pool.acquire().await?, "hello").await?;
    server.disconnect_all();
    timeout(Duration::from_secs(10), server.wait_for(|counts| counts.open == 0))
        .await?;
    // The pool looks at a connection at most once a millisecond.
    sleep(Duration::from_millis(2)).await;
    exchange(&mut *pool.acquire().await?, "hello").await?;
    told.report("closed by the server while it was idle");
    Ok(())
}
// ANCHOR_END: by_itself

// ANCHOR: told
/// A reply that is whole, and wrong: only you can tell.
async fn told(
    pool: &PacketPool,
    server: &EchoServer,
    told: &Told,
) -> Result<(), AnyError> {
    server.set_faults(Faults { reply: Reply::Crosstalk, ..Faults::default() });
    let mut connection = pool.acquire().await?;
    let reply = exchange(&mut connection, "mine").await?;
    if reply != "mine" {
        connection.invalidate();
    }
    told.report("a whole reply, to another question");
    server.set_faults(Faults::default());

    // A failover: what was opened before it is no use, and nobody can see that on
    // the connection.
    let held = pool.acquire().await?;
    drop(pool.acquire().await?);
    pool.invalidate_all();
    told.report("all: the one that is idle, at once");
    drop(held);
    told.report("all: the one that was held, when it comes back");

    let _mine = PooledConnection::detach(pool.acquire().await?);
    told.report("taken out of the pool, and still open");
    Ok(())
}
// ANCHOR_END: told

/// Why the pool retired connections since the last look.
struct Told(mpsc::Receiver<&'static str>);

impl Told {
    fn report(&self, what: &str) {
        let reasons: Vec<&str> = self.0.try_iter().collect();
        println!("{what}: {}", reasons.join(", "));
    }
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    let (tell, retired) = mpsc::channel();
    let listener = move |event: &Event<'_>| {
        if let Event::Retired { reason, .. } = event {
            let _ = tell.send(reason.as_str());
        }
    };
    let config = PoolConfig { min_connections: 0, ..PoolConfig::default() };
    let pool = PacketPool::builder((server.host(), server.port()))
        .config(config)
        .listener(listener)
        .build()?;
    let reasons = Told(retired);

    println!("== the pool finds out by itself");
    by_itself(&pool, &server, &reasons).await?;
    println!("== the pool has to be told");
    told(&pool, &server, &reasons).await
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
