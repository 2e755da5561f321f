use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use poolhouse_bench::harness::Plan;
use poolhouse_bench::machine::{Machine, date};
use poolhouse_bench::report::Report;
use poolhouse_bench::{competitors, scenarios};

/// Measures poolhouse beside other connection pools.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure times: all competitors in turns, medians and ratios paired by round.
    Run(Run),
}

#[derive(Debug, Args)]
struct Run {
    /// Fewer and shorter rounds: within two minutes on two cores.
    #[arg(long)]
    quick: bool,
    /// The scenarios to run, such as S1,S3. All by default.
    #[arg(long, value_delimiter = ',')]
    scenario: Vec<String>,
    /// The competitors to run, such as poolhouse,bb8. All by default. Ratios need poolhouse.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where to write the data. A full run writes book/data/bench.json of this repository by default.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Shuffles the competitors within each round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Run(arguments) => run(arguments),
    }
}

fn run(arguments: Run) -> Result<()> {
    let competitors = competitors::all();
    known("scenario", &arguments.scenario, &scenarios::ids())?;
    known("competitor", &arguments.only, &competitors.iter().map(|about| about.id).collect::<Vec<_>>())?;
    let everything = arguments.scenario.is_empty() && arguments.only.is_empty();
    let out = match arguments.out {
        None if everything && !arguments.quick => Some(data_file("bench.json")),
        out => out,
    };

    let plan = Plan { quick: arguments.quick, seed: arguments.seed, only: arguments.only };
    eprintln!("The order within each round comes from seed {}.", plan.seed);
    let report = Report {
        command: "cargo run --release --manifest-path crates/bench/Cargo.toml -- run",
        mode: if plan.quick { "quick" } else { "full" },
        date: date(),
        machine: Machine::this(),
        seed: plan.seed,
        scenarios: scenarios::ids()
            .into_iter()
            .filter(|id| {
                arguments.scenario.is_empty() || arguments.scenario.iter().any(|wanted| wanted == id)
            })
            .filter_map(|id| scenarios::run(id, &plan))
            .collect(),
        competitors,
    };
    print!("{}", report.tables());
    if let Some(out) = out {
        let json = serde_json::to_string_pretty(&report)?;
        fs::write(&out, json + "\n").with_context(|| format!("cannot write {}", out.display()))?;
        eprintln!("The data is in {}.", out.display());
    }
    Ok(())
}

/// Where the book looks for data.
fn data_file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "book", "data", name].iter().collect()
}

fn known(what: &str, asked: &[String], known: &[&str]) -> Result<()> {
    match asked.iter().find(|id| !known.contains(&id.as_str())) {
        Some(id) => bail!("there is no {what} {id}: choose from {}", known.join(", ")),
        None => Ok(()),
    }
}
