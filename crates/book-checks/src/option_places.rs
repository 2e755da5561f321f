//! The places of an option that neither the compiler nor a generated block misses: a test of what it does, an example
//! that sets it, and the changelog. The chapter on contributing lists all places.

use std::fs;

use poolhouse::PoolConfig;

use crate::{Book, Finding, rust_tests, tidy};

const CODE: &str = "crates/poolhouse/src/config.rs";
const CHANGELOG: &str = "CHANGELOG.md";

pub fn check(book: &Book) -> Vec<Finding> {
    let options = PoolConfig::default().options();
    check_options(book, &options.iter().map(|(name, _)| *name).collect::<Vec<_>>())
}

fn check_options(book: &Book, options: &[&str]) -> Vec<Finding> {
    let root = &book.root;
    if !root.join(CODE).exists() {
        return Vec::new();
    }
    let code = fs::read_to_string(root.join(CODE)).unwrap_or_default();
    let changelog = fs::read_to_string(root.join(CHANGELOG)).unwrap_or_default();
    let examples = examples(book);
    let tested = tested(book);
    let mut found = Vec::new();
    for option in options {
        let field = format!("pub {option}:");
        let line = code.lines().position(|line| line.trim().starts_with(&field)).map_or(1, |index| index + 1);
        if !tested.iter().any(|name| name == option) {
            let message = format!(
                "no test says what `{option}` does: write one, and \"Option `{option}`.\" into its documentation"
            );
            found.push(Finding::new(CODE, line, message));
        }
        if !examples.iter().any(|text| sets(text, option)) {
            found.push(Finding::new(
                CODE,
                line,
                format!("no example sets `{option}`: let one in `examples`"),
            ));
        }
        if !changelog.contains(&format!("`{option}`")) {
            found.push(Finding::new(CHANGELOG, 1, format!("`{option}` is not here: tell the readers of it")));
        }
    }
    found
}

/// The options whose effect a test of the pool has in its documentation. One that runs only when it is asked does not
/// count.
fn tested(book: &Book) -> Vec<String> {
    let (sources, _) = rust_tests::sources(&book.root);
    let tests = sources
        .iter()
        .filter(|source| source.file.starts_with("crates/poolhouse/"))
        .flat_map(|source| source.module.all_tests())
        .filter(|test| !test.ignored);
    tests
        .flat_map(|test| &test.doc)
        .filter_map(|(_, line)| line.trim().strip_prefix("Option `")?.strip_suffix("`."))
        .map(str::to_owned)
        .collect()
}

/// The text of every example, and of every settings file of one.
fn examples(book: &Book) -> Vec<String> {
    let mut names = Vec::new();
    tidy::walk(&book.root, "examples", &mut names);
    names.retain(|name| name.ends_with(".rs") || name.ends_with(".toml"));
    names.iter().filter_map(|name| fs::read_to_string(book.root.join(name)).ok()).collect()
}

/// Whether the text gives the option a value, as a field or as a line of a settings file.
fn sets(text: &str, option: &str) -> bool {
    text.match_indices(option).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + option.len()..].trim_start();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.')
            && (after.starts_with(':') || after.starts_with("= "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const TESTS: &str = "crates/poolhouse/tests/it/a.rs";

    #[test]
    fn an_option_that_is_everywhere_passes() {
        let fixture = Fixture::new(&[
            (CODE, "pub struct PoolConfig {\n    pub one: u8,\n    pub two: u8,\n}\n"),
            (TESTS, "/// size.max: so.\n/// Option `one`.\n/// Option `two`.\n#[test]\nfn both() {}\n"),
            ("examples/a.rs", "PoolConfig { one: 1 }"),
            ("examples/a/b.toml", "two = 2\n"),
            (CHANGELOG, "`one` and `two`\n"),
        ]);
        expect(check_options(&fixture.book, &["one", "two"]), &[]);
    }

    #[test]
    fn each_place_that_lacks_an_option_is_named() {
        let fixture = Fixture::new(&[
            (CODE, "pub struct PoolConfig {\n    pub one: u8,\n}\n"),
            (
                TESTS,
                "/// Option `one`.\n#[test]\n#[ignore]\nfn later() {}\n/// Option `one`.\nfn helper() {}\n",
            ),
            ("examples/a.rs", "config.one == 1; let zone: u8; println!(\"{one}\")"),
        ]);
        expect(
            check_options(&fixture.book, &["one"]),
            &[
                (CHANGELOG, 1, "tell the readers"),
                (CODE, 2, "let one in"),
                (CODE, 2, "no test says what `one` does"),
            ],
        );
    }
}
