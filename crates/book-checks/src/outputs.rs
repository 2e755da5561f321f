//! What a chapter shows as the output of a program is what the program printed.
//!
//! A `text` block is one of five things: an include of a file in `examples/output`; part of a generated block; a cutting
//! of such a file, marked `<!-- output of: cargo run --example NAME -->`; compared with the page by a test of its own,
//! marked `<!-- checked by: tests/NAME.rs -->`; or no output at all, marked with what it is:
//! `<!-- not output: the layout of a frame -->`. A `console` block holds commands, and what follows them is an include.

use std::fs;

use snippets::Block;

use crate::book::resolve;
use crate::{Book, Finding, Page, generated};

pub(crate) const FOLDER: &str = "examples/output/";

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.chapters() {
        for block in page.blocks() {
            let message = match block.language() {
                Some("text") => text(book, page, &block),
                Some("console") => console(page, &block),
                _ => None,
            };
            found.extend(message.map(|message| Finding::new(&page.name, block.line, message)));
        }
    }
    found
}

/// The `text` blocks that claim to be no output, with what they are.
pub fn not_output(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.chapters() {
        for block in page.blocks() {
            if let Some(what) = block.comment("not output") {
                found.push(Finding::new(&page.name, block.line, what));
            }
        }
    }
    found
}

fn text(book: &Book, page: &Page, block: &Block) -> Option<String> {
    if generated::contains(page, block.line)
        || block.comment("not output").is_some_and(|what| !what.is_empty())
    {
        return None;
    }
    if let Some(test) = block.comment("checked by") {
        return checked_by(book, page, test);
    }
    let includes = block.includes();
    if let Some(command) = block.comment("output of") {
        return cutting(book, block, command);
    }
    if includes.is_empty() {
        return Some(
            "where does this text come from? Include a file of examples/output, or put above it \
             `<!-- output of: cargo run --example NAME -->` or `<!-- not output: what it is -->`"
                .to_owned(),
        );
    }
    // Source that is shown as text is not output, and the snippet check has looked at its path.
    let stray = block.code.lines().find(|line| !line.trim().is_empty() && !line.contains("{{#"))?;
    Some(format!("`{}` stands beside an include: nothing checks it; leave it out", stray.trim()))
}

/// A test that reads the page itself, such as the one that follows the quick start.
fn checked_by(book: &Book, page: &Page, test: &str) -> Option<String> {
    let source = fs::read_to_string(book.root.join(test)).unwrap_or_default();
    (!test.starts_with("tests/") || !source.contains(&page.name)).then(|| {
        format!("`{test}` is no test that reads {}: name the one that checks this output", page.name)
    })
}

fn cutting(book: &Book, block: &Block, command: &str) -> Option<String> {
    let Some(name) = example_of(command) else {
        return Some(format!(
            "nothing can check the output of `{command}`: make it `cargo run --example NAME`, or a generated block"
        ));
    };
    let file = format!("{FOLDER}{name}.txt");
    let Ok(output) = fs::read_to_string(book.root.join(&file)) else {
        return Some(format!("{file} does not exist: fix the name, or run `cargo guide generate`"));
    };
    let shown: Vec<&str> = block.code.lines().collect();
    let printed: Vec<&str> = output.lines().collect();
    if shown.is_empty() || printed.windows(shown.len()).any(|window| window == shown) {
        return None;
    }
    let wrong =
        shown.iter().find(|line| !printed.contains(line)).copied().unwrap_or("the order of the lines");
    Some(format!("{file} does not hold these lines together (`{wrong}`): cut them from there anew"))
}

fn console(page: &Page, block: &Block) -> Option<String> {
    let mut example = None;
    let mut continued = false;
    for line in block.code.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let includes = snippets::includes(line);
        if let Some(include) = includes.first() {
            let file = resolve(page.folder(), &include.path).unwrap_or_default();
            let expected = example.map(|name| format!("{FOLDER}{name}.txt"));
            if !file.starts_with(FOLDER) || expected.is_some_and(|expected| expected != file) {
                return Some(format!(
                    "{} is not what the command above prints: include its file",
                    include.path
                ));
            }
        } else if let Some(command) = line.strip_prefix("$ ") {
            example = example_of(command);
            continued = command.ends_with('\\');
        } else if continued {
            continued = line.ends_with('\\');
        } else if !line.starts_with('#') {
            return Some(format!(
                "`{line}` is no command: begin commands with `$ `, and include output from examples/output"
            ));
        }
    }
    None
}

/// The example that a command runs.
pub(crate) fn example_of(command: &str) -> Option<&str> {
    let mut words = command.split_whitespace().skip_while(|word| *word != "--example").skip(1);
    words.next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    fn check_with(text: &str) -> Vec<Finding> {
        check(&Fixture::new(&[(A, text), ("examples/output/x.txt", "one\ntwo <duration>\nthree\n")]).book)
    }

    #[test]
    fn outputs_with_a_source_pass() {
        let found = check_with(
            "# A\n\n```text\n{{#include ../../examples/output/x.txt}}\n```\n\n\
             <!-- output of: cargo run --example x -->\n\n```text\ntwo <duration>\nthree\n```\n\n\
             <!-- not output: a frame -->\n```text\n| length |\n```\n\n\
             <!-- generated: g -->\n```text\nfree\n```\n<!-- end generated -->\n\n\
             ```console\n$ cargo run \\\n    --quiet\n$ cargo run --example x\n{{#include ../../examples/output/x.txt}}\n```\n",
        );
        expect(found, &[]);
    }

    #[test]
    fn outputs_without_a_source_are_found() {
        let found = check_with(
            "# A\n\n```text\nout\n```\n\n<!-- output of: cargo run --example x -->\n```text\none\nthree\n```\n\n\
             <!-- output of: ss -tn -->\n```text\none\n```\n\n<!-- output of: cargo run --example y -->\n```text\none\n```\n\n\
             ```console\n$ cargo run --example x\nout\n```\n\n\
             ```console\n$ cargo run --example y\n{{#include ../../examples/output/x.txt}}\n```\n",
        );
        expect(
            found,
            &[
                (A, 3, "where does this text come from"),
                (A, 8, "does not hold these lines together"),
                (A, 14, "nothing can check"),
                (A, 19, "y.txt does not exist"),
                (A, 23, "`out` is no command"),
                (A, 28, "not what the command above prints"),
            ],
        );
    }

    #[test]
    fn a_test_that_checks_an_output_must_read_its_page() {
        let text = "# A\n\n<!-- checked by: tests/a.rs -->\n```text\none\n```\n\n\
                    <!-- checked by: tests/b.rs -->\n```text\none\n```\n";
        let files =
            [(A, text), ("tests/a.rs", "const PAGE: &str = \"book/src/a.md\";"), ("tests/b.rs", "fn b() {}")];
        expect(check(&Fixture::new(&files).book), &[(A, 9, "tests/b.rs")]);
    }
}
