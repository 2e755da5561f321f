//! Which idle connection is used next, and what becomes of the others: after a burst, and in a pool of fixed size.

use serde::{Deserialize, Serialize};

use crate::{lab, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "idle-order.json";

const BURST: usize = 20;
/// Minutes.
const AFTER: u64 = 30;
/// What all runs share. Only traffic keeps a connection alive.
const FIXED: &str =
    "holds=constant&hold=20&connect=10&max_connecting=20&max_lifetime=0&health_check_interval=0";
const ORDERS: [&str; 2] = ["Lifo", "Fifo"];

/// What was measured.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// Connections that a burst opens at once.
    pub burst: usize,
    /// How long it was measured after the burst, in minutes.
    pub minutes: f64,
    /// After a burst, with a minimum of one.
    pub shrinking: Vec<Shrinking>,
    /// A pool whose minimum is its maximum.
    pub fixed: Vec<Fixed>,
}

/// One order, one `idle_timeout` and one rate.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shrinking {
    /// Its scenario.
    pub knobs: String,
    /// `Lifo` or `Fifo`.
    pub order: String,
    /// In seconds.
    pub idle_timeout: f64,
    /// Requests in a second after the burst.
    pub rate: f64,
    /// Open connections, averaged over the last ten minutes.
    pub open: f64,
    /// Connects after the burst.
    pub connects: usize,
    /// Open connections every half minute from the burst on.
    pub series: Vec<usize>,
}

/// One order.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fixed {
    /// Its scenario.
    pub knobs: String,
    /// `Lifo` or `Fifo`.
    pub order: String,
    /// The size of the pool.
    pub connections: usize,
    /// Requests in a second.
    pub rate: f64,
    /// Connections that were used at all within the hour.
    pub used: usize,
    /// The longest that a connection had lain unused when it was handed out, in seconds.
    pub longest_unused: f64,
}

pub(crate) fn run() -> Data {
    let mut shrinking = Vec::new();
    for (rate, seed) in [0.1, 1.0, 10.0].into_iter().zip(401..) {
        for idle_timeout in [30.0, 60.0, 300.0] {
            shrinking.extend(ORDERS.map(|order| shrink(order, idle_timeout, rate, seed)));
        }
    }
    Data { burst: BURST, minutes: AFTER as f64, shrinking, fixed: ORDERS.map(stay).into() }
}

fn shrink(order: &str, idle_timeout: f64, rate: f64, seed: u64) -> Shrinking {
    // The next burst would come after the end.
    let knobs = format!(
        "arrivals=burst&callers={BURST}&think=3600000&trickle={rate}&{FIXED}&max_connections={BURST}&idle_timeout={}\
         &idle_order={}&duration={}&seed={seed}",
        idle_timeout * 1e3,
        order.to_lowercase(),
        AFTER * 60
    );
    let run = lab(&knobs);
    let open = |half: u64| run.frame_at(half * 30_000).map_or(0, |frame| frame.idle + frame.held);
    // The first frame is of the moment before the burst.
    let series: Vec<usize> =
        std::iter::once(run.figures.most_open).chain((1..=2 * AFTER).map(open)).collect();
    let last = &series[series.len() - 20..];
    Shrinking {
        knobs,
        order: order.to_owned(),
        idle_timeout,
        rate,
        open: round(last.iter().sum::<usize>() as f64 / last.len() as f64, 1),
        connects: run.lives.len() - BURST,
        series,
    }
}

fn stay(order: &str) -> Fixed {
    const RATE: f64 = 1.0;
    let knobs = format!(
        "rate={RATE}&{FIXED}&max_connections={BURST}&min_connections={BURST}&idle_order={}&duration=3600&seed=450",
        order.to_lowercase()
    );
    let lives = lab(&knobs).lives;
    let longest = lives.iter().map(|life| life.longest_unused).max().unwrap_or_default();
    Fixed {
        knobs,
        order: order.to_owned(),
        connections: BURST,
        rate: RATE,
        used: lives.iter().filter(|life| life.uses > 0).count(),
        longest_unused: round(longest as f64 / 1e3, 0),
    }
}
