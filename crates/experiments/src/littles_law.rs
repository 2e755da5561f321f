//! How many connections are held on average: the rate of acquires times how long each holds.

use serde::{Deserialize, Serialize};

use crate::{lab, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "littles-law.json";

/// Requests in a second.
const RATE: f64 = 200.0;
const CONNECTIONS: usize = 60;
/// Seconds.
const MEASURED: f64 = 60.0;

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Requests that arrive in a second, at random.
    pub rate: f64,
    /// The size of the pool.
    pub connections: usize,
    /// How long it was measured, in seconds.
    pub seconds: f64,
    /// One way to hold connections each.
    pub cases: Vec<Case>,
}

/// One way to hold connections.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    /// Its scenario.
    pub knobs: String,
    /// What a request does.
    pub name: String,
    /// Acquires of one request.
    pub acquires: usize,
    /// How long each of them holds on average, in milliseconds, as it was set.
    pub hold_ms: f64,
    /// Rate of acquires times hold.
    pub predicted_held: f64,
    /// Acquires in a second, from the pool's statistics.
    pub measured_rate: f64,
    /// Connections held, on average over the time.
    pub measured_held: f64,
    /// Connections held, at most.
    pub most_held: usize,
}

/// In words, acquires of a request, the mean hold of each in milliseconds, and the knobs that say how it holds.
type Set = (&'static str, usize, f64, &'static str);

const SETS: [Set; 7] = [
    ("every hold 20 ms", 1, 20.0, "holds=constant&hold=20"),
    ("exponential holds, mean 20 ms", 1, 20.0, "hold=20"),
    ("9 of 10 holds 10 ms, 1 of 10 110 ms", 1, 20.0, "holds=mixed&hold=20&long_every=10&long_factor=11"),
    ("20 ms of queries, and a call of 80 ms while holding", 1, 100.0, "holds=constant&hold=20&call=80"),
    (
        "the same, released for the call: two holds of 10 ms",
        2,
        10.0,
        "holds=constant&hold=20&call=80&during_call=releases",
    ),
    ("N+1: 21 queries of 5 ms in one hold", 1, 105.0, "holds=constant&hold=105"),
    ("the same rows in one query of 8 ms", 1, 8.0, "holds=constant&hold=8"),
];

pub(crate) fn run() -> Data {
    let cases = SETS.iter().map(measure).collect();
    Data { rate: RATE, connections: CONNECTIONS, seconds: MEASURED, cases }
}

fn measure(&(name, acquires, hold_ms, how): &Set) -> Case {
    let knobs = format!(
        "rate={RATE}&{how}&max_connections={CONNECTIONS}&min_connections={CONNECTIONS}&duration={MEASURED}&seed=2"
    );
    let run = lab(&knobs);
    let acquired = run.statistic("total_acquisitions").expect("the pool counts its acquires");
    Case {
        knobs,
        name: name.to_owned(),
        acquires,
        hold_ms,
        predicted_held: round(RATE * acquires as f64 * hold_ms / 1e3, 2),
        measured_rate: round(acquired as f64 / MEASURED, 1),
        measured_held: round(run.figures.utilisation * CONNECTIONS as f64, 2),
        most_held: run.figures.most_held,
    }
}
