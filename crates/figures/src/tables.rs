//! The tables: one for each scenario, and what was counted.

use std::fmt::Write as _;

use crate::Result;
use crate::data::{Bench, Competitor, Count, Counts, Kind, Machine, Outcome, Scenario};
use crate::format::{count, markup, name, number, times, wrap};
use crate::metrics::Metric;

/// The first metric has its percentiles and its ratio in columns of their own, the others the ratio in brackets. A
/// derived metric has the ratio of the one that it derives from, so it is not repeated.
pub(crate) fn scenario(bench: &Bench, id: &str) -> Result<String> {
    let scenario = bench.scenario(id)?;
    let metrics: Vec<Metric> = scenario.metrics.iter().map(|id| Metric::named(id)).collect::<Result<_>>()?;
    let mut header = vec![String::new()];
    for (index, metric) in metrics.iter().enumerate() {
        header.push(metric.name.to_owned());
        if index == 0 && has_ratios(scenario, metric) {
            header.extend(["10th to 90th percentile".to_owned(), "to poolhouse".to_owned()]);
        }
    }
    let mut text = head(&header, 1);
    for (competitor, outcome) in bench.ranked(scenario) {
        let mut cells = vec![name(competitor)];
        for (index, metric) in metrics.iter().enumerate() {
            cells.extend(figures(scenario, outcome, metric, index == 0));
        }
        text += &row(&cells);
    }
    text += "\n";
    if !scenario.targets.is_empty() {
        text += &format!("{}\n\n", wrap(&target(bench, scenario)?));
    }
    text += &wrap(&about(bench, scenario));
    Ok(text)
}

fn has_ratios(scenario: &Scenario, metric: &Metric) -> bool {
    scenario.results.iter().any(|outcome| outcome.to_poolhouse.contains_key(metric.id))
}

fn figures(scenario: &Scenario, outcome: &Outcome, metric: &Metric, first: bool) -> Vec<String> {
    let columns = if first && has_ratios(scenario, metric) { 3 } else { 1 };
    let Some(figure) = outcome.metrics.get(metric.id) else { return vec![String::new(); columns] };
    let ratio = outcome.to_poolhouse.get(metric.id).filter(|_| !metric.derived);
    let ratio = ratio.map(|ratio| times(ratio.median));
    if columns == 3 {
        let spread = format!("{} to {}", number(figure.low), number(figure.high));
        vec![number(figure.median), spread, ratio.unwrap_or_default()]
    } else {
        let median = count(figure.median);
        vec![ratio.map_or(median.clone(), |ratio| format!("{median} ({ratio})"))]
    }
}

/// What the column "to poolhouse" has to say of a peer.
fn target(bench: &Bench, scenario: &Scenario) -> Result<String> {
    let mut sentences = Vec::new();
    for target in &scenario.targets {
        let peer = bench.competitors.iter().find(|competitor| competitor.id == target.peer);
        let peer = peer.map_or_else(|| format!("`{}`", target.peer), name);
        let metric = Metric::named(&target.metric)?.name;
        sentences.push(format!("{peer}, to poolhouse, at least {} ({metric}).", times(target.at_least)));
    }
    Ok(format!("Target: {}", sentences.join(" ")))
}

/// The line below a table: what was measured, how often, and how to do it again. The machine and the versions are those of
/// the run, which the page tells once.
fn about(bench: &Bench, scenario: &Scenario) -> String {
    let mut text = format!(
        "{}. Medians of {} rounds, {} run. `{} --scenario {}`",
        scenario.setup, scenario.rounds, bench.mode, bench.command, scenario.id
    );
    for competitor in &bench.competitors {
        let outcome = scenario.results.iter().find(|outcome| outcome.competitor == competitor.id);
        if let Some(note) = outcome.and_then(|outcome| outcome.note.as_ref()) {
            let _ = write!(text, " Not here: {}, which {}.", name(competitor), markup(note));
        }
    }
    text
}

fn crate_of(competitor: &Competitor) -> String {
    markup(competitor.label.split(',').next().unwrap_or_default())
}

pub(crate) fn machine(machine: &Machine, date: &str) -> String {
    let Machine { cpu, cores, os, rustc, memory_gib } = machine;
    format!("{cpu}, {cores} cores, {memory_gib} GiB, {os}, rustc {rustc}, {date}")
}

