//! The options of a pool from a file, and over them those from environment
//! variables.

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use poolhouse::PoolConfig;

type AnyError = Box<dyn Error + Send + Sync>;

const FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/examples/guide/settings/pool.toml");

// ANCHOR: read
/// A variable is named as its option, in capitals, after this.
const PREFIX: &str = "POOL_";

/// The options of the file. A variable of the environment goes before the line of
/// the file.
fn settings(
    file: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<PoolConfig, AnyError> {
    let mut settings: toml::Table = file.parse()?;
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX).map(str::to_lowercase)
        else {
            continue;
        };
        if PoolConfig::default().options().iter().all(|(option, _)| *option != name)
        {
            return Err(format!("{variable}: a pool has no option `{name}`").into());
        }
        // In TOML, `20` and `true` are values. `30s` is none, and is taken as a
        // text.
        let value = text.parse().unwrap_or(toml::Value::String(text));
        settings.insert(name, value);
    }
    Ok(settings.try_into()?)
}
// ANCHOR_END: read

/// Prints the options that are not as by default.
fn show(config: &PoolConfig) {
    let options = config.options().into_iter().zip(PoolConfig::default().options());
    for ((name, value), _) in options.filter(|(set, default)| set != default) {
        println!("  {name}: {value}");
    }
}

fn run() -> Result<(), AnyError> {
    let file = fs::read_to_string(FILE)?;

    println!("== the file, and the environment");
    // ANCHOR: use
    // Not `vars`, which panics at a variable of anybody that is not UTF-8.
    let variables = env::vars_os().filter_map(|(name, text)| {
        Some((name.into_string().ok()?, text.into_string().ok()?))
    });
    let config = settings(&file, variables)?;
    // ANCHOR_END: use
    show(&config);

    // The variables that a deployment could have, one at a time.
    for (variable, text) in [
        ("POOL_MAX_CONNECTIONS", "40"),
        ("POOL_CHECK_AFTER_IDLE", "1m 30s"),
        ("POOL_MAX_CONECTIONS", "40"),
        ("POOL_MAX_CONNECTIONS", "forty"),
        ("POOL_MAX_CONNECTIONS", "0"),
        ("POOL_IDLE_TIMEOUT", "30"),
    ] {
        println!("== {variable}={text}");
        match settings(&file, [(variable.to_owned(), text.to_owned())]) {
            Ok(config) => show(&config),
            Err(error) => println!("refused: {}", error.to_string().trim_end()),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
