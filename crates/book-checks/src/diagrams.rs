//! A diagram is what its source draws now, and every picture among the diagrams has a source.

use std::fs;
use std::io;
use std::path::Path;

use figures::diagrams;

use crate::{Finding, kept};

pub fn check(root: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let sources = diagrams::sources(root);
    for source in &sources {
        let picture = diagrams::picture(source);
        let drawn = match draw(root, source) {
            Ok(drawn) => drawn,
            Err(finding) => {
                found.push(finding);
                continue;
            }
        };
        found.extend(kept::drift(root, &picture, &drawn, |_| {
            format!("the diagram differs from {source}: run `cargo guide generate`")
        }));
    }
    for picture in diagrams::pictures(root) {
        if sources.iter().all(|source| diagrams::picture(source) != picture) {
            found.push(Finding::new(picture, 1, "no source beside it draws this diagram: remove it"));
        }
    }
    found
}

fn draw(root: &Path, source: &str) -> Result<String, Finding> {
    let text = fs::read_to_string(root.join(source))
        .map_err(|error| Finding::new(source, 1, format!("cannot be read: {error}")))?;
    diagrams::draw(&text).map_err(|fault| Finding::new(source, fault.line, fault.message))
}

/// Draws the diagrams anew. Returns the names of those that changed.
///
/// # Errors
///
/// A source is wrong, or a picture cannot be written.
pub fn rewrite(root: &Path) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    for source in diagrams::sources(root) {
        let drawn = draw(root, &source).map_err(|finding| io::Error::other(finding.to_string()))?;
        let picture = diagrams::picture(&source);
        if kept::write(root, &picture, &drawn)? {
            changed.push(picture);
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const FOLDER: &str = "book/src/guide/diagrams";

    fn source(text: &str) -> String {
        format!("title = \"T\"\ndescription = \"D\"\n\n[[box]]\nid = \"a\"\ntext = \"{text}\"\nat = [0, 0]\n")
    }

    #[test]
    fn a_diagram_that_is_missing_old_wrong_or_nobodys_is_found_and_redrawn() {
        let file = |name: &str| format!("{FOLDER}/{name}");
        let names = ["missing.toml", "missing.svg", "nobodys.svg", "old.toml", "old.svg"].map(file);
        let [missing, missing_picture, nobodys, old, old_picture] = &names;
        let fixture = Fixture::new(&[
            (missing, &source("a")),
            (nobodys, "<svg/>"),
            (old, &source("a")),
            (old_picture, &diagrams::draw(&source("b")).unwrap()),
        ]);
        let root = &fixture.book.root;
        let drift = [
            (missing_picture.as_str(), 1, "does not exist"),
            (nobodys.as_str(), 1, "remove it"),
            (
                old_picture.as_str(),
                7,
                "differs from book/src/guide/diagrams/old.toml: run `cargo guide generate`",
            ),
        ];
        expect(check(root), &drift);
        assert_eq!(rewrite(root).unwrap(), [missing_picture.clone(), old_picture.clone()]);
        expect(check(root), &drift[1..2]);
        assert!(rewrite(root).unwrap().is_empty());
    }

    #[test]
    fn a_wrong_source_is_named() {
        let wrong = format!("{FOLDER}/wrong.toml");
        let fixture = Fixture::new(&[(&wrong, &source("a").replace("at =", "place ="))]);
        expect(check(&fixture.book.root), &[(&wrong, 7, "unknown field `place`")]);
        assert!(rewrite(&fixture.book.root).unwrap_err().to_string().contains("wrong.toml:7"));
    }
}
