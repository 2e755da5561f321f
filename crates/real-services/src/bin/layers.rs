//! Several processes behind HAProxy and PgBouncer. Tables on standard output, progress on standard error.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use real_services::contestants::AnyError;
use real_services::layers::given_up::{Way, hung_up, killed};
use real_services::layers::pooler::{Work, maintenance, prepared, roll_outs};
use real_services::layers::queues::{POOLS, queues};
use real_services::layers::relay::{FAULT, deaths, drains, returns};
use real_services::layers::report::{About, Table, merge};
use real_services::layers::service::{Service, WORD};

const USAGE: &str = "layers [--only TABLE[,TABLE]] [--json FILE]";

type Make = fn(&Path, &'static str) -> Result<Table, AnyError>;

/// The tables by their names.
const TABLES: [(&str, Make); 9] = [
    ("haproxy-dies", |program, name| {
        Ok(Table::new(name, &deaths(program, FAULT)?))
    }),
    ("haproxy-returns", |program, name| Ok(Table::new(name, &returns(program)?))),
    ("haproxy-drains", |program, name| Ok(Table::new(name, &drains(program)?))),
    ("pgbouncer-maintenance", |program, name| {
        Ok(Table::new(name, &maintenance(program, &Work::ALL)?))
    }),
    ("pgbouncer-rolls-out", |program, name| {
        Ok(Table::new(name, &roll_outs(program)?))
    }),
    ("pgbouncer-prepared", |program, name| {
        Ok(Table::new(name, &prepared(program)?))
    }),
    ("pgbouncer-queues", |program, name| {
        Ok(Table::new(name, &queues(program, &POOLS, Duration::from_secs(15))?))
    }),
    ("layers-given-up", |program, name| {
        Ok(Table::new(name, &hung_up(program, &Way::ALL)?))
    }),
    ("layers-killed", |program, name| Ok(Table::new(name, &killed(program)?))),
];

fn main() -> Result<(), AnyError> {
    let mut words = std::env::args().skip(1);
    let (mut only, mut json) = (None::<String>, None::<PathBuf>);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            WORD => return serve(&value),
            "--only" => only = Some(value),
            "--json" => json = Some(value.into()),
            _ => return Err(USAGE.into()),
        }
    }
    let all = TABLES.into_iter();
    let names: Vec<_> = all.clone().map(|(name, _)| name).collect();
    let wanted: Vec<&str> = only
        .as_deref()
        .map_or_else(|| names.clone(), |only| only.split(',').collect());
    if let Some(unknown) = wanted.iter().find(|wanted| !names.contains(wanted)) {
        return Err(format!(
            "there is no table {unknown}: the tables are {}",
            names.join(", ")
        )
        .into());
    }
    let (program, began) = (std::env::current_exe()?, Instant::now());
    let mut tables = Vec::new();
    for (name, make) in all.filter(|(name, _)| wanted.contains(name)) {
        let table = make(&program, name)?;
        eprintln!("{:4.0} s  {name}", began.elapsed().as_secs_f64());
        println!("{}", table.markdown());
        tables.push(table);
    }
    if let Some(file) = json {
        let earlier = std::fs::read_to_string(&file).ok();
        std::fs::write(&file, merge(earlier.as_deref(), &About::ask()?, &tables)?)?;
    }
    Ok(())
}

/// One process of the service.
fn serve(argument: &str) -> Result<(), AnyError> {
    let service = Service::from_argument(argument)
        .ok_or("the service is told in words that it does not know")?;
    tokio::runtime::Runtime::new()?.block_on(service.run())
}
