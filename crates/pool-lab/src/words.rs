//! A run in words, and its knobs as Rust.

use crate::knobs::KNOBS;
use crate::ledger::Outcome;
use crate::run::Run;
use crate::scenario::Scenario;

/// A run in two or three sentences, for those who do not see the picture.
pub(crate) fn summary(run: &Run) -> String {
    let figures = &run.figures;
    let requests = figures.requests();
    if requests == 0 {
        return "No request arrived.".to_owned();
    }
    let mut parts: Vec<String> = Outcome::ALL
        .into_iter()
        .filter(|outcome| figures.count(*outcome) > 0)
        .map(|outcome| format!("{} {}", figures.count(outcome), outcome.as_str()))
        .collect();
    let last = parts.pop().unwrap_or_default();
    let outcomes = if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) };
    format!(
        "Of {requests} requests, {outcomes}. Half of those with a connection waited at most {} ms, 99 of 100 at most {} ms. \
         The pool was {:.0} % busy; at most {} waited at once and at most {} were open.",
        figures.p50_wait,
        figures.p99_wait,
        figures.utilisation * 100.0,
        counted(figures.most_waiting, "caller"),
        counted(figures.most_open, "connection")
    )
}

/// So many of them, in the singular if it is one.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The pool's knobs that differ from its defaults, as Rust that compiles.
pub(crate) fn snippet(scenario: &Scenario) -> String {
    let mut lines = Vec::new();
    let mut imports = vec!["PoolConfig"];
    let mut has_duration = false;
    for knob in KNOBS.iter().filter(|knob| knob.group == "Pool" && knob.name != "warm") {
        let value = scenario.values.get(knob.name).unwrap_or(knob.default);
        if value == knob.default {
            continue;
        }
        let written = match knob.name {
            "connection_timeout"
            | "idle_timeout"
            | "max_lifetime"
            | "health_check_interval"
            | "check_after_idle"
            | "fail_fast_after" => {
                has_duration = true;
                if value == 0.0 {
                    "Duration::MAX".to_owned()
                } else {
                    format!("Duration::from_millis({value})")
                }
            }
            "max_pending" => {
                if value == 0.0 {
                    "None".to_owned()
                } else {
                    format!("Some({value})")
                }
            }
            "lifetime_jitter" => format!("{value:?}"),
            "idle_order" => {
                imports.insert(0, "IdleOrder");
                "IdleOrder::Fifo".to_owned()
            }
            "detect_nested_acquires" => (value != 0.0).to_string(),
            _ => value.to_string(),
        };
        lines.push(format!("        {}: {written},\n", knob.name));
    }
    let imports = if imports.len() > 1 { format!("{{{}}}", imports.join(", ")) } else { imports.concat() };
    let duration = if has_duration { "use std::time::Duration;\n\n" } else { "" };
    format!(
        "{duration}use poolhouse::{imports};\n\npub fn config() -> PoolConfig {{\n    PoolConfig {{\n{}        \
         ..PoolConfig::default()\n    }}\n}}\n",
        lines.concat()
    )
}
