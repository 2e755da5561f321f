//! Every plot of the book.

use std::path::Path;

use crate::Result;
use crate::bars::{Bars, Row, Scale};
use crate::canvas::{colour, label};
use crate::data::{Bench, Competitor, Outcome};
use crate::experiments;
use crate::format::{count, number, times};
use crate::lines::{self, Line};
use crate::waits;

/// Where the plots are, relative to the repository.
pub const FOLDER: &str = "book/src/performance/plots";

/// Every plot: its file, relative to the repository, and its text.
///
/// # Errors
///
/// The data cannot be read, or lacks what a plot shows.
pub fn all(root: &Path) -> Result<Vec<(String, String)>> {
    let bench = Bench::read(root)?;
    let plots = [
        ("s1", per_operation(&bench, "S1", "One task alone")?),
        ("s2", per_operation(&bench, "S2", "Two workers, nobody waits")?),
        ("s3", over_the_floor(&bench, "S3", "64 tasks on 8 connections")?),
        ("s3-waits", waits_of(&bench, "S3", "Waits of 64 tasks on 8 connections")?),
        ("s4", over_the_floor(&bench, "S4", "1,000 tasks on 10 connections")?),
        ("s5", network(&bench)?),
        ("s8", waiters(&bench)?),
        ("s9", over_the_floor(&bench, "S9", "Nearly full: 9 tasks on 8 connections")?),
        ("s10-connects", connects(&bench)?),
        ("s10-waits", spike(&bench)?),
        ("s11", per_operation(&bench, "S11", "One task, a use every 50 µs")?),
    ];
    let plots = plots.into_iter().chain(experiments::plots(root)?).chain([crate::sizes::plot(root)?]);
    Ok(plots.map(|(name, svg)| (format!("{FOLDER}/{name}.svg"), svg)).collect())
}

/// A row for each competitor that has these metrics.
fn rows(
    bench: &Bench,
    scenario: &str,
    metrics: &[&str],
    text: impl Fn(&[f64]) -> String,
) -> Result<Vec<Row>> {
    let figures = figures(bench, scenario, metrics)?;
    let row = |(competitor, values): (&Competitor, Vec<f64>)| Row {
        label: label(competitor),
        colour: colour(competitor),
        text: text(&values),
        values,
    };
    Ok(figures.into_iter().map(row).collect())
}

/// The medians of these metrics, of each competitor that has them.
fn figures<'a>(
    bench: &'a Bench,
    scenario: &str,
    metrics: &[&str],
) -> Result<Vec<(&'a Competitor, Vec<f64>)>> {
    let medians = |outcome: &Outcome| -> Option<Vec<f64>> {
        metrics.iter().map(|metric| Some(outcome.metrics.get(*metric)?.median)).collect()
    };
    let found: Vec<_> = bench
        .ranked(bench.scenario(scenario)?)
        .filter_map(|(competitor, outcome)| Some((competitor, medians(outcome)?)))
        .collect();
    if found.is_empty() {
        return Err(format!("{} has no {} in {scenario}", crate::BENCH, metrics.join(" and ")));
    }
    Ok(found)
}

fn per_operation(bench: &Bench, scenario: &str, title: &str) -> Result<String> {
    let text = |values: &[f64]| format!("{} ns", number(values[0]));
    Bars {
        title,
        axis: "Nanoseconds per operation, logarithmic scale",
        legend: None,
        scale: Scale::LogFrom(10.0),
        room: 68,
        rows: rows(bench, scenario, &["ns_per_op"], text)?,
    }
    .draw()
}

fn over_the_floor(bench: &Bench, scenario: &str, title: &str) -> Result<String> {
    let text = |values: &[f64]| format!("{} ({} ns)", times(values[0]), number(values[1]));
    let mut rows = rows(bench, scenario, &["times_yields", "ns_per_op"], text)?;
    for row in &mut rows {
        row.values.truncate(1);
    }
    Bars {
        title,
        axis: "Times the scheduler's floor, logarithmic scale",
        legend: None,
        scale: Scale::LogFrom(1.0),
        room: 116,
        rows,
    }
    .draw()
}

