//! Four pools over one PostgreSQL: what the programs `fault_matrix` and `speed` of `crates/real-services` counted.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::format::{count, times, wrap};
use crate::tables::{head, row};
use crate::{Block, Result};

/// Relative to the repository, like [`SPEED`].
const FAULTS: &str = "book/data/real/fault-matrix.json";
const SPEED: &str = "book/data/real/speed.json";

#[derive(Debug, Deserialize)]
struct Matrix {
    pool_size: u64,
    tasks: u64,
    deadline_ms: u64,
    faults: Vec<Fault>,
}

#[derive(Debug, Deserialize)]
struct Fault {
    title: String,
    pools: Vec<Seen>,
}

/// What the callers of one pool saw of one fault.
#[derive(Debug, Deserialize)]
struct Seen {
    pool: String,
    requests: u64,
    errors: u64,
    slowest_success_ms: Option<u64>,
    wrong_answers: u64,
    most_backends: u64,
    /// `None` if it never recovered.
    recovery_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Speed {
    tasks: u64,
    connections: u64,
    rounds: u64,
    ratios_to: String,
    works: Vec<Work>,
}

#[derive(Debug, Deserialize)]
struct Work {
    work: String,
    pools: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    pool: String,
    wall: Figure,
    processor: Figure,
    p50: Figure,
    p99: Figure,
}

#[derive(Debug, Deserialize)]
struct Figure {
    median_us: f64,
    ratio: f64,
    ratio_p10: f64,
    ratio_p90: f64,
}

pub(crate) fn blocks() -> Vec<(String, Block)> {
    let matrix = |name: &str, make: fn(&Matrix) -> String| -> (String, Block) {
        (name.to_owned(), Box::new(move |root| Ok(make(&read(root, FAULTS, "fault_matrix")?))))
    };
    let speed = |name: &str, make: fn(&Speed) -> String| -> (String, Block) {
        (name.to_owned(), Box::new(move |root| Ok(make(&read(root, SPEED, "speed")?))))
    };
    vec![
        matrix("database-faults-setup", setup),
        matrix("database-errors", errors),
        matrix("database-slowest", slowest),
        matrix("database-recovery", recovery),
        speed("database-speed", works),
        speed("database-spread", spread),
    ]
}

fn read<D: DeserializeOwned>(root: &Path, file: &str, program: &str) -> Result<D> {
    fs::read_to_string(root.join(file))
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        .map_err(|error| {
            format!(
                "{file} cannot be read: {error}; write it with `cargo run --release --manifest-path \
                 crates/real-services/Cargo.toml --bin {program} -- --json {file}`"
            )
        })
}

fn number(value: u64) -> String {
    count(value as f64)
}

fn milliseconds(value: u64) -> String {
    format!("{} ms", number(value))
}

/// The load in a sentence, and what no pool may do: a wrong answer, and a connection more than its maximum.
fn setup(matrix: &Matrix) -> String {
    let all = || matrix.faults.iter().flat_map(|fault| &fault.pools);
    let load = format!(
        "Each pool used the same PostgreSQL in the same way: {} callers, at most {} connections, and a deadline of {} s.",
        matrix.tasks,
        matrix.pool_size,
        count(matrix.deadline_ms as f64 / 1e3)
    );
    let broken: Vec<String> = all()
        .filter(|seen| seen.wrong_answers > 0 || seen.most_backends > matrix.pool_size)
        .map(|seen| {
            format!(
                "{} gave {} wrong answers and had up to {} backends",
                seen.pool, seen.wrong_answers, seen.most_backends
            )
        })
        .collect();
    let kept = if broken.is_empty() {
        format!("No pool gave a wrong answer, and none had more than {} backends.", matrix.pool_size)
    } else {
        format!("{}.", broken.join("; "))
    };
    wrap(&format!("{load} {kept}"))
}

fn errors(matrix: &Matrix) -> String {
    table(matrix, |seen| format!("{} of {}", number(seen.errors), number(seen.requests)))
}

/// Of the successes.
fn slowest(matrix: &Matrix) -> String {
    table(matrix, |seen| seen.slowest_success_ms.map_or("–".to_owned(), milliseconds))
}

fn recovery(matrix: &Matrix) -> String {
    table(matrix, |seen| seen.recovery_ms.map_or("never".to_owned(), milliseconds))
}

fn table(matrix: &Matrix, cell: impl Fn(&Seen) -> String) -> String {
    let pools = matrix.faults.first().map_or(&[][..], |fault| &fault.pools);
    let names = pools.iter().map(|seen| seen.pool.clone());
    let mut text = head(&["fault".to_owned()].into_iter().chain(names).collect::<Vec<_>>(), 1);
    for fault in &matrix.faults {
        let cells = fault.pools.iter().map(&cell);
        text += &row(&[fault.title.clone()].into_iter().chain(cells).collect::<Vec<_>>());
    }
    text
}

fn works(speed: &Speed) -> String {
    let mut text = String::new();
    for work in &speed.works {
        let cell = |figure: &Figure| format!("{} ({})", count(figure.median_us), times(figure.ratio));
        text += &head(&[&*work.work, "wall, µs", "processor, µs", "p50, µs", "p99, µs"], 1);
        for pool in &work.pools {
            let figures = [&pool.wall, &pool.processor, &pool.p50, &pool.p99].map(cell);
            text += &row(&[vec![pool.pool.clone()], figures.into()].concat());
        }
        text.push('\n');
    }
    text += &wrap(&format!(
        "Medians of {} rounds with {} tasks on {} connections. In brackets: the median of the ratios to {} in the same \
         round.",
        speed.rounds, speed.tasks, speed.connections, speed.ratios_to
    ));
    text
}

/// How far the ratios of the first pool lie apart: what is within, one run does not tell from 1.
fn spread(speed: &Speed) -> String {
    let parts: Vec<String> = speed
        .works
        .iter()
        .filter_map(|work| {
            let pool = work.pools.first()?;
            let range =
                |figure: &Figure| format!("{} to {}", times(figure.ratio_p10), times(figure.ratio_p90));
            Some(format!("{}: wall {}, p99 {}", work.work, range(&pool.wall), range(&pool.p99)))
        })
        .collect();
    let pool = speed.works.first().and_then(|work| work.pools.first()).map_or("", |pool| &*pool.pool);
    wrap(&format!(
        "From round to round the ratios of {pool} lie, from the 10th to the 90th percentile, at: {}.",
        parts.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(wrong: u64) -> Matrix {
        serde_json::from_value(serde_json::json!({
            "pool_size": 4, "tasks": 16, "deadline_ms": 2000,
            "faults": [{ "title": "Outage", "pools": [
                { "pool": "ours", "requests": 1160, "errors": 10, "slowest_success_ms": 23, "wrong_answers": 0,
                  "most_backends": 4, "recovery_ms": 2016 },
                { "pool": "theirs", "requests": 5, "errors": 5, "slowest_success_ms": null, "wrong_answers": wrong,
                  "most_backends": 4 + wrong, "recovery_ms": null },
            ]}],
        }))
        .unwrap()
    }

    #[test]
    fn a_row_is_a_fault_and_a_column_a_pool() {
        let head = "| fault | ours | theirs |\n|---|--:|--:|\n";
        assert_eq!(errors(&matrix(0)), format!("{head}| Outage | 10 of 1,160 | 5 of 5 |\n"));
        assert_eq!(slowest(&matrix(0)), format!("{head}| Outage | 23 ms | – |\n"));
        assert_eq!(recovery(&matrix(0)), format!("{head}| Outage | 2,016 ms | never |\n"));
    }

    #[test]
    fn a_wrong_answer_and_a_backend_too_many_are_said() {
        assert!(setup(&matrix(0)).replace('\n', " ").contains("No pool gave a wrong answer"));
        let text = setup(&matrix(2)).replace('\n', " ");
        assert!(text.contains("theirs gave 2 wrong answers and had up to 6 backends."), "{text}");
        assert!(
            text.starts_with("Each pool used the same PostgreSQL in the same way: 16 callers, at most 4"),
            "{text}"
        );
    }

    #[test]
    fn speeds_stand_with_their_ratios_and_spread() {
        let figure = |us: f64| serde_json::json!({ "median_us": us, "ratio": 1.017, "ratio_p10": 0.88, "ratio_p90": 1.132 });
        let speed: Speed = serde_json::from_value(serde_json::json!({
            "tasks": 64, "connections": 8, "rounds": 41, "ratios_to": "theirs",
            "works": [{ "work": "select", "pools": [{ "pool": "ours", "wall": figure(22.0), "processor": figure(15.0),
                "p50": figure(1346.0), "p99": figure(1981.0) }] }],
        }))
        .unwrap();
        let text = works(&speed);
        assert!(
            text.contains("| ours | 22 (1.02×) | 15 (1.02×) | 1,346 (1.02×) | 1,981 (1.02×) |\n"),
            "{text}"
        );
        assert!(
            text.replace('\n', " ").contains("Medians of 41 rounds with 64 tasks on 8 connections."),
            "{text}"
        );
        assert!(
            spread(&speed).replace('\n', " ").contains("select: wall 0.88× to 1.13×"),
            "{}",
            spread(&speed)
        );
    }

    #[test]
    fn a_missing_file_says_how_it_is_written() {
        let error = read::<Matrix>(Path::new("nowhere"), FAULTS, "fault_matrix").unwrap_err();
        assert!(error.contains("--bin fault_matrix -- --json"), "{error}");
    }
}
