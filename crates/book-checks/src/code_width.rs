//! A page shows a line of code without scrolling: on a screen of 1280 pixels, that is 84 columns.
//!
//! What counts is what a reader sees: the part of a file that a block includes, without hidden lines, as far to the left as
//! it goes.

use std::fs;

use snippets::{Block, Include, Part};

use crate::book::resolve;
use crate::{Book, Finding, Page};

const WIDEST: usize = 84;

/// These wrap on the page.
const WRAPPED: [&str; 4] = ["text", "console", "sh", "sql"];

/// Signatures, as they are generated.
const GENERATED: &str = "rs";

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.chapters() {
        for block in page.blocks() {
            let language = block.language().unwrap_or_default();
            if !WRAPPED.contains(&language) && language != GENERATED {
                found.extend(wide_line(book, page, &block));
            }
        }
    }
    found
}

fn wide_line(book: &Book, page: &Page, block: &Block) -> Option<Finding> {
    let includes = block.includes();
    let shown = if includes.is_empty() {
        snippets::shown(&block.code)
    } else {
        includes.iter().filter_map(|include| included(book, page, include)).collect()
    };
    let line = shown.lines().find(|line| line.chars().count() > WIDEST)?;
    let columns = line.chars().count();
    let message = format!("{columns} columns of code, and a page shows {WIDEST}: break `{}`", line.trim());
    Some(Finding::new(&page.name, block.line, message))
}

/// The part of a file that a page shows. That it is there is the job of another check.
fn included(book: &Book, page: &Page, include: &Include) -> Option<String> {
    let text = fs::read_to_string(book.root.join(resolve(page.folder(), &include.path)?)).ok()?;
    let lines = text.lines();
    Some(match &include.part {
        Part::Anchor(name) => {
            let is_mark = |line: &str, mark: &str| {
                line.split_once(mark).is_some_and(|(_, rest)| rest.trim() == name.as_str())
            };
            let part = lines
                .skip_while(|line| !is_mark(line, "ANCHOR:"))
                .skip(1)
                .take_while(|line| !is_mark(line, "ANCHOR_END:"));
            snippets::dedented(part.filter(|line| !line.contains("ANCHOR")))
        }
        Part::All | Part::Lines(_) => snippets::dedented(lines.filter(|line| !line.contains("ANCHOR"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn what_is_shown_counts() {
        let (wide, fits) = ("x".repeat(WIDEST + 1), "x".repeat(WIDEST));
        let file = format!(
            "{wide}\n    // ANCHOR: a\n    {fits}\n    // ANCHOR_END: a\n// ANCHOR: b\n{wide}\n// ANCHOR_END: b\n"
        );
        let page = format!(
            "# A\n\n```rust\n    {fits}\n# {wide}\n```\n\n```text\n{wide}\n```\n\n```rs\n{wide}\n```\n\n\
             ```rust\n{{{{#rustdoc_include b.rs:a}}}}\n```\n"
        );
        let bad = format!("# B\n\n```toml\n{wide}\n```\n\n```rust\n{{{{#rustdoc_include b.rs:b}}}}\n```\n");
        let fixture =
            Fixture::new(&[("book/src/a.md", &page), ("book/src/b.rs", &file), ("book/src/c.md", &bad)]);
        expect(
            check(&fixture.book),
            &[("book/src/c.md", 3, "85 columns of code"), ("book/src/c.md", 7, "85 columns of code")],
        );
    }
}
