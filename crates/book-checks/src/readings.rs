//! Which claims of the book somebody has read: `book/data/readings.txt`.
//!
//! What no program can judge, a person reads. The file says of each claim (see `claims`) that somebody did. A claim is
//! recorded by the hash of its words: one that is changed by a word is another one, and has to be read anew. That proves
//! attention, and not truth.
//!
//! A page stands in a line of its own; below it are its claims in the order of the page: the hash and the first words. A `?`
//! behind the hash says that the claim was taken over as it was found, and that nobody has read it yet.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::claims::Claims;
use crate::sayings::sayings;
use crate::{Book, Finding, Page, kept};

const FILE: &str = "book/data/readings.txt";

const HEAD: &str = "# The claims of each page that a person has read: see \"How this book is tested\". Written by `cargo guide read`.\n\
    # A `?` says that nobody has read the claim yet: it was taken over as it was found.\n";

/// How much of a claim stands in the file.
const FIRST_WORDS: usize = 6;

/// A sentence that somebody has to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub page: String,
    pub line: usize,
    pub text: String,
    /// What to read it against.
    pub against: String,
}

/// What the file says of one claim.
#[derive(Clone, Debug)]
struct Entry {
    hash: String,
    is_read: bool,
    words: String,
    /// In the file, counted from 1.
    line: usize,
}

type Recorded = BTreeMap<String, Vec<Entry>>;

impl Claim {
    fn hash(&self) -> String {
        hash(&self.text)
    }
}

/// FNV-1a: the file needs the same hash on every machine and in every version of Rust.
fn hash(text: &str) -> String {
    let hash =
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{hash:08x}")
}

fn first_words(text: &str) -> String {
    text.split(' ').take(FIRST_WORDS).collect::<Vec<_>>().join(" ")
}

pub fn check(book: &Book) -> Vec<Finding> {
    let claims = match Claims::of_the_book() {
        Ok(claims) => claims,
        Err(error) => return vec![Finding::new(FILE, 1, error)],
    };
    let mut found = claims.homeless(book);
    found.extend(compare(book, &claims));
    found
}

fn compare(book: &Book, claims: &Claims) -> Vec<Finding> {
    let mut recorded = recorded(book);
    let mut found = Vec::new();
    for page in book.chapters() {
        let entries = recorded.remove(&page.name).unwrap_or_default();
        let (unread, gone) = differences(&of_page(page, claims), entries);
        for claim in unread {
            let message = format!(
                "nobody has read this: \"{}\" Read it against {}, then run `cargo guide read {}`",
                claim.text, claim.against, page.name
            );
            found.push(Finding::new(&page.name, claim.line, message));
        }
        found.extend(gone.iter().map(|entry| is_gone(&page.name, entry)));
    }
    for (page, entries) in recorded {
        found.extend(entries.iter().map(|entry| is_gone(&page, entry)));
    }
    found
}

fn is_gone(page: &str, entry: &Entry) -> Finding {
    let message = format!(
        "{page} no longer says \"{} ...\": if that is meant, run `cargo guide read {page}`",
        entry.words
    );
    Finding::new(FILE, entry.line, message)
}

fn of_page(page: &Page, claims: &Claims) -> Vec<Claim> {
    let sayings = sayings(page).into_iter();
    let claimed = sayings.filter_map(|saying| {
        let against = claims.against(&page.name, &saying)?;
        Some(Claim { page: page.name.clone(), line: saying.line, text: saying.text, against })
    });
    claimed.collect()
}

/// The claims without an entry, and the entries without a claim. A sentence that stands twice has two entries.
fn differences(claims: &[Claim], mut entries: Vec<Entry>) -> (Vec<Claim>, Vec<Entry>) {
    let mut unread = Vec::new();
    for claim in claims {
        match take(&mut entries, claim) {
            Some(_) => {}
            None => unread.push(claim.clone()),
        }
    }
    (unread, entries)
}

fn take(entries: &mut Vec<Entry>, claim: &Claim) -> Option<Entry> {
    let hash = claim.hash();
    let index = entries.iter().position(|entry| entry.hash == hash)?;
    Some(entries.remove(index))
}

fn recorded(book: &Book) -> Recorded {
    let text = fs::read_to_string(book.root.join(FILE)).unwrap_or_default();
    let mut recorded = Recorded::new();
    let mut page = String::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        if let Some(entry) = line.strip_prefix("  ") {
            let (hash, words) = entry.split_once(' ').unwrap_or((entry, ""));
            let (hash, is_read) = hash.strip_suffix('?').map_or((hash, true), |hash| (hash, false));
            let entry = Entry { hash: hash.to_owned(), is_read, words: words.to_owned(), line: index + 1 };
            recorded.entry(page.clone()).or_default().push(entry);
        } else {
            page = line.to_owned();
        }
    }
    recorded
}

/// What `cargo guide read` shows and records: the claims of these pages, or of all, that nobody has read. If pages are
/// named, those among them that were taken over unread are shown too. `as_read` says whether they are read from now on.
///
/// # Errors
///
/// The file cannot be written, a page is none of the book, or `data/claims.toml` cannot be read.
pub fn record(book: &Book, pages: &[String], as_read: bool) -> io::Result<Vec<Claim>> {
    let claims = Claims::of_the_book().map_err(io::Error::other)?;
    record_with(book, &claims, pages, as_read)
}

