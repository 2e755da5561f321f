//! A repository made for one test.

use std::fs;

use tempfile::TempDir;

use crate::{Book, Finding};

pub(crate) struct Fixture {
    pub(crate) book: Book,
    _folder: TempDir,
}

impl Fixture {
    /// A repository of these files. It always has a SUMMARY.md.
    pub(crate) fn new(files: &[(&str, &str)]) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("book/src/SUMMARY.md", "# Summary\n")].iter().chain(files) {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Fixture { book: Book::load(folder.path()).unwrap(), _folder: folder }
    }

    /// A repository with one chapter, `book/src/a.md`.
    pub(crate) fn chapter(text: &str) -> Fixture {
        Fixture::new(&[("book/src/a.md", text)])
    }
}

/// Asserts that there are findings at these places, each with a message that contains the given words.
#[track_caller]
pub(crate) fn expect(mut found: Vec<Finding>, expected: &[(&str, usize, &str)]) {
    found.sort();
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(finding, (file, line, words))| {
            finding.file == *file && finding.line == *line && finding.message.contains(words)
        });
    assert!(fits, "expected {expected:#?}\nfound {found:#?}");
}
