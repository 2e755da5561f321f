//! What became of each request, and the figures that follow from it.

use tokio::time::Instant;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, within the caller's patience if it has any.
    Served,
    /// Answered, but too late.
    Late,
    /// The acquire timed out.
    TimedOut,
    /// The pool refused it at once, because its queue was full.
    Refused,
    /// The pool had no connection and gave the error of connecting.
    ConnectFailed,
    /// The connection broke, or had been dead when the caller got it.
    Broken,
    /// It never ends: it waits forever, or its holder leaks the connection.
    Unfinished,
}

impl Outcome {
    /// All of them, in the order in which figures list them.
    pub const ALL: [Self; 7] = [
        Self::Served,
        Self::Late,
        Self::TimedOut,
        Self::Refused,
        Self::ConnectFailed,
        Self::Broken,
        Self::Unfinished,
    ];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Late => "late",
            Self::TimedOut => "timed out",
            Self::Refused => "refused",
            Self::ConnectFailed => "connect failed",
            Self::Broken => "broken",
            Self::Unfinished => "unfinished",
        }
    }
}

/// One request. Times are in milliseconds; the arrival is from the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// When it asked for a connection.
    pub arrived: u64,
    /// How long its acquire took, whether or not it got one. If it acquires twice: the first one.
    pub waited: u64,
    /// How long all of it took. If it never ends: for how long it was watched.
    pub total: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Its second acquire, if it came to one.
    pub again: Option<Again>,
}

/// The second acquire of a request. Times are in milliseconds; the first two are from the request's arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// When its first connection went back, or when it asked again if it still held the first.
    pub released: u64,
    /// When it asked again.
    pub asked: u64,
    /// How long this acquire took, whether or not it got a connection.
    pub waited: u64,
}

impl Request {
    /// Whether it got a connection.
    pub fn is_acquired(&self) -> bool {
        matches!(self.outcome, Outcome::Served | Outcome::Late | Outcome::Broken)
    }
}

/// The figures of a run, of the requests that arrived after the warm-up. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// How many of each outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [usize; 7],
    /// The mean wait of those that got a connection.
    pub mean_wait: f64,
    /// Half of those that got a connection waited no longer.
    pub p50_wait: u64,
    /// 95 of 100 of them.
    pub p95_wait: u64,
    /// 99 of 100 of them.
    pub p99_wait: u64,
    /// The longest of these waits.
    pub max_wait: u64,
    /// The median time after which those that got no connection were told.
    pub p50_refusal: u64,
    /// The 99th percentile of all that a served request took.
    pub p99_total: u64,
    /// The share of the time in which a connection of `max_connections` was held.
    pub utilisation: f64,
    /// Requests that were served in time, a second.
    pub throughput: f64,
    /// The most callers that waited at once.
    pub most_waiting: usize,
    /// The most connections that were held at once.
    pub most_held: usize,
    /// Open connections on average, after the warm-up.
    pub mean_open: f64,
    /// The most connections that the server had open at once.
    pub most_open: usize,
    /// Connects that the server refused after the start, because it had as many connections as it accepts.
    pub refused_connects: u64,
    /// The most replicas that were alive at once.
    pub most_replicas: usize,
    /// From the start of a deploy until its last new replica was ready. Nothing if that never was.
    pub deploy_took: Option<u64>,
    /// Connections opened after the start.
    pub opened: u64,
    /// Connections closed after the start.
    pub closed: u64,
}

impl Figures {
    /// How many requests got no connection or no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.requests() - self.count(Outcome::Served) - self.count(Outcome::Late)
    }

    /// How many requests had this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.outcomes[outcome as usize]
    }

    /// All requests that arrived after the warm-up.
    pub fn requests(&self) -> usize {
        self.outcomes.iter().sum()
    }
}

/// Takes down what happens, while it happens.
#[derive(Default)]
pub(crate) struct Ledger {
    /// In the order of their arrival. One that has not ended stands there as unfinished.
    pub(crate) requests: Vec<Request>,
    /// Requests that have arrived and not ended.
    pub(crate) open: usize,
    /// Connections that are held now.
    pub(crate) held: usize,
    pub(crate) most_held: usize,
    /// The integral of the number of held connections over the measured time, in milliseconds.
    pub(crate) held_millis: u64,
    /// The text of the first acquire that failed, by outcome.
    pub(crate) diagnoses: Vec<(Outcome, String)>,
}

impl Ledger {
    pub(crate) fn diagnose(&mut self, outcome: Outcome, text: impl FnOnce() -> String) {
        if self.diagnoses.iter().all(|(known, _)| *known != outcome) {
            self.diagnoses.push((outcome, text()));
        }
    }
}

/// The measured time of a run.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: Instant,
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

impl Window {
    /// How many milliseconds of it lie between the two.
    pub(crate) fn overlap(&self, from: Instant, to: Instant) -> u64 {
        to.min(self.end).saturating_duration_since(from.max(self.begin)).as_millis() as u64
    }

    /// Milliseconds from the start of the run.
    pub(crate) fn since_start(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_millis() as u64
    }
}

/// The least value that this share of all stays within. Sorts them.
pub fn quantile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let of = |share| quantile(&mut [3, 1, 2], share);
        assert_eq!((of(0.0), of(0.5), of(0.99), of(1.0)), (1, 2, 3, 3));
        assert_eq!(quantile(&mut [], 0.5), 0);
    }
}
