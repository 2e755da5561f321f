//! The files whose snippets are run, and the names of what is generated from them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A Markdown file whose snippets are run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Relative to the repository, with forward slashes: `book/src/tutorial/tour.md`.
    pub name: String,
    pub path: PathBuf,
}

/// Every chapter, and the README of the repository. In order of their names.
///
/// # Errors
///
/// A folder cannot be read.
pub fn sources(root: &Path) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    walk(root, "book/src", &mut found)?;
    let readme = root.join("README.md");
    if readme.exists() {
        found.push(Source { name: "README.md".to_owned(), path: readme });
    }
    found.retain(|source| source.name.ends_with(".md") && source.name != "book/src/SUMMARY.md");
    found.sort();
    Ok(found)
}

fn walk(root: &Path, folder: &str, found: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(root, &name, found)?;
        } else {
            found.push(Source { name, path: entry.path() });
        }
    }
    Ok(())
}

/// The name of a source as a Rust identifier: `book/src/tutorial/quick-start.md` gives `tutorial_quick_start`.
pub fn module_name(source: &str) -> String {
    let name = source.strip_prefix("book/src/").unwrap_or(source);
    let name = name.strip_suffix(".md").unwrap_or(name);
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("page_{name}") } else { name }
}

/// Writes a generated file, and leaves one that is already right alone, so that cargo sees no change.
///
/// # Errors
///
/// The file cannot be written.
pub fn write_if_changed(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers() {
        assert_eq!(module_name("book/src/tutorial/quick-start.md"), "tutorial_quick_start");
        assert_eq!(module_name("README.md"), "readme");
    }
}
