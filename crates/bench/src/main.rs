use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use poolhouse_bench::counts::{self, Counts, Job};
use poolhouse_bench::harness::Plan;
use poolhouse_bench::machine::{Machine, date, rustc};
use poolhouse_bench::report::{self, Report};
use poolhouse_bench::{competitors, scenarios, sizes};
use serde::Serialize;

const COMMAND: &str = "cargo run --release --manifest-path crates/bench/Cargo.toml --";

/// The same, built without the peers.
const ALONE: &str = "cargo run --release --manifest-path crates/bench/Cargo.toml --no-default-features --";

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
    /// Measure the throughput of a server by the number of connections.
    Sizes(Sizes),
    /// Count instructions, allocations and sizes, with valgrind.
    Counts(Count),
    /// What `counts` runs under valgrind.
    #[command(hide = true)]
    Child(Job),
    /// The server of S5.
    #[command(hide = true)]
    Echo,
    /// The server of `sizes`.
    #[command(hide = true)]
    Database,
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
    /// Where to write the data. By default a full run writes book/data/bench.json of this repository, others nothing.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Shuffles the competitors within each round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct Sizes {
    /// Few and short rounds.
    #[arg(long)]
    quick: bool,
    /// Where to write the data. By default a full run writes book/data/sizes.json of this repository, a quick one nothing.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Shuffles the sizes within each round.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct Count {
    /// The competitors to count, such as poolhouse,bb8. All by default.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where to write the data. By default it goes to book/data/counts.json of this repository when all are counted.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Count poolhouse, and fail if a figure is not that of this file.
    #[arg(long, conflicts_with_all = ["only", "out", "update_baseline"])]
    check: Option<PathBuf>,
    /// Count poolhouse, and write crates/bench/baseline.json.
    #[arg(long, conflicts_with_all = ["only", "out"])]
    update_baseline: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(arguments) => run(arguments),
        Command::Sizes(arguments) => measure_sizes(arguments),
        Command::Counts(arguments) => count(arguments),
        Command::Child(job) => job.run(),
        Command::Echo => poolhouse_bench::echo::serve(),
        Command::Database => sizes::serve(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that `main` would print where one is asked for: it helps nobody here.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Run) -> Result<()> {
    let competitors = competitors::all();
    known("scenario", &arguments.scenario, &scenarios::ids())?;
    known("competitor", &arguments.only, &ids())?;
    let everything = arguments.scenario.is_empty() && arguments.only.is_empty();
    let out = match arguments.out {
        None if everything && !arguments.quick => Some(data_file("bench.json")),
        out => out,
    };

    let plan = Plan { quick: arguments.quick, seed: arguments.seed, only: arguments.only };
    eprintln!("The order within each round comes from seed {}.", plan.seed);
    let report = Report {
        command: format!("{COMMAND} run{}", if plan.quick { " --quick" } else { "" }),
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
    match out {
        Some(out) => write(&out, &report),
        None => Ok(()),
    }
}

fn measure_sizes(arguments: Sizes) -> Result<()> {
    let command = format!("{COMMAND} sizes{}", if arguments.quick { " --quick" } else { "" });
    let report = sizes::measure(arguments.quick, arguments.seed, command)?;
    print!("{}", report::sizes(&report));
    match arguments.out {
        None if !arguments.quick => write(&data_file("sizes.json"), &report),
        None => Ok(()),
        Some(out) => write(&out, &report),
    }
}

fn count(arguments: Count) -> Result<()> {
    known("competitor", &arguments.only, &ids())?;
    if cfg!(feature = "peers") && (arguments.check.is_some() || arguments.update_baseline) {
        bail!(
            "the baseline is counted without the peers, which switch on features of dependencies that they share with \
             poolhouse (sqlx-core: `log` of tracing). Add --no-default-features before the --"
        );
    }
    let against = arguments.check.map(|file| read(&file)).transpose()?;
    let only_ours = against.is_some() || arguments.update_baseline;
    let wants = |id: &str| match only_ours {
        true => counts::ours(id),
        false => arguments.only.is_empty() || arguments.only.iter().any(|wanted| wanted == id),
    };
    let (results, sizes) = counts::count(wants)?;
    let counts = Counts {
        command: format!("{} counts", if cfg!(feature = "peers") { COMMAND } else { ALONE }),
        date: date(),
        machine: Machine::this(),
        rustc: rustc(),
        results,
        sizes,
    };
    println!("{}", report::counts(&counts));
    if arguments.update_baseline {
        return write(&baseline_file(), &counts);
    }
    if let Some(baseline) = against {
        return compare(&baseline, &counts);
    }
    match arguments.out {
        Some(out) => write(&out, &counts),
        None if arguments.only.is_empty() => write(&data_file("counts.json"), &counts),
        None => Ok(()),
    }
}

fn compare(baseline: &Counts, counts: &Counts) -> Result<()> {
    if baseline.rustc != counts.rustc {
        eprintln!(
            "The baseline was counted with rustc {}, this is {}: instructions may differ by 15 % instead of 2 %.",
            baseline.rustc, counts.rustc
        );
    }
    let found = counts::check(baseline, counts);
    if found.is_empty() {
        println!("The counts are those of the baseline.");
        return Ok(());
    }
    bail!(
        "the counts are not those of the baseline:\n  {}\nIf the change is meant, say why in its commit message, and \
         update the baseline in the same commit:\n  {ALONE} counts --update-baseline",
        found.join("\n  ")
    )
}

fn ids() -> Vec<&'static str> {
    competitors::all().iter().map(|about| about.id).collect()
}

fn known(what: &str, asked: &[String], known: &[&str]) -> Result<()> {
    match asked.iter().find(|id| !known.contains(&id.as_str())) {
        Some(id) => bail!("there is no {what} {id}: choose from {}", known.join(", ")),
        None => Ok(()),
    }
}

/// Where the book looks for data.
fn data_file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "book", "data", name].iter().collect()
}

fn baseline_file() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "baseline.json"].iter().collect()
}

fn read(file: &Path) -> Result<Counts> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a file of counts", file.display()))
}

fn write(file: &Path, data: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(data)? + "\n";
    fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("The data is in {}.", file.display());
    Ok(())
}
