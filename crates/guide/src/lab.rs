//! `cargo guide lab`: the runs of the Pool Lab, without a browser.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use pool_lab::{Need, PRESETS, Preset, Scenario, curve_table, report, run, size, sweep, table};

#[derive(Args)]
pub(crate) struct LabArgs {
    /// The name of a preset, or knobs as `name=value`, joined by `&`
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: Option<String>,
    /// Print all of each run as JSON, as the browser computes it
    #[arg(long)]
    pub(crate) json: bool,
    /// Size the pool from what the form of the lab asks for: `rate`, `hold`, `holds`, `long_every`, `slow`, `target`,
    /// `total`, `replicas`, `surge`, `boot`, `fault_for`, `server_limit` and `reserved`
    #[arg(long, conflicts_with = "json")]
    pub(crate) size: bool,
    /// Run the first configuration at several loads, beside what Erlang C says
    #[arg(long, conflicts_with = "json", conflicts_with = "size")]
    pub(crate) loads: bool,
}

/// `cargo guide lab`
pub(crate) fn execute(args: &LabArgs) -> Result<ExitCode> {
    let Some(asked) = &args.scenario else {
        for preset in PRESETS {
            println!("{:<20} {}", preset.name, preset.text("title"));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let preset = Preset::named(asked);
    if preset.is_none() && !asked.contains('=') {
        bail!("no preset {asked}: `cargo guide lab` lists all");
    }
    if args.size {
        let text = match preset {
            Some(preset) => preset.scenarios()?.swap_remove(0).1.address(),
            None => asked.clone(),
        };
        for sentence in size(&Need::parse(&text)?)?.words() {
            println!("{sentence}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let scenarios = match preset {
        Some(preset) => preset.scenarios()?,
        None => vec![("run".to_owned(), Scenario::parse(asked)?)],
    };
    if args.loads {
        print!("{}", curve_table(&sweep(&scenarios[0].1)?));
        return Ok(ExitCode::SUCCESS);
    }
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
