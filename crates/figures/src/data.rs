//! What the benchmark wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Result;

/// Times, relative to the repository.
pub const BENCH: &str = "book/data/bench.json";

/// Instructions, allocations and sizes, relative to the repository.
pub const COUNTS: &str = "book/data/counts.json";

#[derive(Debug, Deserialize)]
pub(crate) struct Bench {
    pub(crate) command: String,
    /// `full` or `quick`.
    pub(crate) mode: String,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    /// In the order of the tables.
    pub(crate) competitors: Vec<Competitor>,
    pub(crate) scenarios: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: u32,
    pub(crate) os: String,
    pub(crate) rustc: String,
    pub(crate) memory_gib: u32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Competitor {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) version: String,
    pub(crate) kind: Kind,
    pub(crate) setup: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Pool,
    Baseline,
    Floor,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    pub(crate) setup: String,
    pub(crate) rounds: u32,
    /// In the order of the table's columns.
    pub(crate) metrics: Vec<String>,
    /// What poolhouse has to reach.
    pub(crate) targets: Vec<Target>,
    pub(crate) results: Vec<Outcome>,
}

/// A peer's figure is at least so many times that of poolhouse.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) metric: String,
    pub(crate) peer: String,
    pub(crate) at_least: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) competitor: String,
    pub(crate) metrics: BTreeMap<String, Summary>,
    /// This competitor's figure by poolhouse's of the same round.
    pub(crate) to_poolhouse: BTreeMap<String, Summary>,
    /// Why there is no figure.
    pub(crate) note: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// The 10th percentile of the rounds.
    pub(crate) low: f64,
    /// The 90th.
    pub(crate) high: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Counts {
    pub(crate) command: String,
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) results: Vec<Count>,
    pub(crate) sizes: Vec<Size>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Count {
    pub(crate) scenario: String,
    pub(crate) competitor: String,
    pub(crate) instructions_per_op: f64,
    pub(crate) allocations_per_op: f64,
    pub(crate) bytes_per_op: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Size {
    pub(crate) competitor: String,
    pub(crate) guard_bytes: u64,
    pub(crate) acquire_future_bytes: u64,
    pub(crate) bytes_per_waiter: f64,
}

impl Bench {
    pub(crate) fn read(root: &Path) -> Result<Bench> {
        read(root, BENCH, "run")
    }

    pub(crate) fn scenario(&self, id: &str) -> Result<&Scenario> {
        self.scenarios
            .iter()
            .find(|scenario| scenario.id == id)
            .ok_or_else(|| format!("{BENCH} has no scenario {id}: write it anew with `{}`", command("run")))
    }

    /// The outcomes that have figures, with whose they are, in the order of the tables.
    pub(crate) fn ranked<'a>(
        &'a self,
        scenario: &'a Scenario,
    ) -> impl Iterator<Item = (&'a Competitor, &'a Outcome)> {
        self.competitors.iter().filter_map(|competitor| {
            let outcome = scenario.results.iter().find(|outcome| outcome.competitor == competitor.id)?;
            (!outcome.metrics.is_empty()).then_some((competitor, outcome))
        })
    }

    /// The median of one competitor's metric.
    pub(crate) fn median(&self, scenario: &str, competitor: &str, metric: &str) -> Result<f64> {
        let outcome = self.outcome(scenario, competitor)?;
        outcome.metrics.get(metric).map(|figure| figure.median).ok_or_else(|| missing(scenario, metric))
    }

    /// The median of the ratios to poolhouse.
    pub(crate) fn ratio(&self, scenario: &str, competitor: &str, metric: &str) -> Result<f64> {
        let outcome = self.outcome(scenario, competitor)?;
        outcome.to_poolhouse.get(metric).map(|ratio| ratio.median).ok_or_else(|| missing(scenario, metric))
    }

    fn outcome(&self, scenario: &str, competitor: &str) -> Result<&Outcome> {
        self.scenario(scenario)?
            .results
            .iter()
            .find(|outcome| outcome.competitor == competitor)
            .ok_or_else(|| missing(scenario, competitor))
    }
}

fn missing(scenario: &str, what: &str) -> String {
    format!("{BENCH} has no `{what}` in {scenario}: write it anew with `{}`", command("run"))
}

impl Counts {
    pub(crate) fn read(root: &Path) -> Result<Counts> {
        read(root, COUNTS, "counts")
    }
}

pub(crate) fn read<T: DeserializeOwned>(root: &Path, file: &str, subcommand: &str) -> Result<T> {
    let text = fs::read_to_string(root.join(file));
    text.map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| format!("{file} cannot be read: {error}; write it with `{}`", command(subcommand)))
}

fn command(subcommand: &str) -> String {
    format!("cargo run --release --manifest-path crates/bench/Cargo.toml -- {subcommand}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let error = Bench::read(folder.path()).unwrap_err();
        assert!(error.contains(BENCH) && error.ends_with("-- run`"), "{error}");
        let error = Counts::read(folder.path()).unwrap_err();
        assert!(error.contains(COUNTS) && error.ends_with("-- counts`"), "{error}");
        let error = crate::sample::bench().scenario("S99").unwrap_err();
        assert!(error.contains("no scenario S99"), "{error}");
    }
}
