//! Every Rust block is run by somebody, and every block says what it is.
//!
//! The conventions: a block without includes is a doctest; a block of nothing but includes shows examples, or the files
//! of a folder that is a module of examples, which the examples test runs, or a file of `crates/real-services`, which its
//! own tests run. `no_run`, `compile_fail` and `should_panic` need a reason in a comment above the block, such as
//! `<!-- no_run: needs a database -->`. There is no `ignore`.

use std::path::Path;

use snippets::{Block, Include, Part, Runner};

use crate::book::resolve;
use crate::{Book, Finding, Page, examples};

const NEED_A_REASON: [&str; 3] = ["no_run", "compile_fail", "should_panic"];

pub fn check(book: &Book) -> Vec<Finding> {
    let examples: Vec<String> =
        examples::list(&book.root).unwrap_or_default().into_iter().map(|example| example.source).collect();
    let mut found = Vec::new();
    for page in book.texts() {
        for block in page.blocks() {
            for message in form(&block) {
                found.push(Finding::new(&page.name, block.line, message));
            }
        }
    }
    for page in book.run_pages() {
        for block in page.blocks().iter().filter(|block| block.is_rust()) {
            for message in running(&book.root, &examples, page, block) {
                found.push(Finding::new(&page.name, block.line, message));
            }
        }
        for include in snippets::includes(&page.text) {
            if let Some(message) = target(book, page, &include) {
                found.push(Finding::new(&page.name, include.line, message));
            }
        }
    }
    found
}

/// The snippets that are compiled but not run, with their reasons.
pub fn not_run(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.run_pages() {
        for block in page.blocks().iter().filter(|block| block.is_rust() && block.has_tag("no_run")) {
            let reason = block.comment("no_run").unwrap_or("no reason given");
            found.push(Finding::new(&page.name, block.line, reason));
        }
    }
    found
}

fn form(block: &Block) -> Vec<String> {
    if block.indented {
        return vec![
            "a code block made by indenting is tested as Rust: use a fence with a language".to_owned(),
        ];
    }
    let Some(language) = block.language() else {
        return vec![
            "a fence without a language is tested as Rust: tag it, with `text` if nothing fits".to_owned(),
        ];
    };
    if block.is_rust() && language != "rust" {
        return vec![format!("`{}` is tested as Rust: begin the tag with `rust,`", block.info)];
    }
    Vec::new()
}

fn running(root: &Path, examples: &[String], page: &Page, block: &Block) -> Vec<String> {
    let mut messages = Vec::new();
    if block.tags().any(|tag| tag.starts_with("ignore")) {
        messages
            .push("`ignore` is not allowed: make the snippet run, with hidden lines if need be".to_owned());
    }
    for tag in NEED_A_REASON {
        if block.has_tag(tag) && block.comment(tag).is_none_or(str::is_empty) {
            messages.push(format!("`{tag}` needs a reason: put `<!-- {tag}: reason -->` directly above"));
        }
    }
    match block.runner() {
        Runner::Doctest => {}
        Runner::Nobody => messages.push(
            "this block mixes includes with other lines, so that nobody can run it: make it one include of an example"
                .to_owned(),
        ),
        Runner::Examples(includes) => {
            for include in includes {
                let file = resolve(page.folder(), &include.path).unwrap_or_default();
                let run = examples.contains(&file) || is_module(root, examples, &file);
                if !run && !is_of_real_services(&file) {
                    messages.push(format!(
                        "{} is no example, so that nobody runs it: include a file of examples/, or tag the block `text`",
                        include.path
                    ));
                }
            }
        }
    }
    messages
}

/// Whether it is a file of the crate that is no member of the workspace, which its own tests compile and run against real
/// servers: a driver that one page shows costs nobody else a build.
fn is_of_real_services(file: &str) -> bool {
    file.starts_with("crates/real-services/")
}

/// Whether the file stands in a folder that an example beside the folder has for a module: `examples/guide/kv/server.rs`
/// if `examples/guide/x.rs` says `mod kv;`.
fn is_module(root: &Path, examples: &[String], file: &str) -> bool {
    let Some((group, module)) = file.rsplit_once('/').and_then(|(folder, _)| folder.rsplit_once('/')) else {
        return false;
    };
    let beside = examples.iter().filter(|example| {
        example.rsplit_once('/').is_some_and(|(folder, name)| folder == group && name != "main.rs")
    });
    let declaration = format!("mod {module};");
    beside.into_iter().any(|example| {
        let text = std::fs::read_to_string(root.join(example)).unwrap_or_default();
        text.lines().any(|line| line == declaration)
    })
}