fn record_with(book: &Book, claims: &Claims, pages: &[String], as_read: bool) -> io::Result<Vec<Claim>> {
    for name in pages {
        if !book.chapters().any(|page| page.name == *name) {
            let message = format!("{name} is no page: write it as book/src/guide/sizing.md");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
    }
    let mut recorded = recorded(book);
    let mut shown = Vec::new();
    let mut text = HEAD.to_owned();
    for page in book.chapters() {
        let mut entries = recorded.remove(&page.name).unwrap_or_default();
        let is_named = pages.contains(&page.name);
        let mut lines = String::new();
        let mut add = |hash: &str, is_read: bool, words: &str| {
            let mark = if is_read { "" } else { "?" };
            lines.push_str(&format!("  {hash}{mark} {words}\n"));
        };
        if pages.is_empty() || is_named {
            for claim in of_page(page, claims) {
                let was_read = take(&mut entries, &claim).map(|entry| entry.is_read);
                let is_new = was_read.is_none() || (is_named && was_read == Some(false));
                let is_read = if is_new { as_read } else { was_read == Some(true) };
                add(&claim.hash(), is_read, &first_words(&claim.text));
                if is_new {
                    shown.push(claim);
                }
            }
        } else {
            entries.iter().for_each(|entry| add(&entry.hash, entry.is_read, &entry.words));
        }
        if !lines.is_empty() {
            text.push_str(&format!("{}\n{lines}", page.name));
        }
    }
    kept::write(&book.root, FILE, &text)?;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";
    const B: &str = "book/src/b.md";
    const TEXT: &str =
        "# A\n\nThe pool never\nwaits. It is blue. It waits for two.\n\n| a | two |\n|---|---|\n| b | 3 |\n";

    /// A book in which everything was read, and then page A was changed to this.
    fn changed(text: &str) -> Fixture {
        let before = Fixture::new(&[(A, TEXT), (B, "# B\n\nNo pool waits.\n")]);
        let shown = record(&before.book, &[], true).unwrap();
        assert_eq!(shown.len(), 5);
        expect(compared(&before), &[]);
        let file = fs::read_to_string(before.book.root.join(FILE)).unwrap();
        Fixture::new(&[(A, text), (B, "# B\n\nNo pool waits.\n"), (FILE, &file)])
    }

    fn compared(fixture: &Fixture) -> Vec<Finding> {
        compare(&fixture.book, &Claims::of_the_book().unwrap())
    }

    fn file(fixture: &Fixture) -> String {
        fs::read_to_string(fixture.book.root.join(FILE)).unwrap()
    }

    #[test]
    fn a_claim_that_is_changed_has_to_be_read_again() {
        expect(
            compared(&changed(&TEXT.replace("never\nwaits", "always\nwaits"))),
            &[
                (FILE, 4, "no longer says \"The pool never waits."),
                (A, 3, "nobody has read this: \"The pool always waits.\" Read it against the code"),
            ],
        );
        let row = compared(&changed(&TEXT.replace("| b | 3 |", "| b | 4 |")));
        expect(row, &[(FILE, 7, "\"b | 3"), (A, 8, "\"b | 4\" Read it against what was measured")]);
        // One that stood once and now stands twice was not read where it stands now.
        expect(compared(&changed(&format!("{TEXT}\nIt waits for two.\n"))), &[(A, 10, "It waits for two.")]);
    }

    #[test]
    fn other_lines_and_other_sentences_need_no_reading() {
        expect(
            compared(&changed(&TEXT.replace("never\nwaits. It is blue.", "never waits.\nIt is red."))),
            &[],
        );
    }

    #[test]
    fn a_page_that_is_gone_is_found_and_forgotten() {
        let fixture = changed(TEXT);
        fs::remove_file(fixture.book.root.join(B)).unwrap();
        let book = Book::load(&fixture.book.root).unwrap();
        expect(compare(&book, &Claims::of_the_book().unwrap()), &[(FILE, 9, "book/src/b.md no longer says")]);
        assert_eq!(record(&book, &[], true).unwrap(), []);
        assert!(!file(&fixture).contains(B));
    }

    #[test]
    fn only_the_pages_that_are_named_are_recorded() {
        let fixture = changed("# A\n\nThe pool always waits.\n");
        assert_eq!(record(&fixture.book, &[B.to_owned()], true).unwrap(), []);
        assert_eq!(compared(&fixture).len(), 5);
        let shown = record(&fixture.book, &[A.to_owned()], true).unwrap();
        assert_eq!((shown.len(), shown[0].line, shown[0].text.as_str()), (1, 3, "The pool always waits."));
        expect(compared(&fixture), &[]);
        let error = record(&fixture.book, &["a.md".to_owned()], true).unwrap_err();
        assert!(error.to_string().contains("a.md is no page"), "{error}");
    }

    #[test]
    fn what_was_taken_over_unread_is_shown_until_it_is_read() {
        let fixture = Fixture::new(&[(A, "# A\n\nThe pool never waits.\n")]);
        let record = |pages: &[String], as_read| record(&fixture.book, pages, as_read).unwrap().len();
        assert_eq!(record(&[], false), 1);
        assert!(file(&fixture).contains("? The pool never waits.\n"));
        expect(compared(&fixture), &[]);
        // Reading what is new does not read the rest.
        assert_eq!(record(&[], true), 0);
        assert!(file(&fixture).contains("? The"));
        assert_eq!(record(&[A.to_owned()], true), 1);
        assert!(!file(&fixture).contains("? The"));
        assert_eq!(record(&[A.to_owned()], false), 0);
        assert!(!file(&fixture).contains("? The"));
    }

    #[test]
    fn the_hash_is_the_same_everywhere() {
        assert_eq!(hash(""), "811c9dc5");
        assert_eq!(hash("a"), "e40c292c");
    }
}
