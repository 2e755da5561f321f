//! Cargo, asked by a program that cargo itself started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Cargo without what it told this process about this process's own package.
///
/// Some build scripts, ring's among them, run again when these variables change. With them, a build from inside a test
/// would compile the script's dependents anew each time, and so would the next build from a shell: all examples, twice.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_package(&mut command);
    command
}

/// Cargo in the project of a reader who follows a page of the book of this repository.
///
/// What such projects have in common is built once. Nobody debugs them or builds them a second time: what is made for
/// that takes longer than the programs themselves.
#[must_use]
pub fn as_reader(repository: &Path, project: &Path) -> Command {
    let mut command = command();
    command
        .current_dir(project)
        .env("CARGO_TARGET_DIR", reader_target(repository))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0");
    command
}

/// The target folder of [`as_reader`].
#[must_use]
pub fn reader_target(repository: &Path) -> PathBuf {
    repository.join("target/quick-start")
}

/// What [`command`] does, for a program that will start cargo.
pub fn forget_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if is_of_the_package(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
}

fn is_of_the_package(variable: &str) -> bool {
    // A package with a build script has its OUT_DIR in the environment of its tests, too.
    variable == "OUT_DIR" || ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| variable.starts_with(own))
}

/// The folder into which cargo builds: it may be set by a variable, on the command line, or in any of several files.
///
/// # Errors
///
/// Cargo cannot be started, or finds no package in `root`.
pub fn target_directory(root: &Path) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }

    let output = command()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cargo cannot be started; is it in PATH?")?;
    ensure!(
        output.status.success(),
        "cargo cannot read the package in {}:\n{}",
        root.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .context("the output of `cargo metadata` is not what it used to be")?;
    Ok(metadata.target_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_does_not_hear_of_the_package_that_asks() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some(), "cargo tells a test its package");
        let command = command();
        let removed = |name: &str| command.get_envs().any(|(key, value)| key == name && value.is_none());
        assert!(removed("CARGO_PKG_NAME") && removed("CARGO_MANIFEST_DIR"));
        assert!(is_of_the_package("OUT_DIR"));
        assert!(!is_of_the_package("CARGO_HOME") && !is_of_the_package("CARGO_TARGET_DIR"));
    }
}
