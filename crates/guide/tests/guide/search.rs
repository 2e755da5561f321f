//! The search of the real book. What each page asks for, and how, is in `book_checks::search`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use book_checks::search;
use book_checks::{Book, assert_none};

use crate::fixture::{guide, stderr};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The book, built once for all tests of the search.
pub(crate) static BOOK: LazyLock<PathBuf> = LazyLock::new(|| {
    let book = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book-to-search");
    let output = guide(&["build", "--dest-dir"]).arg(&book).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    book
});

/// The file with this beginning, and a hash behind it.
pub(crate) fn hashed(folder: &Path, beginning: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning)))
        .unwrap_or_else(|| panic!("the built book has a {beginning}"))
}

/// What a phone on a bad line can load before its reader gives up. As mdBook makes it, the file has 5.4 MB.
const LARGEST_INDEX: u64 = 1_200_000;

#[test]
fn the_search_index_is_small() {
    let index = hashed(&BOOK, "searchindex");
    let size = fs::metadata(&index).unwrap().len();
    assert!(size <= LARGEST_INDEX, "{} has {size} bytes, and may have {LARGEST_INDEX}", index.display());
    let name = index.file_name().unwrap().to_str().unwrap();
    for file in [hashed(&BOOK, "searcher"), BOOK.join("index.html"), BOOK.join("guide/sizing.html")] {
        assert!(fs::read_to_string(&file).unwrap().contains(name), "{} does not load {name}", file.display());
    }
}

#[test]
fn each_page_of_a_symptom_lists_the_words_that_find_it() {
    assert_none(search::check(&Book::load(&root()).expect("the chapters can be read")));
}

/// What a reader does not see is neither in a page nor found; it is in the program that a block leads to.
#[test]
fn hidden_lines_are_in_the_programs_only() {
    let page = fs::read_to_string(BOOK.join("troubleshooting/index.html")).unwrap();
    let index = fs::read_to_string(hashed(&BOOK, "searchindex")).unwrap();
    let program = fs::read_to_string(BOOK.join("programs/troubleshooting/index-1.rs.txt")).unwrap();
    let (shown, hidden) = ("What to keep from an incident", "Ok::<(), poolhouse::ConfigError>");
    assert!(page.contains(shown) && index.contains(shown) && program.contains(shown));
    assert!(program.contains(hidden), "{program}");
    assert!(
        !page.contains(hidden.split_once("::").unwrap().1) && !index.contains("poolhouse::ConfigError>(())")
    );
    assert!(page.contains("href=\"../programs/troubleshooting/index-1.rs.txt\""), "{page}");
    // A part of an example leads to the whole example, without the marks of its parts.
    let example = fs::read_to_string(BOOK.join("programs/examples/guide/sizing.rs.txt")).unwrap();
    assert!(example.contains("fn main") && !example.contains("ANCHOR"), "{example}");
}
