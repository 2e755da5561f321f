//! What `poolhouse` adds to a project that has tokio.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Of these tokio has need itself, with `net`, `time`, `sync` and `rt`.
const TOKIO: [&str; 5] = ["libc", "mio", "pin-project-lite", "socket2", "tokio"];

const MOST: usize = 20;

/// Of procedural macros, thiserror's and what that is made of.
const MACROS: [&str; 1] = ["thiserror-impl"];

fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "poolhouse", "--edges", "normal", "--prefix", "none"])
        // The same list wherever the test runs.
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names are UTF-8")
}

#[test]
fn the_default_build_adds_few_crates() {
    let tree = tree(&[]);
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let macros: BTreeSet<&str> = tree
        .lines()
        .filter(|line| line.contains("(proc-macro)"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.contains("tokio") && crates.contains("poolhouse"), "{crates:?}");
    let added: Vec<_> = crates.iter().filter(|name| !TOKIO.contains(name)).collect();
    assert!(added.len() <= MOST, "{} crates, of at most {MOST}: {added:?}", added.len());
    assert!(macros.iter().eq(&MACROS), "{macros:?}");
}

fn names(tree: &str) -> BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| *name != "poolhouse").collect()
}

/// The paragraph on the build without features, on one line. The crate's documentation and its README have the same.
fn paragraph(file: &str, mark: &str) -> String {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the file is there");
    let lines = text.lines().map(|line| line.strip_prefix(mark).unwrap_or_default().trim());
    let lines = lines.skip_while(|line| !line.starts_with("Without default features "));
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn without_default_features_the_crate_needs_what_it_says() {
    let said = paragraph("crates/poolhouse/src/lib.rs", "//! ");
    assert_eq!(said, paragraph("crates/poolhouse/README.md", ""));
    let direct = tree(&["--no-default-features", "--depth", "1"]);
    let named: BTreeSet<&str> = said.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, names(&direct), "mend the list in the paragraph");
    let all = tree(&["--no-default-features"]);
    let count = format!("makes {} crates on Linux", names(&all).len());
    assert!(said.contains(&count), "mend the number in the paragraph: {count}");
}
