//! The API reference: made from the crate's source, and checked to be complete.
//!
//! A block `api TYPE` holds a section for each method: its signature, its documentation, its own example. A block
//! `api-table TYPE` holds a row for each, under the signatures if it is a trait. The examples are those of the
//! documentation; here they run once more.

use std::path::Path;

use syn::Item;

use crate::api_model::{Entry, Method, entries};
use crate::api_text::of_trait;
use crate::crate_source::{self, summary, without_targets};
use crate::errors::wrapped;
use crate::{Book, Finding, Generators};

const CHAPTER: &str = "book/src/reference/api.md";

/// From the chapter to rustdoc's pages, which stand beside the book.
const RUSTDOC: &str = "../api";

/// The types that have a section for each method.
const IN_FULL: [&str; 4] = ["Pool", "PoolBuilder", "PooledConnection", "PacketConnection"];

/// The types that have a table of their own.
const IN_TABLES: [&str; 5] = ["Manager", "Listener", "Dial", "blocking::Pool", "blocking::PooledConnection"];

/// The structs whose fields stand in a table elsewhere.
const FIELDS_ELSEWHERE: [&str; 2] = ["PoolConfig", "PacketOptions"];

pub(crate) fn generators(root: &Path, mut generators: Generators) -> Generators {
    for path in IN_FULL {
        let root = root.to_owned();
        generators = generators.with_fallible(&format!("api {path}"), move || in_full(&entry(&root, path)?));
    }
    for path in IN_TABLES {
        let root = root.to_owned();
        generators = generators.with_fallible(&format!("api-table {path}"), move || {
            Ok(signatures(&root, path) + &table(&entry(&root, path)?))
        });
    }
    for path in ["PoolStats", "PacketOptions"] {
        let root = root.to_owned();
        generators =
            generators.with_fallible(&format!("api-fields {path}"), move || Ok(fields(&entry(&root, path)?)));
    }
    let root = root.to_owned();
    generators.with("api-rest", move || rest(&entries(&root)))
}

fn entry(root: &Path, path: &str) -> Result<Entry, String> {
    let found = entries(root).iter().find(|entry| entry.path == path).cloned();
    found.ok_or_else(|| format!("crates/poolhouse exports no `{path}`: fix the name"))
}

/// Every public method and field stands in the chapter.
pub fn check(book: &Book) -> Vec<Finding> {
    let Some(chapter) = book.page(CHAPTER) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries(&book.root).iter() {
        if !chapter.text.contains(&format!("`{}", entry.path)) {
            found.push(Finding::new(
                CHAPTER,
                1,
                format!("`{}` is missing: add a generated block", entry.path),
            ));
        }
        for method in &entry.methods {
            let name = format!("{}::{}", entry.path, method.name);
            if !chapter.text.contains(&format!("`{name}`")) {
                let message = format!("`{name}` is missing in {CHAPTER}: run `cargo guide generate`");
                found.push(Finding::new(&method.file, method.line, message));
            }
        }
    }
    found
}

/// A section for each method.
fn in_full(entry: &Entry) -> Result<String, String> {
    let mut text = String::new();
    for method in &entry.methods {
        let name = format!("{}::{}", entry.path, method.name);
        let link = format!("{RUSTDOC}/{}#{}", entry.rustdoc(), method.anchor(entry));
        text.push_str(&format!("### `{name}`\n\n```rs\n{}\n```\n\n", method.signature));
        text.push_str(&documentation(&name, &method.doc)?);
        text.push_str(&format!("[`{name}` in rustdoc]({link})\n\n"));
    }
    Ok(text)
}

/// A documentation comment as a part of a chapter: its headings become words in bold, its examples Rust.
fn documentation(name: &str, doc: &str) -> Result<String, String> {
    let (mut text, mut paragraph, mut code, mut open) = (String::new(), Vec::new(), String::new(), false);
    let mut label = String::new();
    // A blank line at the end, so that the last paragraph ends.
    for line in doc.lines().chain([""]) {
        if line.starts_with("```") {
            if open {
                text.push_str(&format!("<!-- rustdoc: {name} -->\n\n```rust\n{code}```\n\n"));
                code.clear();
            } else if !matches!(line.trim(), "```" | "```rust") {
                return Err(format!("{name}: its example is `{line}`, which the book cannot run"));
            }
            open = !open;
        } else if open {
            code.push_str(line);
            code.push('\n');
        } else if let Some(heading) = line.strip_prefix("# ") {
            label = format!("**{heading}.** ");
        } else if line.trim().is_empty() {
            if !paragraph.is_empty() {
                let joined = without_targets(&paragraph.join(" "));
                text.push_str(&format!("{}\n\n", wrapped(&format!("{label}{joined}"))));
                (paragraph, label) = (Vec::new(), String::new());
            }
        } else {
            paragraph.push(line.trim());
        }
    }
    Ok(text)
}

/// A trait without its documentation; nothing of what is no trait.
fn signatures(root: &Path, path: &str) -> String {
    let files = crate_source::files(root);
    let text = files.iter().flat_map(|file| &file.syntax.items).find_map(|item| match item {
        Item::Trait(item) if item.ident == path => Some(of_trait(item.clone())),
        _ => None,
    });
    text.map(|text| format!("```rs\n{text}\n```\n\n")).unwrap_or_default()
}

/// A row for each method.
fn table(entry: &Entry) -> String {
    let mut text = String::from("| method | what it does |\n|---|---|\n");
    for method in &entry.methods {
        text.push_str(&row(entry, method));
    }
    text
}

