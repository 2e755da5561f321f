//! How long one waits for a connection, by how busy the pool is: measured beside what the theory says.
//!
//! Arrivals are a Poisson process, holds are exponential: an M/M/c queue, whose waits Erlang C gives exactly. Then the
//! same with holds and arrivals of other shapes, beside Kingman's formula and what Sakasegawa made of it for several
//! connections.

use std::thread;

use pool_lab::theory;
use serde::{Deserialize, Serialize};

use crate::{lab, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "queueing.json";

/// A mean hold in milliseconds. What is written down is in multiples of it, so its own length means nothing.
const HOLD: f64 = 200.0;
const SIZES: [usize; 3] = [1, 4, 10];
const UTILISATIONS: [f64; 8] = [0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95];

/// What was measured. Waits are in multiples of the mean hold.
#[derive(Debug, Serialize, Deserialize)]
pub struct Data {
    /// The mean hold, in milliseconds.
    pub hold_ms: f64,
    /// How often the waits of each size and utilisation were measured.
    pub points: Vec<Point>,
    /// Erlang C in steps of a hundredth, for a curve.
    pub curves: Vec<Curve>,
    /// At one utilisation, holds and arrivals of several shapes.
    pub shapes: Vec<Shape>,
}

/// One size and one utilisation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Point {
    /// Its scenario.
    pub knobs: String,
    /// The connections of the pool.
    pub connections: usize,
    /// Rate of arrivals times mean hold, by connections.
    pub utilisation: f64,
    /// Requests that were measured.
    pub requests: usize,
    /// The mean wait.
    pub mean: f64,
    /// The 99th percentile of the waits.
    pub p99: f64,
    /// The mean wait by Erlang C.
    pub model_mean: f64,
    /// The 99th percentile by Erlang C.
    pub model_p99: f64,
}

/// Erlang C for one size.
#[derive(Debug, Serialize, Deserialize)]
pub struct Curve {
    /// The connections of the pool.
    pub connections: usize,
    /// Utilisation, mean wait, 99th percentile.
    pub points: Vec<(f64, f64, f64)>,
}

/// One shape of holds and arrivals.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shape {
    /// In words.
    pub name: String,
    /// Its scenario.
    pub knobs: String,
    /// The connections of the pool.
    pub connections: usize,
    /// Rate of arrivals times mean hold, by connections.
    pub utilisation: f64,
    /// The squared coefficient of variation of the times between arrivals.
    pub arrivals: f64,
    /// The squared coefficient of variation of the holds.
    pub holds: f64,
    /// The mean wait.
    pub mean: f64,
    /// The 99th percentile of the waits.
    pub p99: f64,
    /// The mean wait by the formula.
    pub model_mean: f64,
}

/// The mean wait and its 99th percentile in an M/M/c queue, in multiples of the mean hold.
fn erlang_waits(connections: usize, utilisation: f64) -> (f64, f64) {
    (theory::mean_wait(connections, utilisation), theory::wait_quantile(connections, utilisation, 0.99))
}

/// Kingman's mean wait, in multiples of the mean hold; with more than one connection Sakasegawa's extension of it.
fn kingman(connections: usize, utilisation: f64, (arrivals, holds): (f64, f64)) -> f64 {
    let c = connections as f64;
    // A power with a broken exponent differs from system to system in its last digits. What is written down has fewer.
    let busy = utilisation.powf((2.0 * (c + 1.0)).sqrt() - 1.0);
    (arrivals + holds) / 2.0 * busy / (c * (1.0 - utilisation))
}

pub(crate) fn run() -> Data {
    // Each size on a thread of its own: together they take longer than all other experiments.
    let (points, shapes) = thread::scope(|scope| {
        let first_seeds = (101..).step_by(UTILISATIONS.len());
        let sizes: Vec<_> = SIZES
            .into_iter()
            .zip(first_seeds)
            .map(|(connections, first_seed)| scope.spawn(move || points(connections, first_seed)))
            .collect();
        let shapes = shapes();
        let points = sizes.into_iter().flat_map(|size| size.join().expect("an experiment ends")).collect();
        (points, shapes)
    });
    Data { hold_ms: HOLD, points, curves: SIZES.map(curve).into(), shapes }
}

