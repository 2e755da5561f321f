//! `cargo guide read`: shows the claims of the book that nobody has read, with what to read each against, and records them.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use book_checks::{Book, readings};
use clap::Args;

#[derive(Args)]
pub(crate) struct ReadArgs {
    /// The pages to read, as `book/src/guide/sizing.md` [default: all of them]
    #[arg(value_name = "PAGE")]
    pub(crate) pages: Vec<String>,
    /// Take the claims over as they are, and record that nobody has read them yet
    #[arg(long)]
    pub(crate) unread: bool,
}

pub(crate) fn run(root: &Path, args: &ReadArgs) -> Result<ExitCode> {
    let book = Book::load(root).context("the chapters cannot be read")?;
    let claims = readings::record(&book, &args.pages, !args.unread)?;
    for claim in &claims {
        println!("{}:{}: {}\n  against {}\n", claim.page, claim.line, claim.text, claim.against);
    }
    let how = if args.unread { "as not read yet" } else { "as read" };
    println!("{} recorded {how}", claims.len());
    Ok(ExitCode::SUCCESS)
}
