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

/// Every `tracing::level!(target: "..", ..)` and every `log!(pool, level, ".."; ..)` in these tokens.
fn records(file: &str, tokens: TokenStream, found: &mut Vec<Record>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let is_macro = index > 1 && is_punct(&tokens[index - 1], '!');
        let name = if is_macro { tokens[index - 2].to_string() } else { String::new() };
        let arguments: Vec<TokenTree> = group.stream().into_iter().collect();
        let head = if name == "log" { short(&arguments) } else { long(&name, &arguments) };
        let Some((level, target, rest)) = head else {
            records(file, group.stream(), found);
            continue;
        };
        let (target, line) = (target.to_string().trim_matches('"').to_owned(), token.span().start().line);
        found.push(Record { target, level, fields: fields(rest), file: file.to_owned(), line });
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

fn long<'a>(name: &str, arguments: &'a [TokenTree]) -> Option<(String, &'a TokenTree, &'a [TokenTree])> {
    let level = name.trim_end_matches("_span");
    let [TokenTree::Ident(word), _, target, _, rest @ ..] = arguments else { return None };
    let is_record = word == "target" && matches!(level, "trace" | "debug" | "info" | "warn" | "error");
    is_record.then(|| (level.to_owned(), target, rest))
}

fn short(arguments: &[TokenTree]) -> Option<(String, &TokenTree, &[TokenTree])> {
    let end = arguments.iter().position(|token| is_punct(token, ';'))?;
    let [.., level, _, target] = &arguments[..end] else { return None };
    Some((level.to_string(), target, &arguments[end + 1..]))
}

/// The names of the fields: `connection`, `%error`, `held = ..`.
fn fields(arguments: &[TokenTree]) -> BTreeSet<String> {
    let names = arguments.split(|token| is_punct(token, ',')).filter_map(|field| {
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
        let arm = format!("(Self::{}, \"", part.name);
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
        let lib = "//! | `poolhouse::a` | warn | it failed | `error` |\n//! | `poolhouse::b` | debug | gone | |\n\
                   //! | `poolhouse::c` | warn | lost | `held` |\n";
        let code = "fn a() {\n    tracing::warn!(target: \"poolhouse::a\", target_address = %t(1, 2), %error, \"failed\");\n    \
                    tracing::debug!(\n        target: \"poolhouse::a\", connection = entry.id, \"new\");\n    \
                    log!(self.inner, warn, \"poolhouse::c\"; held, \"lost\");\n    \
                    log!(inner, warn, \"poolhouse::d\"; \"found\");\n}\n";
        let fixture = Fixture::new(&[(LIB, lib), ("crates/poolhouse/src/a.rs", code)]);
        expect(
            check(&fixture.book),
            &[
                ("crates/poolhouse/src/a.rs", 3, "poolhouse::a, debug, with the fields {\"connection\"}"),
                ("crates/poolhouse/src/a.rs", 6, "poolhouse::d, warn, with the fields {}"),
                (LIB, 1, "nothing records poolhouse::b, debug"),
            ],
        );
    }
}
