//! Utilisation against wait: one scenario at several loads, beside the curve of Erlang C.

use crate::drive::run;
use crate::json::{Object, array};
use crate::report::curve;
use crate::scenario::{Arrivals, KnobError, Scenario};
use crate::theory;

/// Offered load by what the connections can serve.
const LOADS: [f64; 7] = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

/// One load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Requests a second times mean hold, by all connections.
    pub load: f64,
    /// Requests a second, of all replicas.
    pub rate: f64,
    /// The share of the time in which a connection was held.
    pub utilisation: f64,
    /// The mean wait of the run, in milliseconds.
    pub mean_wait: f64,
    /// 99 of 100 waited no longer.
    pub p99_wait: u64,
    /// The mean wait by Erlang C, in milliseconds.
    pub theory_mean: f64,
    /// The wait of 99 of 100 by Erlang C.
    pub theory_p99: f64,
}

/// Runs a scenario at several loads, with its own pool, holds and server.
///
/// # Errors
///
/// If the load of the scenario has no rate, or one of the rates is above the bounds of the lab.
pub fn sweep(scenario: &Scenario) -> Result<Vec<Point>, KnobError> {
    if !matches!(scenario.arrivals(), Arrivals::Poisson | Arrivals::Constant) {
        let message = "has no rate to change: choose poisson or constant".to_owned();
        return Err(KnobError::new("arrivals", message));
    }
    LOADS.iter().map(|load| point(scenario, *load)).collect()
}

fn point(scenario: &Scenario, load: f64) -> Result<Point, KnobError> {
    let values = &scenario.values;
    let hold = scenario.mean_hold();
    let rate = load * values.max_connections * values.replicas * 1e3 / hold;
    let figures = run(&scenario.with(&format!("rate={rate}"))?).figures;
    let connections = values.max_connections as usize;
    Ok(Point {
        load,
        rate,
        utilisation: figures.utilisation,
        mean_wait: figures.mean_wait,
        p99_wait: figures.p99_wait,
        theory_mean: theory::mean_wait(connections, load) * hold,
        theory_p99: theory::wait_quantile(connections, load, 0.99) * hold,
    })
}

/// The points as JSON, with the curve of Erlang C.
pub fn sweep_json(scenario: &Scenario, points: &[Point]) -> String {
    let points = points.iter().map(|point| {
        Object::new()
            .number("load", point.load)
            .number("rate", point.rate)
            .number("utilisation", point.utilisation)
            .number("mean_wait", point.mean_wait)
            .number("p99_wait", point.p99_wait as f64)
            .number("theory_mean", point.theory_mean)
            .number("theory_p99", point.theory_p99)
            .end()
    });
    Object::new().raw("points", &array(points)).raw("curve", &curve(scenario)).end()
}
