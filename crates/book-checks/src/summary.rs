//! SUMMARY.md lists every chapter, once, and every file that it lists exists.

use std::collections::BTreeMap;

use pulldown_cmark::{Event, Parser, Tag};

use crate::{Book, Finding, Kind};

/// The page that a server shows for an address that leads nowhere. mdBook takes it from book.toml.
const NOT_FOUND: &str = "book/src/404.md";

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut listed = BTreeMap::new();
    for summary in book.pages.iter().filter(|page| page.kind == Kind::Summary) {
        for (event, range) in Parser::new(&summary.text).into_offset_iter() {
            let Event::Start(Tag::Link { dest_url, .. }) = event else { continue };
            // A link to nowhere is a chapter that is planned.
            if dest_url.is_empty() {
                continue;
            }
            let line = summary.line_at(range.start);
            let file = format!("book/src/{}", dest_url.trim_start_matches("./"));
            if book.page(&file).is_none() {
                let message = format!("{file} does not exist: write it, or leave the link empty");
                found.push(Finding::new(&summary.name, line, message));
            }
            if let Some(first) = listed.insert(file.clone(), line) {
                let message = format!("{file} is already listed in line {first}: list it once");
                found.push(Finding::new(&summary.name, line, message));
            }
        }
    }
    for chapter in
        book.chapters().filter(|chapter| chapter.name != NOT_FOUND && !listed.contains_key(&chapter.name))
    {
        found.push(Finding::new(&chapter.name, 1, "no line of book/src/SUMMARY.md links here: add one"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn missing_doubled_and_forgotten_chapters() {
        let fixture = Fixture::new(&[
            ("book/src/SUMMARY.md", "# S\n\n- [A](a.md)\n- [Plan]()\n- [B](b.md)\n- [A](a.md)\n"),
            ("book/src/a.md", "# A\n"),
            ("book/src/c.md", "# C\n"),
        ]);
        expect(
            check(&fixture.book),
            &[
                ("book/src/SUMMARY.md", 5, "b.md does not exist"),
                ("book/src/SUMMARY.md", 6, "already listed in line 3"),
                ("book/src/c.md", 1, "add one"),
            ],
        );
    }
}
