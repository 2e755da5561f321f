//! The folder that a build replaces, and what it must never replace.
//!
//! A slip in `--dest-dir` must not delete somebody's work. So every built book holds a marker, and only a folder with
//! the marker is replaced. mdBook's own `.nojekyll` would not do: a checkout for GitHub Pages has one too.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::staging::{Staging, is_ours, leftovers, mark};

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
        // Another build may take the folder away between two looks at it. A reason to refuse stays.
        (1..LOOKS).find_map(|_| self.look().ok()).map_or_else(|| self.look(), Ok)
    }

    fn look(&self) -> Result<()> {
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

    /// A folder next to the destination, so that renaming what is in it stays on one file system.
    pub(crate) fn stage(&self) -> Result<Staging> {
        let parent = self.path.parent().unwrap_or(Path::new(""));
        let prefix = format!("{}-", self.path.file_name().unwrap_or_default().to_string_lossy());
        for (folder, lock) in leftovers(parent, &prefix) {
            // Killed between the two renames of `replace`, a build has left no book but the old one.
            for old in (0..TRIES).map(|number| folder.join(old(number))).filter(|old| old.exists()) {
                if !self.path.exists() {
                    let _ = fs::rename(old, &self.path);
                }
            }
            drop(lock);
            let _ = fs::remove_dir_all(folder);
        }
        Staging::new(parent, &prefix)
    }

    /// Puts the book in the folder `fresh` of `staging` in place of what was there.
    pub(crate) fn replace(&self, staging: &Staging, fresh: &Path) -> Result<()> {
        mark(fresh)?;
        let failed = || format!("{} cannot be replaced; is it in use?", self.path.display());
        for number in 0..TRIES {
            // Building takes long enough for somebody to put something there.
            self.check()?;
            let old = staging.path().join(old(number));
            match fs::rename(&self.path, &old) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(failed),
                _ => {}
            }
            match fs::rename(fresh, &self.path) {
                Ok(()) => return Ok(()),
                // Another build was quicker, and its book is the old one now. By this moment a third build may have
                // taken it away again, so a look alone does not tell.
                Err(error) if is_taken(&error) || self.path.exists() => {}
                Err(error) => {
                    let _ = fs::rename(&old, &self.path);
                    return Err(error).with_context(failed);
                }
            }
        }
        bail!("{} is replaced again and again by other builds; try again after them", self.path.display())
    }
}

/// Whether a folder could not take its name because another one had it.
fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists)
}

/// How often a refusal is looked at again before it stands.
const LOOKS: u32 = 10;

/// How often a build tries to take its place, while others take it at the same moment.
const TRIES: u32 = 100;

/// Where the book that is being replaced waits for its removal.
fn old(number: u32) -> String {
    format!("old-{number}")
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn builds_that_end_together_all_succeed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book");
        thread::scope(|scope| {
            for builder in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..50 {
                        let destination = Destination::new(path, vec![]).unwrap();
                        let staging = destination.stage().unwrap();
                        let fresh = staging.path().join("book");
                        fs::create_dir(&fresh).unwrap();
                        fs::write(fresh.join("index.html"), builder.to_string()).unwrap();
                        destination.replace(&staging, &fresh).unwrap();
                    }
                });
            }
        });
        assert!(path.join("index.html").is_file());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    /// A folder as a killed build leaves it: nobody holds its lock.
    fn killed(destination: &Destination) -> PathBuf {
        let staging = destination.stage().unwrap();
        let (copy, path) = (staging.path().with_file_name("book-killed.new"), staging.path().to_path_buf());
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    }

    #[test]
    fn only_what_a_killed_build_of_this_book_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::new(&folder.path().join("book"), vec![]).unwrap();
        let killed = killed(&destination);
        let running = destination.stage().unwrap();
        assert!(!killed.exists() && running.path().exists());
        let foreign = folder.path().join("book-12345.new");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("notes.txt"), "precious").unwrap();
        let another = destination.stage().unwrap();
        assert!(running.path().exists() && another.path().exists() && foreign.join("notes.txt").exists());
    }

    #[test]
    fn a_build_that_was_killed_between_two_renames_loses_no_book() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::new(&folder.path().join("book"), vec![]).unwrap();
        let killed = killed(&destination);
        fs::create_dir(killed.join(old(0))).unwrap();
        fs::write(killed.join(old(0)).join("index.html"), "the old book").unwrap();
        destination.stage().unwrap();
        assert!(!killed.exists());
        assert_eq!(fs::read_to_string(folder.path().join("book/index.html")).unwrap(), "the old book");
    }
}
