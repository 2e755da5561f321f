//! The configuration reference: from the code, from its documentation, and from `data/options.toml`.
//!
//! Names, types, defaults and texts are the code's. So are the bounds: each option is set to the least and to the most
//! that its type holds, and `validate` says what it thinks of that. What the options mean for each other, and what they
//! are called elsewhere, nobody can compute: that is in the data file, which has to have an entry for each option.

use std::time::Duration;

use poolhouse::{ConfigError, IdleOrder, PoolConfig};
use serde::Deserialize;
use toml::Table;

use crate::crate_source::without_targets;
use crate::errors::wrapped;

const SOURCE: &str = include_str!("../../poolhouse/src/config.rs");
const DATA: &str = include_str!("../data/options.toml");

/// The pools that have a column, with their keys in the data file.
const PEERS: [(&str, &str); 5] =
    [("hikari", "HikariCP"), ("deadpool", "deadpool"), ("bb8", "bb8"), ("r2d2", "r2d2"), ("sqlx", "sqlx")];

/// What the documentation says of an option.
pub(crate) struct Described {
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// What the data file says of one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    works_with: String,
    too_small: String,
    too_large: String,
    peers: Table,
}

/// One row an option, in the order of the code.
pub(crate) fn table() -> Result<String, String> {
    let mut table = String::from("| option | type | default | bounds |\n|---|---|---|---|\n");
    for (name, default) in PoolConfig::default().options() {
        let (kind, bounds) = (described(name)?.kind, bounds(name)?);
        table.push_str(&format!("| [`{name}`](#{name}) | `{kind}` | {default} | {bounds} |\n"));
    }
    Ok(table)
}

/// A section for each option.
pub(crate) fn sections() -> Result<String, String> {
    complete()?;
    let mut text = String::new();
    for (name, default) in PoolConfig::default().options() {
        let described = described(name)?;
        let noted = noted(name)?;
        text.push_str(&format!("### `{name}`\n\n{}\n\n", wrapped(&described.text)));
        text.push_str(&format!("- Type: `{}`{}.\n", described.kind, unit(&described.kind)));
        text.push_str(&format!("- Default: {default}. Bounds: {}.\n", bounds(name)?));
        for (label, said) in [
            ("Works with", &noted.works_with),
            ("Too small", &noted.too_small),
            ("Too large", &noted.too_large),
        ] {
            let label = match (label, name) {
                ("Too small", "idle_order") => "`Lifo`",
                ("Too large", "idle_order") => "`Fifo`",
                ("Too small", "detect_nested_acquires") => "Off",
                ("Too large", "detect_nested_acquires") => "On",
                (label, _) => label,
            };
            text.push_str(&format!("{}\n", wrapped(&format!("- {label}: {said}")).replace('\n', "\n  ")));
        }
        text.push('\n');
    }
    Ok(text)
}

/// What the option is called elsewhere, with its default there.
pub(crate) fn peers() -> Result<String, String> {
    complete()?;
    let names: Vec<&str> = PEERS.iter().map(|(_, name)| *name).collect();
    let mut table = format!("| option | {} |\n|{}\n", names.join(" | "), "---|".repeat(PEERS.len() + 1));
    for (name, default) in PoolConfig::default().options() {
        let noted = noted(name)?;
        if let Some(key) = noted.peers.keys().find(|key| PEERS.iter().all(|(peer, _)| peer != key)) {
            return Err(format!(
                "crates/book-checks/data/options.toml: {name} has a peer `{key}` without a column"
            ));
        }
        let cells: Vec<&str> = PEERS
            .iter()
            .map(|(key, _)| noted.peers.get(*key).and_then(|cell| cell.as_str()).unwrap_or(""))
            .collect();
        table.push_str(&format!("| `{name}` ({default}) | {} |\n", cells.join(" | ")));
    }
    Ok(table)
}

