//! Measures four pools over one PostgreSQL. Tables on standard output, the rest on standard error.

use std::path::PathBuf;

use real_services::contestants::AnyError;
use real_services::speed::{Plan, run, server};

const USAGE: &str = "speed [--rounds NUMBER] [--json FILE]";

fn main() -> Result<(), AnyError> {
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: measure with --release");
    }
    let (mut plan, mut json) = (Plan::FULL, None::<PathBuf>);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--rounds" => plan.rounds = value.parse::<usize>()?.max(1),
            "--json" => json = Some(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    let (_server, target) = server()?;
    let measured = tokio::runtime::Runtime::new()?.block_on(run(&target, plan))?;
    print!("{}", measured.markdown());
    if let Some(file) = json {
        std::fs::write(file, format!("{:#}\n", measured.json()))?;
    }
    eprintln!("{} rounds", measured.rounds());
    for must in measured.broken_musts() {
        eprintln!("poolhouse-postgres breaks a must: {must}");
    }
    Ok(())
}
