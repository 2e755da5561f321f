//! A command that the text tells the reader to type is one that cargo and our own tools understand.
//!
//! Looked at are `sh` and `console` blocks, and inline code that begins with `cargo`. The flags of our tools are read from
//! their sources. Whether an example exists, and a path, is the check of the paths.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::{Book, Finding, prose, tidy};

const OUR_VARIABLES: &str = "POOLHOUSE_";

/// What the book uses of cargo.
const SUBCOMMANDS: [&str; 19] = [
    "add", "bench", "build", "check", "clippy", "doc", "expand", "fmt", "guide", "init", "install", "new",
    "package", "publish", "run", "test", "tree", "update", "vendor",
];

/// Other people's subcommands, whose flags are theirs.
const PLUGINS: [&str; 3] = ["fuzz", "mutants", "nextest"];

const FLAGS: [&str; 29] = [
    "all",
    "all-features",
    "all-targets",
    "bin",
    "bins",
    "dev",
    "doc",
    "dry-run",
    "edition",
    "example",
    "examples",
    "features",
    "fix",
    "git",
    "lib",
    "locked",
    "manifest-path",
    "no-default-features",
    "no-deps",
    "no-run",
    "open",
    "package",
    "path",
    "quiet",
    "release",
    "test",
    "tests",
    "version",
    "workspace",
];

const TEST_FLAGS: [&str; 6] = ["exact", "ignored", "include-ignored", "nocapture", "skip", "test-threads"];

/// Where our programs say what they understand.
const GUIDE: [&str; 4] = [
    "crates/guide/src/cli.rs",
    "crates/guide/src/lab.rs",
    "crates/guide/src/read.rs",
    "crates/echo-server/src/cli.rs",
];
const BENCH: [&str; 1] = ["crates/bench/src/main.rs"];
const ECHO: [&str; 1] = ["crates/echo-server/src/cli.rs"];

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

static LONG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"#\[arg\((?:[^\]]*\W)?long(?-u:\b)[^\]]*\)\]\s*(?:pub(?:\(crate\))? )?(\w+):"));
static COMMANDS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)enum Command \{(.*?)\n\}"));
static VARIANT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^    ([A-Z]\w*)"));

pub fn check(book: &Book) -> Vec<Finding> {
    let mut found = Vec::new();
    for page in book.texts() {
        let mut look = |line: usize, command: &str| {
            if let Some(message) = judge(&book.root, command) {
                found.push(Finding::new(&page.name, line, message));
            }
        };
        for run in prose::runs(page) {
            for (range, code) in run.code().filter(|(_, code)| code.starts_with("cargo ")) {
                look(page.line_at(run.source(range.start)), code);
            }
        }
        for block in page.blocks().iter().filter(|block| matches!(block.language(), Some("sh" | "console"))) {
            for (index, line) in block.code.lines().enumerate() {
                look(block.line + 1 + index, line.trim().trim_start_matches("$ "));
            }
        }
    }
    found
}

fn judge(root: &Path, command: &str) -> Option<String> {
    let mut words = command.split_whitespace().peekable();
    while let Some((name, _)) = words.peek().and_then(|word| word.split_once('=')) {
        if name.starts_with(OUR_VARIABLES) && !is_read(root, name) {
            return Some(format!("nothing reads the variable `{name}`: fix the name"));
        }
        words.next();
    }
    if words.next() != Some("cargo") {
        return None;
    }
    let words: Vec<&str> = words.filter(|word| !word.starts_with('+')).collect();
    let (&subcommand, arguments) = words.split_first()?;
    if PLUGINS.contains(&subcommand) || is_placeholder(subcommand) {
        return None;
    }
    if subcommand.starts_with("--") {
        return None;
    }
    if !SUBCOMMANDS.contains(&subcommand) {
        return Some(format!("cargo has no `{subcommand}`: fix the command"));
    }
    if subcommand == "guide" {
        return program(root, &GUIDE, arguments);
    }
    let end = arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len());
    let (ours, others) = arguments.split_at(end);
    let others = others.get(1..).unwrap_or_default();
    let package = value(ours, &["-p", "--package"]);
    cargo(root, subcommand, ours, package).or_else(|| {
        if ours.iter().any(|word| word.ends_with("crates/bench/Cargo.toml")) {
            program(root, &BENCH, others)
        } else if package == Some("poolhouse-echo") {
            program(root, &ECHO, others)
        } else if subcommand == "test" {
            flags(others, |flag| TEST_FLAGS.contains(&flag))
                .map(|flag| format!("tests have no `--{flag}`: fix it"))
        } else {
            None
        }
    })
}

