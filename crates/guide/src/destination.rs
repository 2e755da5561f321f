//! The folder that a build replaces, and what it must never replace.
//!
//! A slip in `--dest-dir` must not delete somebody's work. So every built book holds a marker, and only a folder with
//! the marker is replaced. mdBook's own `.nojekyll` would not do: a checkout for GitHub Pages has one too.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The file that says that `cargo guide build` made a folder.
const MARKER: &str = ".made-by-cargo-guide";

/// What the marker holds. A file of that name with any other text is somebody else's.
const MARKER_TEXT: &str =
    "Made by `cargo guide build`, which replaces this folder as a whole. Keep nothing of your own in it.\n";

/// A folder that holds one of these is a checkout, and may hold work that exists nowhere else.
const VERSION_CONTROL: [&str; 4] = [".git", ".hg", ".jj", ".svn"];

pub(crate) struct Destination {
    path: PathBuf,
    /// What the book is made from: never replaced, whatever lies in it.
    sources: Vec<PathBuf>,
}

impl Destination {
    /// The destination `path` of a book made from `sources`. It refuses at once what it would refuse after the build.
    pub(crate) fn new(path: &Path, sources: Vec<PathBuf>) -> Result<Destination> {
        let name =
            path.file_name().context("the book needs a folder of its own; give it a name with --dest-dir")?;
        // Without a slash at the end, which would make a link look like the folder that it points to.
        let destination = Destination { path: path.with_file_name(name), sources };
        destination.check()?;
        Ok(destination)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a book may take this place.
    fn check(&self) -> Result<()> {
        let path = self.path.display();
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("{path} cannot be looked at")),
            Ok(found) if found.is_symlink() => {
                bail!("{path} is a link, and is left as it is; give --dest-dir the folder that it points to")
            }
            Ok(found) if !found.is_dir() => {
                bail!("{path} is not a folder, and is left as it is; choose another name with --dest-dir")
            }
            Ok(_) => {}
        }
        let real = self.path.canonicalize().with_context(|| format!("{path} cannot be looked at"))?;
        let is_inside =
            |source: &&PathBuf| source.canonicalize().is_ok_and(|source| source.starts_with(&real));
        if let Some(source) = self.sources.iter().find(is_inside) {
            let source = source.display();
            bail!("{path} holds {source}, from which the book is made; choose another folder with --dest-dir")
        }
        let mut entries = fs::read_dir(&self.path).with_context(|| format!("{path} cannot be read"))?;
        if entries.next().is_none() {
            return Ok(());
        }
        for folder in VERSION_CONTROL {
            if fs::symlink_metadata(self.path.join(folder)).is_ok() {
                bail!(
                    "{path} is under version control ({folder}), and is never replaced; \
                     build into another folder with --dest-dir, and copy the book"
                )
            }
        }
        if !is_ours(&self.path) {
            bail!(
                "{path} holds something that is not a built book of `cargo guide build`; \
                 remove the folder yourself, or choose another with --dest-dir"
            )
        }
        Ok(())
    }

    /// Puts the book in the folder `fresh` in place of what was there.
    pub(crate) fn replace(&self, fresh: &Path) -> Result<()> {
        mark(fresh)?;
        // Building takes long enough for somebody to put something there.
        self.check()?;
        let swap = || {
            if !self.path.exists() {
                return fs::rename(fresh, &self.path);
            }
            let old = fresh.with_extension("old");
            fs::rename(&self.path, &old)?;
            fs::rename(fresh, &self.path)?;
            fs::remove_dir_all(&old)
        };
        swap().with_context(|| format!("{} cannot be replaced; is it in use?", self.path.display()))
    }

    /// A folder next to the destination, empty, so that renaming it stays on one file system.
    pub(crate) fn beside(&self) -> Result<PathBuf> {
        let mut name = self.path.file_name().unwrap_or_default().to_os_string();
        name.push(format!("-{}.new", std::process::id()));
        let path = self.path.with_file_name(name);
        fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(path)
    }
}

fn mark(folder: &Path) -> Result<()> {
    let marker = folder.join(MARKER);
    fs::write(&marker, MARKER_TEXT).with_context(|| format!("{} cannot be written", marker.display()))
}

fn is_ours(folder: &Path) -> bool {
    let marker = folder.join(MARKER);
    // Neither a link nor a pipe, which reading would wait for, nor something large.
    let is_file = |found: fs::Metadata| found.is_file() && found.len() == MARKER_TEXT.len() as u64;
    fs::symlink_metadata(&marker).is_ok_and(is_file)
        && fs::read(&marker).is_ok_and(|text| text == MARKER_TEXT.as_bytes())
}
