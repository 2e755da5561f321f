//! Rounds. Each runs every competitor of a scenario once, in an order of its own, so that a ratio compares two figures
//! of the same moment.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::competitor::About;
use crate::report::{CompetitorResult, ScenarioReport};
use crate::runtime;
use crate::stats::Summary;

/// The one that the others are compared with.
pub const SUBJECT: &str = "poolhouse";

/// How much to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    pub quick: bool,
    /// Shuffles the order within each round.
    pub seed: u64,
    /// The ids of the competitors to run; empty is all.
    pub only: Vec<String>,
}

impl Plan {
    pub fn wants(&self, competitor: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|id| id == competitor)
    }
}

/// What a round may use, the same for every competitor of a scenario.
#[derive(Debug)]
pub struct Bench {
    pub quick: bool,
    /// Two workers, on the first two cores.
    pub two: Runtime,
    /// One worker, on the first core.
    pub one: Runtime,
}

impl Bench {
    pub fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// How long a competitor is measured in one round of the short scenarios.
    pub fn slice(&self) -> Duration {
        self.pick(Duration::from_millis(10), Duration::from_millis(20))
    }
}

/// The figures of one competitor in one round, by metric.
pub type Sample = Vec<(&'static str, f64)>;

struct Lane {
    competitor: &'static str,
    round: Box<dyn FnMut(&Bench) -> Sample>,
    samples: BTreeMap<&'static str, Vec<f64>>,
}

/// A scenario while it is put together and run.
pub struct Scenario {
    pub id: &'static str,
    pub title: &'static str,
    pub setup: String,
    lanes: Vec<Lane>,
    notes: Vec<(&'static str, &'static str)>,
}

impl Scenario {
    pub fn new(id: &'static str, title: &'static str, setup: impl Into<String>) -> Self {
        Self { id, title, setup: setup.into(), lanes: Vec::new(), notes: Vec::new() }
    }

    /// Adds a competitor: `round` measures it once.
    pub fn lane(&mut self, about: &About, round: impl FnMut(&Bench) -> Sample + 'static) {
        self.lanes.push(Lane { competitor: about.id, round: Box::new(round), samples: BTreeMap::new() });
    }

    /// Says why a competitor has no figures, or what to know about them.
    pub fn note(&mut self, about: &About, note: &'static str) {
        self.notes.push((about.id, note));
    }

    pub fn run(mut self, plan: &Plan, rounds: usize, mut progress: impl FnMut(usize)) -> ScenarioReport {
        self.lanes.retain(|lane| plan.wants(lane.competitor));
        self.notes.retain(|(competitor, _)| plan.wants(competitor));
        let bench = Bench { quick: plan.quick, two: runtime::pinned(2), one: runtime::pinned(1) };
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let mut order: Vec<usize> = (0..self.lanes.len()).collect();
        let mut metrics = Vec::new();
        // The first round warms caches and the allocator, and finds how much to do. It is not kept.
        for round in 0..=rounds {
            progress(round);
            rng.shuffle(&mut order);
            for &index in &order {
                let lane = &mut self.lanes[index];
                let sample = (lane.round)(&bench);
                for (metric, value) in sample {
                    if !metrics.contains(&metric) {
                        metrics.push(metric);
                    }
                    if round > 0 {
                        lane.samples.entry(metric).or_default().push(value);
                    }
                }
            }
        }
        self.report(rounds, metrics)
    }

    fn report(self, rounds: usize, metrics: Vec<&'static str>) -> ScenarioReport {
        let subject = self.lanes.iter().find(|lane| lane.competitor == SUBJECT).map(|lane| &lane.samples);
        let summaries = |lane: &Lane| {
            lane.samples.iter().filter_map(|(name, values)| Some((*name, Summary::of(values)?))).collect()
        };
        let ratios = |lane: &Lane| {
            let paired = |(name, values): (&&'static str, &Vec<f64>)| {
                Some((*name, Summary::of_ratios(values, subject?.get(name)?)?))
            };
            lane.samples.iter().filter_map(paired).collect()
        };
        let mut results: Vec<CompetitorResult> = self
            .lanes
            .iter()
            .map(|lane| CompetitorResult {
                competitor: lane.competitor,
                metrics: summaries(lane),
                to_poolhouse: ratios(lane),
                note: None,
            })
            .collect();
        for (competitor, note) in self.notes {
            match results.iter_mut().find(|result| result.competitor == competitor) {
                Some(result) => result.note = Some(note),
                None => results.push(CompetitorResult::only_note(competitor, note)),
            }
        }
        ScenarioReport { id: self.id, title: self.title, setup: self.setup, rounds, metrics, results }
    }
}
