//! Every path of the repository, and every example, that the text names exists.
//!
//! Looked for in inline code and in `sh` and `console` blocks. A word that is said to stand in a file of tests
//! (`` `a_test` in `tests/a.rs` ``) stands there. A word with a placeholder in it (`examples/NAME.rs`, `tests/*.rs`)
//! is no path.

use std::fs;
use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, Page, examples, outputs, prose};

static PATH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:^|[\s"'`=(])((?:crates|examples|tests|book|\.github|\.ci|\.cargo)/[^\s"'`)\\,;:]*)"#)
        .expect("a valid pattern")
});

static IN_FILE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"`(\w+)` in\s+`((?:crates|examples|tests)/[^`]+\.rs)`").expect("a valid pattern")
});

pub fn check(book: &Book) -> Vec<Finding> {
    let examples: Vec<String> =
        examples::list(&book.root).unwrap_or_default().into_iter().map(|example| example.name).collect();
    let mut found = Vec::new();
    for page in book.texts() {
        found.extend(claims(book, page));
        let mut look = |line: usize, text: &str| {
            for path in PATH.captures_iter(text) {
                let path = path[1].trim_end_matches(['.', '/']);
                if !is_placeholder(path) && !book.has(path) {
                    let message = format!("`{path}` does not exist: fix the path, or write the file");
                    found.push(Finding::new(&page.name, line, message));
                }
            }
            if let Some(name) = outputs::example_of(text).map(|name| name.trim_end_matches('`'))
                && !is_placeholder(name)
                && !examples.iter().any(|example| example == name)
                && !is_of_a_package(book, text, name)
            {
                let message =
                    format!("there is no example `{name}`: fix the name, or write examples/{name}.rs");
                found.push(Finding::new(&page.name, line, message));
            }
        };
        for run in prose::runs(page) {
            for (range, code) in run.code() {
                look(page.line_at(run.source(range.start)), code);
            }
        }
        for block in page.blocks().iter().filter(|block| matches!(block.language(), Some("sh" | "console"))) {
            // After `cd`, paths are those of the folder.
            let commands = block.code.lines().enumerate().take_while(|(_, line)| !line.starts_with("cd "));
            for (index, line) in commands.filter(|(_, line)| !line.contains("{{#")) {
                look(block.line + 1 + index, line);
            }
        }
    }
    found
}

/// Whether it is an example of the package that the command names with `-p`.
fn is_of_a_package(book: &Book, command: &str, example: &str) -> bool {
    let package = command.split_once(" -p ").and_then(|(_, rest)| rest.split_whitespace().next());
    package.is_some_and(|package| book.has(&format!("crates/{package}/examples/{example}.rs")))
}

/// Words that the page says stand in a file.
fn claims(book: &Book, page: &Page) -> Vec<Finding> {
    let mut found = Vec::new();
    for run in prose::runs(page) {
        for claim in IN_FILE.captures_iter(&run.text) {
            let (name, file) = (&claim[1], &claim[2]);
            let line = page.line_at(run.source(claim.get(0).map_or(0, |whole| whole.start())));
            if fs::read_to_string(book.root.join(file)).is_ok_and(|text| !text.contains(name)) {
                found.push(Finding::new(&page.name, line, format!("{file} has no `{name}`: fix the name")));
            }
        }
    }
    found
}

fn is_placeholder(path: &str) -> bool {
    let shouts = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    path.contains(['*', '<', '{', '$', '…'])
        || path.contains("...")
        || path.split(['/', '.', '-']).any(|word| {
            shouts(word) && !matches!(word, "README" | "SUMMARY" | "LICENSE" | "CONTRIBUTING" | "CHANGELOG")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    #[test]
    fn paths_that_exist_and_placeholders_pass() {
        let text = "# A\n\n`examples/x.rs`, `crates/y/`, `examples/NAME.rs`, `tests/*.rs`, `src/main.rs`, \
                    `book/src/a.md:7`, `cargo run --example x`.\n\n```console\n$ cat examples/x.rs\n```\n";
        let fixture = Fixture::new(&[(A, text), ("examples/x.rs", ""), ("crates/y/lib.rs", "")]);
        expect(check(&fixture.book), &[]);
    }

    #[test]
    fn a_word_that_is_not_in_its_file_is_found() {
        let text =
            "# A\n\n`one` in `tests/a.rs`\nand `two` in\n`tests/a.rs`.\n\n```sh\ncat tests/b.rs\n```\n";
        let fixture = Fixture::new(&[(A, text), ("tests/a.rs", "fn one() {}")]);
        expect(check(&fixture.book), &[(A, 4, "no `two`"), (A, 8, "`tests/b.rs`")]);
    }

    #[test]
    fn paths_and_examples_that_do_not_exist_are_found() {
        let text = "# A\n\nSee\n`crates/gone` and `cargo run --example gone`.\n\n\
                    ```console\n$ ls\n$ cat tests/gone.rs\n$ cargo run --example none -- 1\n```\n";
        expect(
            check(&Fixture::chapter(text).book),
            &[
                (A, 4, "`crates/gone` does not exist"),
                (A, 4, "no example `gone`"),
                (A, 8, "`tests/gone.rs`"),
                (A, 9, "no example `none`"),
            ],
        );
    }
}
