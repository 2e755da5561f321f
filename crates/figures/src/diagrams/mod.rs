//! The diagrams of the book: each is drawn from a source in TOML that lies beside it.
//!
//! `book/src/guide/diagrams/timeouts.toml` makes `book/src/guide/diagrams/timeouts.svg`. A source has a title and a
//! description, for those who do not see the picture, and one of two kinds of picture:
//!
//! - a grid, with boxes and texts at given places, arrows between boxes, lanes behind them and marks in time;
//! - a tree of nodes, which needs no places: each node says how deep it is.
//!
//! Like a plot, a diagram is as wide as a phone's column, a light card of its own. A place is a column and a row, counted
//! from 0; fractions are allowed. What does not fit is an error, since nobody looks at every picture after every edit.

mod grid;
mod ink;
mod source;
mod tree;

use std::fmt;
use std::fs;
use std::path::Path;

use source::Diagram;

/// Diagrams lie in folders of this name, anywhere below [`BOOK`].
pub const FOLDER: &str = "diagrams";

/// The chapters, relative to the repository.
pub const BOOK: &str = "book/src";

/// What is wrong with a source, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line of the source, counted from 1.
    pub line: usize,
    /// It names the field.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// The sources of all diagrams, relative to the repository, in order.
pub fn sources(root: &Path) -> Vec<String> {
    files(root, "toml")
}

/// The pictures in the folders of diagrams, relative to the repository, in order.
pub fn pictures(root: &Path) -> Vec<String> {
    files(root, "svg")
}

/// The picture that a source makes.
pub fn picture(source: &str) -> String {
    format!("{}.svg", source.trim_end_matches(".toml"))
}

fn files(root: &Path, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, BOOK, &mut found);
    found.retain(|file| {
        let mut parts = file.rsplit('/');
        let fits = parts.next().is_some_and(|name| name.ends_with(&format!(".{extension}")));
        fits && parts.next() == Some(FOLDER)
    });
    found.sort();
    found
}

fn walk(root: &Path, folder: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return };
    for entry in entries.flatten() {
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            walk(root, &name, found);
        } else {
            found.push(name);
        }
    }
}

/// Draws what a source describes.
///
/// # Errors
///
/// The source is not what a diagram needs, or something does not fit.
pub fn draw(source: &str) -> Result<String, Fault> {
    let diagram = Diagram::parse(source)?;
    if diagram.node.is_empty() { grid::draw(&diagram, source) } else { tree::draw(&diagram, source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "title = \"A life\"\ndescription = \"a goes to b.\"\ncolumns = 2\n";
    const BOXES: &str = "[[box]]\nid = \"a\"\ntext = \"a\"\nat = [0, 0]\n[[box]]\nid = \"b\"\ntext = \"b & c\"\nat = [1, 2]\n";

    fn fault(source: &str) -> String {
        draw(source).unwrap_err().to_string()
    }

    #[test]
    fn a_grid_can_be_read_aloud_and_repeats() {
        let source = format!("{HEAD}{BOXES}[[arrow]]\nfrom = \"a\"\nto = \"b\"\ntext = \"go\"\n");
        let svg = draw(&source).unwrap();
        assert_eq!(svg, draw(&source).unwrap());
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("role=\"img\""),
            "{svg}"
        );
        assert!(svg.contains("<title>A life</title>\n<desc>a goes to b.</desc>"), "{svg}");
        assert!(svg.contains(">b &amp; c</text>") && svg.contains(">go</text>"), "{svg}");
    }

    #[test]
    fn a_tree_needs_no_places() {
        let source = "title = \"T\"\ndescription = \"D\"\n[[node]]\ntext = \"it fails\"\n\
                      [[node]]\ndepth = 1\ntext = \"at once\"\npage = \"A page\"\n";
        let svg = draw(source).unwrap();
        assert!(svg.contains(">at once</text>") && svg.contains(">A page</text>"), "{svg}");
    }

    #[test]
    fn a_fault_names_the_line_and_the_field() {
        assert!(fault("title = \"T\"\n").contains("missing field `description`"));
        assert!(
            fault(&format!("{HEAD}[[box]]\nid = \"a\"\ntxt = \"a\"\n"))
                .starts_with("line 6: unknown field `txt`")
        );
        assert!(fault("title = \" \"\ndescription = \"D\"\n").contains("`title` is empty"));
        assert!(fault(HEAD).contains("no `box` and no `node`"));
        let arrow = |from: &str, rest: &str| {
            fault(&format!("{HEAD}{BOXES}[[arrow]]\nfrom = \"{from}\"\nto = \"b\"\n{rest}"))
        };
        assert_eq!(arrow("x", ""), "line 12: arrow `from`: there is no box `x`: there are [a, b]");
        assert!(arrow("a above", "").contains("arrow `from`: `above` is no side"));
        assert!(arrow("a right 2", "").contains("arrow `from`: `2` is no share"));
        assert!(
            arrow("a", "text = \"a label that is far too long for the narrow card it has to stand on\"")
                .contains("arrow `text`")
        );
    }

    #[test]
    fn what_does_not_fit_is_a_fault() {
        let with = |boxes: &str| fault(&format!("{HEAD}{boxes}"));
        assert!(
            with("[[box]]\nid = \"a\"\ntext = \"a line that is longer than its box is wide\"\nat = [0, 0]\n")
                .contains("box `a`, `text`")
        );
        assert!(
            with("[[box]]\nid = \"a\"\ntext = \"1\\n2\\n3\\n4\"\nat = [0, 0]\n")
                .contains("box `a`, `text`: 4 lines")
        );
        assert!(with("[[box]]\nid = \"a\"\ntext = \"a\"\nat = [1.5, 0]\n").contains("box `a`, `at`"));
        assert!(
            with(&format!("{BOXES}{}", BOXES.replace("\"b\"", "\"c\"")))
                .contains("box `a`, `id`: there is another")
        );
        let node = "title = \"T\"\ndescription = \"D\"\n[[node]]\ndepth = 1\ntext = \"a\"\n";
        assert!(fault(node).contains("node `depth`: 1"));
    }

    #[test]
    fn sources_and_pictures_are_found_below_the_book() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("book/src/guide/diagrams");
        fs::create_dir_all(&below).unwrap();
        for name in ["b.toml", "a.svg", "../c.toml"] {
            fs::write(below.join(name), "").unwrap();
        }
        assert_eq!(sources(folder.path()), ["book/src/guide/diagrams/b.toml"]);
        assert_eq!(pictures(folder.path()), ["book/src/guide/diagrams/a.svg"]);
        assert_eq!(picture("x/diagrams/b.toml"), "x/diagrams/b.svg");
    }
}
