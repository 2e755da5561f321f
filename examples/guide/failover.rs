//! Two servers and one primary: a manager that finds it, a check that asks the
//! right question, and a failover under load.

mod kv;

use std::borrow::Cow;
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use kv::connection::{KvConnection, KvError};
use kv::manager::KvManager;
use kv::server::KvServer;
use poolhouse::{
    Event, FailureKind, Manager, Pool, PoolConfig, PooledConnection, TcpDialer,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

// ANCHOR: cluster
/// Every connection goes to the primary, whichever node that is at the moment.
struct Cluster {
    nodes: Vec<KvManager<TcpDialer>>,
    /// For one node. All together must fit into `connect_attempt_timeout`, or a
    /// silent first one hides the second.
    attempt_timeout: Duration,
    target: String,
}

impl Cluster {
    async fn try_node(
        &self,
        node: &KvManager<TcpDialer>,
    ) -> Result<KvConnection<TcpStream>, KvError> {
        let attempt = async {
            let mut connection = node.connect().await?;
            takes_writes(&mut connection).await?;
            Ok(connection)
        };
        let limit = self.attempt_timeout;
        timeout(limit, attempt).await.map_err(|_| KvError::TimedOut(limit))?
    }
}

/// The question that matters. With PostgreSQL: `SELECT NOT pg_is_in_recovery()`.
async fn takes_writes(
    connection: &mut KvConnection<TcpStream>,
) -> Result<(), KvError> {
    match connection.role().await?.as_str() {
        "primary" => Ok(()),
        _ => Err(KvError::Refused { code: "READONLY".to_owned() }),
    }
}

impl Manager for Cluster {
    type Connection = KvConnection<TcpStream>;
    type Error = KvError;

    async fn connect(&self) -> Result<Self::Connection, KvError> {
        let mut failure = KvError::Dial(std::io::ErrorKind::NotFound.into());
        let mut hope = false;
        for node in &self.nodes {
            match self.try_node(node).await {
                Ok(connection) => return Ok(connection),
                // As long as one node may come back, the whole may.
                Err(error) if !hope => {
                    hope = self.classify(&error) == FailureKind::Transient;
                    failure = error;
                }
                Err(_) => {}
            }
        }
        Err(failure)
    }

    async fn check(
        &self,
        connection: &mut Self::Connection,
    ) -> Result<(), KvError> {
        takes_writes(connection).await
    }

    fn is_reusable(&self, connection: &mut Self::Connection) -> bool {
        connection.is_quiet()
    }

    fn is_connected(&self, connection: &mut Self::Connection) -> bool {
        self.nodes.first().is_some_and(|node| node.is_connected(connection))
    }

    fn classify(&self, error: &KvError) -> FailureKind {
        self.nodes
            .first()
            .map_or(FailureKind::Transient, |node| node.classify(error))
    }

    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.target)
    }
}
// ANCHOR_END: cluster

// ANCHOR: writer
/// Writes, and follows the primary when it has moved.
struct Writer {
    pool: Pool<Cluster>,
    /// Connections up to this number are known to be of the old primary.
    outdated: AtomicU64,
}

impl Writer {
    async fn set(&self, key: &str, value: &str) -> Result<(), Box<dyn Error>> {
        let mut connection = self.pool.acquire().await?;
        match connection.set(key, value).await {
            Err(error) if error.is_refused("READONLY") => {
                self.primary_moved(PooledConnection::id(&connection));
            }
            done => return Ok(done?),
        }
        connection.invalidate();
        // A refusal changed nothing: this is safe to repeat.
        Ok(self.pool.acquire().await?.set(key, value).await?)
    }

    /// Ten callers may find out at once. One renewal is enough.
    fn primary_moved(&self, connection: u64) {
        let newest = self.pool.stats().connections_created;
        if connection > self.outdated.fetch_max(newest, Relaxed) {
            println!("a write was refused: all connections are renewed");
            self.pool.invalidate_all();
        }
    }
}
// ANCHOR_END: writer

fn writes(server: &KvServer) -> usize {
    server.counts().requests.get("SET").copied().unwrap_or(0)
}

fn fail_over(from: &KvServer, to: &KvServer) {
    from.set_replica(true);
    to.set_replica(false);
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (a, b) = (
        KvServer::start("app", "s3cret").await?,
        KvServer::start("app", "s3cret").await?,
    );
    b.set_replica(true);
    let cluster = || -> Result<Cluster, Box<dyn Error>> {
        let node =
            |address| KvManager::new(TcpDialer::from(address), "app", "s3cret");
        Ok(Cluster {
            nodes: vec![node(a.addr()?), node(b.addr()?)],
            attempt_timeout: Duration::from_secs(4),
            target: "the store, two nodes".to_owned(),
        })
    };

    println!("== in service");
    let pool = Pool::new(
        cluster()?,
        PoolConfig { max_connections: 1, ..PoolConfig::default() },
    )?;
    let writer = Writer { pool: pool.clone(), outdated: AtomicU64::new(0) };
    writer.set("key", "1").await?;
    println!("writes on a: {}, on b: {}", writes(&a), writes(&b));

    println!("== a is demoted, and keeps its connections");
    fail_over(&a, &b);
    println!("a ping still works: {}", pool.acquire().await?.ping().await.is_ok());
    writer.set("key", "2").await?;
    println!("writes on a: {}, on b: {}", writes(&a), writes(&b));

    println!("== back to a, while nobody writes, with a check in the background");
    let (failed, mut checks) = mpsc::unbounded_channel();
    let listener = move |event: &Event<'_>| {
        if let Event::CheckFailed { .. } = event {
            // Nobody listens any more once `run` has returned.
            let _ = failed.send(());
        }
    };
    let config = PoolConfig {
        health_check_interval: Duration::from_millis(20),
        ..PoolConfig::default()
    };
    let idle =
        Pool::builder(cluster()?).config(config).listener(listener).build()?;
    idle.warm_up().await?;
    fail_over(&b, &a);
    timeout(Duration::from_secs(5), checks.recv()).await?;
    idle.acquire().await?.set("key", "3").await?;
    println!(
        "a check failed, and the next caller writes: writes on a: {}, on b: {}",
        writes(&a),
        writes(&b)
    );
    Ok(())
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
