//! A server that goes away for twenty seconds, seen through three pools.
//!
//! Ten connections, twenty workers, each of which acquires, works and pauses. When the server goes, it closes every
//! connection. While it is away it refuses connects, or, in the other run, never answers them. Every pool has three
//! seconds for an acquire, and does otherwise what it does by default.

mod contenders;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::sim::{Draws, in_virtual_time};
use contenders::{Bb8, Contender, Deadpool, Poolhouse};

pub const FILE: &str = "outage.json";

const CONNECTIONS: usize = 10;
const WORKERS: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_millis(2);
const WORK: Duration = Duration::from_millis(5);
const PAUSE_MS: u64 = 100;
const BEFORE: Duration = Duration::from_secs(5);
const AWAY: Duration = Duration::from_secs(20);
const AFTER: Duration = Duration::from_secs(60);
/// When Linux asks a silent server again, in seconds after the first SYN, and gives up at the last
/// (`net.ipv4.tcp_syn_retries` is 6).
const SYN_AGAIN: [u64; 7] = [1, 3, 7, 15, 31, 63, 127];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outage {
    pub setup: String,
    pub runs: Vec<Run>,
}

/// One pool through one outage. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub pool: String,
    pub version: String,
    /// What becomes of a connect: `refused` or `silent`.
    pub connects: String,
    /// While the server was away.
    pub attempts: usize,
    pub attempts_in_the_busiest_second: usize,
    pub failed_acquires: usize,
    pub failed_after_p50_ms: u64,
    pub failed_after_max_ms: u64,
    /// The text that most of the failed acquires had.
    pub error: String,
    /// From the server's return to the first acquire that succeeds.
    pub first_success_ms: u64,
    /// Until each worker has had one.
    pub all_succeed_ms: u64,
    /// Attempts to connect in the second after the return.
    pub attempts_after: usize,
}

/// What becomes of a connect while the server is away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Away {
    Refused,
    Silent,
}

/// The server: whether it is there, and what came.
#[derive(Debug)]
pub(crate) struct Server {
    away: Away,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    up: bool,
    /// How often it has gone away. A connection of an earlier time is closed.
    times_gone: u32,
    attempts: Vec<Instant>,
}

impl Server {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> io::Result<Connection> {
        let begun = Instant::now();
        self.state().attempts.push(begun);
        sleep(CONNECT).await;
        let mut answer = self.answer();
        if self.away == Away::Silent {
            for again in SYN_AGAIN {
                if answer.is_some() {
                    break;
                }
                sleep_until(begun + Duration::from_secs(again)).await;
                answer = self.answer();
            }
        }
        answer.ok_or_else(|| match self.away {
            Away::Refused => io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"),
            Away::Silent => io::Error::new(io::ErrorKind::TimedOut, "connection timed out"),
        })
    }

    /// A connection, if the server is there.
    fn answer(&self) -> Option<Connection> {
        let state = self.state();
        state.up.then_some(Connection { of: state.times_gone })
    }

    fn has_open(&self, connection: &Connection) -> bool {
        let state = self.state();
        state.up && state.times_gone == connection.of
    }

    fn set_up(&self, up: bool) {
        let mut state = self.state();
        state.up = up;
        state.times_gone += u32::from(!up);
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    of: u32,
}

/// How one acquire ended.
struct Ended {
    worker: u64,
    at: Instant,
    took: Duration,
    error: Option<String>,
}

pub fn run() -> Outage {
    let mut runs = Vec::new();
    for away in [Away::Refused, Away::Silent] {
        runs.push(through::<Poolhouse>(away));
        runs.push(through::<Deadpool>(away));
        runs.push(through::<Bb8>(away));
    }
    Outage {
        setup: format!(
            "{WORKERS} workers on {CONNECTIONS} connections; each acquires, works for {} ms and pauses for up to {PAUSE_MS} \
             ms. The server is away for {} s. Every acquire has {} s, all else is as by default",
            WORK.as_millis(),
            AWAY.as_secs(),
            DEADLINE.as_secs()
        ),
        runs,
    }
}

fn through<C: Contender>(away: Away) -> Run {
    in_virtual_time(7, outage::<C>(away))
}

async fn outage<C: Contender>(away: Away) -> Run {
    let state = State { up: true, times_gone: 0, attempts: Vec::new() };
    let server = Arc::new(Server { away, state: Mutex::new(state) });
    let pool = C::new(Arc::clone(&server), CONNECTIONS, DEADLINE).await;
    let start = Instant::now();
    let (gone, back, end) = (start + BEFORE, start + BEFORE + AWAY, start + BEFORE + AWAY + AFTER);

    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (pool, mut draws) = (pool.clone(), Draws::new(worker));
        workers.spawn(async move {
            let mut ended = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                let acquired = pool.acquire().await;
                let (at, took) = (Instant::now(), asked.elapsed());
                let error = match acquired {
                    Ok(guard) => {
                        sleep(WORK).await;
                        drop(guard);
                        None
                    }
                    Err(text) => Some(text),
                };
                ended.push(Ended { worker, at, took, error });
                sleep(Duration::from_millis((draws.share() * PAUSE_MS as f64) as u64)).await;
            }
            ended
        });
    }
    sleep_until(gone).await;
    server.set_up(false);
    sleep_until(back).await;
    server.set_up(true);
    let ended: Vec<Ended> = workers.join_all().await.into_iter().flatten().collect();

    let attempts = server.state().attempts.clone();
    report::<C>(away, &attempts, &ended, gone, back)
}

