//! Every chapter ends with where to read on: the section `## What to read next`, with links.
//!
//! Pages for which that makes no sense are those at the root of the book and a few that are looked up, not read.

use crate::{Book, Finding};

const HEADING: &str = "## What to read next";

/// What the changelog of the repository is made of.
const LOOKED_UP: [&str; 1] = ["book/src/appendices/changelog.md"];

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.chapters() {
        let at_the_root = page.name.matches('/').count() == 2;
        if at_the_root || LOOKED_UP.contains(&page.name.as_str()) {
            continue;
        }
        let last = page.text.lines().count();
        let (line, message) = match page.text.lines().position(|line| line == HEADING) {
            None => (last, format!("ends without `{HEADING}`: add it, with two to four links")),
            Some(at) => {
                let rest: Vec<&str> = page.text.lines().skip(at + 1).collect();
                if rest.iter().any(|line| line.starts_with("## ")) {
                    (at + 1, format!("`{HEADING}` is not the last section: move it to the end"))
                } else if !rest.iter().any(|line| line.contains("](")) {
                    (at + 1, format!("`{HEADING}` has no link: add two to four"))
                } else {
                    continue;
                }
            }
        };
        found.push(Finding::new(&page.name, line, message));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_page_without_an_end_is_found() {
        let fixture = Fixture::new(&[
            ("book/src/introduction.md", "# I\n"),
            ("book/src/g/a.md", "# A\n\n## What to read next\n\n- [B](b.md): more.\n"),
            ("book/src/g/b.md", "# B\n\ntext\n"),
            ("book/src/g/c.md", "# C\n\n## What to read next\n\n[B](b.md)\n\n## More\n"),
            ("book/src/g/d.md", "# D\n\n## What to read next\n\nNothing.\n"),
        ]);
        expect(
            check(&fixture.book),
            &[
                ("book/src/g/b.md", 3, "ends without"),
                ("book/src/g/c.md", 3, "not the last section"),
                ("book/src/g/d.md", 3, "no link"),
            ],
        );
    }
}
