//! The crates that are published can be: their manifests are complete, their packages hold nothing that does not belong,
//! and each README begins with how to depend on the crate.
//!
//! Which files a package has is asked of cargo, which obeys `include` and `exclude`. That a package builds is not looked
//! at here: `.ci/run` packs and builds them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use crate::{Finding, cargo, tidy};

/// A crate that is published.
pub struct Published {
    pub name: &'static str,
    pub folder: &'static str,
    /// What the README begins with.
    start: Start,
}

/// How a reader begins with a crate.
enum Start {
    /// With an entry in this table of a manifest.
    Depends(&'static str),
    /// By installing the program.
    Installs,
}

/// In the order in which they are published: `poolhouse` is tested with `poolhouse-echo`, and the others stand on it.
pub const PUBLISHED: [Published; 9] = [
    Published {
        name: "poolhouse-echo",
        folder: "crates/echo-server",
        start: Start::Depends("dev-dependencies"),
    },
    Published { name: "poolhouse", folder: "crates/poolhouse", start: Start::Depends("dependencies") },
    Published {
        name: "poolhouse-bb8",
        folder: "crates/poolhouse-bb8",
        start: Start::Depends("dependencies"),
    },
    Published {
        name: "poolhouse-deadpool",
        folder: "crates/poolhouse-deadpool",
        start: Start::Depends("dependencies"),
    },
    Published {
        name: "poolhouse-r2d2",
        folder: "crates/poolhouse-r2d2",
        start: Start::Depends("dependencies"),
    },
    Published {
        name: "poolhouse-postgres",
        folder: "crates/poolhouse-postgres",
        start: Start::Depends("dependencies"),
    },
    Published {
        name: "poolhouse-otel",
        folder: "crates/poolhouse-otel",
        start: Start::Depends("dependencies"),
    },
    Published {
        name: "poolhouse-redis",
        folder: "crates/poolhouse-redis",
        start: Start::Depends("dependencies"),
    },
    Published { name: "mdbook-externs", folder: "crates/mdbook-externs", start: Start::Installs },
];

/// What the registry, docs.rs and readers look for.
const KEYS: [&str; 9] = [
    "description",
    "license",
    "rust-version",
    "readme",
    "keywords",
    "categories",
    "homepage",
    "repository",
    "documentation",
];

/// What cargo adds, and what every package has besides its source.
const TOP: [&str; 7] = [
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
];

/// Looks at manifests and READMEs, and asks cargo for the files of each package.
pub fn check(root: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    for published in &PUBLISHED {
        found.extend(manifest(root, published));
        found.extend(readme(root, published));
        match list(root, published.name) {
            Ok(list) => found.extend(files(published, &list)),
            Err(error) => {
                found.push(Finding::new(format!("{}/Cargo.toml", published.folder), 1, format!("{error:#}")));
            }
        }
    }
    found
}

fn manifest(root: &Path, published: &Published) -> Vec<Finding> {
    let name = format!("{}/Cargo.toml", published.folder);
    let package = tidy::table(root, &name, &["package"]);
    let mut found = Vec::new();
    for key in KEYS {
        if !package.contains_key(key) {
            found.push(Finding::new(&name, 1, format!("no `{key}`: a published crate needs it")));
        }
    }
    for key in ["homepage", "repository", "version"] {
        if package.get(key).is_some_and(|value| !value.is_table()) {
            let message = format!("`{key}` is written here: inherit it, with `{key}.workspace = true`");
            found.push(Finding::new(&name, 1, message));
        }
    }
    found
}

/// The version that the crates share.
fn version(root: &Path) -> String {
    let package = tidy::table(root, "Cargo.toml", &["workspace", "package"]);
    package.get("version").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The first block says how to depend on the crate, in the version of the workspace; the second is an example.
fn readme(root: &Path, published: &Published) -> Vec<Finding> {
    let name = format!("{}/README.md", published.folder);
    let text = fs::read_to_string(root.join(&name)).unwrap_or_default();
    let mut blocks = snippets::blocks(&text);
    blocks.retain(|block| !block.indented);
    let version = version(root);
    let mut found = Vec::new();
    let Some(first) = blocks.first() else {
        return vec![Finding::new(name, 1, "no block of code: begin with how to depend on the crate")];
    };
    let (wanted, fits) = match published.start {
        Start::Depends(table) => {
            let manifest: Table = first.code.parse().unwrap_or_default();
            let entry = manifest.get(table).and_then(|table| table.get(published.name));
            let asked = entry.and_then(|entry| entry.as_str().or_else(|| entry.get("version")?.as_str()));
            let short = version.rsplit_once('.').map_or("", |(short, _)| short);
            let fits = first.info == "toml" && asked.is_some_and(|asked| asked == short);
            (format!("`[{table}]` with `{} = \"{short}\"`", published.name), fits)
        }
        Start::Installs => {
            let command = format!("cargo install {}@{version}", published.name);
            (format!("`{command}`"), first.info == "sh" && first.code.trim() == command)
        }
    };
    if !fits {
        found.push(Finding::new(&name, first.line, format!("the first block of code has to be {wanted}")));
    }
    let example = if matches!(published.start, Start::Installs) { "toml" } else { "rust" };
    // What needs a server is compiled, and not run.
    let is_example = |info: &str| info == example || (example == "rust" && info == "rust,no_run");
    if blocks.get(1).is_none_or(|block| !is_example(&block.info)) {
        let message = format!("the second block of code has to be the shortest example, in `{example}`");
        found.push(Finding::new(&name, blocks.get(1).map_or(1, |block| block.line), message));
    }
    found
}

/// The files of a package.
fn list(root: &Path, name: &str) -> Result<String> {
    let output = cargo::command()
        .args(["package", "--offline", "--list", "--allow-dirty", "--package", name])
        .current_dir(root)
        .output()
        .context("cargo cannot be started; is it in PATH?")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "`cargo package --list` of {name} fails:\n{said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Source, README and licences belong; everything else stays in the repository.
fn files(published: &Published, list: &str) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, usize> = TOP.iter().map(|top| (*top, 0)).collect();
    let mut found = Vec::new();
    let file = format!("{}/Cargo.toml", published.folder);
    // Windows writes paths in its own way.
    let list = list.replace('\\', "/");
    for name in list.lines() {
        let is_source = name.starts_with("src/") && name.ends_with(".rs");
        match counts.get_mut(name) {
            Some(count) => *count += 1,
            None if is_source => {}
            None => {
                let message = format!("the package would hold {name}, which does not belong: see `include`");
                found.push(Finding::new(&file, 1, message));
            }
        }
    }
    for (name, _) in counts.iter().filter(|(name, count)| **count == 0 && !name.starts_with(".cargo")) {
        found.push(Finding::new(&file, 1, format!("the package would lack {name}: see `include`")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const ROOT: &str = "[workspace.package]\nversion = \"0.3.1\"\n";

    #[test]
    fn a_readme_begins_with_the_dependency_and_an_example() {
        let [echo, pool, .., externs] = &PUBLISHED;
        let readme_of = |published: &Published, text: &str| {
            let name = format!("{}/README.md", published.folder);
            let fixture = Fixture::new(&[("Cargo.toml", ROOT), (&name, text)]);
            readme(&fixture.book.root, published)
        };
        let good = "# a\n\n```toml\n[dependencies]\npoolhouse = \"0.3\"\n```\n\n```rust\n```\n";
        expect(readme_of(pool, good), &[]);
        let with_feature =
            "```toml\n[dev-dependencies]\npoolhouse-echo = { version = \"0.3\" }\n```\n```rust\n```\n";
        expect(readme_of(echo, with_feature), &[]);
        expect(
            readme_of(externs, "```sh\ncargo install mdbook-externs@0.3.1\n```\n```toml\n[book]\n```\n"),
            &[],
        );

        let file = "crates/poolhouse/README.md";
        let stale = good.replace("0.3", "0.2");
        expect(readme_of(pool, &stale), &[(file, 3, "`[dependencies]` with `poolhouse = \"0.3\"`")]);
        let late = "# a\n\n```rust\n```\n";
        expect(readme_of(pool, late), &[(file, 1, "the shortest example"), (file, 3, "the first block")]);
        expect(readme_of(pool, "# a\n"), &[(file, 1, "no block of code")]);
        expect(
            readme_of(externs, "```sh\ncargo install mdbook-externs\n```\n```toml\n```\n"),
            &[("crates/mdbook-externs/README.md", 1, "`cargo install mdbook-externs@0.3.1`")],
        );
    }

    #[test]
    fn a_manifest_has_all_that_a_registry_shows() {
        let text = "[package]\nname = \"poolhouse\"\nhomepage = \"https://a.example\"\nrepository.workspace = true\n\
            description = \"d\"\nlicense.workspace = true\nrust-version.workspace = true\nreadme = \"README.md\"\n\
            keywords = []\ncategories = []\n";
        let file = "crates/poolhouse/Cargo.toml";
        let fixture = Fixture::new(&[(file, text)]);
        expect(
            manifest(&fixture.book.root, &PUBLISHED[1]),
            &[(file, 1, "`homepage` is written here"), (file, 1, "no `documentation`")],
        );
    }

    #[test]
    fn what_does_not_belong_and_what_is_missing_in_a_package_is_found() {
        let list = "Cargo.toml\nCargo.toml.orig\nCargo.lock\nLICENSE-MIT\nREADME.md\nsrc\\lib.rs\nsrc/note.txt\n\
                    tests/fuzz/corpus/a\n";
        let file = "crates/poolhouse/Cargo.toml";
        expect(
            files(&PUBLISHED[1], list),
            &[
                (file, 1, "hold src/note.txt"),
                (file, 1, "hold tests/fuzz/corpus/a"),
                (file, 1, "lack LICENSE-APACHE"),
            ],
        );
    }
}
