//! The metrics and the labels that an expression names, and those that a program exports.

use std::collections::BTreeSet;

use regex::Regex;

/// What Prometheus adds to every series of a target.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

pub(crate) struct Exported {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

impl Exported {
    /// From the text that Prometheus gets.
    pub(crate) fn new(text: &str) -> Self {
        let sample = Regex::new(r"(?m)^([a-z_]+)(?:\{(.*)\})? ").unwrap();
        let label = Regex::new(r#"([a-z_]+)=""#).unwrap();
        let mut metrics = BTreeSet::new();
        let mut labels: BTreeSet<_> = OF_PROMETHEUS.map(str::to_owned).into();
        for found in sample.captures_iter(text) {
            metrics.insert(found[1].to_owned());
            let inside = found.get(2).map_or("", |inside| inside.as_str());
            labels.extend(label.captures_iter(inside).map(|label| label[1].to_owned()));
        }
        Self { metrics, labels }
    }

    /// Panics if a text has the name of a metric that nobody exports. A histogram may stand for its series.
    pub(crate) fn assert_has_all_named_in(&self, text: &str) {
        let name = Regex::new(r"\b(?:db_client|poolhouse)_[a-z_]+").unwrap();
        let known = |name: &str| {
            let series = [name.to_owned(), format!("{name}_bucket")];
            series.iter().any(|series| self.metrics.contains(series)) || self.labels.contains(name)
        };
        let names: BTreeSet<_> = name.find_iter(text).map(|name| name.as_str()).collect();
        let unknown: Vec<_> =
            names.into_iter().filter(|name| !known(name) && *name != "poolhouse_otel").collect();
        assert!(unknown.is_empty(), "nobody exports {unknown:?}");
    }

    /// Panics if an expression names what nobody exports.
    pub(crate) fn assert_has_all_of(&self, expression: &str) {
        let strings = Regex::new(r#""[^"]*"|\$\w+"#).unwrap();
        let bare = strings.replace_all(expression, "");
        let metric = Regex::new(r"\b(?:db_client|poolhouse)_[a-z_]+").unwrap();
        let is_label = Regex::new(r"\b([a-z_]+) *(?:=~|!~|!=|=)").unwrap();
        let lists = Regex::new(r"\b(?:by|on) *\(([^)]*)\)").unwrap();
        let mut labels: BTreeSet<&str> = lists
            .captures_iter(&bare)
            .flat_map(|list| list.extract::<1>().1[0].split(',').map(str::trim).collect::<Vec<_>>())
            .collect();
        labels.extend(is_label.captures_iter(&bare).map(|label| label.extract::<1>().1[0]));
        let mut metrics: BTreeSet<&str> = metric.find_iter(&bare).map(|name| name.as_str()).collect();
        metrics.retain(|name| !labels.contains(name));
        assert!(!metrics.is_empty(), "no metric in {expression}");
        for name in metrics {
            assert!(self.metrics.contains(name), "nobody exports the metric {name}: {expression}");
        }
        for name in labels {
            assert!(self.labels.contains(name), "no metric has the label {name}: {expression}");
        }
    }
}

#[test]
fn what_nobody_exports_is_found() {
    let text = "# HELP db_client_a\n# TYPE db_client_a gauge\ndb_client_a{db_client_state=\"x\"} 5\n";
    let exported = Exported::new(text);
    exported
        .assert_has_all_of("sum by (job, db_client_state) (rate(db_client_a{db_client_state=~\"$y\"}[5m]))");
    for wrong in ["db_client_b", "db_client_a{state=\"x\"}", "sum by (pool) (db_client_a)", "up"] {
        let found = std::panic::catch_unwind(|| exported.assert_has_all_of(wrong));
        assert!(found.is_err(), "{wrong}");
    }
}
