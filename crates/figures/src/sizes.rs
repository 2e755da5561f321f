//! The throughput of a server by the number of connections, and the law that was fitted to it.

use std::path::Path;

use serde::Deserialize;

use crate::canvas::BLUE;
use crate::curves::{Curve, Curves};
use crate::data::{Machine, Summary, read};
use crate::format::{count, number, wrap};
use crate::tables::{head, machine, row};
use crate::{Block, Result};

/// Relative to the repository.
pub(crate) const FILE: &str = "book/data/sizes.json";

#[derive(Debug, Deserialize)]
struct Report {
    command: String,
    mode: String,
    date: String,
    machine: Machine,
    setup: String,
    rounds: u32,
    sizes: Vec<Size>,
    fit: Fit,
}

#[derive(Debug, Deserialize)]
struct Size {
    connections: u32,
    requests_per_s: Summary,
    service_p50_us: Summary,
    service_p99_us: Summary,
    latency_p50_us: Summary,
    latency_p99_us: Summary,
}

#[derive(Debug, Deserialize)]
struct Fit {
    lambda: f64,
    sigma: f64,
    kappa: f64,
    peak: Option<f64>,
    error: f64,
}

impl Report {
    fn read(root: &Path) -> Result<Report> {
        read(root, FILE, "sizes")
    }

    /// The size with the highest throughput.
    fn best(&self) -> Result<&Size> {
        let by_throughput =
            |a: &&Size, b: &&Size| a.requests_per_s.median.total_cmp(&b.requests_per_s.median);
        self.sizes.iter().max_by(by_throughput).ok_or_else(|| format!("{FILE} has no sizes"))
    }

    fn about(&self) -> String {
        format!("{}, {} run. `{}`", machine(&self.machine, &self.date), self.mode, self.command)
    }
}

pub(crate) fn blocks() -> Vec<(String, Block)> {
    vec![
        ("sizes-table".to_owned(), Box::new(|root| Ok(table(&Report::read(root)?)))),
        ("sizes-fit".to_owned(), Box::new(|root| fit(&Report::read(root)?))),
    ]
}

fn table(report: &Report) -> String {
    let header = [
        "connections",
        "requests/s",
        "10th to 90th percentile",
        "the law, requests/s",
        "at the server, µs: median",
        "99th percentile",
        "with the wait, µs: median",
        "99th percentile",
    ];
    let mut text = head(&header, 0);
    for size in &report.sizes {
        let throughput = size.requests_per_s;
        text += &row(&[
            size.connections.to_string(),
            whole(throughput.median),
            format!("{} to {}", whole(throughput.low), whole(throughput.high)),
            whole(law(&report.fit, f64::from(size.connections))),
            whole(size.service_p50_us.median),
            whole(size.service_p99_us.median),
            whole(size.latency_p50_us.median),
            whole(size.latency_p99_us.median),
        ]);
    }
    let about = format!("{}. Medians of {} rounds. {}", report.setup, report.rounds, report.about());
    format!("{text}\n{}", wrap(&about))
}

fn fit(report: &Report) -> Result<String> {
    let best = report.best()?;
    let last = report.sizes.last().ok_or_else(|| format!("{FILE} has no sizes"))?;
    let Fit { lambda, sigma, kappa, peak, error } = report.fit;
    let peak = peak.map_or_else(
        || "The fit has no peak.".to_owned(),
        |peak| format!("By the law the peak is at {} connections.", number(peak)),
    );
    Ok(wrap(&format!(
        "In this run {} connections have the highest throughput, {} requests a second. With {} connections it is {} % \
         of that, and a request is at the server for {} times as long. The fit gives λ = {} requests/s, σ = {} and \
         κ = {}. Half of the sizes are within {} % of it. {peak} `{}`",
        best.connections,
        whole(best.requests_per_s.median),
        last.connections,
        whole(last.requests_per_s.median / best.requests_per_s.median * 100.0),
        number(last.service_p50_us.median / best.service_p50_us.median),
        whole(lambda),
        number(sigma),
        number(kappa),
        number(error * 100.0),
        report.command
    )))
}

fn whole(value: f64) -> String {
    count(value.round())
}

fn law(fit: &Fit, n: f64) -> f64 {
    fit.lambda * n / (1.0 + fit.sigma * (n - 1.0) + fit.kappa * n * (n - 1.0))
}

/// The plot: its name, and its text.
pub(crate) fn plot(root: &Path) -> Result<(&'static str, String)> {
    Ok(("sizes", draw(&Report::read(root)?)?))
}

fn draw(report: &Report) -> Result<String> {
    let thousands = |value: f64| value / 1e3;
    let measured: Vec<(f64, f64)> = report
        .sizes
        .iter()
        .map(|size| (f64::from(size.connections), thousands(size.requests_per_s.median)))
        .collect();
    let largest = measured.iter().map(|(n, _)| *n).fold(1.0, f64::max);
    let highest = measured.iter().map(|(_, throughput)| *throughput).fold(0.0, f64::max);
    let points = (0..=100)
        .map(|step| 1.0 + (largest - 1.0) * f64::from(step) / 100.0)
        .map(|n| (n, thousands(law(&report.fit, n))))
        .collect();
    let dots: Vec<String> =
        measured.iter().map(|(n, throughput)| format!("{} at {}", number(*throughput), count(*n))).collect();
    Curves {
        title: "Throughput of one server by connections in the pool",
        description: format!(
            "Thousands of requests a second against connections, measured: {}. A curve of the Universal Scalability Law \
             lies beside them.",
            dots.join(", ")
        ),
        x: "Connections",
        y: "Thousand requests per second",
        ends: (largest, highest * 1.15),
        limit: None,
        curves: vec![Curve { label: "the law".to_owned(), colour: BLUE, points, dots: measured }],
    }
    .draw()
}
