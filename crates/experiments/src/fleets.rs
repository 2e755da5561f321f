//! Many pools against one server with a limit, through a rolling deploy.
//!
//! The deploy goes as Kubernetes does it: as many new replicas as the surge allows start, and when they are ready, as
//! many old ones are told to end. An old one finishes what it does in its time to drain, and nobody counts it
//! meanwhile: the next new ones start at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use poolhouse::{Manager, Pool, PoolConfig};
use poolhouse_echo::{Connector, EchoServer, Faults};
use serde::{Deserialize, Serialize};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::sim::{Draws, in_virtual_time, ms, poisson, round, secs};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "fleets.json";

const LIMIT: u64 = 100;
const REPLICAS: usize = 8;
const BOOT: Duration = secs(5);
const DRAIN: Duration = secs(30);
/// Requests in a second at each replica, and how long each holds.
const RATE: f64 = 20.0;
const HOLD: Duration = Duration::from_millis(100);
const SETTLE: Duration = secs(30);
const BEFORE: Duration = secs(10);
const WATCHED: Duration = secs(150);
const SAMPLE: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Connections that the server accepts.
    pub limit: u64,
    /// Replicas in service.
    pub replicas: usize,
    /// Seconds that a new replica takes to start.
    pub boot_seconds: f64,
    /// Seconds that an old replica takes to end.
    pub drain_seconds: f64,
    /// Connections that a replica holds on average: its rate of requests times their hold.
    pub held: f64,
    /// One deploy each.
    pub deploys: Vec<Deploy>,
}

/// One deploy.
#[derive(Debug, Serialize, Deserialize)]
pub struct Deploy {
    /// In words.
    pub name: String,
    /// `max_connections` of each replica.
    pub pool: usize,
    /// How many new replicas start at a time.
    pub surge: usize,
    /// The most replicas that were alive at once, ending ones included.
    pub most_replicas: usize,
    /// The most connections that the server had open.
    pub peak_open: u64,
    /// Connects that the server refused.
    pub refused: u64,
    /// Requests that got no connection.
    pub failed: usize,
    /// All requests.
    pub requests: usize,
    /// Seconds from the start of the deploy until the last new replica was ready. `None` if that never was.
    pub took_seconds: Option<f64>,
    /// Open connections at the server, each second from ten seconds before the deploy.
    pub series: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Plan {
    name: &'static str,
    /// Minimum and maximum of each pool.
    pool: (usize, usize),
    surge: usize,
    /// A new replica gets requests once its pool is warm. Otherwise as soon as it has started.
    gated: bool,
    /// An old replica closes its pool when it is told to end, not at the end of its time to drain.
    closes_first: bool,
}

const FIXED: Plan =
    Plan { name: "pools of 10, one at a time", pool: (10, 10), surge: 1, gated: true, closes_first: false };

const PLANS: [Plan; 6] = [
    FIXED,
    Plan { name: "the same, and each old replica closes its pool early", closes_first: true, ..FIXED },
    Plan { name: "pools of 10, all at once", surge: REPLICAS, ..FIXED },
    Plan { name: "the same, ready before the pool is warm", surge: REPLICAS, gated: false, ..FIXED },
    Plan { name: "pools of 1 to 10, all at once", pool: (1, 10), surge: REPLICAS, ..FIXED },
    Plan { name: "pools of 5, by the budget, all at once", pool: (5, 5), surge: REPLICAS, ..FIXED },
];

pub(crate) fn run() -> Data {
    let deploys = PLANS.iter().zip(700..).map(|(plan, seed)| in_virtual_time(seed, deploy(*plan, seed)));
    Data {
        limit: LIMIT,
        replicas: REPLICAS,
        boot_seconds: BOOT.as_secs_f64(),
        drain_seconds: DRAIN.as_secs_f64(),
        held: RATE * HOLD.as_secs_f64(),
        deploys: deploys.collect(),
    }
}

struct ServerDialer(Connector);

impl Manager for ServerDialer {
    type Connection = DuplexStream;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<DuplexStream> {
        sleep(ms(20)).await;
        self.0.connect().await
    }
}

#[derive(Default)]
struct Ledger {
    alive: AtomicUsize,
    most_alive: AtomicUsize,
    requests: AtomicUsize,
    failed: AtomicUsize,
}

struct Replica {
    pool: Pool<ServerDialer>,
    serving: Arc<AtomicBool>,
    ledger: Arc<Ledger>,
    closes_first: bool,
}

impl Replica {
    /// Starts, and returns once it is in service.
    async fn start(plan: Plan, server: Connector, ledger: Arc<Ledger>, seed: u64) -> Self {
        let alive = ledger.alive.fetch_add(1, Relaxed) + 1;
        ledger.most_alive.fetch_max(alive, Relaxed);
        sleep(BOOT).await;
        let (min_connections, max_connections) = plan.pool;
        let config = PoolConfig {
            min_connections,
            max_connections,
            connection_timeout: secs(1),
            health_check_interval: Duration::MAX,
            ..PoolConfig::default()
        };
        let pool = Pool::new(ServerDialer(server), config).expect("a possible configuration");
        while pool.warm_up().await.is_err() && plan.gated {
            sleep(secs(1)).await;
        }
        let serving = Arc::new(AtomicBool::new(true));
        let replica = Self { pool, serving: Arc::clone(&serving), ledger, closes_first: plan.closes_first };
        let (pool, ledger) = (replica.pool.clone(), Arc::clone(&replica.ledger));
        tokio::spawn(async move {
            // Nobody sends it requests any more once it has been told to end.
            poisson(&mut Draws::new(seed), RATE, Instant::now() + WATCHED * 2, |_| {
                if serving.load(Relaxed) {
                    tokio::spawn(request(pool.clone(), Arc::clone(&ledger)));
                }
            })
            .await;
        });
        replica
    }

