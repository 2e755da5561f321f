//! Breaks one PostgreSQL under four pools. Tables on standard output, progress on standard error.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use real_services::contestants::{AnyError, Contestant};
use real_services::matrix::{Fault, Pace, Report, Stage, run};

const USAGE: &str =
    "fault_matrix [--only FAULT[,FAULT]] [--pools POOL[,POOL]] [--json FILE]";

struct Arguments {
    faults: Vec<Fault>,
    pools: Vec<Contestant>,
    json: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, AnyError> {
    let mut given = Arguments {
        faults: Fault::ALL.to_vec(),
        pools: Contestant::ALL.to_vec(),
        json: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        let names = value.split(',');
        match word.as_str() {
            "--only" => {
                given.faults = names
                    .map(Fault::named)
                    .collect::<Option<_>>()
                    .ok_or_else(faults)?;
            }
            "--pools" => {
                given.pools = names
                    .map(Contestant::named)
                    .collect::<Option<_>>()
                    .ok_or(USAGE)?;
            }
            "--json" => given.json = Some(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(given)
}

fn faults() -> String {
    format!("the faults are {}", Fault::ALL.map(Fault::name).join(", "))
}

#[tokio::main]
async fn main() -> Result<ExitCode, AnyError> {
    let Arguments { faults, pools, json } = arguments()?;
    let began = Instant::now();
    let stage = tokio::task::spawn_blocking(Stage::start).await??;
    let mut report = Report::default();
    for fault in faults {
        for which in &pools {
            let cell = run(&stage, fault, *which, Pace::FULL).await?;
            eprintln!(
                "{:4.0} s  {:15} {:20} {:5} requests {:5} errors {} backends",
                began.elapsed().as_secs_f64(),
                fault.name(),
                which.name(),
                cell.requests,
                cell.errors,
                cell.most_backends
            );
            report.cells.push(cell);
        }
    }
    print!("{}", report.markdown());
    if let Some(file) = json {
        std::fs::write(file, format!("{:#}\n", report.json()))?;
    }
    let broken = report.broken_musts();
    for must in &broken {
        eprintln!("poolhouse-postgres breaks a must: {must}");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
