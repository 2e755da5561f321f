//! A count in the paragraph below an output is one that the output, or the program that prints it, has.
//!
//! Counts of two digits and more are looked at, since smaller ones are everywhere. Durations are not: an output masks
//! them, and prose may give them in another unit.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use snippets::Block;

use crate::outputs::FOLDER;
use crate::{Book, Finding, Page, examples, outputs};

static DIGITS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d[\d,_]*").expect("a valid pattern"));
static NO_PROSE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\]\([^)]*\)|`[^`]*`|<[^>]*>").expect("a valid pattern"));
static COUNT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?:^|[^\w.,-])(\d[\d,]*\d)(-\w|\.\d|\s*(?:µs|ms|s|min|h|kB|KB|MB|%|percent|seconds|minutes)\b)?",
    )
    .expect("a valid pattern")
});

pub fn check(book: &Book) -> Vec<Finding> {
    let sources = examples::list(&book.root).unwrap_or_default();
    let mut found = Vec::new();
    for page in book.chapters() {
        for block in page.blocks().iter().filter(|block| block.language() == Some("text")) {
            let names = names(block);
            if names.is_empty() {
                continue;
            }
            let mut known = BTreeSet::new();
            for name in &names {
                let source = sources.iter().find(|example| example.name == *name);
                let files =
                    [Some(format!("{FOLDER}{name}.txt")), source.map(|example| example.source.clone())];
                files.iter().flatten().for_each(|file| known.extend(digits(&book.root, file)));
            }
            for (line, count) in counts_below(page, block) {
                if !known.contains(&count.replace(',', "")) {
                    let message =
                        format!("neither output nor source of `{}` has {count}: fix it", names.join("`, `"));
                    found.push(Finding::new(&page.name, line, message));
                }
            }
        }
    }
    found
}

/// The examples whose output a block shows.
fn names(block: &Block) -> Vec<String> {
    let of_path = |path: &str| Some(path.split_once(FOLDER)?.1.strip_suffix(".txt")?.to_owned());
    let includes = block.includes();
    let cutting = block.comment("output of").and_then(outputs::example_of).map(ToOwned::to_owned);
    includes.iter().filter_map(|include| of_path(&include.path)).chain(cutting).collect()
}

fn digits(root: &Path, file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root.join(file)).unwrap_or_default();
    DIGITS.find_iter(&text).map(|number| number.as_str().replace([',', '_'], "")).collect()
}

/// The counts of the paragraph below, with their lines.
fn counts_below(page: &Page, block: &Block) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let below = page.text[block.range.end..].trim_start();
    let first = page.line_at(page.text.len() - below.len());
    if below.starts_with(['#', '|', '<']) || below.starts_with("```") {
        return found;
    }
    let paragraph = below.split("\n\n").next().unwrap_or_default();
    let blanked = NO_PROSE
        .replace_all(paragraph, |code: &regex::Captures<'_>| "\n".repeat(code[0].matches('\n').count()));
    for (index, line) in blanked.lines().enumerate() {
        for count in COUNT.captures_iter(line).filter(|count| count.get(2).is_none()) {
            found.push((first + index, count[1].to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_count_that_the_output_lacks_is_found() {
        let text = "# A\n\n```text\n{{#include ../../examples/output/x.txt}}\n```\n\nOf 3,000 there are 538,\nnot 539, in 77 ms `99`.\n\n\
                    Later 12.\n\n<!-- output of: cargo run --example x -->\n```text\na\n```\n\n20 and 21, 7 of 8.\n";
        let fixture = Fixture::new(&[
            ("book/src/a.md", text),
            ("examples/output/x.txt", "a\n538 of 3000\n"),
            ("examples/g/x.rs", "const N: u8 = 2_0;"),
        ]);
        expect(check(&fixture.book), &[("book/src/a.md", 8, "has 539"), ("book/src/a.md", 17, "has 21")]);
    }
}
