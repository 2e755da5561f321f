//! Files that the repository keeps though a program makes them: whether they are as it makes them now, and to write them.
//!
//! Lines are compared, for a checkout may have other line ends.

use std::fs;
use std::io;
use std::path::Path;

use crate::Finding;

/// What is wrong with the file. `differs` says it of the first line, counted from 0, that is another one now.
pub(crate) fn drift(
    root: &Path,
    file: &str,
    made: &str,
    differs: impl FnOnce(usize) -> String,
) -> Option<Finding> {
    let Ok(present) = fs::read_to_string(root.join(file)) else {
        return Some(Finding::new(file, 1, "does not exist: run `cargo guide generate`"));
    };
    if present.lines().eq(made.lines()) {
        return None;
    }
    let same = present.lines().zip(made.lines()).take_while(|(a, b)| a == b).count();
    Some(Finding::new(file, same + 1, differs(same)))
}

/// Writes the file if it is not as it is made now. Returns whether it was not.
pub(crate) fn write(root: &Path, file: &str, made: &str) -> io::Result<bool> {
    let path = root.join(file);
    if fs::read_to_string(&path).is_ok_and(|present| present.lines().eq(made.lines())) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, made)?;
    Ok(true)
}
