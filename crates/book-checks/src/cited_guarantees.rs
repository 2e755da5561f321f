//! A guarantee is cited by a paragraph that speaks of what it promises.
//!
//! The paragraph, its heading or the head of its table shares a word with the guarantee, and not one that most guarantees
//! have, such as `connection`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::other_words::{self, OtherWords};
use crate::passages::passages;
use crate::{Book, Finding, generated, guarantees, words};

static ROW: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^\| `([a-z_]+\.[a-z_]+)` \|(.*)$").expect("a valid pattern"));

/// A word that more guarantees have than one in this many does not tell them apart.
const ONE_IN: usize = 4;

pub fn check(book: &Book) -> Vec<Finding> {
    check_with(book, &OtherWords::of_the_book())
}

fn check_with(book: &Book, others: &OtherWords) -> Vec<Finding> {
    let telling = telling_words(book, others);
    let mut found = Vec::new();
    for page in book.chapters().filter(|page| page.name != guarantees::CHAPTER) {
        for passage in passages(page) {
            let mut said = None;
            for run in &passage.runs {
                for (place, id) in run.code() {
                    let line = page.line_at(run.source(place.start));
                    let Some(of_id) = telling.get(id) else { continue };
                    let said = said
                        .get_or_insert_with(|| passage.words_without(|_, code| telling.contains_key(code)));
                    if said.is_disjoint(of_id) && !generated::contains(page, line) {
                        let message = format!(
                            "nothing here has a word of what `{id}` promises: cite the guarantee that is meant, or add the \
                             word to [guarantees] in {}",
                            other_words::FILE
                        );
                        found.push(Finding::new(&page.name, line, message));
                    }
                }
            }
        }
    }
    found
}

/// The words of each guarantee that few others have.
fn telling_words(book: &Book, others: &OtherWords) -> BTreeMap<String, BTreeSet<String>> {
    let Some(chapter) = book.page(guarantees::CHAPTER) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for row in ROW.captures_iter(&chapter.text) {
        let place = row.get(0).expect("the whole match").start();
        if !generated::contains(chapter, chapter.line_at(place)) {
            all.insert(row[1].to_owned(), words::content(&row[0]));
        }
    }
    let has = |word: &String| all.values().filter(|words| words.contains(word)).count();
    let most = (all.len() / ONE_IN).max(1);
    let common: BTreeSet<String> = all.values().flatten().filter(|word| has(word) > most).cloned().collect();
    for (id, words) in &mut all {
        words.retain(|word| !common.contains(word));
        words.extend(other_words::of(&others.guarantees, id));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";
    const GUARANTEES: &str = "# G\n\n| id | promise |\n|---|---|\n| `acquire.order` | Pools serve waiters in order. |\n\
        | `size.max` | Pools never exceed the maximum. |\n| `close.all` | Pools wake everybody. |\n\
        | `health.seen` | Pools look. |\n";

    fn found(text: &str) -> Vec<Finding> {
        let others = OtherWords {
            guarantees: [("size.max".to_owned(), "ten".to_owned())].into(),
            ..OtherWords::default()
        };
        check_with(&Fixture::new(&[(A, text), (guarantees::CHAPTER, GUARANTEES)]).book, &others)
    }

    #[test]
    fn a_guarantee_that_fits_passes() {
        expect(
            found(
                "# A\n\nIt exceeds nothing (guarantee `size.max`). Ten.\n\n## The order\n\nSo it is (`acquire.order`).\n\n\
                 | waking | |\n|---|---|\n| yes | `close.all` |\n\nTen at most (`size.max`).\n",
            ),
            &[],
        );
    }

    #[test]
    fn a_guarantee_of_something_else_is_found() {
        expect(
            found(
                "# A\n\nPools wake all (guarantee `size.max`).\n\nNo maximum of a pool\n(guarantees `size.max`, `acquire.order`).\n",
            ),
            &[(A, 3, "what `size.max` promises"), (A, 6, "`acquire.order`")],
        );
    }
}
