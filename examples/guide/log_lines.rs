//! What the pool writes into the log, from its first connect to its close.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{Connector, EchoServer};
use tokio::io::DuplexStream;
use tokio::time::sleep;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

// ANCHOR: subscriber
fn log_to_stdout() -> Result<(), Box<dyn Error>> {
    // The pool from debug on, everything else from warn on.
    let filter: Targets = "warn,poolhouse=debug".parse()?;
    let lines = tracing_subscriber::fmt::layer()
        .without_time()
        .with_ansi(false)
        .with_writer(io::stdout);
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(())
}
// ANCHOR_END: subscriber

/// A server in memory, under the name that a real one would have.
struct InMemory(Connector);

impl Dial for InMemory {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        self.0.connect().await
    }

    fn target(&self) -> Cow<'_, str> {
        "db.example:5555".into()
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    log_to_stdout()?;
    let server = EchoServer::in_memory();
    let config = PoolConfig {
        max_connections: 1,
        connection_timeout: Duration::from_secs(2),
        leak_threshold: Duration::from_secs(1),
        ..PoolConfig::default()
    };
    let pool = Pool::new(PacketManager::new(InMemory(server.connector())), config)?;

    let held = pool.acquire().await?;
    // Nobody gives the one connection back: this one times out, and the first is
    // reported as a leak.
    if pool.acquire().await.is_ok() {
        return Err("a pool of one gave a second connection".into());
    }
    drop(held);
    sleep(Duration::from_secs(1)).await;
    pool.close().await;
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
