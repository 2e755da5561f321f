//! Blocks that no compiler reads are well formed: `toml` parses, and asks for the versions that are tested here; `yaml`
//! and `json` parse; `sh` pairs its quotes.

use std::collections::BTreeMap;
use std::fs;

use saphyr::{LoadableYamlNode, Yaml};
use snippets::Part;
use toml::{Table, Value};

use crate::{Book, Finding, tidy};

pub fn check(book: &Book) -> Vec<Finding> {
    let tested = tested(book);
    let mut found = Vec::new();
    for page in book.texts() {
        for block in page.blocks() {
            // An included file is checked as if its lines stood here.
            let Some(code) = with_includes(book, &page.name, &block.code) else { continue };
            let code = &code;
            let faults = match block.language() {
                Some("toml") => toml(code, &tested),
                Some("yaml" | "yml") => yaml(code).into_iter().collect(),
                Some("sh" | "console") if !quotes_pair(code) => {
                    vec![(0, "a quote is not closed: a shell would wait for the rest".to_owned())]
                }
                Some("json") => serde_json::from_str::<serde_json::Value>(code)
                    .err()
                    .map(|error| (error.line().saturating_sub(1), format!("this is no JSON: {error}")))
                    .into_iter()
                    .collect(),
                _ => Vec::new(),
            };
            for (line, message) in faults {
                found.push(Finding::new(&page.name, block.line + 1 + line, message));
            }
        }
    }
    found.extend(files(book));
    found
}

/// Files in YAML that readers download. Pages show parts of them.
fn files(book: &Book) -> Vec<Finding> {
    let mut files = Vec::new();
    tidy::walk(&book.root, "book/src", &mut files);
    let faults = files.into_iter().filter(|file| file.ends_with(".yml")).filter_map(|file| {
        let (line, message) = yaml(&fs::read_to_string(book.root.join(&file)).ok()?)?;
        Some(Finding::new(file, line + 1, message))
    });
    faults.collect()
}

/// The code with each included file in its place. `None` if one cannot be read, or a part of one is included: what is
/// wrong then, the check of links says.
fn with_includes(book: &Book, page: &str, code: &str) -> Option<String> {
    let folder = book.root.join(page).parent()?.to_owned();
    let mut whole = String::new();
    for line in code.split_inclusive('\n') {
        match snippets::includes(line).first() {
            None => whole.push_str(line),
            Some(include) if include.part == Part::All => {
                whole.push_str(&fs::read_to_string(folder.join(&include.path)).ok()?);
            }
            Some(_) => return None,
        }
    }
    Some(whole)
}

/// The versions in the manifest of the workspace.
fn tested(book: &Book) -> BTreeMap<String, String> {
    let dependencies = tidy::table(&book.root, "Cargo.toml", &["workspace", "dependencies"]);
    let version = |(name, value): (String, Value)| Some((name, version(&value)?.to_owned()));
    dependencies.into_iter().filter_map(version).collect()
}

fn version(dependency: &Value) -> Option<&str> {
    dependency.as_str().or_else(|| dependency.get("version")?.as_str())
}

/// Faults with the line in the block, counted from 0.
fn toml(code: &str, tested: &BTreeMap<String, String>) -> Vec<(usize, String)> {
    let table: Table = match code.parse() {
        Ok(table) => table,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let line = code[..at].matches('\n').count();
            return vec![(line, format!("this is no TOML: {}", error.message()))];
        }
    };
    let mut faults = Vec::new();
    for key in ["dependencies", "dev-dependencies"] {
        let Some(Value::Table(dependencies)) = table.get(key) else { continue };
        for (name, value) in dependencies {
            let (Some(asked), Some(known)) = (version(value), tested.get(name)) else { continue };
            if !starts_with(known.trim_start_matches('='), asked) {
                let line = code.lines().position(|line| line.starts_with(name.as_str())).unwrap_or(0);
                faults
                    .push((line, format!("`{name}` is tested here in version {known}, not {asked}: fix it")));
            }
        }
    }
    faults
}

