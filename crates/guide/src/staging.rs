//! Folders that are built in, and that do not outlive their use.
//!
//! A build that is killed cannot clean up. So each of these folders holds a marker and a locked file: the system takes
//! the lock back when the program ends, however it ends, and the next build removes what is marked and not locked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use fs4::FileExt;
use tempfile::TempDir;

/// The file that says that this program made a folder.
const MARKER: &str = ".made-by-cargo-guide";

/// What the marker holds. A file of that name with any other text is somebody else's.
const MARKER_TEXT: &str =
    "Made by `cargo guide build`, which replaces this folder as a whole. Keep nothing of your own in it.\n";

/// The file that is locked while the folder is in use.
const LOCK: &str = "in-use";

const SUFFIX: &str = ".new";

/// A folder that is removed when it is dropped.
pub(crate) struct Staging {
    // Closed before the folder is removed, as Windows demands.
    _lock: File,
    folder: TempDir,
}

impl Staging {
    /// Makes a folder in `parent`. Its name begins with `prefix`.
    pub(crate) fn new(parent: &Path, prefix: &str) -> Result<Staging> {
        let make = || {
            fs::create_dir_all(parent)?;
            let folder = tempfile::Builder::new().prefix(prefix).suffix(SUFFIX).tempdir_in(parent)?;
            let lock = File::create(folder.path().join(LOCK))?;
            // The marker last: what has it is locked while it is in use. Where files cannot be locked there is none.
            if FileExt::try_lock(&lock).is_ok() {
                fs::write(folder.path().join(MARKER), MARKER_TEXT)?;
            }
            std::io::Result::Ok(Staging { _lock: lock, folder })
        };
        make().with_context(|| format!("no folder can be made in {}", parent.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The folders in `parent` that a killed program has left there, each with its lock, made with the same `prefix`.
pub(crate) fn leftovers(parent: &Path, prefix: &str) -> Vec<(PathBuf, File)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix)?.strip_suffix(SUFFIX));
        // A dash would be part of a longer prefix, that of another folder's builds.
        let is_one = random.is_some_and(|random| !random.contains('-'))
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && is_ours(&entry.path());
        if !is_one {
            continue;
        }
        if let Ok(lock) = File::open(entry.path().join(LOCK))
            && FileExt::try_lock(&lock).is_ok()
        {
            found.push((entry.path(), lock));
        }
    }
    found
}

/// Removes what killed programs have left. What cannot be removed is left to the next.
pub(crate) fn sweep(parent: &Path, prefix: &str) {
    for (folder, lock) in leftovers(parent, prefix) {
        drop(lock);
        let _ = fs::remove_dir_all(folder);
    }
}

/// Writes the marker into a folder.
pub(crate) fn mark(folder: &Path) -> Result<()> {
    let marker = folder.join(MARKER);
    fs::write(&marker, MARKER_TEXT).with_context(|| format!("{} cannot be written", marker.display()))
}

/// Whether a folder has the marker.
pub(crate) fn is_ours(folder: &Path) -> bool {
    let marker = folder.join(MARKER);
    // Neither a link nor a pipe, which reading would wait for, nor something large.
    let is_file = |found: fs::Metadata| found.is_file() && found.len() == MARKER_TEXT.len() as u64;
    fs::symlink_metadata(&marker).is_ok_and(is_file)
        && fs::read(&marker).is_ok_and(|text| text == MARKER_TEXT.as_bytes())
}
