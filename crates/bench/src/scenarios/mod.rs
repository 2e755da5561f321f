//! The scenarios, one file each.

mod alone;
mod crowd;
mod echo;
mod spaced;
mod spike;
mod storm;
mod two_workers;
mod waiters;

use indicatif::{ProgressBar, ProgressStyle};

use crate::competitor::{Kind, Waiting};
use crate::harness::{Bench, Plan, Scenario};
use crate::report::ScenarioReport;

/// How one scenario is made, and how many rounds a quick and a full run take.
struct Entry {
    id: &'static str,
    make: fn() -> Scenario,
    quick: usize,
    full: usize,
}

/// All scenarios, in order.
const ALL: &[Entry] = &[
    Entry { id: "S1", make: alone::scenario, quick: 11, full: 61 },
    Entry { id: "S2", make: two_workers::scenario, quick: 11, full: 61 },
    Entry { id: "S3", make: crowd::s3, quick: 9, full: 51 },
    Entry { id: "S4", make: crowd::s4, quick: 9, full: 51 },
    Entry { id: "S5", make: echo::scenario, quick: 5, full: 31 },
    Entry { id: "S6", make: storm::scenario, quick: 3, full: 4 },
    Entry { id: "S8", make: waiters::scenario, quick: 3, full: 11 },
    Entry { id: "S9", make: crowd::s9, quick: 9, full: 51 },
    Entry { id: "S10", make: spike::scenario, quick: 3, full: 25 },
    Entry { id: "S11", make: spaced::scenario, quick: 11, full: 61 },
];

pub fn ids() -> Vec<&'static str> {
    ALL.iter().map(|entry| entry.id).collect()
}

/// Runs the scenario with this id.
pub fn run(id: &str, plan: &Plan) -> Option<ScenarioReport> {
    let entry = ALL.iter().find(|entry| entry.id == id)?;
    let rounds = if plan.quick { entry.quick } else { entry.full };
    let progress = ProgressBar::new(rounds as u64)
        .with_style(
            ProgressStyle::with_template("{prefix:>3} {bar:24} {pos}/{len} {elapsed}")
                .expect("a valid template"),
        )
        .with_prefix(id.to_string());
    if progress.is_hidden() {
        eprintln!("{id}: {rounds} rounds");
    }
    let report = (entry.make)().run(plan, rounds, |round| progress.set_position(round as u64));
    progress.finish();
    Some(report)
}

/// Whether tasks may wait for this pool; if not, the scenario says why it has no figures.
fn waits<K: Kind>(scenario: &mut Scenario) -> bool {
    if K::WAITING == Waiting::Blocks {
        scenario.note(&K::about(), "blocks its thread while it waits: not for more tasks than connections");
    }
    K::WAITING == Waiting::Async
}

/// How many operations take about a slice.
fn operations(bench: &Bench, ns_per_op: f64) -> u64 {
    (bench.slice().as_nanos() as f64 / ns_per_op.max(0.5)) as u64
}