/// What stands before the `--`.
fn cargo(root: &Path, subcommand: &str, words: &[&str], package: Option<&str>) -> Option<String> {
    if let Some(flag) = flags(words, |flag| FLAGS.contains(&flag)) {
        return Some(format!(
            "cargo has no `--{flag}`: fix it, or add it in crates/book-checks/src/commands.rs"
        ));
    }
    let folder = match package {
        Some(package) if !is_placeholder(package) => match folder(root, package) {
            Some(folder) => folder,
            None => return Some(format!("the workspace has no package `{package}`: fix the name")),
        },
        _ => String::new(),
    };
    if subcommand != "test" {
        return None;
    }
    for at in words.iter().enumerate().filter(|(_, word)| **word == "--test").map(|(at, _)| at) {
        let name = words.get(at + 1).copied().unwrap_or_default();
        let file = |end: &str| root.join(&folder).join(format!("tests/{name}{end}")).exists();
        if !is_placeholder(name) && !file(".rs") && !file("/main.rs") {
            return Some(format!("there is no test `{name}` in `{folder}/tests`: fix the name"));
        }
    }
    let filter = filter(words)?;
    let mut files = Vec::new();
    for below in ["src", "tests"] {
        tidy::walk(root, format!("{folder}/{below}").trim_start_matches('/'), &mut files);
    }
    let last = filter.rsplit("::").next().unwrap_or(filter);
    let is_there = |file: &String| {
        file.contains(last) || fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(last))
    };
    (!is_placeholder(filter) && !folder.is_empty() && !files.iter().any(is_there))
        .then(|| format!("no test of `{folder}` is named like `{filter}`: fix the name"))
}

/// The first word that is neither a flag nor the value of one.
fn filter<'a>(words: &[&'a str]) -> Option<&'a str> {
    const WITH_VALUE: [&str; 7] =
        ["-p", "--package", "--test", "--example", "--features", "--manifest-path", "--bin"];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(word) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

/// One of our programs: its subcommand and its flags.
fn program(root: &Path, sources: &[&str], words: &[&str]) -> Option<String> {
    let texts: Vec<String> =
        sources.iter().map(|file| fs::read_to_string(root.join(file)).unwrap_or_default()).collect();
    if texts.iter().all(String::is_empty) {
        return None;
    }
    let kebab = |name: &str| name.trim_start_matches("r#").replace('_', "-");
    let known: BTreeSet<String> = texts
        .iter()
        .flat_map(|text| LONG.captures_iter(text).map(|field| kebab(&field[1])).collect::<Vec<_>>())
        .chain(["help", "version"].map(ToOwned::to_owned))
        .collect();
    if let Some(flag) = flags(words, |flag| known.contains(flag)) {
        let all = known.iter().cloned().collect::<Vec<_>>().join(", ");
        return Some(format!("{} has no `--{flag}`: there are [{all}]", sources[0]));
    }
    let variants: Vec<String> = texts
        .iter()
        .filter_map(|text| Some(COMMANDS.captures(text)?[1].to_owned()))
        .flat_map(|text| {
            VARIANT.captures_iter(&text).map(|found| found[1].to_lowercase()).collect::<Vec<_>>()
        })
        .collect();
    let first = words.first().filter(|word| !word.starts_with('-') && !is_placeholder(word))?;
    (!variants.is_empty() && !variants.iter().any(|variant| variant == first))
        .then(|| format!("{} has no command `{first}`: there are [{}]", sources[0], variants.join(", ")))
}

