//! Chapters that lie outside of the book: nothing but the copies is written.

use std::fs;

use crate::fixture::{Fixture, snippet};

/// A book with a chapter at `path`, which is tested from a copy because it includes `code`.
fn with_chapter(fixture: &Fixture, path: &str, file: &str, code: &str) -> String {
    fixture.write("code.rs", code);
    let text = snippet(&format!("{{{{#include {}}}}}", fixture.root().join("code.rs").display()));
    fixture.write(file, &text);
    fixture.write("src/SUMMARY.md", &format!("- [Notes](<{path}>)\n"));
    text
}

/// The expanded text was written over the file itself, or to another place outside of the target folder.
#[test]
#[ignore = "long: builds a book or two"]
fn a_chapter_above_the_book_is_tested_and_left_as_it_is() {
    for path in ["../NOTES.md", "../../NOTES.md", "../../../../NOTES.md", "../../../../../../../NOTES.md"] {
        let mut fixture = Fixture::named("a/b/c/d/book");
        // So that the way up from a copy leads to the file too.
        fixture.settings("target-dir = '../built'");
        let file = path.replacen("../", "", 1);
        let text = with_chapter(&fixture, path, &file, "assert_eq!(water_tank::level(), 7);");
        let before = fixture.everything();
        fixture.mdbook_test().passes();
        assert_eq!(fs::read_to_string(fixture.root().join(&file)).unwrap(), text, "{path}");
        assert_eq!(fixture.everything(), before, "{path}");
        fixture.write("code.rs", "assert_eq!(water_tank::level(), 8);");
        fixture.mdbook_test().fails_with(&["NOTES.md - (line 2)", "1 failed"]);
    }
}
