//! The checks of the book, each a child process whose output is kept for when it fails.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};

use anyhow::{Context, Result};
use book_checks::cargo;
use clap::ValueEnum;
use mdbook_driver::book::BookItem;

use crate::book;
use crate::report::Tally;

/// What mdBook prints for each chapter that fails, and only then.
const MDBOOK_FAILURE: &str = "ERROR rustdoc returned an error";

/// What mdBook's own test says in the end if a chapter failed.
const CHAPTERS_FAILED: &str = "One or more tests failed";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Check {
    /// Every Rust snippet of the book and of the crates' documentation compiles and runs (rustdoc)
    Snippets,
    /// Every complete program runs as a plain main.rs (skeptic)
    Programs,
    /// Every example prints what the book shows
    Examples,
    /// However the server misbehaves, every example ends in time and says why
    Faults,
    /// The quick start, followed to the letter, prints what the page says
    QuickStart,
    /// Links, anchors, outputs and spelling
    Book,
    /// The chapters pass under a bare `mdbook test`; counted by the chapter
    Mdbook,
}

impl Check {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Check::Snippets => "snippets",
            Check::Programs => "programs",
            Check::Examples => "examples",
            Check::Faults => "faults",
            Check::QuickStart => "quick-start",
            Check::Book => "book",
            Check::Mdbook => "mdbook",
        }
    }

    /// mdBook's own test needs the preprocessor that lets it use crates.
    pub(crate) fn applies(self, root: &Path) -> Result<bool> {
        Ok(self != Check::Mdbook || book::config(root)?.contains_key("preprocessor.externs"))
    }

    pub(crate) fn run(self, root: &Path) -> Result<(Output, Option<Tally>)> {
        let output =
            self.command()?.current_dir(root).stdin(Stdio::null()).output().with_context(|| {
                format!("the check `{}` cannot be started; is cargo in PATH?", self.name())
            })?;
        let mut tally = Tally::parse(&String::from_utf8_lossy(&output.stdout));
        if self == Check::Mdbook {
            let failed = String::from_utf8_lossy(&output.stderr).matches(MDBOOK_FAILURE).count() as u64;
            // A failure that is no chapter's came before any chapter was tested.
            tally = tally.filter(|_| output.status.success() || failed > 0).map(|tally| Tally {
                passed: tally.passed.saturating_sub(failed),
                failed,
                ignored: 0,
            });
        }
        Ok((output, tally))
    }

    fn command(self) -> Result<Command> {
        // The whole workspace is selected, as by a plain `cargo test --workspace`: with fewer packages cargo would
        // unify other features and build most dependencies a second time.
        let arguments: &[&str] = match self {
            // `--doc` asks for what a package has switched off, too: model-check compiles the pool's sources under
            // another name, in which their snippets mean nothing.
            Check::Snippets => &["test", "--workspace", "--doc", "--exclude", "model-check"],
            Check::Programs => &["test", "--workspace", "--test", "programs"],
            Check::Examples => &["test", "--workspace", "--test", "reader", "examples::"],
            Check::Faults => &["test", "--workspace", "--test", "reader", "faults::"],
            Check::QuickStart => &["test", "--workspace", "--test", "reader", "quick_start::"],
            Check::Book => &["test", "--workspace", "--test", "book"],
            Check::Mdbook => {
                let mut command = Command::new(env::current_exe()?);
                cargo::forget_package(&mut command);
                command.arg("mdbook-test");
                return Ok(command);
            }
        };
        let mut command = cargo::command();
        command.args(arguments).arg("--no-fail-fast").env("CARGO_TERM_COLOR", "never");
        Ok(command)
    }
}

/// The child of [`Check::Mdbook`]. Its result line counts all chapters; the parent subtracts those that failed.
pub(crate) fn mdbook_test(root: &Path) -> Result<ExitCode> {
    let mut book = book::load(root, book::config(root)?)?;
    let chapters = book
        .iter()
        .filter(|item| matches!(item, BookItem::Chapter(chapter) if chapter.path.is_some()))
        .count();
    let outcome = book.test(Vec::new());
    // Any other error came before a chapter was tested, from a preprocessor for one.
    if outcome.as_ref().err().is_none_or(|error| error.to_string().contains(CHAPTERS_FAILED)) {
        println!("test result: done. {chapters} passed; 0 failed; 0 ignored");
    }
    outcome.map(|()| ExitCode::SUCCESS)
}
