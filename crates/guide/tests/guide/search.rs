//! The search of the real book. What is asked, and how, is in `book_checks::search`.

use std::fs;
use std::path::Path;

use book_checks::search::{self, Index};
use book_checks::{Book, assert_none};

use crate::fixture::{guide, stderr};

#[test]
fn each_page_is_found_by_the_words_that_it_lists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().unwrap();
    let output =
        guide(&["build", "--dest-dir"]).arg(folder.path().join("book")).current_dir(&root).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let files = fs::read_dir(folder.path().join("book")).unwrap().map(|entry| entry.unwrap().path());
    let script = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("searchindex")))
        .expect("the built book has a search index");
    let index = Index::parse(&fs::read_to_string(script).unwrap()).unwrap();
    let book = Book::load(&root).expect("the chapters can be read");
    assert_none(search::check(&book, &index));
}
