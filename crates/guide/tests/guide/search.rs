//! The search of the real book. What each page asks for, and how, is in `book_checks::search`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use book_checks::search::{self, Index};
use book_checks::{Book, assert_none};

use crate::fixture::{guide, stderr};

fn root() -> PathBuf {
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

#[test]
fn each_page_is_found_by_the_words_that_it_lists() {
    let script = hashed(&BOOK, "searchindex");
    let index = Index::parse(&fs::read_to_string(script).unwrap()).unwrap();
    let book = Book::load(&root()).expect("the chapters can be read");
    assert_none(search::check(&book, &index));
}
