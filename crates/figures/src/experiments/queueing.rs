//! The knee: waits over utilisation, by Erlang C and as measured.

use experiments::queueing::{Data, Point};

use super::{COLOURS, table as make};
use crate::Result;
use crate::curves::{Curve, Curves};
use crate::format::{count, number};

pub(super) fn table(data: &Data) -> String {
    let header = [
        "connections",
        "utilisation",
        "mean wait",
        "by Erlang C",
        "99th percentile",
        "by Erlang C",
        "requests measured",
    ];
    let rows = data.points.iter().map(|point| {
        vec![
            point.connections.to_string(),
            percent(point.utilisation),
            number(point.mean),
            number(point.model_mean),
            number(point.p99),
            number(point.model_p99),
            count(point.requests as f64),
        ]
    });
    let about = "Waits in multiples of the mean hold, over all acquires, including those that did not wait. Poisson arrivals, \
                 exponential holds.";
    make(&header, 0, rows, about)
}

pub(super) fn shapes(data: &Data) -> String {
    let header = ["", "connections", "ca²", "cs²", "mean wait", "by the formula", "99th percentile"];
    let rows = data.shapes.iter().map(|shape| {
        vec![
            shape.name.clone(),
            shape.connections.to_string(),
            count(shape.arrivals),
            count(shape.holds),
            number(shape.mean),
            number(shape.model_mean),
            number(shape.p99),
        ]
    });
    let utilisation = data.shapes.first().map_or_else(String::new, |shape| percent(shape.utilisation));
    let about = format!("Waits in multiples of the mean hold, at a utilisation of {utilisation}.");
    make(&header, 1, rows, &about)
}

fn percent(share: f64) -> String {
    format!("{} %", count((share * 100.0).round()))
}

pub(super) fn mean(data: &Data) -> Result<String> {
    let title = "The knee: mean wait over utilisation";
    plot(data, (title, "Mean wait, in mean holds", 12.0), |point| point.mean, |(_, mean, _)| mean)
}

pub(super) fn p99(data: &Data) -> Result<String> {
    let title = "The knee: 99th percentile of the waits over utilisation";
    plot(data, (title, "99th percentile, in mean holds", 30.0), |point| point.p99, |(_, _, p99)| p99)
}

fn plot(
    data: &Data,
    (title, y, top): (&str, &str, f64),
    measured: fn(&Point) -> f64,
    expected: fn((f64, f64, f64)) -> f64,
) -> Result<String> {
    let curves = data.curves.iter().zip(COLOURS).map(|(curve, colour)| {
        let c = curve.connections;
        let dots = data.points.iter().filter(|point| point.connections == c);
        Curve {
            label: if c == 1 { "1 connection".to_owned() } else { format!("{c} connections") },
            colour,
            points: curve.points.iter().map(|point| (point.0 * 100.0, expected(*point))).collect(),
            dots: dots.map(|point| (point.utilisation * 100.0, measured(point))).collect(),
        }
    });
    let at = |point: &Point| format!("{} at {}", number(measured(point)), percent(point.utilisation));
    let texts: Vec<String> = data
        .curves
        .iter()
        .map(|curve| {
            let points = data.points.iter().filter(|point| point.connections == curve.connections).map(at);
            format!("{} connections: {}", curve.connections, points.collect::<Vec<_>>().join(", "))
        })
        .collect();
    Curves {
        title,
        description: format!("{y}. Curves: Erlang C. Dots: measured. {}.", texts.join("; ")),
        x: "Utilisation, per cent. Curve: Erlang C. Dot: measured",
        y,
        ends: (100.0, top),
        limit: None,
        curves: curves.collect(),
    }
    .draw()
}
