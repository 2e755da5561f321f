//! What a page says, in pieces that are read at one go: a sentence, a row of a table, a comment in a snippet, and a block
//! of code that no test of ours runs, such as SQL or the error text of another system.
//!
//! Generated parts are left out: their source is the code.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use snippets::Block;

use crate::prose::{self, Run};
use crate::{Page, generated};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sentence, a heading, or a row of a table.
    Prose,
    Comment,
    /// Code that is none of ours.
    Block,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saying {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    /// With one space between words, so that it is the same however its lines are broken. The addresses of links to
    /// other sites stand behind it: they are its sources.
    pub(crate) text: String,
}

/// A comment of Rust: not the address in a string.
static COMMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|\s)///?!?\s+(.*)$").expect("a valid pattern"));

/// In the order of the page.
pub(crate) fn sayings(page: &Page) -> Vec<Saying> {
    let mut found = prose(page);
    for block in page.blocks() {
        if block.is_rust() || block.language() == Some("rs") {
            found.extend(comments(page, &block));
        } else if block.includes().is_empty() && block.comment("output of").is_none() {
            let text = one_space(&block.code);
            found.push(Saying { line: block.line, kind: Kind::Block, text });
        }
    }
    found.retain(|saying| !saying.text.is_empty() && !generated::contains(page, saying.line));
    found.sort_by_key(|saying| saying.line);
    found
}

fn prose(page: &Page) -> Vec<Saying> {
    let mut found: Vec<Saying> = Vec::new();
    let mut last_row = None;
    for run in prose::runs(page) {
        let saying = |start: usize, text: String| {
            let line = page.line_at(run.source(start));
            Saying { line, kind: Kind::Prose, text }
        };
        if run.row.is_none() {
            for (start, sentence) in prose::sentences(&run.text) {
                found.push(saying(start, with_sources(&run, start..start + sentence.len())));
            }
        } else {
            let cell = with_sources(&run, 0..run.text.len());
            if run.row == last_row
                && let Some(row) = found.last_mut()
            {
                row.text = format!("{} | {cell}", row.text);
            } else {
                found.push(saying(0, cell));
            }
        }
        last_row = run.row;
    }
    found
}

fn with_sources(run: &Run, range: Range<usize>) -> String {
    let mut text = one_space(&run.text[range.clone()]);
    for (place, target) in run.links() {
        if range.contains(&place.start) && target.starts_with("https://") {
            text.push_str(&format!(" <{target}>"));
        }
    }
    text
}

/// Comments on lines one below the other are one.
fn comments(page: &Page, block: &Block) -> Vec<Saying> {
    let mut found: Vec<(usize, Saying)> = Vec::new();
    let first = page.line_at(block.range.start);
    let inside = &page.text[block.range.clone()];
    for (index, line) in inside.lines().enumerate() {
        let Some(comment) = COMMENT.captures(line) else { continue };
        let text = one_space(&comment[1]);
        let stands_alone =
            line[..comment.get(0).expect("the whole match").start()].trim_matches(['#', ' ']).is_empty();
        match found.last_mut() {
            Some((last, saying)) if *last + 1 == index && stands_alone => {
                saying.text = format!("{} {text}", saying.text);
                *last = index;
            }
            _ => found.push((index, Saying { line: first + index, kind: Kind::Comment, text })),
        }
    }
    found.into_iter().map(|(_, saying)| saying).collect()
}

fn one_space(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn found(text: &str) -> Vec<(usize, Kind, String)> {
        let fixture = Fixture::chapter(text);
        let page = fixture.book.chapters().next().unwrap();
        sayings(page).into_iter().map(|saying| (saying.line, saying.kind, saying.text)).collect()
    }

    #[track_caller]
    fn expect(text: &str, expected: &[(usize, Kind, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(line, kind, text)| (*line, *kind, (*text).to_owned())).collect();
        assert_eq!(found(text), expected);
    }

    #[test]
    fn a_sentence_and_a_row_are_read_at_one_go() {
        let text = "# One\n\nA b\nc. D\n[e](https://f.example/1), [g](h.md).\n\n| i | j |\n|---|---|\n| k | `l` |\n| m | |\n\n- n\n";
        expect(
            text,
            &[
                (1, Kind::Prose, "One"),
                (3, Kind::Prose, "A b c."),
                (4, Kind::Prose, "D e, g. <https://f.example/1>"),
                (7, Kind::Prose, "i | j"),
                (9, Kind::Prose, "k | `l`"),
                (10, Kind::Prose, "m"),
                (12, Kind::Prose, "n"),
            ],
        );
        assert_eq!(found("A b\nc.\n")[0].2, found("A\nb c.\n")[0].2);
    }

    #[test]
    fn comments_of_snippets_are_sayings_and_addresses_in_them_are_not() {
        expect(
            "```rust\n// One\n// two.\nlet a = \"https://b.example\"; // Three.\n// Four.\n# // Hidden.\n```\n",
            &[(2, Kind::Comment, "One two."), (4, Kind::Comment, "Three. Four. Hidden.")],
        );
    }

    #[test]
    fn blocks_of_other_languages_are_sayings_unless_a_program_made_them() {
        expect(
            "```sql\nSELECT 1;\n  -- a\n```\n\n<!-- output of: cargo run --example x -->\n```text\nb\n```\n\n\
             <!-- generated: t -->\n```toml\nc = 1\n```\nD.\n<!-- end generated -->\n\n```text\n{{#include e}}\n```\n",
            &[(1, Kind::Block, "SELECT 1; -- a")],
        );
    }
}
