//! The program that mdBook starts: it answers `supports RENDERER`, and otherwise turns the book on its standard
//! input into the one on its standard output. What it does is told in the library's documentation.
#![forbid(unsafe_code)]

use std::io::{IsTerminal, stdin, stdout};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

/// Lets a bare `mdbook test` use crates.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "mdBook runs this program; see the README for the lines in book.toml."
)]
struct Arguments {
    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Subcommand)]
enum Question {
    /// Say by the exit status whether a renderer is supported: 0 for `test`, 1 for any other
    Supports {
        /// The renderer's name
        renderer: String,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().question {
        Some(Question::Supports { renderer }) => {
            return if mdbook_externs::supports(&renderer) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        None => preprocess(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mdbook-externs: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn preprocess() -> Result<()> {
    ensure!(
        !stdin().is_terminal(),
        "this program is started by mdBook, not by hand. Add it to book.toml, then run `mdbook test`"
    );
    let (context, book) = mdbook_preprocessor::parse_input(stdin().lock()).context(
        "standard input is not what mdBook 0.5 writes. Compare `mdbook --version` with the README",
    )?;
    let root = std::env::current_dir().context("the current folder is gone")?;
    let book = mdbook_externs::run(&root, &context, book)?;
    serde_json::to_writer(stdout().lock(), &book).context("mdBook did not read the answer")
}
