//! How long one waits for a connection, by how busy the pool is: measured beside what the theory says.
//!
//! Arrivals are a Poisson process, holds are exponential: an M/M/c queue, whose waits Erlang C gives exactly. Then the
//! same with holds and arrivals of other shapes, beside Kingman's formula and what Sakasegawa made of it for several
//! connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pool_lab::theory;
use poolhouse::PoolConfig;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};

use crate::sim::{Draws, full_pool, in_virtual_time, mean, ms, poisson, quantile, round};

/// Where the data is, below the folder of all experiments.
pub const FILE: &str = "queueing.json";

/// A mean hold. What is written down is in multiples of it, so its own length means nothing.
const HOLD: Duration = Duration::from_millis(200);
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

/// How the times between arrivals, or the holds, are spread about their mean.
#[derive(Clone, Copy)]
enum Spread {
    None,
    Exponential,
    /// One in twenty is eleven times as long as the others.
    Mixed,
}

impl Spread {
    fn draw(self, draws: &mut Draws, mean: Duration) -> Duration {
        match self {
            Spread::None => mean,
            Spread::Exponential => draws.exponential(mean),
            Spread::Mixed => {
                let short = mean.as_millis() as u64 * 2 / 3;
                ms(if draws.share() < 0.05 { short * 11 } else { short })
            }
        }
    }

    /// The squared coefficient of variation.
    fn variation(self) -> f64 {
        match self {
            Spread::None => 0.0,
            Spread::Exponential => 1.0,
            // Mean 1.5 and variance 0.05 * 0.95 * 10^2 in units of the short one.
            Spread::Mixed => round(4.75 / 2.25, 2),
        }
    }
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
    Data { hold_ms: HOLD.as_secs_f64() * 1e3, points, curves: SIZES.map(curve).into(), shapes }
}

/// The waits of one size at each utilisation. The first has `first_seed`, each after it the next seed.
fn points(connections: usize, first_seed: u64) -> Vec<Point> {
    UTILISATIONS
        .into_iter()
        .zip(first_seed..)
        .map(|(utilisation, seed)| {
            let requests = requests(connections, utilisation);
            let waits = in_virtual_time(
                seed,
                serve(connections, utilisation, Spread::Exponential, Spread::Exponential, requests, seed),
            );
            let (model_mean, model_p99) = erlang_waits(connections, utilisation);
            Point {
                connections,
                utilisation,
                requests: waits.len(),
                mean: in_holds(mean(&waits)),
                p99: in_holds(quantile(&waits, 0.99)),
                model_mean: round(model_mean, 3),
                model_p99: round(model_p99, 3),
            }
        })
        .collect()
}

/// The nearer to saturation, the longer a queue remembers, and the fewer its connections: the more of it must be seen.
fn requests(connections: usize, utilisation: f64) -> usize {
    let least = if connections == 1 { 8_000.0 } else { 3_000.0 };
    ((least / (1.0 - utilisation)) as usize).min(80_000)
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
    use Spread::{Exponential, Mixed, None};
    let sets = [
        ("regular arrivals, equal holds", None, None),
        ("random arrivals, equal holds", Exponential, None),
        ("random arrivals, exponential holds", Exponential, Exponential),
        ("random arrivals, 1 hold in 20 is 11 times as long", Exponential, Mixed),
    ];
    let mut shapes = Vec::new();
    let mut seed = 200;
    for connections in [1, 10] {
        for (name, arrivals, holds) in sets {
            seed += 1;
            let utilisation = 0.8;
            let waits = in_virtual_time(seed, serve(connections, utilisation, arrivals, holds, 20_000, seed));
            let variations = (arrivals.variation(), holds.variation());
            shapes.push(Shape {
                name: name.to_owned(),
                connections,
                utilisation,
                arrivals: variations.0,
                holds: variations.1,
                mean: in_holds(mean(&waits)),
                p99: in_holds(quantile(&waits, 0.99)),
                model_mean: round(kingman(connections, utilisation, variations), 3),
            });
        }
    }
    shapes
}

fn in_holds(seconds: f64) -> f64 {
    round(seconds / HOLD.as_secs_f64(), 3)
}

/// Serves so many requests, and returns how long each waited.
async fn serve(
    connections: usize,
    utilisation: f64,
    arrivals: Spread,
    holds: Spread,
    requests: usize,
    seed: u64,
) -> Vec<Duration> {
    let config = PoolConfig { connection_timeout: Duration::MAX, ..PoolConfig::default() };
    let pool = full_pool(connections, config).await;
    let mut draws = Draws::new(seed);
    let rate = utilisation * connections as f64 / HOLD.as_secs_f64();
    let waits: Arc<Mutex<Vec<Duration>>> = Arc::default();
    // The queue begins empty: a tenth of the requests fills it, uncounted.
    let warm_up = Instant::now() + Duration::from_secs_f64(requests as f64 * 0.1 / rate);
    let end = Instant::now() + Duration::from_secs_f64(requests as f64 * 1.1 / rate);
    let request = |draws: &mut Draws| {
        let (pool, waits, hold) = (pool.clone(), Arc::clone(&waits), holds.draw(draws, HOLD));
        tokio::spawn(async move {
            let asked = Instant::now();
            let connection = pool.acquire().await.expect("without a deadline, everybody is served");
            if asked >= warm_up {
                waits.lock().unwrap_or_else(PoisonError::into_inner).push(asked.elapsed());
            }
            sleep(hold).await;
            drop(connection);
        });
    };
    match arrivals {
        Spread::None => {
            let between = Duration::from_secs_f64(1.0 / rate);
            let mut next = Instant::now();
            while next < end {
                request(&mut draws);
                next += between;
                sleep_until(next).await;
            }
        }
        _ => poisson(&mut draws, rate, end, request).await,
    }
    while pool.stats().active_connections > 0 {
        sleep(HOLD).await;
    }
    waits.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
