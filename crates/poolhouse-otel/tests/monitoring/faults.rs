//! Pools in one fault each, and pools in none, with callers that go on until the test ends.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolhouse::{FailureKind, Manager, Pool, PoolConfig, PooledConnection};
use poolhouse_otel::PoolMetrics;
use tokio::time::sleep;

/// A server of which nothing is known but how it takes connects.
pub(crate) struct Server {
    connect_takes: Duration,
    /// How many connects succeed. Those after them fail.
    good_for: u64,
    connects: AtomicU64,
    failure: FailureKind,
}

impl Server {
    fn good() -> Self {
        Self {
            connect_takes: Duration::from_millis(1),
            good_for: u64::MAX,
            connects: AtomicU64::new(0),
            failure: FailureKind::Transient,
        }
    }

    fn slow() -> Self {
        Self { connect_takes: Duration::from_millis(800), ..Self::good() }
    }

    fn down(good_for: u64, failure: FailureKind) -> Self {
        Self { good_for, failure, ..Self::good() }
    }
}

impl Manager for Server {
    type Connection = ();
    type Error = io::Error;

    async fn connect(&self) -> io::Result<()> {
        sleep(self.connect_takes).await;
        if self.connects.fetch_add(1, Ordering::Relaxed) < self.good_for {
            return Ok(());
        }
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn classify(&self, _: &io::Error) -> FailureKind {
        self.failure
    }
}

/// What a caller does with a connection.
#[derive(Clone, Copy)]
enum Then {
    Release,
    /// Finds it broken after this many uses of its own.
    BreakAfter(u64),
}

/// What the callers of a pool do, without end.
#[derive(Clone, Copy)]
struct Load {
    callers: usize,
    hold: Duration,
    pause: Duration,
    then: Then,
}

const LIGHT: Load = Load {
    callers: 2,
    hold: Duration::from_millis(2),
    pause: Duration::from_millis(20),
    then: Then::Release,
};

/// The configuration of a small pool whose callers wait for 800 ms.
fn small(max: usize) -> PoolConfig {
    PoolConfig {
        max_connections: max,
        connection_timeout: Duration::from_millis(800),
        max_connect_backoff: Duration::from_millis(500),
        ..PoolConfig::default()
    }
}

fn pool(name: &str, metrics: &PoolMetrics, server: Server, config: PoolConfig) -> Pool<Server> {
    let pool = Pool::builder(server).config(config).name(name).listener(metrics.clone()).build().unwrap();
    metrics.observe(&pool);
    pool
}

fn spawn(pool: &Pool<Server>, load: Load) {
    for _ in 0..load.callers {
        let pool = pool.clone();
        tokio::spawn(async move {
            for uses in 1_u64.. {
                if let Ok(connection) = pool.acquire().await {
                    sleep(load.hold).await;
                    finish(connection, load.then, uses);
                }
                sleep(load.pause).await;
            }
        });
    }
}

fn finish(connection: PooledConnection<Server>, then: Then, uses: u64) {
    match then {
        Then::BreakAfter(each) if uses.is_multiple_of(each) => connection.invalidate(),
        _ => connection.release(),
    }
}

/// A pool, what the guide says of it, and the alerts that its fault has to raise: these and no others.
pub(crate) const EXPECTED: [(&str, &str, &[&str]); 11] = [
    ("healthy", "is healthy", &[]),
    ("busy", "is held all the time, and nobody waits", &[]),
    ("unused", "has no callers", &[]),
    ("exhausted", "has too many callers", &["PoolAcquiresFail", "PoolExhausted", "PoolWaitsAreLong"]),
    ("deadlocked", "is deadlocked", &["PoolAcquiresFail", "PoolExhausted", "PoolWaitsAreLong"]),
    ("down", "never reached its server", &["PoolAcquiresFail", "PoolCannotConnect", "PoolWaitsAreLong"]),
    ("lost", "lost its server", &["PoolAcquiresFail", "PoolCannotConnect", "PoolWaitsAreLong"]),
    // Every acquire fails at once, and none waits.
    ("refused", "has a wrong password", &["PoolAcquiresFail", "PoolCannotConnect"]),
    ("leaks", "leaks one connection of four", &["PoolLeak"]),
    ("churns", "opens a connection for each use", &["PoolChurns"]),
    ("slow-connects", "has slow connects", &["PoolConnectsAreSlow", "PoolWaitsAreLong"]),
];

/// What the faults hold, and the pool that does not leak yet.
pub(crate) struct Faults {
    held: Vec<PooledConnection<Server>>,
    leaks: Pool<Server>,
    /// A pool without a handle closes.
    _unused: Pool<Server>,
}

impl Faults {
    /// Holds a connection that never comes back.
    pub(crate) async fn leak(&mut self) {
        self.held.push(self.leaks.acquire().await.unwrap());
    }
}

/// Starts every pool of [`EXPECTED`], with its callers. The leak is still to come.
pub(crate) async fn start(metrics: &PoolMetrics) -> Faults {
    let start = |name, server, config| pool(name, metrics, server, config);

    spawn(&start("healthy", Server::good(), small(4)), LIGHT);
    let busy = Load { callers: 2, hold: Duration::from_millis(50), pause: Duration::ZERO, ..LIGHT };
    spawn(&start("busy", Server::good(), small(2)), busy);
    let unused = start("unused", Server::good(), small(2));

    // A second of work waits for each connection at any time, and a caller waits for 800 ms.
    let crowd = Load { callers: 40, hold: Duration::from_millis(50), pause: Duration::ZERO, ..LIGHT };
    spawn(&start("exhausted", Server::good(), small(2)), crowd);

    let deadlocked = start("deadlocked", Server::good(), small(2));
    let held = vec![deadlocked.acquire().await.unwrap(), deadlocked.acquire().await.unwrap()];
    spawn(&deadlocked, Load { pause: Duration::ZERO, ..LIGHT });

    spawn(&start("down", Server::down(0, FailureKind::Transient), small(4)), LIGHT);
    let breaks = Load { then: Then::BreakAfter(20), ..LIGHT };
    spawn(&start("lost", Server::down(4, FailureKind::Transient), small(4)), breaks);
    let config = PoolConfig { connection_timeout: Duration::from_secs(5), ..small(4) };
    spawn(&start("refused", Server::down(0, FailureKind::Permanent), config), LIGHT);

    let config = PoolConfig { leak_threshold: Duration::from_millis(200), ..small(4) };
    let leaks = start("leaks", Server::good(), config);
    spawn(&leaks, LIGHT);

    spawn(&start("churns", Server::good(), small(4)), Load { then: Then::BreakAfter(1), ..LIGHT });

    // Opened for a caller, and not ahead: so callers wait for it.
    let config = PoolConfig { min_connections: 0, connection_timeout: Duration::from_secs(5), ..small(4) };
    spawn(&start("slow-connects", Server::slow(), config), Load { callers: 1, ..breaks });

    Faults { held, leaks, _unused: unused }
}
