//! `cargo guide lab`: the runs of the Pool Lab, without a browser.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use pool_lab::{PRESETS, Preset, Scenario, report, run, table};

#[derive(Args)]
pub(crate) struct LabArgs {
    /// The name of a preset, or knobs as `name=value`, joined by `&`
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: Option<String>,
    /// Print all of each run as JSON, as the browser computes it
    #[arg(long)]
    pub(crate) json: bool,
}

/// `cargo guide lab`
pub(crate) fn execute(args: &LabArgs) -> Result<ExitCode> {
    let Some(asked) = &args.scenario else {
        for preset in PRESETS {
            println!("{:<20} {}", preset.name, preset.text("title"));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let scenarios = match Preset::named(asked) {
        Some(preset) => preset.scenarios()?,
        None if asked.contains('=') => vec![("run".to_owned(), Scenario::parse(asked)?)],
        None => None.with_context(|| format!("no preset {asked}: `cargo guide lab` lists all"))?,
    };
    let runs: Vec<_> = scenarios.into_iter().map(|(name, scenario)| (name, run(&scenario))).collect();
    if args.json {
        for (_, run) in &runs {
            println!("{}", report(run));
        }
        return Ok(ExitCode::SUCCESS);
    }
    print!("{}", table(&runs));
    for (name, run) in &runs {
        for (outcome, said) in &run.diagnoses {
            println!("\n{name}, {}: {said}", outcome.as_str());
        }
    }
    Ok(ExitCode::SUCCESS)
}
