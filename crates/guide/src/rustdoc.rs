//! The crates' own documentation, which the book links to: published beside it, below `api/`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

use anyhow::{Context, Result, bail};
use book_checks::cargo;

/// Where it stands beside the chapters.
const FOLDER: &str = "api";

const PACKAGES: [&str; 2] = ["poolhouse", "poolhouse-echo"];

/// What rustdoc makes for all crates together.
const SHARED: [&str; 4] = ["static.files", "search.index", "trait.impl", "type.impl"];

/// Whether the book is one that has crates to document.
pub(crate) fn is_there(root: &Path) -> bool {
    root.join("crates/poolhouse/Cargo.toml").is_file()
}

/// The command that makes it.
pub(crate) fn command(root: &Path) -> Command {
    let mut cargo = cargo::command();
    // With it, cargo would put the documentation into a folder of that target.
    cargo.env_remove("CARGO_BUILD_TARGET");
    cargo.args(["doc", "--quiet", "--no-deps", "--all-features"]).current_dir(root).stdin(Stdio::null());
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    cargo
}

/// The folder into which cargo puts the documentation of every crate.
pub(crate) fn made_in(root: &Path) -> Result<PathBuf> {
    Ok(cargo::target_directory(root)?.join("doc"))
}

/// Makes it, and puts it into the book.
pub(crate) fn put_beside(root: &Path, book: &Path) -> Result<()> {
    let output = command(root).output().context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("the crates cannot be documented:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let (from, to) = (made_in(root)?, book.join(FOLDER));
    copy(&from, &to).with_context(|| format!("{} cannot be copied", from.display()))
}

/// Only what belongs to our crates: the folder may hold others.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let crates = PACKAGES.map(|package| package.replace('-', "_"));
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() {
            if !name.starts_with('.') {
                fs::copy(entry.path(), to.join(&name))?;
            }
        } else if crates.contains(&name) || SHARED.contains(&name.as_str()) {
            copy_all(&entry.path(), &to.join(&name))?;
        } else if name == "src" {
            for name in crates.iter().filter(|name| entry.path().join(name).is_dir()) {
                copy_all(&entry.path().join(name), &to.join("src").join(name))?;
            }
        }
    }
    fs::write(
        to.join("index.html"),
        "<meta http-equiv=\"refresh\" content=\"0; url=poolhouse/index.html\">\n",
    )
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_crates_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("doc"), folder.path().join("book/api"));
        for file in [
            "poolhouse/struct.Pool.html",
            "other/index.html",
            "src/poolhouse/lib.rs.html",
            "src/other/lib.rs.html",
            "static.files/a/b.css",
            "crates.js",
            ".lock",
        ] {
            fs::create_dir_all(from.join(file).parent().unwrap()).unwrap();
            fs::write(from.join(file), "x").unwrap();
        }
        copy(&from, &to).unwrap();
        for file in
            ["poolhouse/struct.Pool.html", "src/poolhouse/lib.rs.html", "static.files/a/b.css", "crates.js"]
        {
            assert!(to.join(file).is_file(), "{file}");
        }
        for file in ["other", "src/other", ".lock"] {
            assert!(!to.join(file).exists(), "{file}");
        }
        assert!(fs::read_to_string(to.join("index.html")).unwrap().contains("poolhouse/index.html"));
    }
}
