//! What a run found: the data file, and the tables on the terminal.

use std::fmt::Write as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::competitor::About;
use crate::counts::Counts;
use crate::machine::Machine;
use crate::result::CompetitorResult;
use crate::targets::Target;

#[derive(Debug, Serialize)]
pub struct Report {
    pub command: String,
    /// `full` or `quick`.
    pub mode: &'static str,
    pub date: String,
    pub machine: Machine,
    /// Shuffles the order of the competitors in each round.
    pub seed: u64,
    pub competitors: Vec<About>,
    pub scenarios: Vec<ScenarioReport>,
}

#[derive(Debug, Serialize)]
pub struct ScenarioReport {
    pub id: &'static str,
    pub title: &'static str,
    pub setup: String,
    pub rounds: usize,
    /// The metrics, in the order of the table's columns.
    pub metrics: Vec<&'static str>,
    /// What poolhouse has to reach.
    pub targets: Vec<Target>,
    pub results: Vec<CompetitorResult>,
}

impl Report {
    pub fn tables(&self) -> String {
        let mut text = "Medians, and how they compare with poolhouse's in the same round.\n".to_string();
        for scenario in &self.scenarios {
            let _ = writeln!(
                text,
                "\n{} {}: {}. {} rounds.",
                scenario.id, scenario.title, scenario.setup, scenario.rounds
            );
            let _ = writeln!(text, "{}", scenario.table(&self.competitors));
            for target in &scenario.targets {
                let Some(reached) = target.reached(&scenario.results) else { continue };
                let verdict = if reached >= target.at_least { "reached" } else { "missed" };
                let _ = writeln!(text, "Target: {target}: {verdict}, {}x.", short(reached));
            }
            for result in &scenario.results {
                if let Some(note) = result.note {
                    let _ = writeln!(text, "{}: {note}", result.competitor);
                }
            }
        }
        text
    }
}

impl ScenarioReport {
    fn table(&self, competitors: &[About]) -> Table {
        let mut header = vec![String::new()];
        header.extend(self.metrics.iter().map(|metric| format!("{metric}      ")));
        let mut table = table(header);
        for about in competitors {
            let Some(result) = self.results.iter().find(|result| result.competitor == about.id) else {
                continue;
            };
            if result.metrics.is_empty() {
                continue;
            }
            let mut row = vec![about.id.to_string()];
            for metric in &self.metrics {
                let figure =
                    result.metrics.get(metric).map_or_else(String::new, |summary| short(summary.median));
                let ratio = result
                    .to_poolhouse
                    .get(metric)
                    .map_or_else(String::new, |ratio| short(ratio.median) + "x");
                row.push(format!("{figure} {ratio:>7}"));
            }
            table.add_row(row);
        }
        align(table)
    }
}

/// Of every size of the pool.
pub fn sizes(report: &crate::sizes::Report) -> String {
    let header = [
        "connections",
        "requests_per_s",
        "law",
        "service_p50_us",
        "service_p99_us",
        "latency_p50_us",
        "latency_p99_us",
    ];
    let mut rows = table(header.map(str::to_string).into());
    for size in &report.sizes {
        let law = report.fit.throughput(size.connections as f64);
        let figures = [
            size.requests_per_s.median,
            law,
            size.service_p50_us.median,
            size.service_p99_us.median,
            size.latency_p50_us.median,
            size.latency_p99_us.median,
        ];
        let connections = size.connections.to_string();
        rows.add_row([connections].into_iter().chain(figures.map(|figure| format!("{figure:.0}"))));
    }
    format!("{}\n{:?}\n", align(rows), report.fit)
}

/// Of everything that was counted.
pub fn counts(counts: &Counts) -> String {
    let header = ["", "", "instructions_per_op", "allocations_per_op", "bytes_per_op"];
    let mut costs = table(header.map(str::to_string).into());
    for count in &counts.results {
        let figures = [count.instructions_per_op, count.allocations_per_op, count.bytes_per_op];
        let names = [count.competitor.clone(), count.scenario.clone()];
        costs.add_row(names.into_iter().chain(figures.map(|figure| format!("{figure:.2}"))));
    }
    let header = ["", "guard_bytes", "acquire_future_bytes", "bytes_per_waiter", "of 10,000"];
    let mut sizes = table(header.map(str::to_string).into());
    for size in &counts.sizes {
        sizes.add_row([
            size.competitor.clone(),
            size.guard_bytes.to_string(),
            size.acquire_future_bytes.to_string(),
            format!("{:.1}", size.bytes_per_waiter),
            format!("{:.1}", size.bytes_per_waiter_10k),
        ]);
    }
    format!("{}\n\n{}", align(costs), align(sizes))
}

fn table(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    table
}

/// Figures to the right.
fn align(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Three digits that matter.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middling if middling < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}
