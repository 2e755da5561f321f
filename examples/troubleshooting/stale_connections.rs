//! Stale connections: the server closes what has idled, and the first requests
//! after a pause fail.
//!
//! `cargo run --example stale_connections`. The clock is tokio's, paused: the
//! pause takes no time, and every run is the same.

mod trace;

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use poolhouse::{
    Dial, Manager, PacketConnection, PacketError, PacketManager, Pool, PoolConfig,
};
use poolhouse_echo::{Connector, EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::time::sleep;

/// The server closes a connection on which it has heard nothing for so long.
const SERVER_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// No request comes for so long.
const LULL: Duration = Duration::from_secs(90);

/// The echo server in memory, under the name that errors show.
struct Backend(Connector);

impl Dial for Backend {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        self.0.connect().await
    }

    fn target(&self) -> Cow<'_, str> {
        "db.example:5432".into()
    }
}

type Packets = PacketManager<Backend>;
type Connection = PacketConnection<DuplexStream>;

// ANCHOR: trusting
/// A manager that trusts every idle connection: it leaves `is_connected` to its
/// default, `true`.
struct Trusting(Packets);

impl Manager for Trusting {
    type Connection = Connection;
    type Error = PacketError;

    async fn connect(&self) -> Result<Connection, PacketError> {
        self.0.connect().await
    }
}
// ANCHOR_END: trusting

/// Three requests at a time, before the lull and after it. Prints how many of
/// those after it failed.
async fn after_a_lull<M>(
    name: &'static str,
    server: &Arc<EchoServer>,
    manager: M,
    config: PoolConfig,
) -> Result<(), Box<dyn Error>>
where
    M: Manager<Connection = Connection, Error = PacketError>,
{
    let before = server.counts().accepted;
    let pool = Pool::new(manager, config)?;
    trace::part(name);
    let (watched, peer) = (pool.clone(), Arc::clone(server));
    let _watch = trace::watch(Duration::from_secs(1), move || {
        let open = usize::try_from(peer.counts().open).unwrap_or_default();
        watched.stats().total_connections.saturating_sub(open)
    });
    requests(&pool).await?;
    sleep(LULL).await;
    let failed = requests(&pool).await?;
    println!("failed requests: {} of 3", failed.len());
    println!("connections opened anew: {}", server.counts().accepted - before - 3);
    if let Some(error) = failed.first() {
        println!("log: {error}");
    }
    pool.close().await;
    Ok(())
}

// ANCHOR: requests
/// Holds three connections, makes a request on each, and returns the errors.
async fn requests<M>(pool: &Pool<M>) -> Result<Vec<PacketError>, Box<dyn Error>>
where
    M: Manager<Connection = Connection, Error = PacketError>,
{
    let mut connections =
        [pool.acquire().await?, pool.acquire().await?, pool.acquire().await?];
    let mut failed = Vec::new();
    for connection in &mut connections {
        failed.extend(exchange(connection).await.err());
    }
    for connection in connections {
        if failed.is_empty() {
            connection.release();
        } else {
            connection.invalidate();
        }
    }
    Ok(failed)
}
// ANCHOR_END: requests

async fn exchange(connection: &mut Connection) -> Result<(), PacketError> {
    connection.send_packet("select").await?;
    connection.receive().await.map(drop)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let faults =
        Faults { close_idle_after: Some(SERVER_IDLE_TIMEOUT), ..Faults::default() };
    let server = Arc::new(EchoServer::builder().faults(faults).in_memory());
    let packets = || PacketManager::new(Backend(server.connector()));
    let unchecked = PoolConfig {
        health_check_interval: Duration::MAX,
        ..PoolConfig::default()
    };

    println!("== the symptom");
    after_a_lull(
        "before the cure",
        &server,
        Trusting(packets()),
        unchecked.clone(),
    )
    .await?;

    // The packet protocol's manager looks at the socket before it hands a
    // connection out.
    println!("== after the cure");
    after_a_lull(
        "after the cure: a look before use",
        &server,
        packets(),
        unchecked.clone(),
    )
    .await?;

    println!("== background checks instead, more often than the server's limit");
    // ANCHOR: checked
    let checked = PoolConfig {
        health_check_interval: Duration::from_secs(30),
        ..unchecked.clone()
    };
    // ANCHOR_END: checked
    after_a_lull("background checks instead", &server, packets(), checked).await?;

    println!("== an idle_timeout below the server's limit instead");
    // ANCHOR: first_to_close
    let first_to_close = PoolConfig {
        idle_timeout: Duration::from_secs(45),
        // Above zero, it would keep that many open until the server closes them.
        min_connections: 0,
        ..unchecked
    };
    // ANCHOR_END: first_to_close
    after_a_lull(
        "a short idle_timeout instead",
        &server,
        Trusting(packets()),
        first_to_close,
    )
    .await
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
