//! A real Prometheus scrapes pools in each fault, and judges them by the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use test_servers::{Prometheus, start_or_skip};
use tokio::time::sleep;

use crate::exporter::Exporter;
use crate::{faults, files};

/// How long all alerts may take on a busy machine. On a quiet one it is 19 seconds: the slowest rule looks at fifteen
/// minutes and waits for as many, which is 18 here.
const PATIENCE: Duration = Duration::from_secs(120);

const NO_LEAK: &str = "poolhouse_connection_leaked_total{db_client_connection_pool_name='leaks'}";

type Alerts = BTreeMap<String, BTreeSet<String>>;

/// The alerts of each pool, from the answer to a query for `ALERTS`.
fn by_pool(answer: &str) -> Alerts {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let mut found = Alerts::new();
    for point in answer["data"]["result"].as_array().unwrap() {
        let label = |name: &str| point["metric"][name].as_str().unwrap_or_default().to_owned();
        found.entry(label("db_client_connection_pool_name")).or_default().insert(label("alertname"));
    }
    found
}

fn expected() -> Alerts {
    let alerts = faults::EXPECTED.iter().filter(|(.., alerts)| !alerts.is_empty());
    alerts
        .map(|(pool, _, alerts)| ((*pool).to_owned(), alerts.iter().map(|&name| name.to_owned()).collect()))
        .collect()
}

fn difference(firing: &Alerts) -> String {
    let of = |alerts: &Alerts, pool: &str| alerts.get(pool).cloned().unwrap_or_default();
    let wrong = faults::EXPECTED.iter().map(|(pool, ..)| (pool, of(firing, pool), of(&expected(), pool)));
    let lines = wrong.filter(|(_, firing, expected)| firing != expected);
    lines.map(|(pool, firing, expected)| format!("{pool}: {firing:?}, and not {expected:?}\n")).collect()
}

/// The rules with another bound on waits. A busy machine stalls for a tenth of a second now and then, and these tests
/// are about pools; `alerts.test.yml` tests the bound itself.
fn patient(rules: &str) -> String {
    const BOUND: &str = ") > 0.1\n";
    assert_eq!(rules.matches(BOUND).count(), 1, "where is the bound on waits?");
    rules.replace(BOUND, ") > 0.5\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: waits for alerts"]
async fn each_fault_raises_its_alerts_and_a_healthy_pool_raises_none() {
    let _turn = files::TURN.lock().await;
    let exporter = Exporter::start().await;
    let rules = patient(&files::hastened(&files::read("alerts.yml")));
    let port = exporter.port;
    let started = tokio::task::spawn_blocking(move || Prometheus::start(&[port], Some(&rules)));
    let server = start_or_skip!(started.await.unwrap());
    let mut faults = faults::start(&exporter.metrics).await;

    let deadline = Instant::now() + PATIENCE;
    // What grows before the first scrape of it is no increase.
    while server.query(NO_LEAK).unwrap().contains("\"result\":[]") {
        assert!(Instant::now() < deadline, "no scrape");
        sleep(Duration::from_millis(20)).await;
    }
    faults.leak().await;
    let firing = || by_pool(&server.query("ALERTS{alertstate='firing'}").unwrap());
    while firing() != expected() {
        let firing = firing();
        assert!(Instant::now() < deadline || firing == expected(), "{}", difference(&firing));
        sleep(Duration::from_millis(100)).await;
    }
    // No other alert has fired at any time since the start.
    let ever = by_pool(&server.query("max_over_time(ALERTS{alertstate='firing'}[5m])").unwrap());
    assert_eq!(ever, expected(), "{}", difference(&ever));
}

/// The table of the guide says what this test has seen.
#[test]
fn the_guide_says_which_fault_raises_which_alert() {
    let page = files::page("guide/monitoring");
    for (_, fault, alerts) in faults::EXPECTED {
        let names: Vec<String> = alerts.iter().map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let row = format!("| {fault} | {names} |");
        assert!(page.contains(&row), "no row {row}");
    }
}