/// Whether `asked` is the version or a shorter form of it.
fn starts_with(version: &str, asked: &str) -> bool {
    let mut parts = version.split('.');
    asked.split('.').all(|part| parts.next().is_none_or(|known| known == part))
}

fn yaml(code: &str) -> Option<(usize, String)> {
    let error = Yaml::load_from_str(code).err()?;
    // It counts lines from 1.
    Some((error.marker().line().saturating_sub(1), format!("this is no YAML: {}", error.info())))
}

fn quotes_pair(code: &str) -> bool {
    let mut open = None;
    let mut escaped = false;
    for line in code.lines() {
        if open.is_none() && line.trim_start().starts_with('#') {
            continue;
        }
        for c in line.chars() {
            match (open, c) {
                _ if escaped => escaped = false,
                (Some('"') | None, '\\') => escaped = true,
                (None, '"' | '\'') => open = Some(c),
                (Some(quote), c) if c == quote => open = None,
                _ => {}
            }
        }
        escaped = false;
    }
    open.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";
    const MANIFEST: &str = "[workspace.dependencies]\naxum = { version = \"0.8.9\" }\ntokio = \"1.54\"\n";

    fn check_with(text: &str) -> Vec<Finding> {
        check(&Fixture::new(&[(A, text), ("Cargo.toml", MANIFEST)]).book)
    }

    #[test]
    fn good_blocks_pass() {
        let text = "# A\n\n```toml\n[dependencies]\naxum = \"0.8\"\ntokio = { version = \"1\" }\nother = \"7\"\n```\n\n\
                    ```yaml\na: { b: [1] }\n```\n\n```sh\n# don't\necho 'a \"b' \"c\\\"\"\n```\n\n```json\n{}\n```\n";
        expect(check_with(text), &[]);
    }

    #[test]
    fn an_included_file_is_part_of_the_block() {
        let page = "# A\n\n```toml\n{{#include good.toml}}\n```\n\n```toml\na = 1\n{{#include bad.toml}}\n```\n\n\
                    ```toml\n{{#include missing.toml}}\n```\n\n```toml\n{{#include bad.toml:part}}\n```\n";
        let files =
            [(A, page), ("book/src/good.toml", "a = 1\n"), ("book/src/bad.toml", "b = 2\n# c\nd = \n")];
        let fixture = Fixture::new(&files);
        expect(check(&fixture.book), &[(A, 11, "no TOML")]);
    }

    #[test]
    fn slips_in_yaml_are_found() {
        let good = "groups:\n  - name: a\n    rules:\n      - alert: B\n        for: 5m\n        expr: a{b=\"c\"} > 0\n";
        let page = |code: &str| format!("# A\n\n```yaml\n{code}```\n");
        expect(check_with(&page(good)), &[]);
        let slips = [
            ("for: 5m", "for 5m"),
            ("rules:", "rules"),
            ("  - name", " - - name"),
            ("name: a", "name: [a"),
            ("for:", "alert:"),
        ];
        for (from, to) in slips {
            let found = check_with(&page(&good.replace(from, to)));
            assert!(found.len() == 1 && found[0].message.contains("no YAML"), "{to}: {found:?}");
            let file = Fixture::new(&[("book/src/b/c.yml", &good.replace(from, to))]);
            let found = check(&file.book);
            assert!(found.len() == 1 && found[0].file == "book/src/b/c.yml", "{to}: {found:?}");
        }
    }

    #[test]
    fn broken_blocks_and_other_versions_are_found() {
        let text = "# A\n\n```toml\na = 1\nb = 2\"\n```\n\n```toml\n[dependencies]\naxum = \"0.9\"\n```\n\n\
                    ```yaml\na:\n\tb: [1\n```\n\n```sh\necho 'a\n```\n\n```json\n{]\n```\n";
        expect(
            check_with(text),
            &[
                (A, 5, "no TOML"),
                (A, 10, "version 0.8.9, not 0.9"),
                (A, 15, "no YAML"),
                (A, 19, "quote"),
                (A, 23, "no JSON"),
            ],
        );
    }
}