/// The data file has an entry for each option, and for nothing else.
fn complete() -> Result<(), String> {
    let data: Table =
        DATA.parse().map_err(|error| format!("crates/book-checks/data/options.toml: {error}"))?;
    let options = PoolConfig::default().options();
    match data.keys().find(|key| options.iter().all(|(name, _)| name != key)) {
        Some(key) => {
            Err(format!("crates/book-checks/data/options.toml: there is no option `{key}`: drop it"))
        }
        None => Ok(()),
    }
}

fn noted(name: &str) -> Result<Noted, String> {
    let data: Table =
        DATA.parse().map_err(|error| format!("crates/book-checks/data/options.toml: {error}"))?;
    let lacking = || format!("crates/book-checks/data/options.toml has no entry `{name}`: write one");
    let entry = data.get(name).ok_or_else(lacking)?.clone();
    entry.try_into().map_err(|error| format!("crates/book-checks/data/options.toml: {name}: {error}"))
}

/// What a number of this type counts.
fn unit(kind: &str) -> &'static str {
    match kind {
        "Duration" | "Option<Duration>" => ", of any unit; the timers count in milliseconds",
        "usize" | "Option<usize>" | "Option<u64>" => {
            ", a number of connections, attempts, acquires or holders"
        }
        "f64" => ", a share from 0.0 to 1.0",
        _ => "",
    }
}

/// The value of an option at one end of its type.
#[derive(Clone, Copy)]
enum End {
    Least,
    Most,
}

/// The bounds of an option, as `validate` sees them.
fn bounds(name: &str) -> Result<String, String> {
    let at = |end| set(name, end).map(|config| config.validate());
    let unknown = || format!("crates/book-checks/src/config_options.rs cannot set `{name}`: add it");
    let (least, most) = (at(End::Least).ok_or_else(unknown)?, at(End::Most).ok_or_else(unknown)?);
    let kind = described(name)?.kind;
    let optional = if kind.starts_with("Option") { "`None`, or " } else { "" };
    let from = match (kind.trim_start_matches("Option<").trim_end_matches('>'), &least) {
        ("usize" | "u64", Ok(())) => "0 or more",
        ("usize" | "u64", Err(ConfigError::Zero { .. })) => "1 or more",
        ("usize", Err(ConfigError::AboveOther { low, .. })) if low.0 != name => &not_below(name),
        ("Duration", Ok(())) => "zero or more",
        ("Duration", Err(ConfigError::NoTime { .. })) => "above zero",
        ("Duration", Err(ConfigError::TooShort { least, .. })) if least.as_millis() == 1 => "1 ms or more",
        ("f64", Err(_)) if most.is_err() => "0.0 to 1.0",
        ("bool", Ok(())) => "`true` or `false`",
        ("IdleOrder", Ok(())) => "`Lifo` or `Fifo`",
        _ => return Err(format!("the bounds of `{name}` have no words: add them to config_options.rs")),
    };
    let to = match &most {
        Err(ConfigError::AboveOther { high: ("max_connections", _), .. }) => ", up to `max_connections`",
        Err(ConfigError::BackoffAboveMax { .. }) => ", up to `max_connect_backoff`",
        Ok(()) | Err(ConfigError::JitterOutOfRange { .. }) => "",
        Err(other) => return Err(format!("`{name}` at its most: {other}: add words to config_options.rs")),
    };
    Ok(format!("{optional}{from}{to}"))
}

/// The minimums that an option may not be below, as `validate` sees them.
fn not_below(name: &str) -> String {
    let is_above = |low: &str| {
        let config = set(name, End::Least).map(|config| PoolConfig {
            min_connections: usize::from(low == "min_connections"),
            min_idle: usize::from(low == "min_idle"),
            ..config
        });
        config.is_some_and(|config| config.validate().is_err())
    };
    let lows = ["min_connections", "min_idle"].into_iter().filter(|low| is_above(low));
    let lows: Vec<String> = lows.map(|low| format!("`{low}`")).collect();
    format!("not below {}", lows.join(" or "))
}

