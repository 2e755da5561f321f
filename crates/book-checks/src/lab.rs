//! What the pages show of the Pool Lab without its script: a picture and a table of each preset, from a native run.

use std::io;
use std::path::Path;

use pool_lab::{PRESETS, Preset, Run, picture, run, table};

use crate::{Finding, kept};

/// Where the pictures are, relative to the repository.
const FOLDER: &str = "book/src/lab/pictures";

fn runs(preset: &Preset) -> Vec<(String, Run)> {
    let scenarios = preset.scenarios().expect("the tests of the lab read every preset");
    scenarios.into_iter().map(|(name, scenario)| (name, run(&scenario))).collect()
}

fn pictures() -> Vec<(String, String)> {
    let draw = |preset: &Preset| {
        (format!("{FOLDER}/{}.svg", preset.name), picture(&preset.text("title"), &runs(preset)))
    };
    PRESETS.iter().map(draw).collect()
}

/// A book without the lab's pages shows none.
fn has_lab(root: &Path) -> bool {
    root.join(FOLDER).parent().is_some_and(Path::is_dir)
}

pub fn check(root: &Path) -> Vec<Finding> {
    if !has_lab(root) {
        return Vec::new();
    }
    let differs = |_| "the picture differs from the run: run `cargo guide generate`".to_owned();
    pictures().iter().filter_map(|(file, drawn)| kept::drift(root, file, drawn, differs)).collect()
}

/// Draws the pictures anew. Returns the names of those that changed.
///
/// # Errors
///
/// A picture cannot be written.
pub fn rewrite(root: &Path) -> io::Result<Vec<String>> {
    let mut changed = Vec::new();
    if !has_lab(root) {
        return Ok(changed);
    }
    for (file, drawn) in pictures() {
        if kept::write(root, &file, &drawn)? {
            changed.push(file);
        }
    }
    Ok(changed)
}

/// The generated blocks of the lab: a table for each preset.
pub(crate) fn blocks() -> impl Iterator<Item = (String, &'static Preset)> {
    PRESETS.iter().map(|preset| (format!("lab-{}", preset.name), preset))
}

pub(crate) fn block(preset: &Preset) -> String {
    table(&runs(preset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn a_picture_that_is_old_is_found_and_drawn_anew() {
        let fixture = Fixture::chapter("# A\n");
        assert_eq!(check(&fixture.book.root), [], "a book without the lab");
        let file = format!("{FOLDER}/sizing.svg");
        kept::write(&fixture.book.root, &file, "<svg/>\n").unwrap();
        let found = check(&fixture.book.root);
        assert_eq!(found.len(), PRESETS.len());
        expect(
            found.into_iter().filter(|finding| finding.file == file).collect(),
            &[(&file, 1, "the picture differs from the run: run `cargo guide generate`")],
        );
        assert_eq!(rewrite(&fixture.book.root).unwrap().len(), PRESETS.len());
        assert_eq!(check(&fixture.book.root), []);
    }
}