fn target(book: &Book, page: &Page, include: &Include) -> Option<String> {
    let path = &include.path;
    let Some(file) = resolve(page.folder(), path) else {
        return Some(format!("{path} leaves the repository: fix the include"));
    };
    let Ok(text) = std::fs::read_to_string(book.root.join(&file)) else {
        return Some(format!(
            "{file} cannot be read: fix the path, or run `cargo guide generate` if it is an output"
        ));
    };
    if let Part::Lines(lines) = &include.part {
        return Some(format!(
            "`{path}:{lines}` goes wrong when the file changes: use an anchor instead of lines"
        ));
    }
    if let Part::Anchor(name) = &include.part
        && !include.is_in(&text)
    {
        return Some(format!(
            "{file} has no `ANCHOR: {name}` and `ANCHOR_END: {name}`: add them, or fix the name"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    #[test]
    fn good_blocks_pass() {
        let text = "# A\n\n```rust\nlet a = 1;\n```\n\n<!-- no_run: needs a database -->\n```rust,no_run\nx()\n```\n\n\
                    ```rust\n{{#rustdoc_include ../../examples/x.rs:main}}\n```\n\n```markdown\n\\{{#include gone}}\n```\n";
        let fixture = Fixture::new(&[
            (A, text),
            ("examples/x.rs", "// ANCHOR: main\nfn main() {}\n// ANCHOR_END: main\n"),
        ]);
        expect(check(&fixture.book), &[]);
        expect(not_run(&fixture.book), &[(A, 8, "needs a database")]);
    }

    #[test]
    fn a_module_of_an_example_may_be_shown() {
        let text = "# A\n\n```rust\n{{#rustdoc_include ../../examples/g/kv/a.rs}}\n```\n\n\
                    ```rust\n{{#rustdoc_include ../../examples/g/other/a.rs}}\n```\n";
        let fixture = Fixture::new(&[
            (A, text),
            ("examples/g/x.rs", "mod kv;\nfn main() {}\n"),
            ("examples/g/kv/a.rs", ""),
            ("examples/g/other/a.rs", ""),
        ]);
        expect(check(&fixture.book), &[(A, 7, "examples/g/other/a.rs is no example")]);
    }

    #[test]
    fn forms_that_mislead_are_found() {
        let text = "# A\n\n```\nx\n```\n\npara\n\n    indented\n\n```no_run\nx\n```\n";
        expect(
            check(&Fixture::chapter(text).book),
            &[
                (A, 3, "without a language"),
                (A, 9, "made by indenting"),
                (A, 11, "begin the tag"),
                (A, 11, "needs a reason"),
            ],
        );
    }

    #[test]
    fn blocks_that_nobody_runs_are_found() {
        let text = "# A\n\n```rust,ignore\nx\n```\n\n```rust,compile_fail\nx\n```\n\n<!-- should_panic: -->\n\
                    ```rust,should_panic\nx\n```\n\n```rust\nlet a;\n{{#include ../../examples/x.rs}}\n```\n\n\
                    ```rust\n{{#include ../../crates/y.rs}}\n```\n\n\
                    ```rust\n{{#include ../../crates/real-services/src/z.rs}}\n```\n";
        let fixture = Fixture::new(&[
            (A, text),
            ("examples/x.rs", "fn main() {}"),
            ("crates/y.rs", "fn main() {}"),
            ("crates/real-services/src/z.rs", "fn main() {}"),
        ]);
        expect(
            check(&fixture.book),
            &[
                (A, 3, "`ignore` is not allowed"),
                (A, 7, "`compile_fail` needs a reason"),
                (A, 12, "`should_panic` needs a reason"),
                (A, 16, "nobody can run it"),
                (A, 21, "is no example"),
            ],
        );
    }

    #[test]
    fn includes_that_lead_nowhere_are_found() {
        let text =
            "# A\n\n```text\n{{#include gone.txt}}\n{{#include b.txt:x}}\n{{#include b.txt:2:3}}\n```\n";
        let fixture = Fixture::new(&[(A, text), ("book/src/b.txt", "b\n")]);
        expect(
            check(&fixture.book),
            &[(A, 4, "cannot be read"), (A, 5, "no `ANCHOR: x`"), (A, 6, "use an anchor")],
        );
    }
}
