//! What a minimum buys when a burst comes, and what it costs the rest of the time.

use pool_lab::quantile;
use serde::{Deserialize, Serialize};

use crate::{lab, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "pool-sizes.json";

const MAX: usize = 10;
/// In milliseconds.
const CONNECT: f64 = 150.0;
const HOLD: f64 = 20.0;
const EVERY: u64 = 600_000;
/// The first burst comes at the start, to a pool that nobody has used. It is measured from a minute before the second.
const BEGIN: u64 = EVERY - 60_000;
const BURST: usize = 20;
const BURSTS: u32 = 24;
const TRICKLE: f64 = 0.2;

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// `max_connections`.
    pub max: usize,
    /// How long a connect takes, in milliseconds.
    pub connect_ms: f64,
    /// How long a request holds, in milliseconds.
    pub hold_ms: f64,
    /// Requests in a burst, all at once.
    pub burst: usize,
    /// Minutes from burst to burst.
    pub every_minutes: f64,
    /// How many bursts there were.
    pub bursts: u32,
    /// Requests in a second between the bursts, in the cases with a trickle.
    pub trickle: f64,
    /// One minimum each, without and with a trickle.
    pub cases: Vec<Case>,
}

/// One minimum.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    /// Its scenario.
    pub knobs: String,
    /// `min_connections`.
    pub min: usize,
    /// Whether there are requests between the bursts.
    pub trickle: bool,
    /// Connects in an hour.
    pub connects_per_hour: f64,
    /// The median wait of the requests of a burst, in milliseconds.
    pub median_ms: f64,
    /// Their longest wait, in milliseconds.
    pub longest_ms: f64,
    /// Open connections, averaged over the time.
    pub open: f64,
}

pub(crate) fn run() -> Data {
    let mut cases = Vec::new();
    for trickle in [false, true] {
        for min in [0, 1, 5, MAX] {
            cases.push(measure(min, trickle));
        }
    }
    Data {
        max: MAX,
        connect_ms: CONNECT,
        hold_ms: HOLD,
        burst: BURST,
        every_minutes: EVERY as f64 / 60e3,
        bursts: BURSTS,
        trickle: TRICKLE,
        cases,
    }
}

fn measure(min: usize, trickle: bool) -> Case {
    let measured = EVERY * u64::from(BURSTS);
    let knobs = format!(
        "arrivals=burst&callers={BURST}&think={EVERY}&trickle={}&holds=constant&hold={HOLD}&connect={CONNECT}\
         &max_connections={MAX}&min_connections={min}&health_check_interval=0&warm_up={}&duration={}&seed=500",
        if trickle { TRICKLE } else { 0.0 },
        BEGIN / 1000,
        (BEGIN + measured) / 1000
    );
    let run = lab(&knobs);
    let bursts = run.requests.iter().filter(|request| request.arrived >= BEGIN);
    let bursts = bursts.filter(|request| request.arrived.is_multiple_of(EVERY));
    let mut waits: Vec<u64> = bursts.map(|request| request.waited).collect();
    let connects = run.lives.iter().filter(|life| (BEGIN..BEGIN + measured).contains(&life.opened)).count();
    Case {
        knobs,
        min,
        trickle,
        connects_per_hour: round(connects as f64 / (measured as f64 / 3600e3), 1),
        median_ms: quantile(&mut waits, 0.5) as f64,
        longest_ms: quantile(&mut waits, 1.0) as f64,
        open: round(run.figures.mean_open, 1),
    }
}
