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
    /// The service, in words.
    setup: String,
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
    let setup: Block = Box::new(setup);
    TABLES.into_iter().map(block).chain([("layers-setup".to_owned(), setup)]).collect()
}

fn anew() -> String {
    format!("write it with `{COMMAND} -- --json {FILE}`")
}

fn read(root: &Path) -> Result<Report> {
    fs::read_to_string(root.join(FILE))
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| format!("{FILE} cannot be read: {error}; {}", anew()))
}

/// A sentence.
fn setup(root: &Path) -> Result<String> {
    let report = read(root)?;
    Ok(wrap(&format!(
        "One run of {} with {}: {}. The machine did other work as well, so counts are solid, and times are not.",
        report.date,
        report.versions.join(", "),
        report.setup
    )))
}

fn table(root: &Path, name: &str) -> Result<String> {
    let report = read(root)?;
    let table = report.tables.iter().find(|table| table.name == name);
    let table = table.ok_or_else(|| format!("{FILE} has no table {name}: {}", anew()))?;
    let mut text = head(&table.header, table.texts);
    text.extend(table.rows.iter().map(|cells| row(cells)));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_setup_come_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        assert!(table(folder.path(), "haproxy-dies").unwrap_err().contains("write it with"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let json = r#"{"date": "2026-11-30", "versions": ["HAProxy 2.6"], "setup": "2 processes", "tables":
            [{"name": "haproxy-dies", "texts": 1, "header": ["server", "errors"], "rows": [["stopped", "4"]]}]}"#;
        fs::write(file, json).unwrap();
        let text = table(folder.path(), "haproxy-dies").unwrap();
        assert_eq!(text, "| server | errors |\n|---|--:|\n| stopped | 4 |\n");
        assert!(
            setup(folder.path()).unwrap().starts_with("One run of 2026-11-30 with HAProxy 2.6: 2 processes.")
        );
        assert!(table(folder.path(), "haproxy-drains").unwrap_err().contains("has no table"));
    }
}
