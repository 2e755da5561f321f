//! A run as a static picture and a table: for print, and for readers without JavaScript.

use std::fmt::Write;

use crate::ledger::Outcome;
use crate::run::{Frame, Run};
use crate::words::summary;

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 140.0;
const LEFT: f64 = 40.0;

/// Below the panels stands what their curves mean.
const KEY: f64 = 62.0;

/// The connections that are held and open, and the callers that wait, over time: an SVG with one panel for each run.
///
/// All panels have one scale. The curves differ in their strokes, not in colour alone.
pub fn picture(title: &str, runs: &[(String, Run)]) -> String {
    let frames = runs.iter().flat_map(|(_, run)| &run.frames);
    let most = frames.map(|frame| (frame.held + frame.idle).max(frame.waiting)).max().unwrap_or(1).max(1);
    let panels: Vec<String> = runs
        .iter()
        .enumerate()
        .map(|(index, (name, run))| panel(name, run, index as f64 * (HEIGHT + 44.0), most as f64))
        .collect();
    let floor = runs.len() as f64 * (HEIGHT + 44.0);
    let height = floor + KEY;
    let said: Vec<String> = runs.iter().map(|(name, run)| format!("{name}: {}", summary(run))).collect();
    let key: Vec<String> = [HELD, OPEN, WAITING]
        .iter()
        .zip(0_u8..)
        .map(|((words, stroke), line)| {
            let y = floor + 12.0 + f64::from(line) * 18.0;
            format!(
                "<path d=\"M{LEFT} {y}h34\" fill=\"none\" {stroke}/>\n{}",
                text(LEFT + 44.0, y + 4.0, "start", words)
            )
        })
        .collect();
    format!(
        "<svg width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" xmlns=\"http://www.w3.org/2000/svg\" \
         role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#FAFAF7\"/>\n\
         {}{}</svg>\n",
        escaped(title),
        escaped(&said.join(" ")),
        panels.concat(),
        key.concat()
    )
}

/// A curve's name and its stroke.
type Stroke = (&'static str, &'static str);
const HELD: Stroke = ("connections that are held", "stroke=\"#1F5F8B\" stroke-width=\"1.5\"");
const OPEN: Stroke =
    ("connections that are open", "stroke=\"#333333\" stroke-width=\"1\" stroke-dasharray=\"6 3\"");
const WAITING: Stroke =
    ("callers that wait", "stroke=\"#A3341B\" stroke-width=\"2.5\" stroke-dasharray=\"1.5 3\"");

pub(crate) fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!(
        "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\" fill=\"#333333\" font-family=\"sans-serif\" \
         font-size=\"13\">{}</text>\n",
        escaped(words)
    )
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn panel(name: &str, run: &Run, top: f64, most: f64) -> String {
    let last = (run.frames.last().map_or(1, |frame| frame.at) as f64).max(1.0);
    let (floor, roof) = (top + HEIGHT, top + 30.0);
    let x = |at: u64| LEFT + at as f64 / last * (WIDTH - LEFT - 8.0);
    let y = |value: usize| floor - value as f64 / most * (floor - roof);
    let curve = |value: fn(&Frame) -> usize, (_, stroke): Stroke| {
        let mut path = String::new();
        let mut before = None;
        for frame in &run.frames {
            let point = format!("{:.1} {:.1}", x(frame.at), y(value(frame)));
            // A point between two of the same height says nothing.
            let command = if before.is_none() { 'M' } else { 'L' };
            if before != Some(value(frame)) || Some(frame) == run.frames.last() {
                if let Some(before) = before {
                    let _ = write!(path, "L{:.1} {:.1}", x(frame.at), y(before));
                }
                let _ = write!(path, "{command}{point}");
            }
            before = Some(value(frame));
        }
        format!("<path d=\"{path}\" fill=\"none\" {stroke}/>\n")
    };
    [
        text(LEFT, top + 18.0, "start", name),
        format!(
            "<path d=\"M{LEFT} {roof:.0}V{floor:.0}H{:.0}\" fill=\"none\" stroke=\"#999999\"/>\n",
            WIDTH - 8.0
        ),
        curve(|frame| frame.held + frame.idle, OPEN),
        curve(|frame| frame.held, HELD),
        curve(|frame| frame.waiting, WAITING),
        text(LEFT - 6.0, roof + 5.0, "end", &format!("{most}")),
        text(LEFT - 6.0, floor, "end", "0"),
        text(LEFT, floor + 16.0, "start", "0 s"),
        text(WIDTH - 8.0, floor + 16.0, "end", &format!("{} s", (last / 1e3).round())),
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
    if runs.iter().any(|(_, run)| run.figures.refused_connects > 0) {
        row("connects that the server refused", &|run| run.figures.refused_connects.to_string());
    }
    if runs.iter().any(|(_, run)| run.scenario.deploys()) {
        row("most replicas alive", &|run| run.figures.most_replicas.to_string());
        row("the deploy took", &|run| match run.figures.deploy_took {
            Some(took) => format!("{:.0} s", took as f64 / 1e3),
            None => "it never ended".to_owned(),
        });
    }
    row("connections opened after the start", &|run| run.figures.opened.to_string());
    table
}
