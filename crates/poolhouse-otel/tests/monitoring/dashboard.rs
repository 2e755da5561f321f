//! The dashboard as a file: what Grafana needs of it, and each query put to a real Prometheus.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use test_servers::{Prometheus, start_or_skip};
use tokio::time::sleep;

use crate::exporter::Exporter;
use crate::names::Exported;
use crate::{faults, files};

/// How long it may take until every query has an answer.
const PATIENCE: Duration = Duration::from_secs(120);

const DATASOURCE: &str = "${datasource}";

/// The units of Grafana that these panels may have: a rate, a time, a count.
const UNITS: [&str; 3] = ["ops", "s", "short"];

fn dashboard() -> Value {
    serde_json::from_str(&files::read("dashboard.json")).expect("the dashboard is JSON")
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v Vec<Value> {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no list {pointer}"))
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text {pointer} in {value}"))
}

/// Every query of every panel.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = list(dashboard, "/panels").iter();
    let targets = panels.flat_map(|panel| list(panel, "/targets"));
    targets.map(|target| text(target, "/expr").to_owned()).collect()
}

/// A query with a value for each variable. What is left of them would be refused by Prometheus.
fn filled(query: &str) -> String {
    let mut query = query.replace("$__rate_interval", "10s");
    for variable in ["$job", "$instance", "$pool"] {
        query = query.replace(variable, ".+");
    }
    query
}

#[test]
fn grafana_can_choose_the_source_and_every_panel_says_what_it_shows() {
    let dashboard = dashboard();
    let variables = list(&dashboard, "/templating/list");
    let source = &variables[0];
    assert_eq!((text(source, "/name"), text(source, "/type")), ("datasource", "datasource"));
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    let panels = list(&dashboard, "/panels");
    assert!(panels.len() >= 8);
    for panel in panels {
        let title = text(panel, "/title");
        assert!(!title.is_empty() && !text(panel, "/description").is_empty(), "{title}");
        assert!(UNITS.contains(&text(panel, "/fieldConfig/defaults/unit")), "{title}");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is another panel's");
        let place = (panel["gridPos"]["x"].as_u64(), panel["gridPos"]["y"].as_u64());
        assert!(places.insert(place), "{title} lies on another panel");
        for target in list(panel, "/targets") {
            assert_eq!(text(target, "/datasource/uid"), DATASOURCE, "{title}");
            assert!(!text(target, "/legendFormat").is_empty(), "{title}");
        }
    }
    for variable in &variables[1..] {
        assert_eq!(text(variable, "/datasource/uid"), DATASOURCE);
        let used = format!("=~\"${}\"", text(variable, "/name"));
        assert!(queries(&dashboard).iter().all(|query| query.contains(&used)), "a query without {used}");
    }
}

/// A panel without data looks like a quiet service. Pools in every fault have data for each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: waits for scrapes"]
async fn prometheus_answers_every_query_of_the_dashboard_with_data() {
    let _turn = files::TURN.lock().await;
    let exporter = Exporter::start().await;
    let port = exporter.port;
    let started = tokio::task::spawn_blocking(move || Prometheus::start(&[port], None));
    let server = start_or_skip!(started.await.unwrap());
    let mut faults = faults::start(&exporter.metrics).await;
    faults.leak().await;
    let queries = queries(&dashboard());
    let deadline = Instant::now() + PATIENCE;
    for query in &queries {
        while server.query(&filled(query)).unwrap().contains("\"result\":[]") {
            assert!(Instant::now() < deadline, "no data: {query}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    let exported = Exported::new(&exporter.text());
    for query in &queries {
        exported.assert_has_all_of(query);
    }
    for variable in &list(&dashboard(), "/templating/list")[1..] {
        let query = text(variable, "/query/query");
        let inside = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')'));
        let (metric, label) =
            inside.and_then(|inside| inside.rsplit_once(", ")).expect("a metric and a label");
        exported.assert_has_all_of(&format!("sum by ({label}) ({metric})"));
    }
    for page in ["guide/monitoring", "guide/opentelemetry"] {
        exported.assert_has_all_named_in(&files::page(page));
    }
    let rules: Value = serde_json::from_str(&loaded_rules().await).unwrap();
    for rule in list(&rules, "/data/groups/0/rules") {
        exported.assert_has_all_of(text(rule, "/query"));
    }
}

async fn loaded_rules() -> String {
    let start = || Prometheus::start(&[], Some(&files::read("alerts.yml")))?.rules();
    tokio::task::spawn_blocking(start).await.unwrap().unwrap()
}
