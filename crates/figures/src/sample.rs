//! Data for tests: poolhouse, a peer and a floor, with every metric of every scenario.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::data::{BENCH, Bench};

const SCENARIOS: [(&str, &[&str]); 10] = [
    ("S1", &["ns_per_op", "times_mutex_vec"]),
    ("S2", &["ns_per_op", "speedup"]),
    ("S3", CROWD),
    ("S4", CROWD),
    ("S5", &["us_per_op", "cpu_us_per_op", "latency_p50_us", "latency_p99_us", "times_dedicated"]),
    ("S6", &["lost", "above_max", "ns_per_cancellation"]),
    ("S8", &["ns_per_op_64", "ns_per_op_1000", "ns_per_op_10000", "ns_per_op_100000", "growth"]),
    ("S9", CROWD),
    ("S10", &["wait_p50_ms", "wait_max_ms", "connects"]),
    ("S11", &["ns_per_op"]),
];

const CROWD: &[&str] =
    &["ns_per_op", "wait_p50_us", "wait_p99_us", "wait_max_us", "times_yields", "ns_above_yields"];

/// The peer takes twice as long as poolhouse, the rest half as long.
pub(crate) fn bench() -> Bench {
    serde_json::from_value(json()).expect("the shape of the data")
}

pub(crate) fn repository() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(BENCH);
    fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
    fs::write(file, json().to_string()).expect("a file");
    let figure = json!({ "median": 1.0, "low": 1.0, "high": 1.0 });
    let size = json!({
        "connections": 1,
        "requests_per_s": figure,
        "service_p50_us": figure,
        "service_p99_us": figure,
        "latency_p50_us": figure,
        "latency_p99_us": figure,
    });
    let sizes = json!({
        "command": "run it",
        "mode": "quick",
        "date": "2026-01-01",
        "machine": json()["machine"],
        "setup": "All of it",
        "rounds": 3,
        "sizes": [size],
        "fit": { "lambda": 1.0, "sigma": 0.0, "kappa": 0.0, "peak": null, "error": 0.0 },
    });
    fs::write(folder.path().join(crate::sizes::FILE), sizes.to_string()).expect("a file");
    // The data of the experiments is small and the same everywhere: the real one serves.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(experiments::FOLDER);
    fs::create_dir_all(folder.path().join(experiments::FOLDER)).expect("a folder");
    for file in fs::read_dir(data).expect("the data of the experiments") {
        let file = file.expect("a file");
        let copy = folder.path().join(experiments::FOLDER).join(file.file_name());
        fs::copy(file.path(), copy).expect("a copy");
    }
    folder
}

fn json() -> Value {
    let competitors = [
        ("poolhouse", "pool"),
        ("bb8", "pool"),
        ("dedicated", "baseline"),
        ("connect-each", "baseline"),
        ("shared", "baseline"),
    ];
    let about = competitors.map(|(id, kind)| {
        json!({ "id": id, "label": id, "version": "1.0", "kind": kind, "setup": "As a_test, <that> is." })
    });
    let scenarios = SCENARIOS.map(|(id, metrics)| {
        let results: Vec<Value> = competitors
            .iter()
            .map(|(competitor, kind)| {
                let factor = match (*competitor, *kind) {
                    ("poolhouse", _) => 1.0,
                    (_, "pool") => 2.0,
                    _ => 0.5,
                };
                let all = |value: f64| -> Map<String, Value> {
                    let summary = json!({ "median": value, "low": value, "high": value });
                    metrics.iter().map(|metric| ((*metric).to_owned(), summary.clone())).collect()
                };
                json!({
                    "competitor": competitor,
                    "metrics": all(100.0 * factor),
                    "to_poolhouse": all(factor),
                    "note": null,
                })
            })
            .chain([json!({ "competitor": "r2d2", "metrics": {}, "to_poolhouse": {}, "note": "blocks" })])
            .collect();
        let targets = match metrics[0] {
            "ns_per_op" => json!([{ "metric": "ns_per_op", "peer": "bb8", "at_least": 1.5 }]),
            _ => json!([]),
        };
        json!({
            "id": id,
            "setup": "A set-up",
            "rounds": 3,
            "metrics": metrics,
            "targets": targets,
            "results": results,
        })
    });
    json!({
        "command": "run it",
        "mode": "quick",
        "date": "2026-01-01",
        "machine": { "cpu": "A", "cores": 2, "os": "B", "rustc": "1", "memory_gib": 1 },
        "competitors": about,
        "scenarios": scenarios,
    })
}
