//! Drives real pools through a scenario.

use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolhouse::{AcquireError, AcquireErrorKind, Pool, PoolStats, PooledConnection};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::advice::Advice;
use crate::arrivals::{Work, arrive};
use crate::fleet::Fleet;
use crate::ledger::{Again, Figures, Ledger, Outcome, Request, Window, quantile};
use crate::run::{Frame, Run};
use crate::scenario::Scenario;
use crate::server::{Dialer, Server};

/// How many frames a run has at most.
const FRAMES: u64 = 400;
/// For how long requests may go on after the last has arrived. What has not ended by then is unfinished.
const AFTER_THE_END: Duration = Duration::from_secs(60);

/// Runs a scenario to its end. The pools are real; the clock is paused, and jumps to whatever comes next.
pub fn run(scenario: &Scenario) -> Run {
    in_virtual_time(scenario.values.seed as u64, drive(scenario))
}

/// Runs a future to its end on one thread, in as little time as the work itself takes. The pools' own draws come from
/// the seed.
pub fn in_virtual_time<F: Future>(seed: u64, work: F) -> F::Output {
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    // What the pool logs of a fault that was asked for is no news.
    with_default(NoSubscriber::default(), || runtime.expect("a runtime needs only memory").block_on(work))
}

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Context {
    fleet: Arc<Fleet>,
    ledger: Arc<Mutex<Ledger>>,
    pub(crate) window: Window,
    nested: bool,
    /// In the middle of the request.
    call: Duration,
    releases: bool,
    patience: Option<u64>,
}

async fn drive(scenario: &Scenario) -> Run {
    let values = &scenario.values;
    let server = Arc::new(Server::new(scenario));
    let fleet = Fleet::start(scenario, &server).await;
    server.start();
    let start = Instant::now();
    let seconds = |seconds: f64| Duration::from_millis((seconds * 1e3) as u64);
    let window =
        Window { start, begin: start + seconds(values.warm_up), end: start + seconds(values.duration) };
    let before = fleet.stats();
    let refused_before = server.refused();
    fleet.deploy(scenario, start);
    let context = Context {
        fleet: Arc::clone(&fleet),
        ledger: Arc::default(),
        window,
        nested: values.nested != 0.0,
        call: Duration::from_millis(values.call as u64),
        releases: scenario.releases(),
        patience: (values.patience > 0.0).then_some(values.patience as u64),
    };
    let frames = tokio::spawn(watch(Arc::clone(&fleet), window));
    arrive(scenario, &context).await;
    let frames = frames.await.expect("watching does not fail");
    let at_end = fleet.stats();
    finish(&context).await;
    let mut ledger = context.lock();
    let requests = std::mem::take(&mut ledger.requests);
    let (begin, end) = (window.since_start(window.begin), window.since_start(window.end));
    let counted = &requests[requests.partition_point(|request| request.arrived < begin)..];
    let mut figures = figures(counted, &ledger, scenario);
    figures.most_waiting = frames.iter().map(|frame| frame.waiting).max().unwrap_or(0);
    figures.most_held = ledger.most_held;
    let lives = server.lives();
    let open: u64 = lives.iter().map(|life| life.open_between(begin, end)).sum();
    figures.mean_open = open as f64 / (end - begin) as f64;
    figures.most_open = server.most_open();
    figures.refused_connects = server.refused() - refused_before;
    figures.most_replicas = fleet.most_alive();
    figures.deploy_took = fleet.deploy_took().map(|took| took.as_millis() as u64);
    for (index, after) in at_end.iter().enumerate() {
        let (created, destroyed) = before
            .get(index)
            .map_or((0, 0), |stats| (stats.connections_created, stats.connections_destroyed));
        figures.opened += after.connections_created - created;
        figures.closed += after.connections_destroyed - destroyed;
    }
    Run {
        scenario: scenario.clone(),
        frames,
        figures,
        requests,
        lives,
        diagnoses: std::mem::take(&mut ledger.diagnoses),
        statistics: statistics(&at_end),
        advice: Advice::of(scenario),
    }
}

