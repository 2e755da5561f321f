//! The alert rules as a file: Prometheus' own checks, its tests of rules, and the pages that they name.

use std::fs;

use serde_json::Value;
use test_servers::{Prometheus, promtool, start_or_skip};

use crate::files;

const TESTS: &str = include_str!("alerts.test.yml");

#[test]
fn promtool_takes_the_rules_and_they_pass_their_tests() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("alerts.yml"), files::read("alerts.yml")).unwrap();
    fs::write(folder.path().join("alerts.test.yml"), TESTS).unwrap();
    let checked = start_or_skip!(promtool(&folder, &["check", "rules", "alerts.yml"]));
    assert!(checked.contains("SUCCESS: 7 rules found"), "{checked}");
    promtool(&folder, &["test", "rules", "alerts.test.yml"]).unwrap_or_else(|error| panic!("{error}"));
}

/// Each alert can be acted on: it says how urgent it is, what it found, what to do next, and which page tells more.
#[test]
fn every_alert_has_a_severity_a_summary_a_next_step_and_a_page() {
    let server = start_or_skip!(Prometheus::start(&[], Some(&files::read("alerts.yml"))));
    let answer: Value = serde_json::from_str(&server.rules().unwrap()).unwrap();
    let rules = answer["data"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 7);
    let guide = files::page("guide/monitoring");
    for rule in rules {
        let of = |key: &str| rule["annotations"][key].as_str().unwrap_or_default();
        let name = rule["name"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str();
        assert!(matches!(severity, Some("page" | "ticket")), "{name}: {severity:?}");
        assert!(of("summary").contains("$labels.db_client_connection_pool_name"), "{name}: which pool?");
        assert!(of("description").len() > 100, "{name}: what is to be done?");
        let page = files::page_at(of("runbook_url"));
        assert!(!files::page(page).is_empty());
        let (folder, file) = page.split_once('/').unwrap();
        let link = if folder == "guide" { format!("]({file}.md)") } else { format!("](../{page}.md)") };
        let row = guide.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
        let row = row.unwrap_or_else(|| panic!("the guide does not list {name}"));
        assert!(
            row.contains(&format!("| {} | [", severity.unwrap())) && row.contains(&link),
            "{name}: {row}"
        );
        assert!(TESTS.contains(&format!("alertname=\"{name}\"")), "{name} has no test of its rule");
    }
}
