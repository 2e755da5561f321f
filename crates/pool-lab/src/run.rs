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

/// What became of one connection. Times are in milliseconds from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When it opened: 0 if that was before the first request might arrive.
    pub opened: u64,
    /// When it closed, if it did.
    pub closed: Option<u64>,
    /// How often it was handed out.
    pub uses: u64,
    /// The longest that nothing had gone over it when it was handed out.
    pub longest_unused: u64,
}

impl Life {
    /// Milliseconds for which it was open between the two.
    pub fn open_between(&self, begin: u64, end: u64) -> u64 {
        self.closed.unwrap_or(end).min(end).saturating_sub(self.opened.max(begin))
    }
}

/// Everything that a run gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What was run.
    pub scenario: Scenario,
    /// The pools over time, at equal distances.
    pub frames: Vec<Frame>,
    /// Every request, in the order of their arrival.
    pub requests: Vec<Request>,
    /// Every connection, in the order in which they opened.
    pub lives: Vec<Life>,
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
    /// The pools at this moment, in milliseconds from the start: the last frame that is not after it.
    pub fn frame_at(&self, at: u64) -> Option<&Frame> {
        self.frames.iter().rfind(|frame| frame.at <= at)
    }

    /// A number of the pool's own statistics.
    pub fn statistic(&self, name: &str) -> Option<u64> {
        self.statistics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The run in two or three sentences, for those who do not see the picture.
    pub fn summary(&self) -> String {
        crate::words::summary(self)
    }
}
