//! The tables of the layer between: what the program `layers` of `crates/real-services` counted.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::format::wrap;
use crate::tables::{head, row};
use crate::{Block, Result};

/// Relative to the repository.
const FILE: &str = "book/data/real/layers.json";

const COMMAND: &str = "cargo run --manifest-path crates/real-services/Cargo.toml --bin layers";

const TABLES: [&str; 9] = [
    "haproxy-dies",
    "haproxy-returns",
    "haproxy-drains",
    "pgbouncer-maintenance",
    "pgbouncer-rolls-out",
    "pgbouncer-prepared",
    "pgbouncer-queues",
    "layers-given-up",
    "layers-killed",
];

#[derive(Debug, Deserialize)]
struct Report {
    date: String,
    versions: Vec<String>,
    tables: Vec<Table>,
}

#[derive(Debug, Deserialize)]
struct Table {
    name: String,
    /// How many columns are texts, from the left.
    texts: usize,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

pub(crate) fn blocks() -> Vec<(String, Block)> {
    let block = |name: &'static str| -> (String, Block) {
        (name.to_owned(), Box::new(move |root| table(root, name)))
    };
    TABLES.into_iter().map(block).collect()
}

fn table(root: &Path, name: &str) -> Result<String> {
    let anew = format!("write it with `{COMMAND} -- --json {FILE}`");
    let text = fs::read_to_string(root.join(FILE));
    let report: Report = text
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| format!("{FILE} cannot be read: {error}; {anew}"))?;
    let table = report.tables.iter().find(|table| table.name == name);
    let table = table.ok_or_else(|| format!("{FILE} has no table {name}: {anew}"))?;
    let mut text = head(&table.header, table.texts);
    text.extend(table.rows.iter().map(|cells| row(cells)));
    let about = format!(
        "One run of {} with {}, on a machine that did other work as well: counts are solid, times are not. \
         Table `{name}` of the program below.",
        report.date,
        report.versions.join(", ")
    );
    Ok(format!("{text}\n{}", wrap(&about)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_when_and_with_what() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert!(table(folder.path(), "haproxy-dies").unwrap_err().contains("write it with"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let json = r#"{"date": "2026-11-30", "versions": ["HAProxy 2.6"], "tables":
            [{"name": "haproxy-dies", "texts": 1, "header": ["server", "errors"], "rows": [["stopped", "4"]]}]}"#;
        fs::write(file, json).unwrap();
        let text = table(folder.path(), "haproxy-dies").unwrap();
        assert!(text.starts_with("| server | errors |\n|---|--:|\n| stopped | 4 |\n\n"), "{text}");
        assert!(text.contains("2026-11-30 with HAProxy 2.6"), "{text}");
        assert!(table(folder.path(), "haproxy-drains").unwrap_err().contains("has no table"));
    }
}
