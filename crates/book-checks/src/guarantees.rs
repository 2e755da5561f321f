//! Every guarantee that the book states is named by a test, and every guarantee that prose leans on is stated.
//!
//! The book states them in the first column of the tables of its guarantees chapter.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding};

const CHAPTER: &str = "book/src/reference/guarantees.md";
const TESTS: [&str; 3] = ["crates/poolhouse/tests", "crates/poolhouse/src", "tests"];

static STATED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\| `([a-z_]+\.[a-z_]+)` \|").expect("a valid pattern"));
static LEANED_ON: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"guarantee\s+`([a-z_]+\.[a-z_]+)`").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    let Some(chapter) = book.page(CHAPTER) else { return Vec::new() };
    let mut tests = String::new();
    for folder in TESTS {
        read_tests(&book.root.join(folder), &mut tests);
    }
    let (mut found, mut stated) = (Vec::new(), BTreeSet::new());
    for (index, line) in chapter.text.lines().enumerate() {
        let Some(id) = STATED.captures(line).map(|captures| captures[1].to_owned()) else { continue };
        if !tests.contains(&id) {
            let message = format!("no test names `{id}`: write one under {}", TESTS[0]);
            found.push(Finding::new(CHAPTER, index + 1, message));
        }
        stated.insert(id);
    }
    for page in book.chapters() {
        for captures in LEANED_ON.captures_iter(&page.text) {
            let id = captures.get(1).expect("the pattern has one group");
            if !stated.contains(id.as_str()) {
                let message =
                    format!("`{}` is not stated in {CHAPTER}: mend the id, or state it", id.as_str());
                found.push(Finding::new(&page.name, page.line_at(id.start()), message));
            }
        }
    }
    found
}

/// The text of every Rust file below `folder` that holds tests.
fn read_tests(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_tests(&path, text);
        } else if let Ok(source) = fs::read_to_string(&path)
            && (source.contains("#[test]") || source.contains("#[tokio::test"))
        {
            text.push_str(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_guarantee_needs_a_test_and_a_mention_needs_a_guarantee() {
        let fixture = Fixture::new(&[
            (
                CHAPTER,
                "# Guarantees\n\n| id | promise |\n|---|---|\n| `a.kept` | Yes. |\n| `a.untested` | No. |\n",
            ),
            ("crates/poolhouse/tests/a.rs", "/// a.kept\n#[test]\nfn kept() {}\n"),
            ("crates/poolhouse/src/a.rs", "//! a.untested\n"),
            ("book/src/a.md", "# A\n\nIt holds (guarantee `a.kept`).\n\nSo does\nguarantee `a.unknown`.\n"),
        ]);
        expect(check(&fixture.book), &[("book/src/a.md", 6, "`a.unknown`"), (CHAPTER, 6, "`a.untested`")]);
    }
}
