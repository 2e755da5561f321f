//! The server: what it costs to connect, how it works, and its faults.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolhouse::{FailureKind, Manager};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::knobs::Values;

/// The one server that all replicas connect to.
pub(crate) struct Server {
    connect: Duration,
    limit: usize,
    contention: f64,
    kill_idle: Duration,
    fault: Fault,
    cores: Option<Semaphore>,
    state: Mutex<State>,
}

struct State {
    /// When the first request may arrive. Faults count from it.
    start: Instant,
    open: usize,
    most_open: usize,
    refused: u64,
    working: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    None,
    Outage,
    Slow,
}

#[derive(Clone, Copy)]
struct Fault {
    kind: FaultKind,
    begin: Duration,
    end: Duration,
    slow_factor: f64,
}

/// Why the server refused a connection, or broke one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Down,
    Full,
    Dropped,
}

impl From<Refusal> for Box<dyn std::error::Error + Send + Sync> {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Down => "connection refused",
            Refusal::Full => "too many clients already",
            Refusal::Dropped => "connection reset by peer",
        }
        .into()
    }
}

/// One connection to the server.
pub(crate) struct Connection {
    server: Arc<Server>,
    opened_at: Instant,
    used_at: Instant,
    broken: bool,
}

impl Server {
    pub(crate) fn new(values: &Values) -> Self {
        let begin = Duration::from_millis((values.fault_at * 1e3) as u64);
        let fault = Fault {
            kind: match values.fault as u8 {
                1 => FaultKind::Outage,
                2 => FaultKind::Slow,
                // A deploy is no fault of the server.
                _ => FaultKind::None,
            },
            begin,
            end: begin + Duration::from_millis((values.fault_for * 1e3) as u64),
            slow_factor: values.slow_factor,
        };
        let or_never =
            |value: f64| if value == 0.0 { Duration::MAX } else { Duration::from_millis(value as u64) };
        Self {
            connect: Duration::from_millis(values.connect as u64),
            limit: if values.server_limit == 0.0 { usize::MAX } else { values.server_limit as usize },
            contention: values.contention / 100.0,
            kill_idle: or_never(values.kill_idle),
            fault,
            cores: (values.cores > 0.0).then(|| Semaphore::new(values.cores as usize)),
            state: Mutex::new(State { start: Instant::now(), open: 0, most_open: 0, refused: 0, working: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests may arrive from now on.
    pub(crate) fn start(&self) {
        self.state().start = Instant::now();
    }

    /// The most connections that were open at once, of all replicas.
    pub(crate) fn most_open(&self) -> usize {
        self.state().most_open
    }

    /// Connects beyond the limit.
    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }

    fn suffers(&self, kind: FaultKind) -> bool {
        let since_start = Instant::now().saturating_duration_since(self.state().start);
        self.fault.kind == kind && (self.fault.begin..self.fault.end).contains(&since_start)
    }

    /// Whether an outage has begun since then, or is going on.
    fn has_failed_since(&self, then: Instant) -> bool {
        if self.fault.kind != FaultKind::Outage {
            return false;
        }
        let begin = self.state().start + self.fault.begin;
        self.suffers(FaultKind::Outage) || (then < begin && begin <= Instant::now() && !self.fault.is_empty())
    }

    /// How much longer than alone the work takes that begins now.
    fn stretch(&self) -> f64 {
        let others = self.state().working as f64;
        let slow = if self.suffers(FaultKind::Slow) { self.fault.slow_factor } else { 1.0 };
        slow * (1.0 + self.contention * others)
    }
}

impl Fault {
    fn is_empty(&self) -> bool {
        self.begin == self.end
    }
}

/// The share of the server's attention that one request has, given back when it ends or is cancelled.
struct Working<'a>(&'a Server);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.state().working -= 1;
    }
}

impl Connection {
    /// Has the server work for so many milliseconds, or find that the connection is gone.
    pub(crate) async fn work(&mut self, millis: f64) -> Result<(), Refusal> {
        let server = Arc::clone(&self.server);
        if self.is_gone() {
            self.broken = true;
            return Err(Refusal::Dropped);
        }
        let began = Instant::now();
        {
            let _core = match &server.cores {
                Some(cores) => cores.acquire().await.ok(),
                None => None,
            };
            let stretched = (millis * server.stretch()).round() as u64;
            server.state().working += 1;
            let _working = Working(&server);
            sleep(Duration::from_millis(stretched)).await;
        }
        self.used_at = Instant::now();
        self.broken = server.has_failed_since(began);
        if self.broken { Err(Refusal::Dropped) } else { Ok(()) }
    }

    fn is_gone(&self) -> bool {
        self.broken || self.is_dropped() || self.server.has_failed_since(self.opened_at)
    }

    /// By a firewall, which tells nobody.
    fn is_dropped(&self) -> bool {
        self.used_at.elapsed() > self.server.kill_idle
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.server.state().open -= 1;
    }
}

/// Opens connections for one replica.
pub(crate) struct Dialer(pub(crate) Arc<Server>);

impl Manager for Dialer {
    type Connection = Connection;
    type Error = Refusal;

    async fn connect(&self) -> Result<Connection, Refusal> {
        let server = &self.0;
        if server.suffers(FaultKind::Outage) {
            return Err(Refusal::Down);
        }
        sleep(server.connect).await;
        if server.suffers(FaultKind::Outage) {
            return Err(Refusal::Down);
        }
        let mut state = server.state();
        if state.open >= server.limit {
            state.refused += 1;
            return Err(Refusal::Full);
        }
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        let now = Instant::now();
        Ok(Connection { server: Arc::clone(server), opened_at: now, used_at: now, broken: false })
    }

    /// One round trip, in a millisecond.
    async fn check(&self, connection: &mut Connection) -> Result<(), Refusal> {
        sleep(Duration::from_millis(1)).await;
        if connection.is_gone() {
            return Err(Refusal::Dropped);
        }
        connection.used_at = Instant::now();
        Ok(())
    }

    /// A server that goes down closes its sockets; a firewall does not.
    fn is_connected(&self, connection: &mut Connection) -> bool {
        !connection.server.has_failed_since(connection.opened_at)
    }

    fn is_reusable(&self, connection: &mut Connection) -> bool {
        !connection.broken
    }

    fn classify(&self, refusal: &Refusal) -> FailureKind {
        if *refusal == Refusal::Full { FailureKind::Busy } else { FailureKind::Transient }
    }

    fn target(&self) -> std::borrow::Cow<'_, str> {
        "database".into()
    }
}
