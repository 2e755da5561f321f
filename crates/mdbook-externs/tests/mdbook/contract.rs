//! What this crate and mdBook expect of each other, piece by piece.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use mdbook_driver::MDBook;
use mdbook_preprocessor::PreprocessorContext;
use mdbook_preprocessor::book::Book;

use crate::fixture::{BINARY, Fixture, Report, snippet};

#[test]
fn the_program_supports_test_and_nothing_else() {
    for (renderer, status) in [("test", 0), ("html", 1), ("markdown", 1)] {
        let found = Command::new(BINARY).args(["supports", renderer]).status().unwrap();
        assert_eq!(found.code(), Some(status), "{renderer}");
    }
}

/// Gives the book to the program as mdBook does, for one renderer.
fn preprocess(fixture: &Fixture, renderer: &str) -> (Book, Book) {
    let book = MDBook::load(fixture.root()).unwrap();
    let context = PreprocessorContext::new(book.root.clone(), book.config.clone(), renderer.to_owned());
    let mut child = Command::new(BINARY)
        .current_dir(fixture.root())
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(&(&context, &book.book)).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (book.book, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn for_another_renderer_the_book_stays_as_it_is() {
    let fixture = Fixture::new();
    fixture.snippet("water_tank::level();");
    let (before, after) = preprocess(&fixture, "html");
    assert_eq!(before, after);
    let (before, after) = preprocess(&fixture, "test");
    assert_ne!(before, after);
}

/// With `renderers = ["test"]`, `mdbook build` does not even start the command: not to preprocess, not to ask.
#[test]
fn building_the_book_does_not_start_the_program() {
    let fixture = Fixture::new();
    fixture.snippet("");
    let config = fs::read_to_string(fixture.root().join("book.toml")).unwrap();
    let missing = config.replace(BINARY, "no-such-program");
    fixture.write("book.toml", &missing);
    MDBook::load(fixture.root()).unwrap().build().unwrap();

    fixture.write("book.toml", &missing.replace("renderers = [\"test\"]", ""));
    MDBook::load(fixture.root()).unwrap().build().unwrap_err();
}

/// Should a later mdBook do something else with the path, then no chapter may pass untested, and the reader must be
/// told where to look.
#[test]
fn another_use_of_the_path_fails_loudly() {
    let fixture = Fixture::new();
    fixture.chapters(&[("part/chapter.md", &snippet("water_tank::level();"))]);
    let (_, book) = preprocess(&fixture, "test");
    let chapter = book.chapters().next().unwrap();
    let path = chapter.path.as_ref().unwrap().to_str().unwrap();
    let rustdoc = |folder: &std::path::Path, path: &str| {
        let output =
            Command::new("rustdoc").args([path, "--test", "--edition", "2024"]).current_dir(folder).output();
        Report::new(output.unwrap())
    };

    // As mdBook 0.5 does it.
    let folder = tempfile::tempdir().unwrap();
    write_as_mdbook_does(&folder.path().join(path), &chapter.content);
    rustdoc(folder.path(), path).passes();
    // The path is made simple or absolute: rustdoc is given the argument file to test.
    let file = folder.path().join("externs/part/chapter.md.args");
    rustdoc(folder.path(), "externs/part/chapter.md.args").fails_with(&["look for a newer mdbook-externs"]);
    rustdoc(folder.path(), file.to_str().unwrap()).fails_with(&["look for a newer mdbook-externs"]);
    // The file is written elsewhere.
    let empty = tempfile::tempdir().unwrap();
    rustdoc(empty.path(), path).fails_with(&["externs/../externs/part/chapter.md.args"]);
}

/// mdBook's `fs::write`, which makes the folders that are missing.
fn write_as_mdbook_does(path: &std::path::Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
