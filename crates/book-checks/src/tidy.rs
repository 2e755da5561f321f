//! The rules of the house for everything that is not prose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::Finding;

const LONGEST_FILE: usize = 500;

/// What the root package and `programs` depend on for their own tests. Everything else there is for snippets and examples.
const TOOLS: [&str; 4] = ["book-checks", "skeptic", "tempfile", "test-servers"];

pub fn check(root: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut files = Vec::new();
    for folder in ["crates", "tests", "examples", ".github/workflows"] {
        walk(root, folder, &mut files);
    }
    for name in &files {
        let text = fs::read_to_string(root.join(name)).unwrap_or_default();
        if name.ends_with(".rs") {
            found.extend(length(name, &text));
        }
        if name.starts_with(".github/workflows/") {
            found.extend(pins(name, &text));
        }
    }
    found.extend(forbids_unsafe(root));
    found.extend(dependencies(root));
    found
}

/// Every file below a folder, as a path relative to the repository.
pub(crate) fn walk(root: &Path, folder: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.flatten() {
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            if !name.ends_with("/target") {
                walk(root, &name, found);
            }
        } else {
            found.push(name);
        }
    }
}

fn length(name: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > LONGEST_FILE).then(|| {
        Finding::new(name, lines, format!("{lines} lines: split it before {LONGEST_FILE}, one job each"))
    })
}

fn pins(name: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches("- ");
        let Some(action) = line.strip_prefix("uses:") else { continue };
        let action = action.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
        let pinned = action
            .rsplit_once('@')
            .is_some_and(|(_, pin)| pin.len() == 40 && pin.chars().all(|c| c.is_ascii_hexdigit()));
        if !pinned && !action.starts_with("./") {
            let message = format!("`{action}` is not pinned: use @ and the 40 hex digits of a commit");
            found.push(Finding::new(name, index + 1, message));
        }
    }
    found
}

fn forbids_unsafe(root: &Path) -> Option<Finding> {
    let name = "crates/poolhouse/src/lib.rs";
    let text = fs::read_to_string(root.join(name)).unwrap_or_default();
    (!text.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]"))
        .then(|| Finding::new(name, 1, "no `#![forbid(unsafe_code)]`: add it"))
}

/// A snippet must find the same crates in every runner: as a doctest of `chapters`, as a program of `programs`, in an
/// example of the root package, and in `mdbook test`, whose preprocessor reads its list from book.toml.
fn dependencies(root: &Path) -> Vec<Finding> {
    let chapters = table(root, "crates/chapters/Cargo.toml", &["dependencies"]);
    let mut found = Vec::new();
    for manifest in ["Cargo.toml", "crates/programs/Cargo.toml"] {
        let mut others = table(root, manifest, &["dev-dependencies"]);
        others.retain(|name, _| !TOOLS.contains(&name.as_str()));
        let names: BTreeSet<&String> = chapters.keys().chain(others.keys()).collect();
        for name in names.into_iter().filter(|name| chapters.get(*name) != others.get(*name)) {
            let message = format!(
                "`{name}` differs from [dev-dependencies] in {manifest}: snippets need the same crates in both"
            );
            found.push(Finding::new("crates/chapters/Cargo.toml", 1, message));
        }
    }
    let externs = table(root, "book.toml", &["preprocessor", "externs"]);
    if let Some(Value::Array(packages)) = externs.get("packages") {
        let mut packages: Vec<&str> = packages.iter().filter_map(Value::as_str).collect();
        packages.sort_unstable();
        if !packages.iter().copied().eq(chapters.keys().map(String::as_str)) {
            let all: Vec<&str> = chapters.keys().map(String::as_str).collect();
            let message = format!("`packages` of the preprocessor must be: {}", all.join(", "));
            found.push(Finding::new("book.toml", 1, message));
        }
    }
    found
}

/// The table at `keys` of a file in TOML, or an empty one.
pub(crate) fn table(root: &Path, file: &str, keys: &[&str]) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(root.join(file)).unwrap_or_default();
    let mut table: Table = text.parse().unwrap_or_default();
    for key in keys {
        match table.remove(*key) {
            Some(Value::Table(inner)) => table = inner,
            _ => return BTreeMap::new(),
        }
    }
    table.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const PINNED: &str = "actions/checkout@0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_tidy_house_passes() {
        let fixture = Fixture::new(&[
            ("crates/poolhouse/src/lib.rs", "#![forbid(unsafe_code)]\n"),
            (".github/workflows/a.yml", &format!("  - uses: {PINNED} # v6\n  - uses: ./x\n")),
            ("crates/chapters/Cargo.toml", "[dependencies]\nbytes = \"1\"\n"),
            ("Cargo.toml", "[dev-dependencies]\nbytes = \"1\"\ntempfile = \"1\"\n"),
            ("crates/programs/Cargo.toml", "[dev-dependencies]\nbytes = \"1\"\nskeptic = \"1\"\n"),
            ("book.toml", "[preprocessor.externs]\npackages = [\"bytes\"]\n"),
        ]);
        expect(check(&fixture.book.root), &[]);
    }

    #[test]
    fn every_rule_can_be_broken() {
        let fixture = Fixture::new(&[
            ("crates/poolhouse/src/lib.rs", "//! unsafe\n"),
            ("tests/long.rs", &"\n".repeat(501)),
            (".github/workflows/a.yml", "steps:\n  - uses: actions/checkout@v6\n"),
            ("crates/chapters/Cargo.toml", "[dependencies]\nbytes = \"1\"\ntokio = \"1\"\n"),
            ("Cargo.toml", "[dev-dependencies]\nbytes = \"2\"\naxum = \"1\"\n"),
            ("crates/programs/Cargo.toml", "[dev-dependencies]\nbytes = \"1\"\n"),
            ("book.toml", "[preprocessor.externs]\npackages = [\"bytes\"]\n"),
        ]);
        let chapters = "crates/chapters/Cargo.toml";
        expect(
            check(&fixture.book.root),
            &[
                (".github/workflows/a.yml", 2, "not pinned"),
                ("book.toml", 1, "must be: bytes, tokio"),
                (chapters, 1, "`axum` differs from [dev-dependencies] in Cargo.toml"),
                (chapters, 1, "`bytes` differs from [dev-dependencies] in Cargo.toml"),
                (chapters, 1, "`tokio` differs from [dev-dependencies] in Cargo.toml"),
                (chapters, 1, "`tokio` differs from [dev-dependencies] in crates/programs/Cargo.toml"),
                ("crates/poolhouse/src/lib.rs", 1, "forbid"),
                ("tests/long.rs", 501, "501 lines"),
            ],
        );
    }
}
