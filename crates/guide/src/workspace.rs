//! Finding the guide: the folder that holds `book.toml`.
//!
//! The search starts at the current folder and walks up, so the tool works from any folder of the repository, and a
//! tool built in one checkout works in another. `cargo run --manifest-path ..` from elsewhere is served by the
//! manifest's folder, which cargo passes on.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const MARK: &str = "book.toml";

pub(crate) fn root(given: Option<&Path>) -> Result<PathBuf> {
    let current =
        env::current_dir().context("the current folder cannot be read; change to one that exists")?;
    if let Some(given) = given {
        let given = current.join(given);
        if !given.join(MARK).is_file() {
            bail!("there is no {MARK} in {}; pass the folder that holds it to --root", given.display());
        }
        return Ok(given);
    }
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    search(&current).or_else(|| manifest.as_deref().and_then(search)).with_context(|| {
        format!(
            "there is no {MARK} in {} or above it; run this inside the guide's repository, or pass --root DIR",
            current.display()
        )
    })
}

fn search(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(MARK).is_file()).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_walks_up_to_the_nearest_book() {
        let temp = tempfile::tempdir().unwrap();
        let deep = temp.path().join("outer/inner/a/b");
        std::fs::create_dir_all(&deep).unwrap();
        for folder in ["outer", "outer/inner"] {
            std::fs::write(temp.path().join(folder).join(MARK), "").unwrap();
        }
        assert_eq!(search(&deep), Some(temp.path().join("outer/inner")));
    }

    #[test]
    fn a_folder_without_a_book_is_named_in_the_error() {
        let temp = tempfile::tempdir().unwrap();
        let error = root(Some(temp.path())).unwrap_err().to_string();
        assert!(error.contains(&temp.path().display().to_string()) && error.contains("--root"), "{error}");
    }
}
