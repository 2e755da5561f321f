//! A rolling deploy brings more pools than the server has room for.
//!
//! `cargo run --example too_many_clients` runs in virtual time against an echo
//! server in memory, which allows 20 connections.

mod trace;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use poolhouse::{
    AcquireError, Dial, FailureKind, Manager, PacketConnection, PacketError,
    PacketManager, Pool, PoolConfig,
};
use poolhouse_echo::{Connector, EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;

const SERVER_ALLOWS: u64 = 20;
const REPLICAS: usize = 4;
/// How long a replica takes to start.
const START: Duration = Duration::from_secs(1);
/// How many new replicas start before the old ones end.
const SURGE: usize = 2;
/// How many requests each replica has at once.
const REQUESTS: usize = 5;

#[derive(Clone)]
struct ToTheServer(Connector);

impl Dial for ToTheServer {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        self.0.connect().await
    }

    fn target(&self) -> std::borrow::Cow<'_, str> {
        "db:5555".into()
    }
}

struct Database {
    packets: PacketManager<ToTheServer>,
    /// Whether it tells the pool which refusal means that the server is full.
    classifies: bool,
}

impl Manager for Database {
    type Connection = PacketConnection<DuplexStream>;
    type Error = PacketError;

    async fn connect(&self) -> Result<Self::Connection, PacketError> {
        self.packets.connect().await
    }

    // ANCHOR: classify
    fn classify(&self, error: &PacketError) -> FailureKind {
        match error {
            PacketError::Dial { error, .. }
                if self.classifies && is_full(error) =>
            {
                FailureKind::Busy
            }
            _ => self.packets.classify(error),
        }
    }
    // ANCHOR_END: classify

    fn target(&self) -> std::borrow::Cow<'_, str> {
        self.packets.target()
    }
}

/// Whether the server says that it has no room. A database says so by a code:
/// `53300` in PostgreSQL, 1040 in MySQL.
fn is_full(error: &io::Error) -> bool {
    error.to_string().contains("as many as max_connections allows")
}

type ReplicaPool = Pool<Database>;

/// One process of the service.
struct Replica {
    pool: ReplicaPool,
}

impl Replica {
    async fn start(
        server: &EchoServer,
        config: &PoolConfig,
        classifies: bool,
    ) -> Result<Self, AnyError> {
        tokio::time::sleep(START).await;
        let packets = PacketManager::new(ToTheServer(server.connector()));
        Ok(Self {
            pool: Pool::new(Database { packets, classifies }, config.clone())?,
        })
    }

    /// Has `REQUESTS` at once, and returns how many failed and the text of the
    /// first failure.
    async fn serve(&self) -> Result<(usize, Option<String>), AnyError> {
        let mut tasks = JoinSet::new();
        for number in 0..REQUESTS {
            let pool = self.pool.clone();
            tasks.spawn(async move { request(&pool, number).await });
        }
        let mut failed = (0, None);
        while let Some(done) = tasks.join_next().await {
            if let Err(error) = done? {
                failed = (failed.0 + 1, failed.1.or(Some(error.to_string())));
            }
        }
        Ok(failed)
    }
}

async fn request(pool: &ReplicaPool, number: usize) -> Result<(), AnyError> {
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(error @ AcquireError::Timeout(_)) => return Err(error.into()),
        Err(error) => {
            return Err(format!(
                "not the failure that this program shows: {error}"
            )
            .into());
        }
    };
    exchange(&mut connection, number).await?;
    Ok(())
}

async fn exchange(
    connection: &mut PacketConnection<DuplexStream>,
    number: usize,
) -> Result<(), PacketError> {
    connection.send_packet(format!("request {number}")).await?;
    connection.receive().await.map(drop)
}

/// Old replicas serve, new ones start beside them, the old ones end.
async fn deploy(
    name: &'static str,
    config: &PoolConfig,
    classifies: bool,
) -> Result<(), AnyError> {
    let faults =
        Faults { max_connections: Some(SERVER_ALLOWS), ..Faults::default() };
    let server = Arc::new(EchoServer::builder().faults(faults).in_memory());
    trace::part(name);
    let peer = Arc::clone(&server);
    let _watch = trace::watch(Duration::from_millis(100), move || {
        usize::try_from(peer.counts().open).unwrap_or_default()
    });

    let mut old = Vec::new();
    for _ in 0..REPLICAS {
        let replica = Replica::start(&server, config, classifies).await?;
        let (failed, _) = replica.serve().await?;
        if failed > 0 {
            return Err("the old release fits, and failed".into());
        }
        old.push(replica);
    }
    println!("open before the deploy: {}", server.counts().open);

    let mut new = Vec::new();
    let (mut failed, mut log) = (0, None);
    for _ in 0..SURGE {
        let replica = Replica::start(&server, config, classifies).await?;
        let (failures, text) = replica.serve().await?;
        failed += failures;
        log = log.or(text);
        new.push(replica);
    }
    let counts = server.counts();
    println!("requests that failed: {failed} of {}", SURGE * REQUESTS);
    println!("most connections at once: {}", counts.peak_open);
    println!("refused by the server: {}", counts.refused);
    if let Some(text) = log {
        println!("log: {text}");
    }

    // A deploy waits a moment before it ends the old ones.
    tokio::time::sleep(START).await;
    // ANCHOR: end
    for replica in old {
        let report = replica.pool.close_within(Duration::from_secs(10)).await;
        if !report.is_complete() {
            eprintln!("{report}");
        }
    }
    // ANCHOR_END: end
    // No pause after failures is longer. Its length is drawn at random.
    tokio::time::sleep(config.max_connect_backoff).await;
    let mut late = 0;
    for replica in &new {
        late += replica.serve().await?.0;
    }
    println!(
        "failed once the old release has gone: {late} of {}",
        SURGE * REQUESTS
    );
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    // The pauses between attempts are drawn at random. A seed makes every run the
    // same.
    fastrand::seed(1);
    println!("== the symptom");
    // ANCHOR: symptom
    // 4 replicas x 5 fit into 20. During the deploy there are 6.
    let too_many = PoolConfig {
        max_connections: 5,
        connection_timeout: Duration::from_secs(2),
        connect_attempt_timeout: Duration::from_secs(1),
        ..PoolConfig::default()
    };
    // ANCHOR_END: symptom
    deploy("before the cure", &too_many, false).await?;

    println!("== after the cure");
    // ANCHOR: cure
    // 20 allowed, 2 kept for people and cron jobs, 4 + 2 replicas: 18 / 6 = 3.
    let config = PoolConfig { max_connections: 3, ..too_many.clone() };
    // ANCHOR_END: cure
    deploy("after the cure", &config, true).await?;

    println!("== too many still, and the pool knows when the server is full");
    deploy("too many still", &too_many, true).await
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