/// The first long flag that is not known.
fn flags<'a>(words: &[&'a str], is_known: impl Fn(&str) -> bool) -> Option<&'a str> {
    words
        .iter()
        .filter_map(|word| word.strip_prefix("--"))
        .map(|flag| flag.split('=').next().unwrap_or(flag))
        .find(|flag| !flag.is_empty() && !matches!(*flag, "help") && !is_known(flag))
}

fn value<'a>(words: &[&'a str], flags: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| flags.contains(word))?;
    words.get(at + 1).copied()
}

/// The folder of a package of ours; `.` is none.
fn folder(root: &Path, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    fs::read_dir(root.join("crates")).ok()?.flatten().find_map(|entry| {
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).ok()?;
        let folder = format!("crates/{}", entry.file_name().to_string_lossy());
        manifest.lines().any(|line| line == name).then_some(folder)
    })
}

fn is_read(root: &Path, variable: &str) -> bool {
    let mut files = Vec::new();
    for folder in ["crates", "tests", "examples"] {
        tidy::walk(root, folder, &mut files);
    }
    let quoted = format!("\"{variable}\"");
    let mut sources = files.iter().filter(|file| file.ends_with(".rs"));
    sources.any(|file| fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(&quoted)))
}

fn is_placeholder(word: &str) -> bool {
    word.starts_with(['<', '$', '.', '[']) || word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Fixture, expect};

    const A: &str = "book/src/a.md";

    fn check_with(text: &str) -> Vec<Finding> {
        let cli = "enum Command {\n    /// Serves.\n    Serve(A),\n}\nstruct A {\n    #[arg(long, short)]\n    pub(crate) dest_dir: u8,\n}\n";
        let files = [
            (A, text),
            ("crates/guide/src/cli.rs", cli),
            ("crates/bench/src/main.rs", "enum Command {\n    Run(Run),\n}\n#[arg(long)]\nquick: bool,\n"),
            ("crates/p/Cargo.toml", "[package]\nname = \"p\"\n"),
            ("crates/p/tests/it/main.rs", "fn spike() { var(\"POOLHOUSE_HOURS\"); }"),
            ("tests/book/main.rs", ""),
        ];
        check(&Fixture::new(&files).book)
    }

    #[test]
    fn commands_that_work_pass() {
        let text = "# A\n\n`cargo test --test NAME`, `cargo run --example NAME`, `cargo --version`\n\n```sh\ncargo run -- 127.0.0.1:80\n\
                    POOLHOUSE_HOURS=1 cargo test -p p --test it spike -- --nocapture\ncargo guide serve --dest-dir x\n\
                    cargo run --release --manifest-path crates/bench/Cargo.toml -- run --quick\ncargo +nightly fuzz run x --y\n\
                    curl --data x\ncargo test --test book\n```\n";
        expect(check_with(text), &[]);
    }

    #[test]
    fn commands_that_fail_are_found() {
        let text = "# A\n\n`cargo tset`\n\n```console\n$ cargo run --relase\n$ cargo guide srve\n$ cargo guide serve --dst-dir\n\
                    $ cargo run --manifest-path crates/bench/Cargo.toml -- run --quik\n$ cargo test -p q\n$ cargo test -p p --test ti\n\
                    $ cargo test -p p spyke\n$ POOLHOUSE_HOUR=1 cargo test\n$ cargo test -- --nocapure\n```\n";
        expect(
            check_with(text),
            &[
                (A, 3, "no `tset`"),
                (A, 6, "no `--relase`"),
                (A, 7, "no command `srve`"),
                (A, 8, "no `--dst-dir`"),
                (A, 9, "no `--quik`"),
                (A, 10, "no package `q`"),
                (A, 11, "no test `ti`"),
                (A, 12, "named like `spyke`"),
                (A, 13, "`POOLHOUSE_HOUR`"),
                (A, 14, "no `--nocapure`"),
            ],
        );
    }
}