/// The default configuration with one option at an end. `None` for an option that is not known here.
fn set(name: &str, end: End) -> Option<PoolConfig> {
    let mut config = PoolConfig::default();
    let (number, time) = match end {
        End::Least => (0, Duration::ZERO),
        End::Most => (usize::MAX, Duration::MAX),
    };
    match name {
        "min_connections" => config.min_connections = number,
        // With no minimum, which is bound to it.
        "max_connections" => (config.min_connections, config.max_connections) = (0, number),
        "min_idle" => config.min_idle = number,
        "max_idle" => config.max_idle = Some(number),
        "max_uses" => config.max_uses = Some(number as u64),
        "reset_timeout" => config.reset_timeout = time,
        "close_timeout" => config.close_timeout = time,
        "fail_fast_after" => config.fail_fast_after = time,
        "connection_timeout" => config.connection_timeout = time,
        "idle_timeout" => config.idle_timeout = time,
        "health_check_interval" => config.health_check_interval = time,
        "max_lifetime" => config.max_lifetime = time,
        "check_after_idle" => config.check_after_idle = time,
        "connect_attempt_timeout" => config.connect_attempt_timeout = time,
        "health_check_timeout" => config.health_check_timeout = time,
        "max_connecting" => config.max_connecting = number,
        "max_pending" => config.max_pending = Some(number),
        "lifetime_jitter" => {
            config.lifetime_jitter = match end {
                End::Least => -f64::EPSILON,
                End::Most => 1.0 + f64::EPSILON,
            };
        }
        "connect_backoff" => config.connect_backoff = time,
        "max_connect_backoff" => config.max_connect_backoff = time,
        "idle_order" => {
            config.idle_order = match end {
                End::Least => IdleOrder::Lifo,
                End::Most => IdleOrder::Fifo,
            };
        }
        "leak_threshold" => config.leak_threshold = time,
        "detect_nested_acquires" => config.detect_nested_acquires = matches!(end, End::Most),
        _ => return None,
    }
    Some(config)
}

/// A field of `PoolConfig` with its type and documentation.
pub(crate) fn described(name: &str) -> Result<Described, String> {
    let fields = SOURCE
        .lines()
        .skip_while(|line| !line.starts_with("pub struct PoolConfig"))
        .take_while(|line| *line != "}");
    let mut docs = Vec::new();
    for line in fields.map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            docs.push(without_targets(doc));
        } else if let Some((field, kind)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": "))
        {
            if field == name && !docs.is_empty() {
                return Ok(Described { kind: kind.trim_end_matches(',').to_owned(), text: docs.join(" ") });
            }
            docs.clear();
        }
    }
    Err(format!("crates/poolhouse/src/config.rs: `{name}` has no documentation: write it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_row_with_its_type_default_and_bounds() {
        let table = table().unwrap();
        assert_eq!(table.lines().count(), 2 + PoolConfig::default().options().len());
        let row = "| [`max_connections`](#max_connections) | `usize` | 10 | 1 or more |\n";
        assert!(table.contains(row), "{table}");
    }

    #[test]
    fn bounds_are_what_validate_says() {
        for (name, expected) in [
            ("min_connections", "0 or more, up to `max_connections`"),
            ("max_idle", "`None`, or not below `min_connections` or `min_idle`"),
            ("connect_backoff", "1 ms or more, up to `max_connect_backoff`"),
            ("idle_timeout", "above zero"),
            ("check_after_idle", "zero or more"),
            ("leak_threshold", "1 ms or more"),
            ("lifetime_jitter", "0.0 to 1.0"),
        ] {
            assert_eq!(bounds(name).unwrap(), expected);
        }
        assert!(bounds("none_such").unwrap_err().contains("cannot set"));
    }

    #[test]
    fn every_option_has_a_section_and_a_row_of_peers() {
        let (sections, peers) = (sections().unwrap(), peers().unwrap());
        for (name, _) in PoolConfig::default().options() {
            assert!(sections.contains(&format!("### `{name}`")) && !sections.contains("](crate::"), "{name}");
            assert!(peers.contains(&format!("| `{name}` (")), "{name}");
        }
        assert!(noted("none_such").is_err_and(|lack| lack.contains("write one")));
    }
}
