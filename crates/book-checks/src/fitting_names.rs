//! A method, an option or a statistic stands where something is said of it.
//!
//! Its paragraph or row, with the heading and the head of the table, shares a word with it: with the parts of its name or
//! with the first paragraph of its documentation. Names of one part, such as `get` or `close`, are words of their own,
//! and are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::api_model::entries;
use crate::other_words::{self, OtherWords};
use crate::passages::passages;
use crate::{Book, Finding, generated, words};

/// `Pool::try_acquire`, `stats.idle_connections`, `acquire_within(limit)`.
static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:[\w:.]+(?:::|\.))?([a-z]+(?:_[a-z]+)+)(?:\(.*\))?$").expect("a valid pattern")
});

pub fn check(book: &Book) -> Vec<Finding> {
    check_with(book, &OtherWords::of_the_book())
}

fn check_with(book: &Book, others: &OtherWords) -> Vec<Finding> {
    let known = known(&book.root, others);
    let mut found = Vec::new();
    for page in book.chapters() {
        for passage in passages(page) {
            let codes = passage.runs.iter().flat_map(|run| run.code().map(move |code| (run, code)));
            for (number, (run, (place, code))) in codes.enumerate() {
                let Some(name) = NAME.captures(code) else { continue };
                let Some(of_name) = known.get(&name[1]) else { continue };
                let line = page.line_at(run.source(place.start));
                let said = passage.words_without(|other, _| other == number);
                if said.is_disjoint(of_name) && !generated::contains(page, line) {
                    let message = format!(
                        "nothing here speaks of `{}`: write the name that is meant, or add a word to [names] in {}",
                        &name[1],
                        other_words::FILE
                    );
                    found.push(Finding::new(&page.name, line, message));
                }
            }
        }
    }
    found
}

/// The words of each name. A name that several types have has the words of all.
fn known(root: &Path, others: &OtherWords) -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |name: &str, doc: &str| {
        let said = doc.trim().split("\n\n").next().unwrap_or_default();
        let words = known.entry(name.to_owned()).or_default();
        words.extend(words::content(name));
        words.extend(words::content(said));
        words.extend(other_words::of(&others.names, name));
    };
    for entry in entries(root).iter() {
        entry.methods.iter().for_each(|method| add(&method.name, &method.doc));
        if entry.kind == "struct" {
            entry.parts.iter().for_each(|part| add(&part.name, &part.doc));
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";
    const LIB: &str = "pub use crate::a::{Pool, Stats};\n";
    const SOURCE: &str = "pub struct Pool;\nimpl Pool {\n    /// Takes an idle one, at once.\n    ///\n    /// Later.\n    \
        pub fn try_acquire(&self) {}\n    /// Ends.\n    pub fn close(&self) {}\n}\n\
        pub struct Stats {\n    /// How many wait.\n    pub pending_requests: u8,\n}\n";

    fn found(text: &str) -> Vec<Finding> {
        let files = [(A, text), ("crates/poolhouse/src/lib.rs", LIB), ("crates/poolhouse/src/a.rs", SOURCE)];
        let others = OtherWords {
            names: [("try_acquire".to_owned(), "poll".to_owned())].into(),
            ..OtherWords::default()
        };
        check_with(&Fixture::new(&files).book, &others)
    }

    #[test]
    fn a_name_that_fits_passes() {
        expect(
            found(
                "# A\n\nTake an idle one: `Pool::try_acquire()`. Do not poll.\n\nIt polls `try_acquire`.\n\n## Waiting\n\n\
                 See `stats.pending_requests`, and `close`.\n\nWith `pool.acquire`, not `try_acquire`.\n",
            ),
            &[],
        );
    }

    #[test]
    fn a_name_of_something_else_is_found() {
        expect(
            found(
                "# A\n\nThe end is later: `Pool::try_acquire()`.\n\n| idle | |\n|---|---|\n| 1 | `pending_requests` |\n",
            ),
            &[(A, 3, "nothing here speaks of `try_acquire`"), (A, 7, "`pending_requests`")],
        );
    }
}
