//! What a run leaves behind.

use crate::advice::Advice;
use crate::ledger::{Figures, Outcome, Request};
use crate::scenario::Scenario;

/// The pools at one moment, all replicas together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Milliseconds from the start.
    pub at: u64,
    /// Connections that wait for use.
    pub idle: usize,
    /// Connections that somebody holds.
    pub held: usize,
    /// Connections that are being opened.
    pub connecting: usize,
    /// Callers that wait.
    pub waiting: usize,
}

/// Everything that a run gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What was run.
    pub scenario: Scenario,
    /// The pools over time, at equal distances.
    pub frames: Vec<Frame>,
    /// Every request, in the order in which they ended. Those that never end come last.
    pub requests: Vec<Request>,
    /// What follows from them.
    pub figures: Figures,
    /// What the pool said to the first acquire that failed, by outcome.
    pub diagnoses: Vec<(Outcome, String)>,
    /// The pool's own statistics at the end, all replicas together.
    pub statistics: Vec<(String, u64)>,
    /// What arithmetic and queueing theory say.
    pub advice: Advice,
}

impl Run {
    /// The run in two or three sentences, for those who do not see the picture.
    pub fn summary(&self) -> String {
        crate::words::summary(self)
    }
}
