//! A run as a static picture and a table: for print, and for readers without JavaScript.

use std::fmt::Write;

use crate::ledger::Outcome;
use crate::run::Run;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 28.0;

/// The connections that are held and open, and the callers that wait, over time: an SVG of one panel each.
///
/// The curves differ in their strokes, not in colour alone, and take the page's colour.
pub fn picture(title: &str, runs: &[(String, Run)]) -> String {
    let panels: Vec<String> = runs
        .iter()
        .enumerate()
        .map(|(index, (name, run))| panel(name, run, index as f64 * (HEIGHT + 44.0)))
        .collect();
    let height = runs.len() as f64 * (HEIGHT + 44.0);
    format!(
        "<svg class=\"pool-lab-picture\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">{}</svg>",
        escaped(title),
        panels.concat()
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

fn panel(name: &str, run: &Run, top: f64) -> String {
    let most = run.frames.iter().map(|frame| (frame.held + frame.idle).max(frame.waiting)).max();
    let most = (most.unwrap_or(1) as f64).max(1.0);
    let last = (run.frames.last().map_or(1, |frame| frame.at) as f64).max(1.0);
    let (floor, roof) = (top + HEIGHT, top + 30.0);
    let x = |at: u64| LEFT + at as f64 / last * (WIDTH - LEFT - 8.0);
    let y = |value: usize| floor - value as f64 / most * (floor - roof);
    let curve = |value: fn(&crate::run::Frame) -> usize, style: &str| {
        let mut path = String::new();
        for (index, frame) in run.frames.iter().enumerate().step_by(2) {
            let command = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", x(frame.at), y(value(frame)));
        }
        format!("<path d=\"{path}\" fill=\"none\" stroke=\"currentColor\" {style}/>")
    };
    let text = |x: f64, y: f64, anchor: &str, words: &str| {
        format!(
            "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\" fill=\"currentColor\" font-size=\"13\">{}</text>",
            escaped(words)
        )
    };
    [
        text(LEFT, top + 14.0, "start", name),
        format!(
            "<path d=\"M{LEFT} {roof:.0}V{floor:.0}H{:.0}\" fill=\"none\" stroke=\"currentColor\" opacity=\"0.5\"/>",
            WIDTH - 8.0
        ),
        curve(|frame| frame.held + frame.idle, "stroke-width=\"1\" stroke-dasharray=\"6 3\""),
        curve(|frame| frame.held, "stroke-width=\"1.5\""),
        curve(|frame| frame.waiting, "stroke-width=\"2.5\" stroke-dasharray=\"1.5 3\""),
        text(LEFT - 6.0, roof + 5.0, "end", &format!("{most}")),
        text(LEFT - 6.0, floor, "end", "0"),
        text(LEFT, floor + BOTTOM - 10.0, "start", "0 s"),
        text(WIDTH - 8.0, floor + BOTTOM - 10.0, "end", &format!("{} s", last / 1e3)),
    ]
    .concat()
}

/// The figures of one or two runs as a table in Markdown.
pub fn table(runs: &[(String, Run)]) -> String {
    let mut table = String::from("| |");
    for (name, _) in runs {
        let _ = write!(table, " {name} |");
    }
    table.push_str("\n|---|");
    table.push_str(&"---:|".repeat(runs.len()));
    table.push('\n');
    let mut row = |label: &str, value: &dyn Fn(&Run) -> String| {
        let _ = write!(table, "| {label} |");
        for (_, run) in runs {
            let _ = write!(table, " {} |", value(run));
        }
        table.push('\n');
    };
    row("requests", &|run| run.figures.requests().to_string());
    for outcome in Outcome::ALL {
        if runs.iter().any(|(_, run)| run.figures.count(outcome) > 0) {
            row(outcome.as_str(), &|run| run.figures.count(outcome).to_string());
        }
    }
    row("median wait", &|run| format!("{} ms", run.figures.p50_wait));
    row("99th percentile of the waits", &|run| format!("{} ms", run.figures.p99_wait));
    if runs.iter().any(|(_, run)| run.figures.p50_refusal > 0) {
        row("median time to an error", &|run| format!("{} ms", run.figures.p50_refusal));
    }
    row("utilisation", &|run| format!("{:.0} %", run.figures.utilisation * 100.0));
    row("most callers waiting", &|run| run.figures.most_waiting.to_string());
    row("most connections open", &|run| run.figures.most_open.to_string());
    row("connections opened after the start", &|run| run.figures.opened.to_string());
    table
}