fn row(entry: &Entry, method: &Method) -> String {
    let name = format!("{}::{}", entry.path, method.name);
    let required = if entry.kind == "trait" && method.required { " You write it." } else { "" };
    let link = format!("{RUSTDOC}/{}#{}", entry.rustdoc(), method.anchor(entry));
    format!("| [`{name}`]({link}) | {}{required} |\n", summary(&method.doc))
}

/// A row for each field.
fn fields(entry: &Entry) -> String {
    let mut text = String::from("| field | type | what it is |\n|---|---|---|\n");
    for part in &entry.parts {
        let link = format!("{RUSTDOC}/{}#structfield.{}", entry.rustdoc(), part.name);
        text.push_str(&format!("| [`{}`]({link}) | `{}` | {} |\n", part.name, part.kind, summary(&part.doc)));
    }
    if !entry.methods.is_empty() {
        text.push_str(&format!("\n{}", table(entry)));
    }
    text
}

/// All items that have no section and no table of their own, with their public fields and methods.
fn rest(entries: &[Entry]) -> String {
    let mut text = String::from("| item | what it is |\n|---|---|\n");
    for entry in entries {
        let path = entry.path.as_str();
        if IN_FULL.contains(&path) || IN_TABLES.contains(&path) || path == "PoolStats" {
            continue;
        }
        let link = format!("{RUSTDOC}/{}", entry.rustdoc());
        text.push_str(&format!("| [`{path}`]({link}) (`{}`) | {} |\n", entry.kind, summary(&entry.doc)));
        if entry.kind == "struct" && !FIELDS_ELSEWHERE.contains(&path) {
            for part in &entry.parts {
                let (name, kind, doc) = (&part.name, &part.kind, summary(&part.doc));
                text.push_str(&format!(
                    "| [`{path}.{name}`]({link}#structfield.{name}): `{kind}` | {doc} |\n"
                ));
            }
        }
        for method in &entry.methods {
            text.push_str(&row(entry, method));
        }
    }
    text
}

/// Whether rustdoc has this page and this anchor; what to say if it has not.
pub(crate) fn judge_rustdoc_link(entries: &[Entry], path: &str, anchor: Option<&str>) -> Option<String> {
    if entries.is_empty() || path == "poolhouse/index.html" {
        return None;
    }
    let Some(entry) = entries.iter().find(|entry| entry.rustdoc() == path) else {
        return Some(format!("the crate's documentation has no page {path}: fix the link"));
    };
    let anchor = anchor?;
    let anchors = entry.anchors();
    (!anchors.iter().any(|known| known == anchor))
        .then(|| format!("{path} has no `{anchor}`: there are [{}]", anchors.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const DOC: &str =
        "Waits for [`it`](x).\n\nFor long.\n\n# Errors\n\nIt fails.\n\n```\n# let a = 1;\na();\n```\n";

    #[test]
    fn documentation_becomes_a_part_of_the_chapter() {
        assert_eq!(
            documentation("Pool::acquire", DOC).unwrap(),
            "Waits for `it`.\n\nFor long.\n\n**Errors.** It fails.\n\n\
             <!-- rustdoc: Pool::acquire -->\n\n```rust\n# let a = 1;\na();\n```\n\n"
        );
        assert!(documentation("a", "```ignore\nx\n```\n").is_err());
    }

    #[test]
    fn a_trait_has_its_signatures_and_a_struct_its_fields() {
        let source = "/// A.\npub trait Manager {\n    /// B.\n    type Error;\n    fn a(&self) -> u8 { 1 }\n}\n\
                      /// C.\npub struct Info {\n    /// D.\n    pub age: u8,\n}\n";
        let files = [
            ("crates/poolhouse/src/lib.rs", "pub use crate::a::{Info, Manager};\n"),
            ("crates/poolhouse/src/a.rs", source),
        ];
        let fixture = Fixture::new(&files);
        let root = &fixture.book.root;
        assert_eq!(
            signatures(root, "Manager"),
            "```rs\npub trait Manager {\n    type Error;\n    fn a(&self) -> u8 { .. }\n}\n```\n\n"
        );
        assert_eq!(signatures(root, "Info"), "");
        let row = "| [`Info.age`](../api/poolhouse/struct.Info.html#structfield.age): `u8` | D. |\n";
        assert!(rest(&entries(root)).contains(row));
    }

    #[test]
    fn a_method_that_is_missing_and_a_dead_link_are_found() {
        let files = [
            ("crates/poolhouse/src/lib.rs", "pub use crate::a::Pool;\n"),
            (
                "crates/poolhouse/src/a.rs",
                "pub struct Pool;\nimpl Pool {\n    pub fn a(&self) {}\n    pub fn b(&self) {}\n}\n",
            ),
            (
                CHAPTER,
                "# A\n\n### `Pool::a`\n\n[1](../api/poolhouse/struct.Pool.html#method.a)\n\
              [2](../api/poolhouse/struct.Pool.html#method.c)\n[3](../api/poolhouse/struct.Gone.html)\n",
            ),
        ];
        let fixture = Fixture::new(&files);
        expect(check(&fixture.book), &[("crates/poolhouse/src/a.rs", 4, "`Pool::b` is missing")]);
        expect(
            crate::links::check(&fixture.book),
            &[
                (CHAPTER, 6, "no `method.c`: there are [method.a, method.b]"),
                (CHAPTER, 7, "no page poolhouse/struct.Gone.html"),
            ],
        );
    }
}
