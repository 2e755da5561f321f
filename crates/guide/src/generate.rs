//! `cargo guide generate`: rewrites what the book shows but nobody writes by hand.
//!
//! First the outputs of the examples, then the data of the experiments, then the plots, the diagrams, the schema of the
//! options and the public interface of each crate, then the generated blocks of the chapters, which may be made from them, and last the count of assertions. What the benchmark measured is read, never measured
//! here.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use book_checks::{
    Book, Finding, Generators, assertions, diagrams, examples, experiments, generated, lab, plots,
    public_api, settings_schema, traces,
};
use clap::Args;

use crate::progress::Task;

#[derive(Args)]
pub(crate) struct GenerateArgs {
    /// Change nothing; list what would change, and exit with code 1 if anything would
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(root: &Path, args: &GenerateArgs) -> Result<ExitCode> {
    if args.check { check(root) } else { write(root) }
}

fn write(root: &Path) -> Result<ExitCode> {
    let task = Task::start("Building and running the examples");
    let mut changed = examples::write_expected(root)?;
    changed.extend(traces::rewrite(root)?);
    drop(task);
    let task = Task::start("Running the experiments");
    changed.extend(experiments::rewrite(root).context("the data of an experiment cannot be written")?);
    drop(task);
    changed.extend(plots::rewrite(root).context("a plot cannot be drawn")?);
    changed.extend(lab::rewrite(root).context("a picture of the lab cannot be written")?);
    changed.extend(traces::redraw(root).context("a trace cannot be drawn")?);
    changed.extend(diagrams::rewrite(root).context("a diagram cannot be drawn")?);
    changed.extend(public_api::rewrite(root).context("the public interface cannot be written down")?);
    changed.extend(settings_schema::rewrite(root).context("the schema of the options cannot be written")?);
    let generators = Generators::all(root);
    changed.extend(generated::rewrite(&load(root)?, &generators).context("a chapter cannot be written")?);
    changed.extend(
        assertions::rewrite(&load(root)?).context("the assertions cannot be counted")?.map(String::from),
    );
    for file in &changed {
        println!("Changed {file}");
    }
    if changed.is_empty() {
        println!("Everything was up to date");
    }
    // What is still wrong is wrong with the marks, and only a person can tell what was meant.
    Ok(report(&generated::check(&load(root)?, &generators)))
}

fn check(root: &Path) -> Result<ExitCode> {
    let task = Task::start("Building and running the examples");
    let runs = examples::run_all(root)?;
    let traced = traces::run_all(root)?;
    drop(task);
    let mut found = examples::check(root, &runs);
    found.extend(traces::check_data(root, &traced));
    let task = Task::start("Running the experiments");
    found.extend(experiments::check(root));
    drop(task);
    found.extend(plots::check(root));
    found.extend(lab::check(root));
    found.extend(traces::check(root));
    found.extend(diagrams::check(root));
    found.extend(public_api::check(root));
    found.extend(settings_schema::check(root));
    let book = load(root)?;
    found.extend(generated::check(&book, &Generators::all(root)));
    found.extend(assertions::check(&book));
    found.sort();
    if found.is_empty() {
        println!("Everything is up to date");
    }
    Ok(report(&found))
}

fn load(root: &Path) -> Result<Book> {
    Book::load(root).context("the chapters cannot be read")
}

fn report(found: &[Finding]) -> ExitCode {
    for finding in found {
        println!("{finding}");
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
