//! When a default changes, the sentences that lean on it are read again by a person.
//!
//! "Spread by up to a tenth" names neither the option nor the word default, and no program can tell that it has become wrong.
//! So `data/read_again.toml` says with which default the sentences on an option were last read. A new default in the code
//! makes each of them a finding, until somebody has read them and written the new default there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::{Book, Finding, generated, prose};

const FILE: &str = "crates/book-checks/data/read_again.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    default: String,
    /// Words by which sentences mean the option without its name.
    #[serde(default)]
    words: Vec<String>,
}

/// A quantity, in digits or in words.
pub(crate) static QUANTITY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\d|(?-u:\b)(?:no|none|never|off|zero|one|two|three|four|five|six|seven|eight|nine|ten|dozen|twenty|thirty|hundred|thousand|half|third|quarter|fifth|tenth|twice|double)(?-u:\b)",
    )
    .expect("a valid pattern")
});

/// `defaults` are pairs of an option's name and its default as the book writes it.
pub fn check(book: &Book, defaults: &[(String, String)]) -> Vec<Finding> {
    check_with(book, defaults, include_str!("../data/read_again.toml"))
}

fn check_with(book: &Book, defaults: &[(String, String)], read: &str) -> Vec<Finding> {
    let read: BTreeMap<String, Read> = match toml::from_str(read) {
        Ok(read) => read,
        Err(error) => return vec![Finding::new(FILE, 1, error.to_string())],
    };
    let mut found = Vec::new();
    for (name, default) in defaults {
        let Some(option) = read.get(name) else {
            found.push(Finding::new(FILE, 1, format!("add `{name}.default = \"{default}\"`")));
            continue;
        };
        if option.default != *default {
            let was = &option.default;
            found.push(Finding::new(
                FILE,
                1,
                format!(
                    "the default of `{name}` was {was} and is {default}: read the sentences that this lists, then write it here"
                ),
            ));
            found.extend(sentences(book, name, &option.words).into_iter().map(|(page, line, sentence)| {
                let message =
                    format!("`{name}` is {default} now, and was {was}: is this still true? {sentence}");
                Finding::new(page, line, message)
            }));
        }
    }
    for name in read.keys().filter(|name| defaults.iter().all(|(known, _)| known != *name)) {
        found.push(Finding::new(FILE, 1, format!("there is no option `{name}`: take it out")));
    }
    found
}

/// The sentences that give a quantity and name the option, by its name or by one of its words.
fn sentences<'a>(book: &'a Book, name: &str, words: &[String]) -> Vec<(&'a str, usize, String)> {
    let names: Vec<String> =
        [name].into_iter().chain(words.iter().map(String::as_str)).map(regex::escape).collect();
    let names = Regex::new(&format!(r"(?i)(?-u:\b)(?:{})(?-u:\b)", names.join("|"))).expect("escaped words");
    let mut found = Vec::new();
    for page in book.texts() {
        for run in prose::runs(page) {
            for (start, sentence) in prose::sentences(&run.text) {
                let line = page.line_at(run.source(start));
                let rest = names.replace_all(sentence, "");
                if names.is_match(sentence) && QUANTITY.is_match(&rest) && !generated::contains(page, line) {
                    found.push((page.name.as_str(), line, sentence.trim().to_owned()));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";
    const READ: &str = "[jitter]\ndefault = \"0.1\"\nwords = [\"spread\"]\n\n[limit]\ndefault = \"10\"\n";

    fn found(jitter: &str, limit: &str, read: &str) -> Vec<Finding> {
        let text = "# A\n\nThe `jitter` takes up to a tenth. The `jitter` is drawn once.\n\nLives are spread\nby a tenth. A limit of ten.\n\n\
                    <!-- generated: t -->\n`jitter` 0.1\n<!-- end generated -->\n";
        let defaults = [("jitter", jitter), ("limit", limit)].map(|(a, b)| (a.to_owned(), b.to_owned()));
        check_with(&Fixture::chapter(text).book, &defaults, read)
    }

    #[test]
    fn sentences_on_a_changed_default_are_listed() {
        expect(found("0.1", "10", READ), &[]);
        expect(
            found("0.25", "10", READ),
            &[
                (
                    A,
                    3,
                    "`jitter` is 0.25 now, and was 0.1: is this still true? The `jitter` takes up to a tenth.",
                ),
                (A, 5, "Lives are spread by a tenth."),
                (FILE, 1, "was 0.1 and is 0.25"),
            ],
        );
        expect(found("0.1", "20", READ), &[(A, 6, "A limit of ten."), (FILE, 1, "was 10 and is 20")]);
        expect(found("0.1", "10", READ), &[]);
    }

    #[test]
    fn the_file_knows_each_option_and_no_other() {
        expect(
            found("0.1", "10", "[jitter]\ndefault = \"0.1\"\n"),
            &[(FILE, 1, "add `limit.default = \"10\"`")],
        );
        expect(
            found("0.1", "10", &READ.replace("[limit]", "[limits]")).into_iter().take(1).collect(),
            &[(FILE, 1, "add `limit")],
        );
        expect(
            found("0.1", "10", &format!("{READ}[old]\ndefault = \"1\"\n")),
            &[(FILE, 1, "no option `old`")],
        );
        expect(found("0.1", "10", "[jitter"), &[(FILE, 1, "")]);
    }
}
