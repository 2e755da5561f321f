//! A small crate with a book in it, in a folder of its own, and mdBook itself to test the book with.
//!
//! mdBook prints rustdoc's report with `eprintln!`, and a test cannot read its own standard error. So the mdBook
//! library runs in a child: this same test program, told to run the one test that is ignored otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mdbook-externs");

/// The folder of a book, removed at the end.
pub(crate) struct Fixture {
    folder: TempDir,
    name: &'static str,
    edition: &'static str,
    settings: String,
    environment: Vec<(&'static str, String)>,
}

impl Fixture {
    /// The crate `water-tank`, whose `level` is 7 (or 9 with the feature `full`), and a book without chapters.
    pub(crate) fn new() -> Fixture {
        Fixture::named("book")
    }

    /// The same in a folder of that name.
    pub(crate) fn named(name: &'static str) -> Fixture {
        let fixture = Fixture {
            folder: tempfile::Builder::new().prefix("externs-").tempdir().unwrap(),
            name,
            edition: "2024",
            settings: String::new(),
            environment: Vec::new(),
        };
        fixture.manifest("");
        fixture.write("lib.rs", "pub fn level() -> u32 { if cfg!(feature = \"full\") { 9 } else { 7 } }");
        fixture.configure();
        fixture
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    /// Writes a file in the book's folder.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: &str) {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    /// Writes the crate's manifest, with `tables` at its end.
    pub(crate) fn manifest(&self, tables: &str) {
        self.write("Cargo.toml", &format!("[workspace]\n{}\n{tables}", package("water-tank", "full = []")));
    }

    /// Adds a library package in a folder of its own, for the manifest to depend on.
    pub(crate) fn package(&self, name: &str, tables: &str, library: &str) {
        self.write(format!("{name}/Cargo.toml"), &format!("{}\n{tables}", package(name, "more = []")));
        self.write(format!("{name}/lib.rs"), library);
    }

    pub(crate) fn edition(&mut self, edition: &'static str) {
        self.edition = edition;
        self.configure();
    }

    /// Adds lines to `[preprocessor.externs]`, in place of earlier ones.
    pub(crate) fn settings(&mut self, lines: &str) {
        self.settings = lines.to_owned();
        self.configure();
    }

    fn configure(&self) {
        // A literal for the shell inside a string for TOML.
        let command = format!("'{BINARY}'");
        self.write(
            "book.toml",
            &format!(
                "[rust]\nedition = \"{}\"\n[preprocessor.externs]\ncommand = {command:?}\nrenderers = [\"test\"]\n\
                 after = [\"links\"]\n{}\n",
                self.edition, self.settings
            ),
        );
    }

    pub(crate) fn environment(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, value.to_owned()));
    }

    /// Writes chapters, and the summary that lists just these. Each is a path and a text.
    pub(crate) fn chapters(&self, chapters: &[(&str, &str)]) {
        let mut summary = String::from("# Summary\n\n");
        for (path, text) in chapters {
            let name = path.trim_end_matches(".md").replace('/', " ");
            summary.push_str(&format!("- [{name}](<{path}>)\n"));
            self.write(Path::new("src").join(path), text);
        }
        self.write("src/SUMMARY.md", &summary);
    }

    /// One chapter, one snippet.
    pub(crate) fn snippet(&self, code: &str) {
        self.chapters(&[("chapter.md", &snippet(code))]);
    }

    /// `mdbook test`.
    pub(crate) fn mdbook_test(&self) -> Report {
        self.spawn(None).finish()
    }

    /// `mdbook test -c CHAPTER`.
    pub(crate) fn mdbook_test_chapter(&self, chapter: &str) -> Report {
        self.spawn(Some(chapter)).finish()
    }

    /// Starts `mdbook test`.
    pub(crate) fn spawn(&self, chapter: Option<&str>) -> Running {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "--nocapture", "stock_mdbook"]);
        command.env("EXTERNS_BOOK", self.root());
        command.env("EXTERNS_CHAPTER", chapter.unwrap_or_default());
        // What the surrounding `cargo test` was told is not for the fixture.
        for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// All files around the book, apart from what is built.
    pub(crate) fn everything(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(self.folder.path(), &mut found);
        found.retain(|path| {
            !path.iter().any(|part| part == "target" || part == "built" || part == "Cargo.lock")
        });
        found.sort();
        found
    }

    /// All the copies of chapters that exist.
    pub(crate) fn copies(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.root().join("target/mdbook-externs/chapters"), &mut found);
        found
    }
}

fn package(name: &str, features: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nedition = \"2021\"\n[lib]\npath = \"lib.rs\"\n[features]\n{features}\n"
    )
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A Rust snippet as a chapter shows it: its first line is the chapter's third.
pub(crate) fn snippet(code: &str) -> String {
    format!("Text.\n```rust\n{code}\n```\n")
}

/// An `mdbook test` under way.
pub(crate) struct Running(std::process::Child);

impl Running {
    pub(crate) fn finish(self) -> Report {
        Report::new(self.0.wait_with_output().unwrap())
    }
}

/// How a program ended and what it printed.
#[derive(Debug)]
pub(crate) struct Report {
    success: bool,
    text: String,
}

impl Report {
    pub(crate) fn new(output: Output) -> Report {
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Report { success: output.status.success(), text: text.concat() }
    }

    #[track_caller]
    pub(crate) fn passes(&self) {
        assert!(self.success, "should pass, but:\n{}", self.text);
    }

    #[track_caller]
    pub(crate) fn fails_with(&self, expected: &[&str]) {
        assert!(!self.success, "should fail, but:\n{}", self.text);
        for part in expected {
            assert!(self.text.contains(part), "{part:?} is missing in:\n{}", self.text);
        }
    }
}
