//! `cargo guide test`: every check of the book, one table.

use std::path::Path;
use std::process::{ExitCode, Output};

use anyhow::Result;
use clap::Args;
use clap::ValueEnum;

use crate::checks::Check;
use crate::progress::Task;
use crate::report::{self, Row};

#[derive(Args)]
pub(crate) struct TestArgs {
    /// The checks to run [default: all of them]
    #[arg(value_enum, value_name = "CHECK")]
    pub(crate) checks: Vec<Check>,
}

pub(crate) fn run(root: &Path, args: &TestArgs) -> Result<ExitCode> {
    let chosen = if args.checks.is_empty() { Check::value_variants() } else { &args.checks };
    let mut rows = Vec::new();
    for (index, check) in chosen.iter().enumerate() {
        if !check.applies(root)? {
            eprintln!("Left out: {} (book.toml has no [preprocessor.externs])", check.name());
            continue;
        }
        let task = Task::start(&format!("Check {} of {}: {}", index + 1, chosen.len(), check.name()));
        let (output, tally) = check.run(root)?;
        let took = task.finish();
        let succeeded = output.status.success();
        if !succeeded {
            print_failure(*check, &output);
        }
        rows.push(Row { check: check.name(), tally, succeeded, took });
    }
    print!("{}", report::table(&rows));
    Ok(if rows.iter().all(|row| row.succeeded) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_failure(check: Check, output: &Output) {
    println!("---- {} ----", check.name());
    let errors = String::from_utf8_lossy(&output.stderr);
    let results = String::from_utf8_lossy(&output.stdout);
    // What passed is counted in the table, and need not be read to find what did not.
    for line in results.lines().chain(errors.lines()).filter(|line| !line.ends_with("... ok")) {
        println!("{line}");
    }
    println!();
}