impl Context {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request, from its arrival to its end.
    pub(crate) async fn request(self, work: Work) {
        let asked = Instant::now();
        let index = self.arrived(asked);
        let pool = self.fleet.pick(work.replica);
        let acquired = pool.acquire().await;
        let waited = millis_since(asked);
        self.lock().requests[index].waited = waited;
        let (outcome, again) = match acquired {
            Err(error) => (self.refusal(&error), None),
            Ok(connection) => {
                let mut held = Held::new(&self, connection);
                if work.leaks {
                    // Until the end of the run, which drops it.
                    std::future::pending::<()>().await;
                }
                if self.nested || !self.call.is_zero() {
                    self.work_twice(held, &pool, work.hold, asked).await
                } else {
                    (held.work(work.hold).await, None)
                }
            }
        };
        let total = millis_since(asked);
        let late = outcome == Outcome::Served && self.patience.is_some_and(|patience| total > patience);
        let outcome = if late { Outcome::Late } else { outcome };
        let mut ledger = self.lock();
        ledger.open -= 1;
        let arrived = ledger.requests[index].arrived;
        ledger.requests[index] = Request { arrived, waited, total, outcome, again };
    }

    /// Enters a request that has not ended, and may never. Returns its place.
    fn arrived(&self, asked: Instant) -> usize {
        let mut ledger = self.lock();
        ledger.open += 1;
        let arrived = self.window.since_start(asked);
        let watched = self.window.since_start(self.window.end + AFTER_THE_END) - arrived;
        let outcome = Outcome::Unfinished;
        ledger.requests.push(Request { arrived, waited: watched, total: watched, outcome, again: None });
        ledger.requests.len() - 1
    }

    /// Half of the work, the call, and the other half: with the same connection, with a second one beside it, or with
    /// one that is acquired after the call.
    async fn work_twice(
        &self,
        mut first: Held<'_>,
        pool: &Pool<Dialer>,
        hold: f64,
        arrived: Instant,
    ) -> (Outcome, Option<Again>) {
        let outcome = first.work(hold / 2.0).await;
        if outcome != Outcome::Served {
            return (outcome, None);
        }
        let mut first = Some(first);
        if self.releases && !self.nested {
            first = None;
        }
        let mut released = millis_since(arrived);
        if !self.call.is_zero() {
            sleep(self.call).await;
        }
        let asked = millis_since(arrived);
        match &mut first {
            Some(first) if !self.nested => return (first.work(hold / 2.0).await, None),
            Some(_) => released = asked,
            None => {}
        }
        let acquired = pool.acquire().await;
        let again = Again { released, asked, waited: millis_since(arrived) - asked };
        let outcome = match acquired {
            Err(error) => self.refusal(&error),
            Ok(connection) => Held::new(self, connection).work(hold / 2.0).await,
        };
        (outcome, Some(again))
    }

    fn refusal(&self, error: &AcquireError) -> Outcome {
        let outcome = match error.kind() {
            AcquireErrorKind::Timeout => Outcome::TimedOut,
            AcquireErrorKind::Overloaded => Outcome::Refused,
            _ => Outcome::ConnectFailed,
        };
        self.lock().diagnose(outcome, || in_short(&error.to_string()));
        outcome
    }
}

fn millis_since(instant: Instant) -> u64 {
    instant.elapsed().as_millis() as u64
}

/// Without the folders in which it was compiled, which differ between the browser's build and the native one.
fn in_short(text: &str) -> String {
    let here = Location::caller().file();
    let folders = here.strip_suffix("drive.rs").unwrap_or_default();
    text.replace(folders, "").replace('\\', "/")
}

/// A connection in use. When it goes back, its time is entered.
struct Held<'a> {
    context: &'a Context,
    connection: Option<PooledConnection<Dialer>>,
    since: Instant,
}

impl<'a> Held<'a> {
    fn new(context: &'a Context, connection: PooledConnection<Dialer>) -> Self {
        connection.handed_out();
        let mut ledger = context.lock();
        ledger.held += 1;
        ledger.most_held = ledger.most_held.max(ledger.held);
        Self { context, connection: Some(connection), since: Instant::now() }
    }

