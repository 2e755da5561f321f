//! A plot is what the figures draw now, and every plot in the folder is one of theirs.

use std::io;
use std::path::Path;

use figures::plots;

use crate::{Finding, kept, tidy};

/// A book that says nothing of performance has no plots, and needs no data.
pub(crate) fn has_plots(root: &Path) -> bool {
    Path::new(plots::FOLDER).parent().is_some_and(|chapters| root.join(chapters).is_dir())
}

pub fn check(root: &Path) -> Vec<Finding> {
    if !has_plots(root) {
        return Vec::new();
    }
    match plots::all(root) {
        Ok(plots) => compare(root, &plots),
        Err(message) => vec![Finding::new(figures::BENCH, 1, message)],
    }
}

fn compare(root: &Path, plots: &[(String, String)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, drawn) in plots {
        found.extend(kept::drift(root, file, drawn, |_| {
            "the plot differs from what its data in book/data draws: run `cargo guide generate`".to_owned()
        }));
    }
    let mut files = Vec::new();
    tidy::walk(root, plots::FOLDER, &mut files);
    for file in files.into_iter().filter(|file| plots.iter().all(|(plot, _)| plot != file)) {
        found.push(Finding::new(file, 1, "nothing draws this plot: remove it"));
    }
    found
}

/// Draws the plots anew. Returns the names of those that changed.
///
/// # Errors
///
/// The data cannot be read, or a plot cannot be written.
pub fn rewrite(root: &Path) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    if !has_plots(root) {
        return Ok(changed);
    }
    for (file, drawn) in plots::all(root).map_err(io::Error::other)? {
        if kept::write(root, &file, &drawn)? {
            changed.push(file);
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_plot_that_is_missing_old_or_nobodys_is_found() {
        let plot = |name: &str, text: &str| (format!("{}/{name}.svg", plots::FOLDER), text.to_owned());
        let plots =
            [plot("current", "<svg>\n1\n</svg>\n"), plot("missing", "<svg/>"), plot("old", "<svg>\n2\n")];
        let folder = |name| format!("{}/{name}.svg", plots::FOLDER);
        let (current, missing, nobodys, old) =
            (folder("current"), folder("missing"), folder("nobodys"), folder("old"));
        let fixture =
            Fixture::new(&[(&current, "<svg>\r\n1\r\n</svg>\r\n"), (&nobodys, ""), (&old, "<svg>\n1\n")]);
        expect(
            compare(&fixture.book.root, &plots),
            &[
                (&missing, 1, "does not exist"),
                (&nobodys, 1, "remove it"),
                (&old, 2, "`cargo guide generate`"),
            ],
        );
    }

    #[test]
    fn without_data_there_is_the_command_that_makes_it() {
        // A book that shows no plots needs none.
        let plain = Fixture::new(&[]);
        assert!(check(&plain.book.root).is_empty() && rewrite(&plain.book.root).unwrap().is_empty());
        let plot = format!("{}/s1.svg", plots::FOLDER);
        let fixture = Fixture::new(&[(&plot, "")]);
        expect(check(&fixture.book.root), &[(figures::BENCH, 1, "cargo run --release --manifest-path")]);
        assert!(rewrite(&fixture.book.root).is_err());
    }
}