fn report<C: Contender>(
    away: Away,
    attempts: &[Instant],
    ended: &[Ended],
    gone: Instant,
    back: Instant,
) -> Run {
    let mut seconds = BTreeMap::<u64, usize>::new();
    let during = attempts.iter().filter(|at| (gone..back).contains(at));
    for at in during.clone() {
        *seconds.entry(at.duration_since(gone).as_secs()).or_default() += 1;
    }
    let failed: Vec<&Ended> = ended.iter().filter(|ended| ended.error.is_some()).collect();
    let mut durations: Vec<u64> = failed.iter().map(|ended| ended.took.as_millis() as u64).collect();
    durations.sort_unstable();
    let mut texts = BTreeMap::<&str, usize>::new();
    for error in failed.iter().filter_map(|ended| ended.error.as_deref()) {
        *texts.entry(error).or_default() += 1;
    }
    // Of those that are equally frequent the first by the alphabet, so that runs repeat.
    let error = texts.iter().rev().max_by_key(|(_, count)| **count).map_or("", |(text, _)| *text);
    let mut first = BTreeMap::<u64, u64>::new();
    for ended in ended.iter().filter(|ended| ended.error.is_none() && ended.at >= back) {
        first.entry(ended.worker).or_insert(ended.at.duration_since(back).as_millis() as u64);
    }
    assert_eq!(first.len() as u64, WORKERS, "{}: every worker recovers", C::NAME);
    Run {
        pool: C::NAME.to_owned(),
        version: version(C::NAME),
        connects: if away == Away::Refused { "refused" } else { "silent" }.to_owned(),
        attempts: during.count(),
        attempts_in_the_busiest_second: seconds.values().copied().max().unwrap_or(0),
        failed_acquires: failed.len(),
        failed_after_p50_ms: durations.get(durations.len() / 2).copied().unwrap_or(0),
        failed_after_max_ms: durations.last().copied().unwrap_or(0),
        error: error.to_owned(),
        first_success_ms: first.values().copied().min().unwrap_or(0),
        all_succeed_ms: first.values().copied().max().unwrap_or(0),
        attempts_after: attempts
            .iter()
            .filter(|at| **at >= back && **at < back + Duration::from_secs(1))
            .count(),
    }
}

/// The version that is measured, from the lock file.
fn version(package: &str) -> String {
    let name = format!("name = \"{package}\"");
    let entry = include_str!("../../../Cargo.lock")
        .split("[[package]]")
        .find(|entry| entry.lines().any(|line| line == name));
    let version = entry.and_then(|entry| entry.lines().find_map(|line| line.strip_prefix("version = \"")));
    version.expect("the lock file names it").trim_end_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poolhouse_spares_the_server_and_tells_its_callers_why() {
        for away in [Away::Refused, Away::Silent] {
            let [ours, deadpool, bb8] =
                [through::<Poolhouse>(away), through::<Deadpool>(away), through::<Bb8>(away)];
            assert!(ours.attempts < 20 && ours.attempts <= deadpool.attempts.min(bb8.attempts), "{ours:?}");
            assert!(ours.failed_after_max_ms <= DEADLINE.as_millis() as u64, "{ours:?}");
            assert!(ours.error.contains("connecting"), "{ours:?}");
        }
    }
}
