//! What has been counted, as tables and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::load::{Outcome, Request};
use super::{DEADLINE, Fault, SIZE, TASKS};
use crate::contestants::Contestant;
use crate::table::markdown;

/// What one pool made of one fault.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The fault.
    pub fault: Fault,
    /// The pool.
    pub which: Contestant,
    /// How often a task asked.
    pub requests: usize,
    /// How often it got an error.
    pub errors: usize,
    /// How often it got somebody else's number. It must be 0.
    pub wrong: usize,
    /// The slowest that was answered.
    pub slowest_success: Option<Duration>,
    /// The slowest that failed.
    pub slowest_error: Option<Duration>,
    /// The most backends at once. It must not be above the size of the pool.
    pub most_backends: i64,
    /// How many there were when the load had ended.
    pub backends_at_end: i64,
    /// From the end of the fault to the last error, or to the first answer if that came later. `None`: there was an error to
    /// the end, or no answer.
    pub recovery: Option<Duration>,
    /// What was said, and how often.
    pub reasons: Vec<(String, usize)>,
}

/// So soon before the end of the load, an error means that it has not ended.
const TAIL: Duration = Duration::from_millis(250);

impl Cell {
    /// Of requests in the order in which they ended.
    pub(super) fn new(
        fault: Fault,
        which: Contestant,
        requests: &[Request],
        ended: Instant,
        (most_backends, backends_at_end): (i64, i64),
    ) -> Self {
        let right = |request: &&Request| request.outcome == Outcome::Right;
        let error =
            |request: &&Request| matches!(request.outcome, Outcome::Error(_));
        let took = |request: &Request| request.ended - request.began;
        let after = |request: &&Request| request.ended >= ended;
        let first_right = requests
            .iter()
            .filter(right)
            .map(|request| request.ended)
            .find(|at| *at >= ended);
        let last_error = requests
            .iter()
            .filter(error)
            .filter(after)
            .map(|request| request.ended)
            .max();
        let last = requests.last().map_or(ended, |request| request.ended);
        let goes_on = fault != Fault::IdleKilled
            && last_error.is_some_and(|at| at + TAIL > last);
        let recovery = match first_right {
            Some(first) if !goes_on => {
                Some(first.max(last_error.unwrap_or(ended)) - ended)
            }
            _ => None,
        };
        let mut reasons = BTreeMap::<&str, usize>::new();
        for request in requests {
            if let Outcome::Error(text) = &request.outcome {
                *reasons.entry(text).or_default() += 1;
            }
        }
        let mut reasons: Vec<_> = reasons
            .into_iter()
            .map(|(text, count)| (text.to_owned(), count))
            .collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self {
            fault,
            which,
            requests: requests.len(),
            errors: requests.iter().filter(error).count(),
            wrong: requests
                .iter()
                .filter(|request| request.outcome == Outcome::Wrong)
                .count(),
            slowest_success: requests.iter().filter(right).map(took).max(),
            slowest_error: requests.iter().filter(error).map(took).max(),
            most_backends,
            backends_at_end,
            recovery,
            reasons,
        }
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.which.name().to_owned(),
            self.requests.to_string(),
            self.errors.to_string(),
            milliseconds(self.slowest_success),
            milliseconds(self.slowest_error),
            self.wrong.to_string(),
            self.most_backends.to_string(),
            self.backends_at_end.to_string(),
            self.recovery.map_or_else(
                || "not seen".to_owned(),
                |time| format!("{:.2}", time.as_secs_f64()),
            ),
        ]
    }

    fn json(&self) -> Value {
        let millis = |time: Option<Duration>| time.map(|time| time.as_millis());
        let reasons: Vec<_> = self
            .reasons
            .iter()
            .take(5)
            .map(|(text, count)| json!({ "count": count, "text": text }))
            .collect();
        json!({
            "pool": self.which.name(),
            "requests": self.requests,
            "errors": self.errors,
            "slowest_success_ms": millis(self.slowest_success),
            "slowest_error_ms": millis(self.slowest_error),
            "wrong_answers": self.wrong,
            "most_backends": self.most_backends,
            "backends_at_end": self.backends_at_end,
            "recovery_ms": millis(self.recovery),
            "reasons": reasons,
        })
    }

    /// In what this cell is better than that one, by more than noise.
    fn better_than(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.errors < other.errors {
            found.push(format!("{} errors against {}", self.errors, other.errors));
        }
        if self.most_backends < other.most_backends
            && other.most_backends > i64::from(SIZE)
        {
            found.push(format!(
                "{} backends against {}",
                self.most_backends, other.most_backends
            ));
        }
        let by_time = [
            ("slowest success", self.slowest_success, other.slowest_success),
            ("slowest error", self.slowest_error, other.slowest_error),
            ("recovery", self.recovery, other.recovery),
        ];
        for (what, own, others) in by_time {
            // An error that is not there is no slow one.
            let (Some(own), Some(others)) = (own, others) else { continue };
            if own + Duration::from_millis(100) < others
                && own.as_secs_f64() < 0.8 * others.as_secs_f64()
            {
                found.push(format!(
                    "{what} {} ms against {}",
                    own.as_millis(),
                    others.as_millis()
                ));
            }
        }
        found
    }
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(
        || "none".to_owned(),
        |time| format!("{} ms", time.as_millis()),
    )
}

