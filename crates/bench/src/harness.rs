//! Rounds. Each runs every competitor of a scenario once, in an order of its own, so that a ratio compares two figures
//! of the same moment.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::competitor::About;
use crate::report::ScenarioReport;
use crate::result::CompetitorResult;
use crate::runtime;
use crate::stats::Summary;
use crate::targets;

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

/// A metric that comes from another one and the floor's of the same round.
struct Derived {
    floor: &'static str,
    from: &'static str,
    name: &'static str,
    derive: fn(f64, f64) -> f64,
}

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
    derived: Vec<Derived>,
}

impl Scenario {
    pub fn new(id: &'static str, title: &'static str, setup: impl Into<String>) -> Self {
        Self { id, title, setup: setup.into(), lanes: Vec::new(), notes: Vec::new(), derived: Vec::new() }
    }

    /// Adds a competitor: `round` measures it once.
    pub fn lane(&mut self, about: &About, round: impl FnMut(&Bench) -> Sample + 'static) {
        self.lanes.push(Lane { competitor: about.id, round: Box::new(round), samples: BTreeMap::new() });
    }

    /// Says why a competitor has no figures, or what to know about them.
    pub fn note(&mut self, about: &About, note: &'static str) {
        self.notes.push((about.id, note));
    }

    /// Adds the metric `name`: `from` by that of the competitor `floor` in the same round.
    pub fn times_floor(&mut self, floor: &'static str, from: &'static str, name: &'static str) {
        self.derived.push(Derived { floor, from, name, derive: |value, floor| value / floor });
    }

    /// Adds the metric `name`: `from` above that of the competitor `floor` in the same round.
    pub fn above_floor(&mut self, floor: &'static str, from: &'static str, name: &'static str) {
        self.derived.push(Derived { floor, from, name, derive: |value, floor| value - floor });
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
        metrics.extend(self.add_derived());
        self.report(rounds, metrics)
    }

    /// The names of the metrics that could be derived, for their floor was run.
    fn add_derived(&mut self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for Derived { floor, from, name, derive } in std::mem::take(&mut self.derived) {
            let floor = self.lanes.iter().find(|lane| lane.competitor == floor);
            let Some(floor) = floor.and_then(|lane| lane.samples.get(from).cloned()) else { continue };
            for lane in &mut self.lanes {
                if let Some(values) = lane.samples.get(from) {
                    let derived =
                        values.iter().zip(&floor).map(|(&value, &floor)| derive(value, floor)).collect();
                    lane.samples.insert(name, derived);
                }
            }
            names.push(name);
        }
        names
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
        let targets = targets::of(self.id);
        ScenarioReport {
            id: self.id,
            title: self.title,
            setup: self.setup,
            rounds,
            metrics,
            targets,
            results,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(id: &'static str) -> About {
        About { id, label: id, version: String::new(), kind: "pool", setup: "" }
    }

    /// Two competitors, of which the second takes twice as long, in rounds of which each is slower than the last.
    fn scenario() -> Scenario {
        let mut scenario = Scenario::new("S0", "Nothing", "Counts");
        let round = |factor: f64| {
            let mut ns = 0.0;
            move |_: &Bench| {
                ns += 10.0;
                vec![("ns_per_op", factor * ns)]
            }
        };
        scenario.lane(&about(SUBJECT), round(1.0));
        scenario.lane(&about("slow"), round(2.0));
        scenario.note(&about("absent"), "cannot count");
        scenario.times_floor(SUBJECT, "ns_per_op", "times_floor");
        scenario.above_floor(SUBJECT, "ns_per_op", "above_floor_ns");
        scenario.above_floor("nobody", "ns_per_op", "never");
        scenario
    }

    #[test]
    fn ratios_are_of_one_round_and_the_first_is_not_kept() {
        let plan = Plan { quick: true, seed: 1, only: Vec::new() };
        let report = scenario().run(&plan, 3, |_| ());
        assert_eq!(report.metrics, ["ns_per_op", "times_floor", "above_floor_ns"]);
        let slow = report.results.iter().find(|result| result.competitor == "slow").unwrap();
        assert_eq!(slow.metrics["ns_per_op"].median, 60.0);
        assert_eq!(slow.to_poolhouse["ns_per_op"], Summary { median: 2.0, low: 2.0, high: 2.0 });
        assert_eq!(slow.metrics["times_floor"].high, 2.0);
        assert_eq!(slow.metrics["above_floor_ns"].median, 30.0);
        let absent = report.results.iter().find(|result| result.competitor == "absent").unwrap();
        assert_eq!(absent.note, Some("cannot count"));
    }

    #[test]
    fn only_those_who_are_wanted_run() {
        let plan = Plan { quick: true, seed: 1, only: vec!["slow".to_string()] };
        let report = scenario().run(&plan, 1, |_| ());
        assert_eq!(report.results.len(), 1);
        assert!(report.results[0].to_poolhouse.is_empty(), "there is nothing to compare with");
    }
}
