//! Three pools through an outage.

use experiments::outage::{Outage, Run};
use plotters::style::RGBColor;

use super::table as make;
use crate::Result;
use crate::bars::{Bars, Row, Scale};
use crate::canvas::{BLUE, GREY};
use crate::format::count;

/// The outage in which connects are refused, or that in which nobody answers them.
fn runs<'a>(data: &'a Outage, connects: &str) -> impl Iterator<Item = &'a Run> {
    data.runs.iter().filter(move |run| run.connects == connects)
}

pub(super) fn refused(data: &Outage) -> String {
    table(data, "refused")
}

pub(super) fn silent(data: &Outage) -> String {
    table(data, "silent")
}

fn table(data: &Outage, connects: &str) -> String {
    let header = [
        "",
        "connects tried",
        "in the busiest second",
        "failed acquires",
        "they fail after, ms: median",
        "longest",
        "first success after the return, ms",
        "all workers served, ms",
    ];
    let rows = runs(data, connects).map(|run| {
        let figures = [
            run.attempts as u64,
            run.attempts_in_the_busiest_second as u64,
            run.failed_acquires as u64,
            run.failed_after_p50_ms,
            run.failed_after_max_ms,
            run.first_success_ms,
            run.all_succeed_ms,
        ];
        let name = format!("{} {}", run.pool, run.version);
        [name].into_iter().chain(figures.map(|figure| count(figure as f64))).collect()
    });
    make(&header, 1, rows, &format!("{}.", data.setup))
}

/// What the callers are told.
pub(super) fn texts(data: &Outage) -> String {
    let text = |connects| runs(data, connects).map(|run| format!("{}: {}", run.pool, run.error)).collect();
    let texts = |heading: &str, connects| {
        let lines: Vec<String> = text(connects);
        format!("{heading}\n{}", lines.join("\n"))
    };
    format!(
        "```text\n{}\n\n{}\n```\n",
        texts("connects are refused:", "refused"),
        texts("connects are not answered:", "silent")
    )
}

fn label(run: &Run) -> String {
    format!("{}, {}", run.pool, run.connects)
}

fn colour(run: &Run) -> RGBColor {
    if run.pool == "poolhouse" { BLUE } else { GREY }
}

pub(super) fn plot(data: &Outage) -> Result<String> {
    let row = |run: &Run| Row {
        label: label(run),
        colour: colour(run),
        values: vec![run.attempts as f64],
        text: count(run.attempts as f64),
    };
    Bars {
        title: "An outage of 20 s: connects that each pool tries",
        axis: "Connects tried, logarithmic scale",
        legend: None,
        scale: Scale::LogFrom(1.0),
        room: 60,
        rows: data.runs.iter().map(row).collect(),
    }
    .draw()
}

pub(super) fn recovery(data: &Outage) -> Result<String> {
    let row = |run: &Run| Row {
        label: label(run),
        colour: colour(run),
        values: vec![run.failed_after_p50_ms as f64, run.all_succeed_ms as f64],
        text: format!("{} / {} ms", count(run.failed_after_p50_ms as f64), count(run.all_succeed_ms as f64)),
    };
    Bars {
        title: "An outage of 20 s: how long callers wait for the bad news, and for the recovery",
        axis: "Milliseconds, logarithmic scale",
        legend: Some("Upper: a failed acquire. Lower: recovery."),
        scale: Scale::LogFrom(1.0),
        room: 116,
        rows: data.runs.iter().map(row).collect(),
    }
    .draw()
}