fn network(bench: &Bench) -> Result<String> {
    let text = |values: &[f64]| format!("{} / {} µs", number(values[0]), number(values[1]));
    Bars {
        title: "TCP echo: wall time and processor time of a request",
        axis: "Microseconds per request",
        legend: Some("Upper bar: wall time. Lower: processor time."),
        scale: Scale::Linear,
        room: 98,
        rows: rows(bench, "S5", &["us_per_op", "cpu_us_per_op"], text)?,
    }
    .draw()
}

fn connects(bench: &Bench) -> Result<String> {
    Bars {
        title: "The spike: connects that it causes",
        axis: "Connects",
        legend: None,
        scale: Scale::Linear,
        room: 30,
        rows: rows(bench, "S10", &["connects"], |values| count(values[0]))?,
    }
    .draw()
}

fn spike(bench: &Bench) -> Result<String> {
    let text = |values: &[f64]| format!("{} ms", number(values[0]));
    Bars {
        title: "The spike: median wait",
        axis: "Milliseconds",
        legend: None,
        scale: Scale::Linear,
        room: 62,
        rows: rows(bench, "S10", &["wait_p50_ms"], text)?,
    }
    .draw()
}

fn waits_of(bench: &Bench, scenario: &str, title: &str) -> Result<String> {
    let figures = figures(bench, scenario, &["wait_p50_us", "wait_p99_us", "wait_max_us"])?;
    let row = |(competitor, values): (&Competitor, Vec<f64>)| waits::Row {
        label: label(competitor),
        colour: colour(competitor),
        median: values[0],
        p99: values[1],
        longest: values[2],
    };
    let rows: Vec<waits::Row> = figures.into_iter().map(row).collect();
    waits::draw(title, "Microseconds, logarithmic scale", &rows)
}

fn waiters(bench: &Bench) -> Result<String> {
    const COUNTS: [(f64, &str); 4] = [
        (64.0, "ns_per_op_64"),
        (1_000.0, "ns_per_op_1000"),
        (10_000.0, "ns_per_op_10000"),
        (100_000.0, "ns_per_op_100000"),
    ];
    let line = |(competitor, values): (&Competitor, Vec<f64>)| Line {
        label: competitor.id.clone(),
        colour: colour(competitor),
        strong: competitor.id == "poolhouse",
        points: COUNTS.iter().zip(values).map(|((count, _), value)| (*count, value)).collect(),
    };
    let metrics = COUNTS.map(|(_, metric)| metric);
    let lines: Vec<Line> = figures(bench, "S8", &metrics)?.into_iter().map(line).collect();
    lines::draw("From 64 to 100,000 tasks on 8 connections", ("Tasks", "Nanoseconds per operation"), &lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn plots_repeat_and_can_be_read_aloud() {
        let folder = sample::repository();
        let plots = all(folder.path()).unwrap();
        assert_eq!(plots, all(folder.path()).unwrap());
        for (file, svg) in plots {
            assert!(file.starts_with(FOLDER) && file.ends_with(".svg"), "{file}");
            assert!(
                svg.contains("<title>") && svg.contains("<desc>") && svg.contains("role=\"img\""),
                "{file}"
            );
            let name = &file[FOLDER.len() + 1..];
            let of_the_benchmark =
                name.starts_with('s') && name[1..].starts_with(|c: char| c.is_ascii_digit());
            assert!(svg.contains("poolhouse") || !of_the_benchmark, "{file}");
        }
    }

    #[test]
    fn a_missing_metric_is_named() {
        let mut bench = sample::bench();
        for outcome in bench.scenarios.iter_mut().flat_map(|scenario| &mut scenario.results) {
            outcome.metrics.remove("connects");
        }
        assert!(connects(&bench).unwrap_err().contains("no connects in S10"));
    }
}
