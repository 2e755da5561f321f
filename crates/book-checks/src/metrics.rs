//! A metric that a chapter names is one that `poolhouse-otel` exports, as a program of the book prints them: an alert on
//! a metric that nobody exports never fires. The book has one set of names.

use std::fs;
use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding};

/// A name and a type on each line.
const EXPORTED: &str = "examples/output/prometheus.txt";

/// Names that look like ours: by the endings of Prometheus, or by the beginnings of the exporter.
static METRIC: LazyLock<Regex> = LazyLock::new(|| {
    let endings = r"(?:total|connections|requests|seconds(?:_bucket|_sum|_count)?)";
    let gauges = r"db_client_connection_(?:count|max|idle_max|idle_min)";
    Regex::new(&format!(
        r"(?-u:\b)(?:(?:pool|poolhouse|db_client_connection)_[a-z_]+_{endings}|{gauges})(?-u:\b)"
    ))
    .expect("a valid pattern")
});

pub fn check(book: &Book) -> Vec<Finding> {
    let Ok(exported) = fs::read_to_string(book.root.join(EXPORTED)) else { return Vec::new() };
    let is_exported = |metric: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
        exported
            .lines()
            .filter_map(|line| line.split_once(' '))
            .any(|(name, kind)| name == metric || (kind == "histogram" && histogram == Some(name)))
    };
    let mut found = Vec::new();
    for page in book.chapters() {
        for (index, line) in page.text.lines().enumerate() {
            for metric in METRIC.find_iter(line).map(|metric| metric.as_str()) {
                if !is_exported(metric) {
                    let message = format!("no metric `{metric}` in {EXPORTED}: fix the name, or export it");
                    found.push(Finding::new(&page.name, index + 1, message));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_metric_that_nobody_exports_is_found() {
        let text = "# A\n\n`db_client_connection_wait_time_seconds_sum`, `pool_size`, `db_client_connection_max`\n\n\
                    ```yaml\nexpr: rate(pool_failures_total[5m])\n```\n\n`db_client_connection_max_total`\n";
        let exported = "db_client_connection_wait_time_seconds histogram\ndb_client_connection_max gauge\n";
        let fixture = Fixture::new(&[("book/src/a.md", text), (EXPORTED, exported)]);
        let wrong = [(6, "`pool_failures_total`"), (9, "`db_client_connection_max_total`")];
        expect(check(&fixture.book), &wrong.map(|(line, metric)| ("book/src/a.md", line, metric)));
    }
}
