//! `cargo guide test`: every check of the book, one table.

use std::panic::resume_unwind;
use std::path::Path;
use std::process::{ExitCode, Output};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use clap::ValueEnum;

use crate::checks::Check;
use crate::progress::Task;
use crate::report::{self, Row, Tally};

#[derive(Args)]
pub(crate) struct TestArgs {
    /// The checks to run [default: all of them]
    #[arg(value_enum, value_name = "CHECK")]
    pub(crate) checks: Vec<Check>,
}

pub(crate) fn run(root: &Path, args: &TestArgs) -> Result<ExitCode> {
    let chosen = if args.checks.is_empty() { Check::value_variants() } else { &args.checks };
    let mut checks = Vec::new();
    for check in chosen {
        if check.applies(root)? {
            checks.push(*check);
        } else {
            eprintln!("Left out: {} (book.toml has no [preprocessor.externs])", check.name());
        }
    }
    let began = Instant::now();
    let rows = rows(root, &checks)?;
    print!("{}", report::table(&rows, began.elapsed()));
    Ok(if rows.iter().all(|row| row.succeeded) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// mdBook tests one chapter after the other, on one processor, and takes longer than any other check: it begins first, and
/// the others run beside it.
fn rows(root: &Path, checks: &[Check]) -> Result<Vec<Row>> {
    thread::scope(|scope| {
        let mut beside =
            checks.contains(&Check::Mdbook).then(|| scope.spawn(|| Timed::run(Check::Mdbook, root)));
        let mut rows = Vec::new();
        for (index, check) in checks.iter().enumerate() {
            let task = Task::start(&format!("Check {} of {}: {}", index + 1, checks.len(), check.name()));
            let begun = (*check == Check::Mdbook).then(|| beside.take()).flatten();
            let timed = match begun {
                Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                None => Timed::run(*check, root),
            }?;
            task.finish();
            let succeeded = timed.output.status.success();
            if !succeeded {
                print_failure(*check, &timed.output);
            }
            rows.push(Row { check: check.name(), tally: timed.tally, succeeded, took: timed.took });
        }
        Ok(rows)
    })
}

struct Timed {
    output: Output,
    tally: Option<Tally>,
    took: Duration,
}

impl Timed {
    fn run(check: Check, root: &Path) -> Result<Self> {
        let began = Instant::now();
        let (output, tally) = check.run(root)?;
        Ok(Self { output, tally, took: began.elapsed() })
    }
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
