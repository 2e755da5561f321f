//! The reference of tracing events: the table of the crate's documentation, which has to say what the code records; and
//! what a listener is told.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::api_model::entries;
use crate::crate_source::{doc, files, summary, without_targets};
use crate::{Book, Finding};

const LIB: &str = "crates/poolhouse/src/lib.rs";

/// A record in the code, or a row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    target: String,
    level: String,
    /// Without `target_address` and `pool`, which all have.
    fields: BTreeSet<String>,
    file: String,
    line: usize,
}

/// The rows of the table in the crate's documentation, heads aside.
fn rows(root: &Path) -> Vec<String> {
    let files = files(root);
    let lib = files.iter().find(|file| file.name == LIB);
    let text = lib.map(|lib| doc(&lib.syntax.attrs)).unwrap_or_default();
    text.lines().filter(|line| line.starts_with("| `poolhouse::")).map(ToOwned::to_owned).collect()
}

pub(crate) fn table(root: &Path) -> String {
    let head = "| target | level | what | fields beside `target_address` and `pool` |\n|---|---|---|---|\n";
    format!("{head}{}\n", without_targets(&rows(root).join("\n")))
}

/// What the code records is what the table says.
pub fn check(book: &Book) -> Vec<Finding> {
    let in_table: Vec<Record> = rows(&book.root).iter().filter_map(|row| of_row(row)).collect();
    let mut in_code = Vec::new();
    for file in files(&book.root).iter() {
        let text = std::fs::read_to_string(book.root.join(&file.name)).unwrap_or_default();
        if let Ok(tokens) = text.parse::<TokenStream>() {
            records(&file.name, tokens, &mut in_code);
        }
    }
    let same = |a: &Record, b: &Record| a.target == b.target && a.level == b.level && a.fields == b.fields;
    let mut found = Vec::new();
    for record in in_code.iter().filter(|record| !in_table.iter().any(|row| same(row, record))) {
        let Record { target, level, fields, .. } = record;
        let message =
            format!("no row of the table in {LIB} says {target}, {level}, with the fields {fields:?}");
        found.push(Finding::new(&record.file, record.line, message));
    }
    for row in in_table.iter().filter(|row| !in_code.iter().any(|record| same(row, record))) {
        let message = format!(
            "nothing records {}, {}, with the fields {:?}: fix the table",
            row.target, row.level, row.fields
        );
        found.push(Finding::new(LIB, 1, message));
    }
    found
}

fn of_row(row: &str) -> Option<Record> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [target, level, _, fields] = cells[..] else { return None };
    let fields =
        fields.split(',').map(|field| field.trim().trim_matches('`')).filter(|field| !field.is_empty());
    Some(Record {
        target: target.trim_matches('`').to_owned(),
        level: level.split(' ').next()?.to_owned(),
        fields: fields.map(ToOwned::to_owned).collect(),
        file: LIB.to_owned(),
        line: 1,
    })
}

/// Every `tracing::level!(target: "..", ..)` in these tokens.
fn records(file: &str, tokens: TokenStream, found: &mut Vec<Record>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let is_macro =
            index > 1 && matches!(&tokens[index - 1], TokenTree::Punct(punct) if punct.as_char() == '!');
        let level = if is_macro { tokens[index - 2].to_string() } else { String::new() };
        let level = level.trim_end_matches("_span").to_owned();
        let is_level = matches!(level.as_str(), "trace" | "debug" | "info" | "warn" | "error");
        match target(group.stream()) {
            Some(target) if is_level => {
                let line = token.span().start().line;
                let fields = fields(group.stream());
                found.push(Record { target, level, fields, file: file.to_owned(), line });
            }
            _ => records(file, group.stream(), found),
        }
    }
}

fn target(arguments: TokenStream) -> Option<String> {
    let mut tokens = arguments.into_iter();
    let is_target = matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "target");
    is_target.then(|| tokens.nth(1).map(|text| text.to_string().trim_matches('"').to_owned()))?
}

/// The names of the fields: `connection`, `%error`, `held = ..`.
fn fields(arguments: TokenStream) -> BTreeSet<String> {
    let tokens: Vec<TokenTree> = arguments.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let names = tokens.split(is_comma).skip(1).filter_map(|field| {
        field.iter().find_map(|token| match token {
            TokenTree::Punct(_) => None,
            TokenTree::Ident(name) => Some(Some(name.to_string())),
            _ => Some(None),
        })?
    });
    names.filter(|name| name != "target_address" && name != "pool").collect()
}

/// What a listener is told.
pub(crate) fn events(root: &Path) -> Result<String, String> {
    variants(root, "Event", "| event | fields | what has happened |\n|---|---|---|\n", |part| {
        format!("| `{}` | {} | {} |\n", part.name, part.kind, summary(&part.doc))
    })
}

/// Why a connection is closed.
pub(crate) fn reasons(root: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(root.join("crates/poolhouse/src/events.rs")).unwrap_or_default();
    variants(root, "RetireReason", "| reason | in logs and metrics | why |\n|---|---|---|\n", |part| {
        let arm = format!("Self::{} => \"", part.name);
        let label =
            text.split_once(&arm).and_then(|(_, rest)| rest.split_once('"')).map_or("", |(label, _)| label);
        format!("| `{}` | `{label}` | {} |\n", part.name, summary(&part.doc))
    })
}

fn variants(
    root: &Path,
    name: &str,
    head: &str,
    row: impl Fn(&crate::api_model::Part) -> String,
) -> Result<String, String> {
    let entries = entries(root);
    let entry = entries.iter().find(|entry| entry.path == name);
    let entry = entry.ok_or_else(|| format!("crates/poolhouse exports no `{name}`"))?;
    Ok(entry.parts.iter().fold(head.to_owned(), |table, part| table + &row(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn the_table_and_the_code_must_say_the_same() {
        let lib =
            "//! | `poolhouse::a` | warn | it failed | `error` |\n//! | `poolhouse::b` | debug | gone | |\n";
        let code = "fn a() {\n    tracing::warn!(target: \"poolhouse::a\", target_address = %t(1, 2), %error, \"failed\");\n    \
                    tracing::debug!(\n        target: \"poolhouse::a\", connection = entry.id, \"new\");\n}\n";
        let fixture = Fixture::new(&[(LIB, lib), ("crates/poolhouse/src/a.rs", code)]);
        expect(
            check(&fixture.book),
            &[
                ("crates/poolhouse/src/a.rs", 3, "poolhouse::a, debug, with the fields {\"connection\"}"),
                (LIB, 1, "nothing records poolhouse::b, debug"),
            ],
        );
    }
}
