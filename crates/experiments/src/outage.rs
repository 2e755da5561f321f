//! A server that goes away for twenty seconds, seen through three pools.
//!
//! Ten connections, twenty workers, each of which acquires, works and pauses. When the server goes, it closes every
//! connection. While it is away it refuses connects, or, in the other run, never answers them. Every pool has three
//! seconds for an acquire, and does otherwise what it does by default.
//!
//! The server is the Pool Lab's, and so are the draws. The workers are here: the lab drives no other pools.

mod contenders;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pool_lab::{Draws, Scenario, Server, in_virtual_time};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use contenders::{Bb8, Contender, Deadpool, Poolhouse};

pub const FILE: &str = "outage.json";

const CONNECTIONS: usize = 10;
const WORKERS: u64 = 20;
const DEADLINE: Duration = Duration::from_secs(3);
const WORK: f64 = 5.0;
const PAUSE_MS: f64 = 100.0;
/// In milliseconds: when the server goes away, is back, and the last worker ends.
const GONE: u64 = 5_000;
const BACK: u64 = 25_000;
const END: u64 = 85_000;

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

/// What becomes of a connect while the server is away, as `connects` has it, and the fault of the lab that does it.
const AWAY: [(&str, &str); 2] = [("refused", "outage"), ("silent", "silent")];

/// How one acquire ended. Times are in milliseconds, and instants from the start.
struct Ended {
    worker: u64,
    at: u64,
    took: u64,
    error: Option<String>,
}

pub fn run() -> Outage {
    let mut runs = Vec::new();
    for away in AWAY {
        runs.push(through::<Poolhouse>(away));
        runs.push(through::<Deadpool>(away));
        runs.push(through::<Bb8>(away));
    }
    Outage {
        setup: format!(
            "{WORKERS} workers on {CONNECTIONS} connections; each acquires, works for {WORK} ms and pauses for up to {PAUSE_MS} \
             ms. The server is away for {} s. Every acquire has {} s, all else is as by default",
            (BACK - GONE) / 1000,
            DEADLINE.as_secs()
        ),
        runs,
    }
}

fn through<C: Contender>((connects, fault): (&str, &str)) -> Run {
    let knobs = format!(
        "connect=2&fault={fault}&fault_at={}&fault_for={}",
        GONE as f64 / 1e3,
        (BACK - GONE) as f64 / 1e3
    );
    let server = Scenario::parse(&knobs).expect("the server has these knobs");
    in_virtual_time(7, outage::<C>(connects, server))
}

async fn outage<C: Contender>(connects: &str, scenario: Scenario) -> Run {
    let server = Arc::new(Server::new(&scenario));
    let pool = C::new(Arc::clone(&server), CONNECTIONS, DEADLINE).await;
    server.start();
    let start = Instant::now();
    let millis = move || start.elapsed().as_millis() as u64;
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (pool, mut draws) = (pool.clone(), Draws::new(7, worker));
        workers.spawn(async move {
            let mut ended = Vec::new();
            while millis() < END {
                let asked = Instant::now();
                let acquired = pool.acquire().await;
                let (at, took) = (millis(), asked.elapsed().as_millis() as u64);
                let error = match acquired {
                    Ok(mut guard) => {
                        // What the server breaks off is no failed acquire.
                        let _ = guard.work(WORK).await;
                        drop(guard);
                        None
                    }
                    Err(text) => Some(text),
                };
                ended.push(Ended { worker, at, took, error });
                sleep(Duration::from_millis((draws.share() * PAUSE_MS) as u64)).await;
            }
            ended
        });
    }
    let ended: Vec<Ended> = workers.join_all().await.into_iter().flatten().collect();
    report::<C>(connects, &server.attempts(), &ended)
}

fn report<C: Contender>(connects: &str, attempts: &[u64], ended: &[Ended]) -> Run {
    let mut seconds = BTreeMap::<u64, usize>::new();
    let during = attempts.iter().filter(|at| (GONE..BACK).contains(at));
    for at in during.clone() {
        *seconds.entry((at - GONE) / 1000).or_default() += 1;
    }
    let failed: Vec<&Ended> = ended.iter().filter(|ended| ended.error.is_some()).collect();
    let mut durations: Vec<u64> = failed.iter().map(|ended| ended.took).collect();
    durations.sort_unstable();
    let mut texts = BTreeMap::<&str, usize>::new();
    for error in failed.iter().filter_map(|ended| ended.error.as_deref()) {
        *texts.entry(error).or_default() += 1;
    }
    // Of those that are equally frequent the first by the alphabet, so that runs repeat.
    let error = texts.iter().rev().max_by_key(|(_, count)| **count).map_or("", |(text, _)| *text);
    let mut first = BTreeMap::<u64, u64>::new();
    for ended in ended.iter().filter(|ended| ended.error.is_none() && ended.at >= BACK) {
        first.entry(ended.worker).or_insert(ended.at - BACK);
    }
    assert_eq!(first.len() as u64, WORKERS, "{}: every worker recovers", C::NAME);
    Run {
        pool: C::NAME.to_owned(),
        version: version(C::NAME),
        connects: connects.to_owned(),
        attempts: during.count(),
        attempts_in_the_busiest_second: seconds.values().copied().max().unwrap_or(0),
        failed_acquires: failed.len(),
        failed_after_p50_ms: durations.get(durations.len() / 2).copied().unwrap_or(0),
        failed_after_max_ms: durations.last().copied().unwrap_or(0),
        error: error.to_owned(),
        first_success_ms: first.values().copied().min().unwrap_or(0),
        all_succeed_ms: first.values().copied().max().unwrap_or(0),
        attempts_after: attempts.iter().filter(|at| (BACK..BACK + 1000).contains(at)).count(),
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
        for away in AWAY {
            let [ours, deadpool, bb8] =
                [through::<Poolhouse>(away), through::<Deadpool>(away), through::<Bb8>(away)];
            assert!(ours.attempts < 20 && ours.attempts <= deadpool.attempts.min(bb8.attempts), "{ours:?}");
            assert!(ours.failed_after_max_ms <= DEADLINE.as_millis() as u64, "{ours:?}");
            assert!(ours.error.contains("connecting"), "{ours:?}");
        }
    }
}
