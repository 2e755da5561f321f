//! The server: what it costs to connect, how it works, and its faults.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolhouse::{FailureKind, Manager};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use crate::run::Life;
use crate::scenario::Scenario;

/// When Linux asks a silent server again, in seconds after the first time, and gives up at the last
/// (`net.ipv4.tcp_syn_retries` is 6).
const ASKED_AGAIN: [u64; 7] = [1, 3, 7, 15, 31, 63, 127];

/// The one server that all replicas connect to.
pub struct Server {
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
    /// Of every connection, in the order in which they opened.
    lives: Vec<Life>,
    /// When each connect was tried, in milliseconds from the start.
    attempts: Vec<u64>,
    open: usize,
    most_open: usize,
    refused: u64,
    working: usize,
}

impl State {
    fn since_start(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FaultKind {
    None,
    Outage,
    Slow,
    Silent,
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
pub enum Refusal {
    /// Nobody listens.
    Down,
    /// Nobody answers.
    Silent,
    /// It has as many connections as it accepts.
    Full,
    /// The connection is gone.
    Dropped,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "connection refused",
            Self::Silent => "connection timed out",
            Self::Full => "too many clients already",
            Self::Dropped => "connection reset by peer",
        })
    }
}

impl std::error::Error for Refusal {}

/// One connection to the server.
pub struct Connection {
    server: Arc<Server>,
    /// Where it stands in the list of lives.
    index: usize,
    opened_at: Instant,
    used_at: Instant,
    broken: bool,
}

impl Server {
    /// The server of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let values = &scenario.values;
        let begin = Duration::from_millis((values.fault_at * 1e3) as u64);
        let fault = Fault {
            kind: match values.fault as u8 {
                1 => FaultKind::Outage,
                2 => FaultKind::Slow,
                4 => FaultKind::Silent,
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
            state: Mutex::new(State {
                start: Instant::now(),
                lives: Vec::new(),
                attempts: Vec::new(),
                open: 0,
                most_open: 0,
                refused: 0,
                working: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests may arrive from now on.
    pub fn start(&self) {
        let mut state = self.state();
        state.start = Instant::now();
        state.attempts.clear();
        for life in &mut state.lives {
            life.opened = 0;
            life.closed = life.closed.map(|_| 0);
        }
    }

    /// When each connect was tried, in milliseconds from the start.
    pub fn attempts(&self) -> Vec<u64> {
        self.state().attempts.clone()
    }

    /// What became of every connection until now.
    pub(crate) fn lives(&self) -> Vec<Life> {
        self.state().lives.clone()
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
        if !matches!(self.fault.kind, FaultKind::Outage | FaultKind::Silent) {
            return false;
        }
        let begin = self.state().start + self.fault.begin;
        self.suffers(self.fault.kind) || (then < begin && begin <= Instant::now() && !self.fault.is_empty())
    }

    fn note_attempt(&self) {
        let mut state = self.state();
        let now = state.since_start();
        state.attempts.push(now);
    }

    /// Waits until the server answers a connect that began at this instant. The connect gives up after two minutes.
    async fn answer(&self, asked: Instant) -> Result<(), Refusal> {
        for seconds in ASKED_AGAIN {
            if !self.suffers(FaultKind::Silent) {
                return Ok(());
            }
            sleep_until(asked + Duration::from_secs(seconds)).await;
        }
        Err(Refusal::Silent)
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
    /// A request has got it.
    pub(crate) fn handed_out(&self) {
        let unused = self.used_at.elapsed().as_millis() as u64;
        let mut state = self.server.state();
        let life = &mut state.lives[self.index];
        life.uses += 1;
        life.longest_unused = life.longest_unused.max(unused);
    }

    /// Has the server work for so many milliseconds.
    ///
    /// # Errors
    ///
    /// The connection is gone.
    pub async fn work(&mut self, millis: f64) -> Result<(), Refusal> {
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
        self.broken || self.is_dropped() || !self.is_open()
    }

    /// Whether the server has not closed it. One that goes down closes its sockets; a firewall does not.
    pub fn is_open(&self) -> bool {
        !self.server.has_failed_since(self.opened_at)
    }

    /// By a firewall, which tells nobody.
    fn is_dropped(&self) -> bool {
        self.used_at.elapsed() > self.server.kill_idle
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.server.state();
        let now = state.since_start();
        state.open -= 1;
        state.lives[self.index].closed = Some(now);
    }
}

/// Opens connections for one replica.
pub struct Dialer(pub Arc<Server>);

impl Manager for Dialer {
    type Connection = Connection;
    type Error = Refusal;

    async fn connect(&self) -> Result<Connection, Refusal> {
        let server = &self.0;
        let asked = Instant::now();
        server.note_attempt();
        if server.suffers(FaultKind::Outage) {
            return Err(Refusal::Down);
        }
        sleep(server.connect).await;
        if server.suffers(FaultKind::Outage) {
            return Err(Refusal::Down);
        }
        server.answer(asked).await?;
        let mut state = server.state();
        if state.open >= server.limit {
            state.refused += 1;
            return Err(Refusal::Full);
        }
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        let now = Instant::now();
        let index = state.lives.len();
        let opened = state.since_start();
        state.lives.push(Life { opened, closed: None, uses: 0, longest_unused: 0 });
        Ok(Connection { server: Arc::clone(server), index, opened_at: now, used_at: now, broken: false })
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

    fn is_connected(&self, connection: &mut Connection) -> bool {
        connection.is_open()
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