/// What was run where: for the head of a chapter.
pub(crate) fn run(bench: &Bench) -> Result<String> {
    let mode = match bench.mode.as_str() {
        "full" => "It was a full run.",
        _ => "It was a quick run, of few and short rounds: its ratios are rough.",
    };
    let mut versions: Vec<String> = Vec::new();
    for competitor in bench.competitors.iter().filter(|competitor| competitor.kind == Kind::Pool) {
        let version = format!("{} {}", crate_of(competitor), competitor.version);
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    let (machine, versions) = (machine(&bench.machine, &bench.date), versions.join(", "));
    Ok(wrap(&format!("{machine}. {mode} {versions}. `{}`", bench.command)))
}

/// How each competitor is configured: a list, for a table of sentences is hard to read on a phone.
pub(crate) fn setups(bench: &Bench) -> Result<String> {
    let mut text = String::new();
    for Competitor { label, version, kind, setup, .. } in &bench.competitors {
        let kind = match kind {
            Kind::Pool => "pool",
            Kind::Baseline => "baseline",
            Kind::Floor => "floor",
        };
        let (label, version, setup) = (markup(label), markup(version), markup(setup));
        let item = wrap(&format!("**{label}** ({kind}, {version}): {setup}"));
        let _ = writeln!(text, "- {}", item.replace('\n', "\n  "));
    }
    Ok(text)
}

/// Instructions and allocations of an operation, a column for each counted scenario.
pub(crate) fn costs(counts: &Counts) -> Result<String> {
    let mut scenarios: Vec<&str> = Vec::new();
    let mut competitors: Vec<&str> = Vec::new();
    for Count { scenario, competitor, .. } in &counts.results {
        if !scenarios.contains(&scenario.as_str()) {
            scenarios.push(scenario);
        }
        if !competitors.contains(&competitor.as_str()) {
            competitors.push(competitor);
        }
    }
    let mut header = vec![String::new()];
    header.extend(scenarios.iter().map(|scenario| format!("{scenario}: instructions")));
    header.extend(scenarios.iter().map(|scenario| format!("{scenario}: allocations")));
    let mut text = head(&header, 1);
    for competitor in competitors {
        let find = |scenario: &&str| {
            counts.results.iter().find(|c| c.competitor == competitor && c.scenario == **scenario)
        };
        let instructions = |count: &Count| number(count.instructions_per_op.round());
        let allocations = |found: &Count| match found.allocations_per_op {
            0.0 => "0".to_owned(),
            allocations => format!("{} ({} bytes)", number(allocations), number(found.bytes_per_op)),
        };
        let mut cells = vec![format!("`{competitor}`")];
        cells.extend(scenarios.iter().map(|id| find(id).map_or_else(String::new, instructions)));
        cells.extend(scenarios.iter().map(|id| find(id).map_or_else(String::new, allocations)));
        text += &row(&cells);
    }
    Ok(text + &counted(counts))
}

/// The sizes of guards, futures and waiters.
pub(crate) fn sizes(counts: &Counts) -> Result<String> {
    let header = ["", "guard, bytes", "future of an acquire, bytes", "heap for each waiter, bytes"];
    let mut text = head(&header, 1);
    for size in &counts.sizes {
        text += &row(&[
            format!("`{}`", size.competitor),
            size.guard_bytes.to_string(),
            size.acquire_future_bytes.to_string(),
            count(size.bytes_per_waiter.round()),
        ]);
    }
    Ok(text + &counted(counts))
}

fn counted(counts: &Counts) -> String {
    format!("\n{}", wrap(&format!("{}. `{}`", machine(&counts.machine, &counts.date), counts.command)))
}

/// The first line of a table, and the one below it: after the first `texts` columns come figures, to the right.
pub(crate) fn head(cells: &[impl ToString], texts: usize) -> String {
    let cells: Vec<String> = cells.iter().map(ToString::to_string).collect();
    let rules: Vec<&str> = (0..cells.len()).map(|index| if index < texts { "---" } else { "--:" }).collect();
    format!("{}|{}|\n", row(&cells), rules.join("|"))
}

pub(crate) fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_table_has_medians_ratios_and_its_origin() {
        let text = scenario(&sample::bench(), "S3").unwrap();
        assert!(text.contains("| bb8 | 200 | 200 to 200 | 2.00× | 200 (2.00×) |"), "{text}");
        assert!(text.contains("Medians of 3 rounds, quick run. `run it --scenario S3`"), "{text}");
        let head = run(&sample::bench()).unwrap().replace('\n', " ");
        assert!(head.contains("A, 2 cores") && head.contains("poolhouse 1.0, bb8 1.0"), "{head}");
        assert!(text.contains("Target: bb8, to poolhouse, at least 1.50× (ns per operation).\n"), "{text}");
        assert!(setups(&sample::bench()).unwrap().contains("As `a_test`, `<that>` is."));
    }

    #[test]
    fn an_unknown_metric_is_named() {
        let mut bench = sample::bench();
        bench.scenarios[0].metrics.push("new".to_owned());
        assert!(scenario(&bench, "S1").unwrap_err().contains("`new`"));
    }
}
