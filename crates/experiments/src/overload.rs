//! What is answered in time, when more is asked than the connections can serve.
//!
//! A request is good when its answer comes within the caller's patience. A caller that has lost patience leaves. The
//! server does not notice, so its work is wasted.

use pool_lab::{Outcome, Request, quantile};
use serde::{Deserialize, Serialize};

use crate::{lab, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "overload.json";

const CONNECTIONS: usize = 10;
/// In milliseconds.
const HOLD: f64 = 100.0;
const PATIENCE: f64 = 1000.0;
/// What the connections can serve in a second.
const CAPACITY: f64 = CONNECTIONS as f64 / HOLD * 1e3;
/// In seconds.
const WARM_UP: u64 = 30;
const MEASURED: u64 = 30;
const LOADS: [f64; 7] = [0.5, 0.8, 0.9, 1.0, 1.1, 1.5, 2.0];

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// The connections of the pool.
    pub connections: usize,
    /// The mean hold, in milliseconds. Holds are exponential.
    pub hold_ms: f64,
    /// What the connections can serve in a second.
    pub capacity: f64,
    /// How long a caller waits for an answer, in seconds.
    pub patience: f64,
    /// One way to bound the queue each.
    pub policies: Vec<Policy>,
}

/// One way to bound the queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct Policy {
    /// In words.
    pub name: String,
    /// At each load.
    pub points: Vec<Point>,
}

/// What became of the requests at one load, in a second.
#[derive(Debug, Serialize, Deserialize)]
pub struct Point {
    /// Its scenario.
    pub knobs: String,
    /// Asked by capacity.
    pub load: f64,
    /// Answered within the patience.
    pub good: f64,
    /// Answered, but too late.
    pub late: f64,
    /// Refused: timed out, or `Overloaded`.
    pub refused: f64,
    /// The 99th percentile of the waits of those who got a connection, in seconds.
    pub p99_wait: f64,
    /// How long the refused waited for their answer, in seconds: the median.
    pub refused_after: f64,
}

pub(crate) fn run() -> Data {
    let policies = [
        ("deadline 30 s", "connection_timeout=30000"),
        ("deadline 500 ms", "connection_timeout=500"),
        ("max_pending 20", "max_pending=20"),
    ];
    let policies = policies.map(|(name, bound)| Policy {
        name: name.to_owned(),
        points: LOADS.iter().zip(300..).map(|(load, seed)| serve(*load, bound, seed)).collect(),
    });
    Data {
        connections: CONNECTIONS,
        hold_ms: HOLD,
        capacity: CAPACITY,
        patience: PATIENCE / 1e3,
        policies: policies.into(),
    }
}

fn serve(load: f64, bound: &str, seed: u64) -> Point {
    let knobs = format!(
        "rate={}&hold={HOLD}&patience={PATIENCE}&max_connections={CONNECTIONS}&min_connections={CONNECTIONS}&{bound}\
         &duration={}&seed={seed}",
        round(load * CAPACITY, 6),
        WARM_UP + MEASURED
    );
    let run = lab(&knobs);
    // What ends in the measured time is counted, whenever it began: that is what flows.
    let measured = WARM_UP * 1000..(WARM_UP + MEASURED) * 1000;
    let ended: Vec<&Request> = run
        .requests
        .iter()
        .filter(|request| request.outcome != Outcome::Unfinished)
        .filter(|request| measured.contains(&(request.arrived + request.total)))
        .collect();
    let waits = |acquired: bool| -> Vec<u64> {
        ended
            .iter()
            .filter(|request| request.is_acquired() == acquired)
            .map(|request| request.waited)
            .collect()
    };
    let seconds = |mut waits: Vec<u64>, share| round(quantile(&mut waits, share) as f64 / 1e3, 3);
    let per_second = |count: usize| round(count as f64 / MEASURED as f64, 1);
    let count = |outcome| ended.iter().filter(|request| request.outcome == outcome).count();
    Point {
        knobs,
        load,
        good: per_second(count(Outcome::Served)),
        late: per_second(count(Outcome::Late)),
        refused: per_second(waits(false).len()),
        p99_wait: seconds(waits(true), 0.99),
        refused_after: seconds(waits(false), 0.5),
    }
}
