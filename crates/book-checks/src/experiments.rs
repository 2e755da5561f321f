//! The data of the experiments is what they give now. They run in virtual time, so that can be asked of every machine.

use std::io;
use std::path::Path;

use crate::{Finding, kept, plots, tidy};

pub fn check(root: &Path) -> Vec<Finding> {
    if !plots::has_plots(root) {
        return Vec::new();
    }
    compare(root, &experiments::run_all())
}

fn compare(root: &Path, runs: &[(&str, String)]) -> Vec<Finding> {
    let mut found = Vec::new();
    let path = |name: &str| format!("{}/{name}", experiments::FOLDER);
    for (name, given) in runs {
        found.extend(kept::drift(root, &path(name), given, |same| {
            let wanted = given.lines().nth(same).unwrap_or_default().trim();
            format!("the experiment gives `{wanted}` now: run `cargo guide generate`, and read its chapter")
        }));
    }
    let mut files = Vec::new();
    tidy::walk(root, experiments::FOLDER, &mut files);
    for file in files.into_iter().filter(|file| runs.iter().all(|(name, _)| path(name) != *file)) {
        found.push(Finding::new(file, 1, "no experiment gives this: remove it"));
    }
    found
}

/// Runs the experiments and writes their data. Returns the names of the files that changed.
///
/// # Errors
///
/// A file cannot be written.
pub fn rewrite(root: &Path) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    if !plots::has_plots(root) {
        return Ok(changed);
    }
    for (name, given) in experiments::run_all() {
        let file = format!("{}/{name}", experiments::FOLDER);
        if kept::write(root, &file, &given)? {
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
    fn data_that_is_missing_old_or_nobodys_is_found() {
        let runs = [("current.json", "1\n2\n"), ("missing.json", "1\n"), ("old.json", "1\n 3\n")];
        let file = |name| format!("{}/{name}.json", experiments::FOLDER);
        let (current, missing, nobodys, old) =
            (file("current"), file("missing"), file("nobodys"), file("old"));
        let fixture = Fixture::new(&[(&current, "1\r\n2\r\n"), (&nobodys, ""), (&old, "1\n2\n")]);
        expect(
            compare(&fixture.book.root, &runs.map(|(name, text)| (name, text.to_owned()))),
            &[(&missing, 1, "does not exist"), (&nobodys, 1, "remove it"), (&old, 2, "gives `3` now")],
        );
        assert!(check(&fixture.book.root).is_empty(), "a book that says nothing of performance needs none");
    }
}
