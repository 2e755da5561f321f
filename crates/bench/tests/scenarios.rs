//! The scenarios measure what they say. In seconds, so with few competitors.

use std::fs;
use std::process::Command;

use poolhouse_bench::harness::Plan;
use poolhouse_bench::scenarios;
use serde_json::Value;

fn plan(only: &[&str]) -> Plan {
    Plan { quick: true, seed: 1, only: only.iter().map(ToString::to_string).collect() }
}

#[test]
fn every_scenario_but_the_echo_has_figures_for_poolhouse() {
    for id in scenarios::ids().into_iter().filter(|&id| id != "S5") {
        let report = scenarios::run(id, &plan(&["poolhouse"])).expect(id);
        let [result] = &report.results[..] else { panic!("{id}: {:?}", report.results) };
        assert!(!result.metrics.is_empty(), "{id}");
        for (name, summary) in &result.metrics {
            let least = if ["lost", "above_max"].contains(name) { 0.0 } else { f64::MIN_POSITIVE };
            assert!(summary.low >= least && summary.high.is_finite(), "{id} {name}: {summary:?}");
            assert!(
                summary.low <= summary.median && summary.median <= summary.high,
                "{id} {name}: {summary:?}"
            );
        }
    }
}

/// The program starts itself as the server, so it is the program that is tested.
#[test]
fn the_echo_has_figures_for_poolhouse_and_writes_them() {
    let out = std::env::temp_dir().join(format!("poolhouse-bench-{}.json", std::process::id()));
    let run = Command::new(env!("CARGO_BIN_EXE_poolhouse-bench"))
        .args([
            "run",
            "--quick",
            "--scenario",
            "S5",
            "--only",
            "poolhouse,poolhouse-packet,dedicated",
            "--out",
        ])
        .arg(&out)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    fs::remove_file(&out).unwrap();
    assert_eq!(report["mode"], "quick");
    for result in report["scenarios"][0]["results"].as_array().unwrap() {
        let wall = &result["metrics"]["us_per_op"]["median"];
        assert!(wall.as_f64().unwrap() > 1.0, "a round trip takes longer: {result}");
    }
}

#[test]
fn the_storm_costs_poolhouse_nothing() {
    let report = scenarios::run("S6", &plan(&["poolhouse"])).unwrap();
    assert_eq!(report.results[0].metrics["lost"].high, 0.0);
    assert_eq!(report.results[0].metrics["above_max"].high, 0.0);
}

#[test]
fn there_is_no_scenario_of_another_name() {
    assert!(scenarios::run("S12", &plan(&[])).is_none());
}
