//! Every word is in the dictionary, or in the book's own list.
//!
//! The dictionary is SCOWL's British English, kept in this crate and read by spellbook: no network, no installed
//! program. The book's own list is `book/words.txt`, one word a line: names and terms that the dictionary lacks. It is
//! sorted, holds no word twice, and no word that is not needed.
//!
//! Code, addresses, identifiers, numbers and words in capitals (TCP, RAII) are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use spellbook::Dictionary;

use crate::{Book, Finding, prose};

const LIST: &str = "book/words.txt";

pub fn check(book: &Book) -> Vec<Finding> {
    let dictionary =
        Dictionary::new(include_str!("../dictionary/en.aff"), include_str!("../dictionary/en.dic"))
            .expect("the dictionary is well formed");
    let list = fs::read_to_string(book.root.join(LIST)).unwrap_or_default();
    let own: BTreeSet<&str> = list.lines().collect();
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for (word, places) in words(book) {
        if dictionary.check(&word) || dictionary.check(base_of(&word)) {
            continue;
        }
        if let Some(entry) = entry(&own, &word) {
            used.insert(entry);
            continue;
        }
        let mut suggestions = Vec::new();
        dictionary.suggest(&word, &mut suggestions);
        suggestions.truncate(3);
        let hint =
            if suggestions.is_empty() { String::new() } else { format!("{}? Or ", suggestions.join(", ")) };
        for (file, line) in places {
            found.push(Finding::new(file, line, format!("unknown word `{word}`: {hint}add it to {LIST}")));
        }
    }
    found.extend(list_findings(&list, &used));
    found
}

/// The entry of the list that allows this word: the word itself, or its lower case at the start of a sentence.
fn entry<'a>(own: &BTreeSet<&'a str>, word: &str) -> Option<&'a str> {
    let base = base_of(word);
    let mut lower = base.to_owned();
    if let Some(first) = base.chars().next() {
        lower.replace_range(..first.len_utf8(), &first.to_lowercase().to_string());
    }
    [word, base, &lower].into_iter().find_map(|form| own.get(form).copied())
}

/// The word without the ending of the possessive.
fn base_of(word: &str) -> &str {
    word.strip_suffix("'s").unwrap_or(word)
}

fn list_findings(list: &str, used: &BTreeSet<&str>) -> Vec<Finding> {
    let mut found = Vec::new();
    let key = |word: &str| (word.to_lowercase(), word.to_owned());
    let mut last: Option<&str> = None;
    for (index, word) in list.lines().enumerate() {
        if last.is_some_and(|last| key(last) >= key(word)) {
            found.push(Finding::new(
                LIST,
                index + 1,
                format!("`{word}` is out of order: sort the list, case aside"),
            ));
        }
        if !used.contains(word) {
            let message = format!("`{word}` is not needed, by use or by the dictionary: drop it");
            found.push(Finding::new(LIST, index + 1, message));
        }
        last = Some(word);
    }
    found
}

/// Every word with its places.
fn words(book: &Book) -> BTreeMap<String, BTreeSet<(String, usize)>> {
    let mut found: BTreeMap<String, BTreeSet<(String, usize)>> = BTreeMap::new();
    for page in book.texts() {
        for run in prose::runs(page) {
            let text = run.words();
            for (offset, token) in tokens(&text) {
                let place = (page.name.clone(), page.line_at(run.source(offset)));
                found.entry(token.replace('’', "'")).or_default().insert(place);
            }
        }
    }
    found
}

/// The words of a text: letters, with apostrophes between them.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    for piece in text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | '—' | '/')) {
        let inner = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let offset = start + piece.find(inner).unwrap_or(0);
        start += piece.len();
        let letters = inner.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '’'));
        let capitals = inner.trim_end_matches('s').chars().all(char::is_uppercase);
        if letters && !capitals && inner.chars().count() > 1 {
            found.push((offset, inner));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn good_words_pass() {
        let text = "# Behaviour\n\nThe pool’s TCP sockets, the URLs, `wrod`, snake_case, v1.2.3, <https://wrod.example> and \
                    Tokio's waiters; a well-kept 3rd queue. PgBouncer, too.\n";
        let fixture = Fixture::new(&[
            ("book/src/a.md", text),
            ("book/words.txt", "PgBouncer\ntokio\nwaiter\nwaiters\n"),
        ]);
        let found = check(&fixture.book);
        let strays: Vec<_> = found.iter().filter(|f| f.file != LIST).collect();
        assert!(strays.is_empty(), "{strays:#?}");
    }

    #[test]
    fn misspelt_words_and_a_bad_list_are_found() {
        let fixture = Fixture::new(&[
            ("book/src/a.md", "# A\n\nThe conection\nis recieved by tokio.\n"),
            ("book/words.txt", "tokio\nbanana\n"),
        ]);
        expect(
            check(&fixture.book),
            &[
                ("book/src/a.md", 3, "unknown word `conection`: connection"),
                ("book/src/a.md", 4, "unknown word `recieved`: received"),
                (LIST, 2, "not needed"),
                (LIST, 2, "out of order"),
            ],
        );
    }
}
