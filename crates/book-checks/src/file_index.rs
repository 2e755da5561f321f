//! The chapter on architecture has an index of the pool's files, which names each file once. So has the head of the
//! policy, and the rows of its tables are those of the chapter.
//!
//! In the chapter an index begins with `<!-- files of: FOLDER -->`, and ends at the next heading.

use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, tidy};

const CHAPTER: &str = "book/src/appendices/architecture.md";
const FOLDERS: [&str; 2] = ["crates/poolhouse/src", POLICY];
const POLICY: &str = "crates/poolhouse/src/policy";
/// Has an index of the other files of its folder at its head.
const HEAD: &str = "crates/poolhouse/src/policy/mod.rs";

static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`(\w+\.rs)`").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    let Some(chapter) = book.page(CHAPTER) else { return found };
    let lines = || chapter.text.lines().zip(1..);
    for folder in FOLDERS {
        let mark = format!("<!-- files of: {folder} -->");
        let Some((_, first)) = lines().find(|(line, _)| *line == mark) else {
            found.push(Finding::new(CHAPTER, 1, format!("there is no `{mark}`: put it above the index")));
            continue;
        };
        let index: Vec<_> = lines().skip(first).take_while(|(text, _)| !text.starts_with('#')).collect();
        compare(CHAPTER, first, &index, &files(book, folder), &mut found);
        if folder == POLICY {
            let head = fs::read_to_string(book.root.join(HEAD)).unwrap_or_default();
            let head: Vec<_> = head
                .lines()
                .zip(1..)
                .map_while(|(text, line)| Some((text.strip_prefix("//!")?, line)))
                .collect();
            let others: Vec<_> = files(book, folder).into_iter().filter(|name| name != "mod.rs").collect();
            compare(HEAD, 1, &head, &others, &mut found);
            for (row, line) in head.iter().filter(|(text, _)| text.starts_with(" | `")) {
                if !index.iter().any(|(text, _)| *text == row.trim()) {
                    let message = format!("{CHAPTER} has no such row: let both say the same");
                    found.push(Finding::new(HEAD, *line, message));
                }
            }
        }
    }
    found
}

/// The Rust files that lie in a folder, those in folders below it aside.
fn files(book: &Book, folder: &str) -> Vec<String> {
    let mut names = Vec::new();
    tidy::walk(&book.root, folder, &mut names);
    let inside = names.iter().filter_map(|name| name.strip_prefix(folder)?.strip_prefix('/'));
    inside.filter(|name| name.ends_with(".rs") && !name.contains('/')).map(ToOwned::to_owned).collect()
}

fn compare(file: &str, first: usize, index: &[(&str, usize)], files: &[String], found: &mut Vec<Finding>) {
    let mut named = BTreeMap::new();
    for (text, line) in index {
        for name in NAME.captures_iter(text) {
            let name = name[1].to_owned();
            if !files.contains(&name) {
                found.push(Finding::new(file, *line, format!("there is no `{name}`: fix the index")));
            } else if let Some(before) = named.insert(name.clone(), *line) {
                let message = format!("`{name}` stands in line {before} already: name it once");
                found.push(Finding::new(file, *line, message));
            }
        }
    }
    for name in files.iter().filter(|name| !named.contains_key(*name)) {
        found.push(Finding::new(
            file,
            first,
            format!("the index does not name `{name}`: say what it is for"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    fn fixture(layer: &str, policy: &str, head: &str) -> Fixture {
        let [src, inside] = FOLDERS.map(|folder| format!("<!-- files of: {folder} -->"));
        let chapter =
            format!("# A\n\n{src}\n{layer}\n\n## P\n\n{inside}\n{policy}\n\n## Else\n\n`else.rs`\n");
        Fixture::new(&[
            (CHAPTER, &chapter),
            ("crates/poolhouse/src/lib.rs", ""),
            (HEAD, head),
            ("crates/poolhouse/src/policy/idle.rs", ""),
            ("crates/poolhouse/src/policy/tests/cases.rs", ""),
        ])
    }

    #[test]
    fn each_file_is_named_once() {
        let row = "| `idle.rs` | which are idle |";
        let head = format!("//! Here:\n//!\n//! {row}\n\n/// `else.rs`\nmod idle;\n");
        let right = fixture("`lib.rs`", &format!("`mod.rs`\n{row}"), &head);
        expect(check(&right.book), &[]);
        let wrong =
            fixture("none", &format!("`mod.rs`, `mod.rs`\n{row}\n`gone.rs`"), "//! | `idle.rs` | else |\n");
        expect(
            check(&wrong.book),
            &[
                (CHAPTER, 3, "does not name `lib.rs`"),
                (CHAPTER, 9, "`mod.rs` stands in line 9"),
                (CHAPTER, 11, "no `gone.rs`"),
                (HEAD, 1, "has no such row"),
            ],
        );
    }

    #[test]
    fn an_index_that_is_missing_is_found() {
        let fixture = Fixture::new(&[(CHAPTER, "# A\n"), ("crates/poolhouse/src/lib.rs", ""), (HEAD, "")]);
        expect(check(&fixture.book), &[(CHAPTER, 1, "crates/poolhouse/src --"), (CHAPTER, 1, "policy --")]);
    }
}
