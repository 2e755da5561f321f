//! The statistics reference: the fields from the source, and beside them what `data/statistics.toml` says of each.

use std::path::Path;

use serde::Deserialize;
use toml::Table;

use crate::api_model::{Entry, entries};
use crate::crate_source::summary;

const DATA: &str = include_str!("../data/statistics.toml");
const FILE: &str = "crates/book-checks/data/statistics.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    /// `gauge`, `counter` or `histogram`.
    kind: String,
    /// What Prometheus calls it, with the labels that choose it.
    #[serde(default)]
    metric: String,
    moves: String,
    alarm: String,
}

/// What each field is.
pub(crate) fn fields(root: &Path) -> Result<String, String> {
    let mut table = String::from("| field | type | kind | what it is |\n|---|---|---|---|\n");
    for (part, noted) in noted(&stats(root)?)? {
        let said = summary(&part.doc);
        table.push_str(&format!("| `{}` | `{}` | {} | {said} |\n", part.name, part.kind, noted.kind));
    }
    Ok(table)
}

/// When each field moves, and when to alert.
pub(crate) fn watch(root: &Path) -> Result<String, String> {
    let mut table = String::from("| field | when it changes | alert on |\n|---|---|---|\n");
    for (part, noted) in noted(&stats(root)?)? {
        table.push_str(&format!("| `{}` | {} | {} |\n", part.name, noted.moves, noted.alarm));
    }
    Ok(table)
}

/// The name of each field for Prometheus, where `poolhouse-otel` exports it.
pub(crate) fn prometheus(root: &Path) -> Result<String, String> {
    let mut table = String::from("| field | metric |\n|---|---|\n");
    for (part, noted) in noted(&stats(root)?)? {
        let metric = if noted.metric.is_empty() { String::new() } else { format!(" `{}`", noted.metric) };
        table.push_str(&format!("| `{}` |{metric} |\n", part.name));
    }
    Ok(table)
}

fn stats(root: &Path) -> Result<Entry, String> {
    let found = entries(root).iter().find(|entry| entry.path == "PoolStats").cloned();
    found.ok_or_else(|| "crates/poolhouse exports no `PoolStats`".to_owned())
}

/// Each field with its entry in the data file, which has one for each field and for nothing else.
fn noted(stats: &Entry) -> Result<Vec<(&crate::api_model::Part, Noted)>, String> {
    let data: Table = DATA.parse().map_err(|error| format!("{FILE}: {error}"))?;
    if let Some(key) = data.keys().find(|key| stats.parts.iter().all(|part| part.name != **key)) {
        return Err(format!("{FILE}: there is no field `{key}`: drop it"));
    }
    let entry = |part: &crate::api_model::Part| {
        let entry =
            data.get(&part.name).ok_or_else(|| format!("{FILE} has no entry `{}`: write one", part.name))?;
        let noted: Noted =
            entry.clone().try_into().map_err(|error| format!("{FILE}: {}: {error}", part.name))?;
        let suits = match noted.kind.as_str() {
            "counter" => matches!(part.kind.as_str(), "u64" | "CloseCounts"),
            "gauge" => matches!(part.kind.as_str(), "usize" | "bool"),
            "histogram" => part.kind == "Histogram",
            _ => false,
        };
        let name = &part.name;
        if suits {
            Ok(noted)
        } else {
            Err(format!("{FILE}: `{name}` is a `{}`, and no {}", part.kind, noted.kind))
        }
    };
    stats.parts.iter().map(|part| Ok((part, entry(part)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_field_without_an_entry_and_an_entry_without_a_field_are_found() {
        let of = |field: &str| {
            let stats = format!("pub struct PoolStats {{\n    /// A.\n    pub {field},\n}}\n");
            let fixture = Fixture::new(&[
                ("crates/poolhouse/src/lib.rs", "pub use crate::stats::PoolStats;\n"),
                ("crates/poolhouse/src/stats.rs", &stats),
            ]);
            fields(&fixture.book.root).unwrap_err()
        };
        assert!(of("connecting: usize").contains("there is no field"));
        let part =
            |kind: &str| crate::api_model::Part { name: "new".into(), kind: kind.into(), doc: String::new() };
        let mut stats = Entry {
            path: "PoolStats".into(),
            kind: "struct",
            doc: String::new(),
            methods: Vec::new(),
            parts: vec![],
        };
        let data: Table = DATA.parse().unwrap();
        stats.parts = data
            .iter()
            .map(|(name, noted)| {
                let kind = match noted["kind"].as_str().unwrap() {
                    "counter" => "u64",
                    "gauge" => "usize",
                    _ => "Histogram",
                };
                crate::api_model::Part { name: name.clone(), ..part(kind) }
            })
            .collect();
        assert_eq!(noted(&stats).map(|noted| noted.len()), Ok(data.len()));
        stats.parts[0].kind = "Histogram".into();
        assert!(noted(&stats).is_err_and(|error| error.contains("is a `Histogram`")));
        stats.parts.push(part("u64"));
        stats.parts.remove(0);
        assert!(noted(&stats).is_err());
    }
}
