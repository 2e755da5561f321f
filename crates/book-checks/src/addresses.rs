//! Where the guide and its repository are stands in one place: `[workspace.package]` in the root's manifest. Everything
//! else takes it from there, so that a move or a fork changes two lines.

use std::fs;
use std::path::Path;

use toml::Value;

use crate::{Finding, tidy};

/// The one place.
const HOME: &str = "Cargo.toml";

/// What is looked through, besides the files in the root.
const FOLDERS: [&str; 7] = [".ci", ".github", "book", "crates", "examples", "tests", ".cargo"];

pub fn check(root: &Path) -> Vec<Finding> {
    let package = tidy::table(root, HOME, &["workspace", "package"]);
    let mut found = Vec::new();
    let mut addresses = Vec::new();
    for key in ["homepage", "repository"] {
        match package.get(key).and_then(Value::as_str) {
            Some(address) if address.starts_with("https://") && !address.ends_with('/') => {
                addresses.push(address.to_owned());
            }
            _ => {
                let message =
                    format!("`workspace.package.{key}` must begin with https:// and not end with a slash");
                found.push(Finding::new(HOME, 1, message));
            }
        }
    }
    for name in files(root) {
        let Ok(text) = fs::read_to_string(root.join(&name)) else { continue };
        for (index, line) in text.lines().enumerate() {
            if let Some(address) = addresses.iter().find(|address| line.contains(address.as_str())) {
                let message = format!(
                    "{address} is written here: take it from {HOME}, or in code from `poolhouse::GUIDE`"
                );
                found.push(Finding::new(&name, index + 1, message));
            }
        }
    }
    found
}

fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && name != HOME {
            found.push(name);
        }
    }
    for folder in FOLDERS {
        tidy::walk(root, folder, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    #[test]
    fn an_address_by_hand_is_found() {
        let manifest = "[workspace.package]\nhomepage = \"https://guide.example\"\nrepository = \"https://code.example/a\"\n";
        let fixture = Fixture::new(&[
            (HOME, manifest),
            ("README.md", "# A\n\n[guide](https://guide.example/a.html)\n"),
            ("crates/a/src/lib.rs", "//! See <https://code.example/a>.\n//! See <https://code.example/b>.\n"),
        ]);
        expect(
            check(&fixture.book.root),
            &[
                ("README.md", 3, "https://guide.example is written here"),
                ("crates/a/src/lib.rs", 1, "https://code.example/a is written here"),
            ],
        );
    }

    #[test]
    fn an_address_that_is_missing_or_ends_with_a_slash_is_found() {
        let fixture = Fixture::new(&[(HOME, "[workspace.package]\nhomepage = \"https://guide.example/\"\n")]);
        expect(
            check(&fixture.book.root),
            &[(HOME, 1, "`workspace.package.homepage`"), (HOME, 1, "`workspace.package.repository`")],
        );
    }
}
