//! What stays open after a burst, by the order in which idle connections are used.

use experiments::idle_order::{Data, Shrinking};

use super::{COLOURS, table as make};
use crate::Result;
use crate::curves::{Curve, Curves};
use crate::format::{count, number};

fn time(seconds: f64) -> String {
    if seconds >= 60.0 { format!("{} min", count(seconds / 60.0)) } else { format!("{} s", count(seconds)) }
}

fn find<'a>(data: &'a Data, order: &'a str) -> impl Iterator<Item = &'a Shrinking> {
    data.shrinking.iter().filter(move |run| run.order == order)
}

pub(super) fn table(data: &Data) -> String {
    let header = [
        "requests/s",
        "`idle_timeout`",
        "open after, LIFO",
        "open after, FIFO",
        "connects, LIFO",
        "connects, FIFO",
    ];
    let rows = find(data, "Lifo").zip(find(data, "Fifo")).map(|(lifo, fifo)| {
        vec![
            lifo.rate.to_string(),
            time(lifo.idle_timeout),
            number(lifo.open),
            number(fifo.open),
            lifo.connects.to_string(),
            fifo.connects.to_string(),
        ]
    });
    let about = format!(
        "A burst opens {} connections; then requests come at random and hold for 20 ms. Open: the mean of the last 10 \
         of {} minutes. Connects: after the burst. `min_connections` 1, no lifetime.",
        data.burst,
        count(data.minutes)
    );
    make(&header, 0, rows, &about)
}

pub(super) fn fixed(data: &Data) -> String {
    let header = ["order", "connections", "of these used in an hour", "longest unused when handed out, s"];
    let rows = data.fixed.iter().map(|run| {
        vec![
            run.order.to_uppercase(),
            run.connections.to_string(),
            run.used.to_string(),
            count(run.longest_unused),
        ]
    });
    let rate = data.fixed.first().map_or(0.0, |run| run.rate);
    let about = format!("A pool of fixed size, {} request a second at random, held for 20 ms.", count(rate));
    make(&header, 1, rows, &about)
}

pub(super) fn plot(data: &Data) -> Result<String> {
    let shown = [("Lifo", 60.0, 1.0), ("Fifo", 60.0, 1.0), ("Fifo", 60.0, 0.1)];
    let mut curves = Vec::new();
    let mut texts = Vec::new();
    for ((order, idle_timeout, rate), colour) in shown.into_iter().zip(COLOURS) {
        let run = find(data, order)
            .find(|run| (run.idle_timeout - idle_timeout).abs() < 1e-9 && (run.rate - rate).abs() < 1e-9)
            .ok_or("the experiment on the order of idle connections lacks a run that the plot shows")?;
        let label = format!("{}, {rate}/s", order.to_uppercase());
        let points: Vec<(f64, f64)> = run
            .series
            .iter()
            .enumerate()
            .map(|(half, open)| (half as f64 / 2.0, *open as f64))
            .take_while(|(minute, _)| *minute <= 10.0)
            .collect();
        texts.push(format!("{label}: {} after 2 minutes, {} after 10", run.series[4], run.series[20]));
        curves.push(Curve { label, colour, points, dots: Vec::new() });
    }
    Curves {
        title: "Open connections after a burst, LIFO and FIFO",
        description: format!("With an idle_timeout of one minute. {}.", texts.join("; ")),
        x: "Minutes after the burst, idle_timeout 1 min",
        y: "Open connections",
        ends: (10.0, 22.0),
        limit: None,
        curves,
    }
    .draw()
}
