//! Open connections at the server through a deploy.

use experiments::fleets::Data;

use super::{COLOURS, table as make};
use crate::Result;
use crate::curves::{Curve, Curves};
use crate::format::count;

pub(super) fn table(data: &Data) -> String {
    let header = [
        "deploy",
        "replicas at most",
        "could want",
        "open at most",
        "refused connects",
        "failed requests",
        "took, s",
    ];
    let rows = data.deploys.iter().map(|deploy| {
        vec![
            deploy.name.clone(),
            deploy.most_replicas.to_string(),
            (deploy.most_replicas * deploy.pool).to_string(),
            deploy.peak_open.to_string(),
            deploy.refused.to_string(),
            format!("{} of {}", count(deploy.failed as f64), count(deploy.requests as f64)),
            deploy.took_seconds.map_or_else(|| "never ends".to_owned(), count),
        ]
    });
    let about = format!(
        "{} replicas, a server that accepts {} connections. A replica holds {} on average, starts in {} s and drains \
         for {} s. Watched for 150 s, from 10 s before the deploy. A request fails after 1 s without a connection.",
        data.replicas,
        data.limit,
        count(data.held),
        count(data.boot_seconds),
        count(data.drain_seconds)
    );
    make(&header, 1, rows, &about)
}

pub(super) fn plot(data: &Data) -> Result<String> {
    let shown = [(0, "10, one by one"), (2, "10, all at once"), (4, "1 to 10"), (5, "5")];
    let mut curves = Vec::new();
    let mut texts = Vec::new();
    for ((index, label), colour) in shown.into_iter().zip(COLOURS) {
        let deploy =
            data.deploys.get(index).ok_or("the experiment on fleets lacks a deploy that the plot shows")?;
        let points = deploy.series.iter().enumerate().map(|(second, open)| (second as f64, *open as f64));
        texts.push(format!("{}: at most {}, {} refused", deploy.name, deploy.peak_open, deploy.refused));
        curves.push(Curve { label: label.to_owned(), colour, points: points.collect(), dots: Vec::new() });
    }
    Curves {
        title: "Open connections at the server through a rolling deploy",
        description: format!("The server accepts {}. {}.", data.limit, texts.join("; ")),
        x: "Seconds; the deploy begins at 10",
        y: "Open connections, by size of the pools",
        ends: (150.0, 118.0),
        limit: Some((data.limit as f64, "the server's limit")),
        curves,
    }
    .draw()
}
