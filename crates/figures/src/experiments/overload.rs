//! What is answered in time, beyond the knee.

use experiments::overload::{Data, Point};

use super::{COLOURS, table as make};
use crate::Result;
use crate::curves::{Curve, Curves};
use crate::format::{count, number};

pub(super) fn table(data: &Data) -> String {
    let header = [
        "",
        "asked/s",
        "in time/s",
        "too late/s",
        "refused/s",
        "99th percentile of the waits, s",
        "refused after, s",
    ];
    let mut rows = Vec::new();
    for policy in &data.policies {
        // Below these every policy does the same.
        for point in policy.points.iter().filter(|point| point.load >= 0.9) {
            let Point { load, good, late, refused, p99_wait, refused_after, .. } = point;
            let after = if *refused > 0.0 { count(*refused_after) } else { String::new() };
            rows.push(vec![
                policy.name.replace("max_pending", "`max_pending`"),
                count((load * data.capacity).round()),
                count(*good),
                count(*late),
                count(*refused),
                number(*p99_wait),
                after,
            ]);
        }
    }
    let about = format!(
        "{} connections, exponential holds with a mean of {} ms: at most {} a second. In time is an answer within {} s \
         of asking. Measured for 30 s after 30 s of the same load.",
        data.connections,
        count(data.hold_ms),
        count(data.capacity),
        count(data.patience)
    );
    make(&header, 1, rows, &about)
}

pub(super) fn plot(data: &Data) -> Result<String> {
    let curves = data.policies.iter().zip(COLOURS).map(|(policy, colour)| {
        let points: Vec<(f64, f64)> =
            policy.points.iter().map(|point| (point.load * data.capacity, point.good)).collect();
        Curve { label: policy.name.clone(), colour, dots: points.clone(), points }
    });
    let texts: Vec<String> = data
        .policies
        .iter()
        .map(|policy| {
            let point = |point: &Point| {
                format!("{} of {}", number(point.good), count((point.load * data.capacity).round()))
            };
            format!("{}: {}", policy.name, policy.points.iter().map(point).collect::<Vec<_>>().join(", "))
        })
        .collect();
    Curves {
        title: "Goodput: answers in time over what is asked",
        description: format!("Answers in time of requests asked, in a second. {}.", texts.join("; ")),
        x: "Asked, in a second",
        y: "Answered in time, in a second",
        ends: (200.0, 115.0),
        limit: None,
        curves: curves.collect(),
    }
    .draw()
}