    async fn end(self) {
        self.serving.store(false, Relaxed);
        if self.closes_first {
            self.pool.close().await;
        }
        sleep(DRAIN).await;
        self.pool.close().await;
        self.ledger.alive.fetch_sub(1, Relaxed);
    }
}

async fn request(pool: Pool<ServerDialer>, ledger: Arc<Ledger>) {
    ledger.requests.fetch_add(1, Relaxed);
    match pool.acquire().await {
        Ok(connection) => {
            sleep(HOLD).await;
            drop(connection);
        }
        Err(_) => {
            ledger.failed.fetch_add(1, Relaxed);
        }
    }
}

async fn deploy(plan: Plan, seed: u64) -> Deploy {
    let faults = Faults { max_connections: Some(LIMIT), ..Faults::default() };
    let server = EchoServer::builder().faults(faults).in_memory();
    let ledger: Arc<Ledger> = Arc::default();
    let mut seeds = (seed * 100)..;
    let mut start = |plan| {
        let seed = seeds.next().expect("there is no end of them");
        tokio::spawn(Replica::start(plan, server.connector(), Arc::clone(&ledger), seed))
    };
    let old: Vec<_> = (0..REPLICAS).map(|_| start(plan)).collect();
    let mut serving = Vec::new();
    for replica in old {
        serving.push(replica.await.expect("it starts"));
    }
    // What a pool opens on demand settles first.
    sleep(SETTLE).await;
    let begin = Instant::now();
    let watch = async {
        let mut series = Vec::new();
        while begin.elapsed() < WATCHED {
            series.push(server.counts().open);
            sleep(SAMPLE).await;
        }
        series
    };
    let roll = async {
        sleep_until(begin + BEFORE).await;
        let mut new = Vec::new();
        while !serving.is_empty() {
            let starting: Vec<_> = (0..plan.surge).map(|_| start(plan)).collect();
            for replica in starting {
                new.push(replica.await.expect("it starts"));
            }
            for replica in serving.drain(..plan.surge) {
                tokio::spawn(replica.end());
            }
        }
        (begin.elapsed() - BEFORE, new)
    };
    // The new replicas stay until everything has been counted.
    let (series, rolled) = tokio::join!(watch, timeout(WATCHED, roll));
    let counts = server.counts();
    Deploy {
        name: plan.name.to_owned(),
        pool: plan.pool.1,
        surge: plan.surge,
        most_replicas: ledger.most_alive.load(Relaxed),
        peak_open: counts.peak_open,
        refused: counts.refused,
        failed: ledger.failed.load(Relaxed),
        requests: ledger.requests.load(Relaxed),
        took_seconds: rolled.ok().map(|(took, _)| round(took.as_secs_f64(), 0)),
        series,
    }
}
