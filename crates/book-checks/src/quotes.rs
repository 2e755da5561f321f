//! A text of ours that the prose quotes is one that the code makes.
//!
//! Texts of ours are the samples of the errors, the string literals of the pool and the echo server, and the outputs of
//! the examples. A quotation in inline code that has five words in a row with one of them is meant to be that text: then
//! all of it must stand there, in this order. It may leave out parts with `...`, and numbers may differ.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use regex::Regex;

use crate::error_texts::SAMPLES;
use crate::{Book, Finding, generated, prose, tidy};

/// Fewer words in a row may be chance: other pools have errors too.
const IN_A_ROW: usize = 5;

static GAP: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\.\.+|…").expect("a valid pattern"));
static HOLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{[^}]*\}|<[a-z]+>").expect("a valid pattern"));

pub fn check(book: &Book) -> Vec<Finding> {
    check_against(book, &texts(&book.root))
}

fn check_against(book: &Book, texts: &[String]) -> Vec<Finding> {
    let mut numbers = Numbers::default();
    let texts: Vec<(&String, Vec<usize>)> =
        texts.iter().map(|text| (text, numbers.of(words(text)))).collect();
    let mut found = Vec::new();
    for page in book.chapters() {
        for run in prose::runs(page) {
            for (range, code) in run.code() {
                let line = page.line_at(run.source(range.start));
                if generated::contains(page, line) {
                    continue;
                }
                for part in GAP.split(code) {
                    if let Some(text) = misquoted(&numbers.of(words(part)), &texts) {
                        let message = format!("no text has `{}`: quote it as `{}`", part.trim(), text.trim());
                        found.push(Finding::new(&page.name, line, message));
                    }
                }
            }
        }
    }
    found
}

/// The text that is meant, if the quotation is not part of any.
fn misquoted<'a>(quoted: &[usize], texts: &[(&'a String, Vec<usize>)]) -> Option<&'a str> {
    if quoted.len() < IN_A_ROW {
        return None;
    }
    let (meant, shared) = texts
        .iter()
        .map(|(text, words)| (text, in_a_row(words, quoted)))
        .max_by_key(|(_, shared)| *shared)?;
    (IN_A_ROW..quoted.len()).contains(&shared).then_some(meant)
}

const HOLE_WORD: usize = 0;
const NUMBER_WORD: usize = 1;

/// Gives each word a number, since numbers are compared faster.
struct Numbers(HashMap<String, usize>);

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers(HashMap::from([("*".to_owned(), HOLE_WORD), ("#".to_owned(), NUMBER_WORD)]))
    }
}

impl Numbers {
    fn of(&mut self, words: Vec<String>) -> Vec<usize> {
        let number = |word| {
            let next = self.0.len();
            *self.0.entry(word).or_insert(next)
        };
        words.into_iter().map(number).collect()
    }
}

/// How many words stand in both in a row, of which most must be words and not numbers or holes.
fn in_a_row(text: &[usize], quoted: &[usize]) -> usize {
    let mut most = 0;
    for start in 0..text.len() {
        for from in 0..quoted.len() {
            // Nearly every pair of places ends here, and there are millions.
            if text[start] != quoted[from] && text[start] != HOLE_WORD {
                continue;
            }
            let (mut same, mut plain) = (0, 0);
            for (a, b) in text[start..].iter().zip(&quoted[from..]) {
                if a != b && *a != HOLE_WORD {
                    break;
                }
                same += 1;
                plain += usize::from(!matches!(*a, HOLE_WORD | NUMBER_WORD));
            }
            if same > most && plain * 2 > same {
                most = same;
            }
        }
    }
    most
}

/// The words of a text: without punctuation at their ends, numbers as `#`, what is filled in as `*`, and many as one.
fn words(text: &str) -> Vec<String> {
    let text = HOLE.replace_all(text, "*");
    let word = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '*');
        match word {
            word if word.contains('*') => "*".to_owned(),
            word if word.starts_with(|c: char| c.is_ascii_digit()) => "#".to_owned(),
            "are" => "is".to_owned(),
            word if word.len() > 3 => word.trim_end_matches('s').to_owned(),
            word => word.to_owned(),
        }
    };
    text.split_whitespace().map(word).filter(|word| !word.is_empty()).collect()
}

fn texts(root: &Path) -> Vec<String> {
    let mut texts: Vec<String> = SAMPLES.iter().map(|sample| sample.text.clone()).collect();
    let mut files = Vec::new();
    for folder in ["crates/poolhouse/src", "crates/echo-server/src", "examples"] {
        tidy::walk(root, folder, &mut files);
    }
    for file in files {
        let text = fs::read_to_string(root.join(&file)).unwrap_or_default();
        if file.ends_with(".txt") {
            texts.push(text);
        } else if let Ok(tokens) = text.parse::<TokenStream>() {
            literals(tokens, &mut texts);
        }
    }
    texts
}

fn literals(tokens: TokenStream, texts: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => literals(group.stream(), texts),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    texts.push(text.value());
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    fn check_with(text: &str) -> Vec<Finding> {
        let texts = [
            "timed out after {limit:?} waiting for a connection to {target}: 2 of 2 connections are held; guide: a/b",
            "the pool for {target} is closed: acquire before close(), or make a new pool",
        ];
        check_against(&Fixture::chapter(text).book, &texts.map(ToOwned::to_owned))
    }

    #[test]
    fn quotations_in_whole_or_in_part_pass() {
        let text = "# A\n\n`timed out after 5s waiting for a connection to ...: 10 of 10 connections are held`,\n\
                    `the pool for db:1 is closed: acquire before close(), or make a new pool`,\n\
                    `Connection is not available, request timed out after 30000ms`, `let a = b + c + d + e;`\n";
        expect(check_with(text), &[]);
    }

    #[test]
    fn other_words_and_words_left_out_are_found() {
        let text = "# A\n\n`timed out after 5s while waiting for a connection to db`\n\
                    `the pool for ... is closed: acquire before close(), or make another pool`\n\
                    `10 of 10 connections are in use: timed out`\n";
        expect(
            check_with(text),
            &[
                (A, 3, "quote it as `timed out"),
                (A, 4, "quote it as `the pool for"),
                (A, 5, "quote it as `timed out"),
            ],
        );
    }

    #[test]
    fn literals_are_read_with_their_escapes() {
        let mut texts = Vec::new();
        literals("fn a() { f(\"one \\\n   two\", 'c', 1) }".parse().unwrap(), &mut texts);
        assert_eq!(texts, ["one two"]);
    }
}