    async fn work(&mut self, millis: f64) -> Outcome {
        let Some(connection) = &mut self.connection else { return Outcome::Broken };
        match connection.work(millis).await {
            Ok(()) => Outcome::Served,
            Err(_) => Outcome::Broken,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        drop(self.connection.take());
        let millis = self.context.window.overlap(self.since, Instant::now());
        let mut ledger = self.context.lock();
        ledger.held -= 1;
        ledger.held_millis += millis;
    }
}

/// Looks at the pools at equal distances.
async fn watch(fleet: Arc<Fleet>, window: Window) -> Vec<Frame> {
    let length = window.since_start(window.end);
    let step = Duration::from_millis(length.div_ceil(FRAMES).max(1));
    let mut frames = Vec::new();
    let mut at = window.start;
    while at <= window.end {
        sleep_until(at).await;
        let mut frame = Frame { at: window.since_start(at), idle: 0, held: 0, connecting: 0, waiting: 0 };
        for stats in fleet.stats() {
            frame.idle += stats.idle_connections;
            frame.held += stats.active_connections;
            frame.connecting += stats.connecting;
            frame.waiting += stats.pending_requests;
        }
        frames.push(frame);
        at += step;
    }
    frames
}

/// Waits until the last request has ended, or for as long as one may take.
async fn finish(context: &Context) {
    let last = context.window.end + AFTER_THE_END;
    while context.lock().open > 0 && Instant::now() < last {
        sleep(Duration::from_millis(10)).await;
    }
    // Those that go on forever hold connections; their time within the window counts.
    let window = context.window;
    let ended: u64 = context.fleet.all().iter().flat_map(Pool::holders).fold(0, |sum, holder| {
        let since = Instant::now().checked_sub(holder.held_for).unwrap_or(window.start);
        sum + window.overlap(since, window.end)
    });
    context.lock().held_millis += ended;
}

fn figures(counted: &[Request], ledger: &Ledger, scenario: &Scenario) -> Figures {
    let values = &scenario.values;
    let mut figures = Figures::default();
    for request in counted {
        figures.outcomes[request.outcome as usize] += 1;
    }
    let mut waits: Vec<u64> =
        counted.iter().filter(|request| request.is_acquired()).map(|request| request.waited).collect();
    figures.mean_wait = waits.iter().sum::<u64>() as f64 / waits.len().max(1) as f64;
    figures.p50_wait = quantile(&mut waits, 0.5);
    figures.p95_wait = quantile(&mut waits, 0.95);
    figures.p99_wait = quantile(&mut waits, 0.99);
    figures.max_wait = waits.last().copied().unwrap_or(0);
    let refused =
        counted.iter().filter(|request| !request.is_acquired() && request.outcome != Outcome::Unfinished);
    figures.p50_refusal = quantile(&mut refused.map(|request| request.waited).collect::<Vec<_>>(), 0.5);
    let served = counted.iter().filter(|request| request.outcome == Outcome::Served);
    figures.p99_total = quantile(&mut served.map(|request| request.total).collect::<Vec<_>>(), 0.99);
    let measured = (values.duration - values.warm_up) * 1e3;
    let connections = values.max_connections * values.replicas;
    figures.utilisation = ledger.held_millis as f64 / (measured * connections);
    figures.throughput = figures.count(Outcome::Served) as f64 / measured * 1e3;
    figures
}

fn statistics(pools: &[PoolStats]) -> Vec<(String, u64)> {
    let sum = |field: fn(&PoolStats) -> u64| pools.iter().map(field).sum::<u64>();
    let mut lines: Vec<(String, u64)> = [
        ("total_connections", sum(|stats| stats.total_connections as u64)),
        ("total_acquisitions", sum(|stats| stats.total_acquisitions)),
        ("waited_acquisitions", sum(|stats| stats.waited_acquisitions)),
        ("failed_acquisitions", sum(|stats| stats.failed_acquisitions)),
        ("timed_out_acquisitions", sum(|stats| stats.timed_out_acquisitions)),
        ("connections_created", sum(|stats| stats.connections_created)),
        ("connections_destroyed", sum(|stats| stats.connections_destroyed)),
        ("failed_connects", sum(|stats| stats.failed_connects)),
        ("failed_checks", sum(|stats| stats.failed_checks)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let reasons = pools.iter().flat_map(|stats| stats.closed.iter().map(|(reason, _)| reason));
    let mut seen: Vec<&str> = Vec::new();
    for reason in reasons {
        let count: u64 = pools.iter().map(|stats| stats.closed.get(reason)).sum();
        if count > 0 && !seen.contains(&reason.as_str()) {
            seen.push(reason.as_str());
            lines.push((format!("closed: {}", reason.as_str()), count));
        }
    }
    lines
}
