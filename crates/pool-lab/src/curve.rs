//! Several loads of one scenario as a static picture and a table, beside the curve of Erlang C.

use std::fmt::Write;

use crate::picture::{escaped, text};
use crate::scenario::Scenario;
use crate::sweep::Point;
use crate::theory;

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 52.0;
const ROOF: f64 = 24.0;
const FLOOR: f64 = 190.0;

/// Mean wait over utilisation, as an SVG: a line for Erlang C, and a ring for each run.
pub fn curve_picture(title: &str, scenario: &Scenario, points: &[Point]) -> String {
    let values = &scenario.values;
    let most = points.iter().map(|point| point.mean_wait.max(point.theory_mean)).fold(1.0, f64::max) * 1.1;
    let x = |utilisation: f64| LEFT + utilisation.min(1.0) * (WIDTH - LEFT - 12.0);
    let y = |wait: f64| FLOOR - wait / most * (FLOOR - ROOF);
    let mut line = String::new();
    for percent in 1..100_u32 {
        let utilisation = f64::from(percent) / 100.0;
        let wait = theory::mean_wait(values.max_connections as usize, utilisation) * scenario.mean_hold();
        if wait <= most {
            let command = if line.is_empty() { 'M' } else { 'L' };
            let _ = write!(line, "{command}{:.1} {:.1}", x(utilisation), y(wait));
        }
    }
    let rings: String = points.iter().fold(String::new(), |mut rings, point| {
        let (x, y) = (x(point.utilisation), y(point.mean_wait));
        let _ = writeln!(
            rings,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"none\" stroke=\"#A3341B\" stroke-width=\"2\"/>"
        );
        rings
    });
    let (right, label) = (WIDTH - 12.0, FLOOR + 16.0);
    let labels = [
        text(LEFT, 14.0, "start", "mean wait"),
        text(LEFT - 6.0, ROOF + 9.0, "end", &format!("{most:.0} ms")),
        text(LEFT - 6.0, FLOOR, "end", "0"),
        text(LEFT, label, "start", "0 %"),
        text(right, label, "end", "100 % busy"),
        text(LEFT + 44.0, 230.0, "start", "Erlang C"),
        text(LEFT + 44.0, 250.0, "start", "one run at each load"),
    ];
    format!(
        "<svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" xmlns=\"http://www.w3.org/2000/svg\" \
         role=\"img\">\n<title>{}</title>\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#FAFAF7\"/>\n\
         <path d=\"M{LEFT} {ROOF}V{FLOOR}H{right}\" fill=\"none\" stroke=\"#999999\"/>\n\
         <path d=\"{line}\" fill=\"none\" stroke=\"#1F5F8B\" stroke-width=\"1.5\"/>\n{rings}\
         <path d=\"M{LEFT} 226h34\" fill=\"none\" stroke=\"#1F5F8B\" stroke-width=\"1.5\"/>\n\
         <circle cx=\"{:.0}\" cy=\"246\" r=\"5\" fill=\"none\" stroke=\"#A3341B\" stroke-width=\"2\"/>\n{}</svg>\n",
        escaped(title),
        LEFT + 17.0,
        labels.concat()
    )
}

/// The same as a table in Markdown. The formula is for the load that was asked for, the rest is of the run.
pub fn curve_table(points: &[Point]) -> String {
    let mut table = String::from(
        "| load | busy | requests a second | mean wait | by Erlang C | 99 of 100 wait at most | by Erlang C |\n\
         |---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for point in points {
        let _ = writeln!(
            table,
            "| {:.0} % | {:.0} % | {:.0} | {:.1} ms | {:.1} ms | {} ms | {:.0} ms |",
            point.load * 100.0,
            point.utilisation * 100.0,
            point.rate,
            point.mean_wait,
            point.theory_mean,
            point.p99_wait,
            point.theory_p99
        );
    }
    table
}
