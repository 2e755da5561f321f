//! The experiments of the performance chapters: scenarios of the Pool Lab, and what each takes from their runs.
//!
//! A row of data names its knobs: `cargo guide lab 'KNOBS'` repeats its run, and so does the Pool Lab in a browser. Two
//! experiments have code of their own, for what the lab does not drive: [`outage`] runs other pools against the lab's
//! server, and [`lifetime`] plays a policy that no pool has.
//!
//! Nothing here measures a machine. The clock is paused, the draws are seeded, and the connections are in memory, so every
//! run gives the same data on every computer, in seconds. `cargo guide generate` writes it to `book/data/experiments`,
//! and a test runs all of it again and compares.

pub mod calculators;
pub mod fleets;
pub mod idle_order;
pub mod lifetime;
pub mod littles_law;
pub mod outage;
pub mod overload;
pub mod pool_sizes;
pub mod queueing;

use std::thread;

use pool_lab::Scenario;
use serde::Serialize;

/// Where the data is, relative to the repository.
pub const FOLDER: &str = "book/data/experiments";

/// Runs an experiment, and writes down what it gave.
type Run = fn() -> String;

/// Runs every experiment. Returns the name of each file, below [`FOLDER`], and its text.
///
/// # Panics
///
/// An experiment does not do what it says: a mistake in its code, or in the pool.
pub fn run_all() -> Vec<(&'static str, String)> {
    let experiments: [(&str, Run); 8] = [
        // The longest first.
        (queueing::FILE, || written(&queueing::run())),
        (fleets::FILE, || written(&fleets::run())),
        (idle_order::FILE, || written(&idle_order::run())),
        (lifetime::FILE, || written(&lifetime::run())),
        (littles_law::FILE, || written(&littles_law::run())),
        (outage::FILE, || written(&outage::run())),
        (overload::FILE, || written(&overload::run())),
        (pool_sizes::FILE, || written(&pool_sizes::run())),
    ];
    thread::scope(|scope| {
        let runs = experiments.map(|(file, run)| (file, scope.spawn(run)));
        runs.into_iter()
            .map(|(file, run)| {
                (file, run.join().unwrap_or_else(|_| panic!("the experiment of {file} failed")))
            })
            .collect()
    })
}

fn written(data: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(data).expect("data is made of numbers and texts");
    format!("{text}\n")
}

/// The run of these knobs.
fn lab(knobs: &str) -> pool_lab::Run {
    pool_lab::run(&Scenario::parse(knobs).unwrap_or_else(|error| panic!("{knobs}: {error}")))
}

/// To so many digits after the point: what is written down.
fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}
