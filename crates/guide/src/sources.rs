//! What the book is made from: the files whose change calls for a rebuild.
//!
//! These are the chapters, the theme, `book.toml` and every file that a chapter includes, wherever it lies. Whether
//! something has changed is told by the files' contents, not by the watcher's events: a build reads these files, an
//! editor touches them, and neither is a reason to build again.
//!
//! Only plain files are read. A pipe, a device or a link to one would keep its reader waiting, or never end.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use mdbook_driver::config::Config;

#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Watched with everything below them.
    pub(crate) trees: BTreeSet<PathBuf>,
    /// Single files.
    files: BTreeSet<PathBuf>,
}

impl Sources {
    pub(crate) fn of(root: &Path, config: &Config) -> Sources {
        let html = config.html_config().unwrap_or_default();
        let chapters = root.join(&config.book.src);
        let mut trees = BTreeSet::from([chapters.clone(), html.theme_dir(root)]);
        trees.extend(config.build.extra_watch_dirs.iter().map(|dir| root.join(dir)));
        let mut files = BTreeSet::from([root.join("book.toml")]);
        files.extend(html.additional_css.iter().chain(&html.additional_js).map(|file| root.join(file)));
        for chapter in files_below(&chapters) {
            if chapter.extension().is_some_and(|extension| extension == "md") {
                files.extend(included(&chapter));
            }
        }
        files.retain(|file| !trees.iter().any(|tree| file.starts_with(tree)));
        Sources { trees, files }
    }

    /// The folders that hold the single files. An editor that replaces a file by renaming another onto it ends a
    /// watch on the file, but not one on its folder.
    pub(crate) fn folders(&self) -> BTreeSet<&Path> {
        self.files.iter().filter_map(|file| file.parent()).collect()
    }

    /// A number that changes whenever the contents or the names of the sources do.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let below = self.trees.iter().flat_map(|tree| files_below(tree));
        for file in below.chain(self.files.iter().cloned()) {
            file.hash(&mut hasher);
            read(&file).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Refuses what mdBook would wait for: it reads and copies whatever it finds.
    ///
    /// # Errors
    ///
    /// The first source that is neither a plain file nor a folder.
    pub(crate) fn check(&self) -> Result<()> {
        let below = self.trees.iter().flat_map(|tree| everything_below(tree));
        for file in below.chain(self.files.iter().cloned()) {
            if fs::metadata(&file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
                bail!(
                    "{} is neither a file nor a folder, and reading it may never end; remove it",
                    file.display()
                );
            }
        }
        Ok(())
    }
}

/// What a plain file holds. Nothing if it is something else, or cannot be read.
fn read(file: &Path) -> Option<Vec<u8>> {
    if !fs::metadata(file).ok()?.is_file() {
        return None;
    }
    fs::read(file).ok()
}

/// The files that a chapter includes, there or not, without their anchors and line numbers.
fn included(chapter: &Path) -> Vec<PathBuf> {
    let Some(text) = read(chapter).and_then(|bytes| String::from_utf8(bytes).ok()) else { return Vec::new() };
    let folder = chapter.parent().unwrap_or(Path::new(""));
    snippets::includes(&text).iter().map(|include| normal(&folder.join(&include.path))).collect()
}

/// `a/b/../c` as `a/c`, without asking the file system: the file need not exist yet.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part == std::path::Component::ParentDir {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

/// The files that count, in a fixed order.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = everything_below(folder);
    found.retain(|file| !file.strip_prefix(folder).unwrap_or(file).iter().any(is_an_editors));
    found
}

/// Backups, locks and swap files of editors.
fn is_an_editors(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(['.', '#']) || name.ends_with(['~', '#'])
}

/// Whatever is not a folder, in a fixed order. What cannot be read is left out: mdBook's own message about it is better.
fn everything_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => found.push(entry.path()),
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for folder in ["book/src/part", "book/theme", "examples"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(
            root.join("book.toml"),
            "[book]\nsrc = \"book/src\"\n[output.html]\ntheme = \"book/theme\"\n",
        )
        .unwrap();
        fs::write(root.join("book/src/part/one.md"), "{{#include ../../../examples/one.rs:anchor}}\n")
            .unwrap();
        fs::write(root.join("examples/one.rs"), "fn main() {}\n").unwrap();
        temp
    }

    fn sources(root: &Path) -> Sources {
        Sources::of(root, &Config::from_disk(root.join("book.toml")).unwrap())
    }

    #[test]
    fn an_included_file_is_a_source_wherever_it_lies() {
        let book = book();
        let sources = sources(book.path());
        assert!(sources.files.contains(&book.path().join("examples/one.rs")), "{sources:?}");
        assert!(sources.folders().contains(book.path().join("examples").as_path()));
    }

    #[test]
    fn the_fingerprint_follows_contents_and_nothing_else() {
        let book = book();
        let root = book.path();
        let sources = sources(root);
        let before = sources.fingerprint();

        fs::write(root.join("examples/one.rs"), "fn main() {}\n").unwrap();
        fs::write(root.join("examples/unrelated.rs"), "").unwrap();
        fs::write(root.join("book/src/.one.md.swp"), "").unwrap();
        fs::write(root.join("book/src/one.md~"), "").unwrap();
        assert_eq!(sources.fingerprint(), before);

        for changed in ["examples/one.rs", "book/src/part/one.md", "book/theme/new.css", "book.toml"] {
            let before = sources.fingerprint();
            fs::write(root.join(changed), "changed").unwrap();
            assert_ne!(sources.fingerprint(), before, "{changed}");
        }
        let before = sources.fingerprint();
        fs::remove_file(root.join("examples/one.rs")).unwrap();
        assert_ne!(sources.fingerprint(), before);
    }
}
