//! Cargo, asked by a program that cargo itself started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Cargo without what it told this process about this process's own package.
///
/// Some build scripts, ring's among them, run again when these variables change. With them, a build from inside a test
/// would compile the script's dependents anew each time, and so would the next build from a shell.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_package(&mut command);
    command
}

/// The same for a program that will start cargo.
pub fn forget_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|own| name.to_string_lossy().starts_with(own)) {
            command.env_remove(name);
        }
    }
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
    #[test]
    fn cargo_does_not_hear_of_the_package_that_asks() {
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some(), "cargo tells a test its package");
        let command = super::command();
        let removed = |name: &str| command.get_envs().any(|(key, value)| key == name && value.is_none());
        assert!(removed("CARGO_PKG_NAME") && removed("CARGO_MANIFEST_DIR"));
    }
}