/// The waits of one size at each utilisation. The first has `first_seed`, each after it the next seed.
fn points(connections: usize, first_seed: u64) -> Vec<Point> {
    UTILISATIONS
        .into_iter()
        .zip(first_seed..)
        .map(|(utilisation, seed)| {
            let requests = requests(utilisation);
            let knobs = knobs(connections, utilisation, "", requests, seed);
            let figures = lab(&knobs).figures;
            let (model_mean, model_p99) = erlang_waits(connections, utilisation);
            Point {
                knobs,
                connections,
                utilisation,
                requests: figures.requests(),
                mean: in_holds(figures.mean_wait),
                p99: in_holds(figures.p99_wait as f64),
                model_mean: round(model_mean, 3),
                model_p99: round(model_p99, 3),
            }
        })
        .collect()
}

/// The nearer to saturation, the longer a queue remembers, and the more of it must be seen.
fn requests(utilisation: f64) -> usize {
    ((8_000.0 / (1.0 - utilisation)) as usize).min(80_000)
}

fn curve(connections: usize) -> Curve {
    let point = |percent| {
        let utilisation = f64::from(percent) / 100.0;
        let (mean, p99) = erlang_waits(connections, utilisation);
        (utilisation, round(mean, 4), round(p99, 4))
    };
    Curve { connections, points: (20..=96).map(point).collect() }
}

fn shapes() -> Vec<Shape> {
    const UTILISATION: f64 = 0.8;
    // Mean 1.5 and variance 0.05 * 0.95 * 10^2 in units of a short hold.
    let mixed = round(4.75 / 2.25, 2);
    // The squared coefficients of variation of arrivals and holds, and the knobs.
    let sets = [
        ("regular arrivals, equal holds", (0.0, 0.0), "&arrivals=constant&holds=constant"),
        ("random arrivals, equal holds", (1.0, 0.0), "&holds=constant"),
        ("random arrivals, exponential holds", (1.0, 1.0), ""),
        (
            "random arrivals, 1 hold in 20 is 11 times as long",
            (1.0, mixed),
            "&holds=mixed&long_every=20&long_factor=11",
        ),
    ];
    let mut shapes = Vec::new();
    for connections in [1, 10] {
        for ((name, variations, how), seed) in sets.into_iter().zip(201..) {
            let knobs = knobs(connections, UTILISATION, how, 20_000, seed);
            let figures = lab(&knobs).figures;
            shapes.push(Shape {
                name: name.to_owned(),
                knobs,
                connections,
                utilisation: UTILISATION,
                arrivals: variations.0,
                holds: variations.1,
                mean: in_holds(figures.mean_wait),
                p99: in_holds(figures.p99_wait as f64),
                model_mean: round(kingman(connections, UTILISATION, variations), 3),
            });
        }
    }
    shapes
}

fn in_holds(millis: f64) -> f64 {
    round(millis / HOLD, 3)
}

/// That many requests, after a tenth as many that fill the queue, uncounted. All of them are served, and nothing else
/// happens.
fn knobs(connections: usize, utilisation: f64, how: &str, requests: usize, seed: u64) -> String {
    let rate = round(utilisation * connections as f64 / HOLD * 1e3, 6);
    let warm_up = (requests as f64 * 0.1 / rate).round();
    let duration = (requests as f64 * 1.1 / rate).round();
    format!(
        "rate={rate}&hold={HOLD}{how}&max_connections={connections}&min_connections={connections}\
         &connection_timeout=600000&max_lifetime=0&health_check_interval=0\
         &warm_up={warm_up}&duration={duration}&seed={seed}"
    )
}
