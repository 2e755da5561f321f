//! A plot is what the figures draw now, and every plot in the folder is one of theirs.

use std::fs;
use std::io;
use std::path::Path;

use figures::plots;

use crate::{Finding, tidy};

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
        let Ok(present) = fs::read_to_string(root.join(file)) else {
            found.push(Finding::new(file, 1, "does not exist: run `cargo guide generate`"));
            continue;
        };
        if !present.lines().eq(drawn.lines()) {
            let same = present.lines().zip(drawn.lines()).take_while(|(a, b)| a == b).count();
            let message =
                "the plot differs from what its data in book/data draws: run `cargo guide generate`";
            found.push(Finding::new(file, same + 1, message));
        }
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
        let path = root.join(&file);
        if fs::read_to_string(&path).is_ok_and(|present| present.lines().eq(drawn.lines())) {
            continue;
        }
        fs::create_dir_all(root.join(plots::FOLDER))?;
        fs::write(&path, drawn)?;
        changed.push(file);
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
