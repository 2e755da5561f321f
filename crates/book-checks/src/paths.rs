//! Every path of the repository, and every example, that the text names exists.
//!
//! Looked for in inline code and in `console` blocks. A word with a placeholder in it (`examples/NAME.rs`, `tests/*.rs`)
//! is no path.

use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, examples, outputs, prose};

static PATH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:^|[\s"'`=(])((?:crates|examples|tests|book|\.github|\.ci|\.cargo)/[^\s"'`)\\,;:]*)"#)
        .expect("a valid pattern")
});

pub fn check(book: &Book) -> Vec<Finding> {
    let examples: Vec<String> =
        examples::list(&book.root).unwrap_or_default().into_iter().map(|example| example.name).collect();
    let mut found = Vec::new();
    for page in book.texts() {
        let mut look = |line: usize, text: &str| {
            for path in PATH.captures_iter(text) {
                let path = path[1].trim_end_matches(['.', '/']);
                if !is_placeholder(path) && !book.has(path) {
                    let message = format!("`{path}` does not exist: mend the path, or write the file");
                    found.push(Finding::new(&page.name, line, message));
                }
            }
            if let Some(name) = outputs::example_of(text).map(|name| name.trim_end_matches('`'))
                && !is_placeholder(name)
                && !examples.iter().any(|example| example == name)
            {
                let message =
                    format!("there is no example `{name}`: mend the name, or write examples/{name}.rs");
                found.push(Finding::new(&page.name, line, message));
            }
        };
        for run in prose::runs(page) {
            for (range, code) in run.code() {
                look(page.line_at(run.source(range.start)), code);
            }
        }
        for block in page.blocks().iter().filter(|block| block.language() == Some("console")) {
            for (index, line) in block.code.lines().enumerate().filter(|(_, line)| !line.contains("{{#")) {
                look(block.line + 1 + index, line);
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