/// All cells.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// In the order in which they ran.
    pub cells: Vec<Cell>,
}

const HEADER: [&str; 9] = [
    "pool",
    "requests",
    "errors",
    "slowest success",
    "slowest error",
    "wrong answers",
    "most backends",
    "at the end",
    "recovery, s",
];

impl Report {
    /// One table a fault. Under it: what callers were told, and which peer does better than poolhouse in what.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for fault in Fault::ALL {
            let cells: Vec<_> =
                self.cells.iter().filter(|cell| cell.fault == fault).collect();
            if cells.is_empty() {
                continue;
            }
            let rows: Vec<_> = cells.iter().map(|cell| cell.row()).collect();
            let _ = write!(
                text,
                "### {}\n\n{}\n",
                fault.title(),
                markdown(&HEADER, &rows)
            );
            for cell in &cells {
                if let Some((reason, count)) = cell.reasons.first() {
                    let _ = writeln!(
                        text,
                        "- {}, {count} times: {reason}",
                        cell.which.name()
                    );
                }
            }
            text += &better(&cells);
            text.push('\n');
        }
        text
    }

    /// The same for a program.
    pub fn json(&self) -> Value {
        let faults: Vec<_> = Fault::ALL
            .into_iter()
            .filter_map(|fault| {
                let cells: Vec<_> =
                    self.cells.iter().filter(|cell| cell.fault == fault).map(Cell::json).collect();
                (!cells.is_empty())
                    .then(|| json!({ "fault": fault.name(), "title": fault.title(), "pools": cells }))
            })
            .collect();
        let mut pools: Vec<Contestant> = Vec::new();
        for cell in &self.cells {
            if !pools.contains(&cell.which) {
                pools.push(cell.which);
            }
        }
        let setups: Vec<_> = pools
            .iter()
            .map(|which| json!({ "pool": which.name(), "setup": which.setup() }))
            .collect();
        json!({
            "pool_size": SIZE,
            "tasks": TASKS,
            "deadline_ms": DEADLINE.as_millis(),
            "setups": setups,
            "faults": faults,
        })
    }

    /// What must not be, and was: of poolhouse alone.
    pub fn broken_musts(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for cell in self.cells.iter().filter(|cell| cell.which.is_poolhouse()) {
            if cell.wrong > 0 {
                broken.push(format!(
                    "{}: {} wrong answers",
                    cell.fault.name(),
                    cell.wrong
                ));
            }
            let most = cell.most_backends.max(cell.backends_at_end);
            if most > i64::from(SIZE) {
                broken.push(format!("{}: {most} backends", cell.fault.name()));
            }
            if cell.recovery.is_none() {
                broken.push(format!("{}: no recovery", cell.fault.name()));
            }
        }
        broken
    }
}

fn better(cells: &[&Cell]) -> String {
    let mut text = String::new();
    let Some(ours) = cells.iter().find(|cell| cell.which == Contestant::Poolhouse)
    else {
        return text;
    };
    for peer in cells.iter().filter(|cell| !cell.which.is_poolhouse()) {
        let how = peer.better_than(ours);
        if !how.is_empty() {
            let _ = writeln!(
                text,
                "- **{} is better** in: {}",
                peer.which.name(),
                how.join("; ")
            );
        }
    }
    text
}
