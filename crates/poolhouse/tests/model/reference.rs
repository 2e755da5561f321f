//! The reference: what a pool is, written so plainly that it can be seen to be right.
//!
//! A line of those who wait, oldest first; who has been served and has not looked yet; what is held; a maximum; whether
//! it is closed; and counts. It does not foretell when the background connects. It learns from the number of those who
//! wait how many have left the line, and then those must be the oldest: whoever turns out to be served and was not
//! among them has overtaken somebody.

use std::collections::VecDeque;
use std::time::Duration;

use poolhouse::PoolStats;
use tokio::time::Instant;

use crate::ensure;

pub(crate) type Verdict<T = ()> = Result<T, String>;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) key: u64,
    /// How many had joined or come back before it did.
    pub(crate) after: u64,
    pub(crate) deadline: Option<Instant>,
}

/// Somebody who has left the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) waiting: Waiting,
    /// `None` if it cannot be known.
    pub(crate) since: Option<Instant>,
    /// `suspend` or `invalidate_all` came after that: it may have to go back.
    pub(crate) recalled: bool,
}

/// What an acquire that arrives now is told at once, if anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arrival {
    Closed,
    Overloaded,
    MayWait,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    Got,
    TimedOut,
    Refused,
    Closed,
}

pub(crate) struct Reference {
    pub(crate) min: usize,
    pub(crate) max: usize,
    max_pending: Option<usize>,
    timeout: Duration,
    pub(crate) closed: bool,
    pub(crate) suspended: bool,
    checks_first: bool,
    /// Those who wait, the oldest first.
    pub(crate) line: VecDeque<Waiting>,
    /// Those who have been answered and have not looked: when.
    pub(crate) served: Vec<Served>,
    /// How many connections are in somebody's hands.
    pub(crate) held: usize,
    pub(crate) failed: u64,
    pub(crate) timed_out: u64,
    pub(crate) cancelled: u64,
    /// Connections given back, and those that a served waiter left behind, who may have been refused instead.
    pub(crate) returned: u64,
    pub(crate) left_behind: u64,
}

impl Reference {
    pub(crate) fn new(config: &poolhouse::PoolConfig) -> Self {
        Self {
            min: config.min_connections,
            max: config.max_connections,
            max_pending: config.max_pending,
            timeout: config.connection_timeout,
            closed: false,
            suspended: false,
            checks_first: config.check_after_idle.is_some(),
            line: VecDeque::new(),
            served: Vec::new(),
            held: 0,
            failed: 0,
            timed_out: 0,
            cancelled: 0,
            returned: 0,
            left_behind: 0,
        }
    }

    pub(crate) fn arrival(&self) -> Arrival {
        if self.closed {
            Arrival::Closed
        } else if self.max_pending.is_some_and(|most| self.line.len() >= most) {
            Arrival::Overloaded
        } else {
            Arrival::MayWait
        }
    }

    pub(crate) fn join(&mut self, key: u64, limit: Option<Duration>, now: Instant) {
        let limit = limit.unwrap_or(self.timeout);
        let deadline = (limit != Duration::MAX).then(|| now + limit);
        self.line.push_back(Waiting { key, after: key, deadline });
    }

    pub(crate) fn deadline_of(&self, key: u64) -> Option<Instant> {
        self.line.iter().find(|waiting| waiting.key == key).and_then(|waiting| waiting.deadline)
    }

    /// Its place in the line, from 1.
    pub(crate) fn position(&self, key: u64) -> Option<usize> {
        self.line.iter().position(|waiting| waiting.key == key).map(|index| index + 1)
    }

    /// `pending` wait: those who have left the line meanwhile are the oldest, but for those who are `known` to wait.
    pub(crate) fn sync(&mut self, pending: usize, known: impl Fn(u64) -> bool, now: Instant) -> Verdict {
        ensure!(pending <= self.line.len(), "{pending} wait, and only {} may", self.line.len());
        while self.line.len() > pending {
            let oldest = self.line.iter().position(|waiting| !known(waiting.key));
            let Some(oldest) = oldest else { return Err(format!("{pending} wait, and more are known to")) };
            self.leaves(oldest, now);
        }
        Ok(())
    }

    fn leaves(&mut self, index: usize, since: Instant) {
        if let Some(waiting) = self.line.remove(index) {
            self.served.push(Served { waiting, since: Some(since), recalled: false });
        }
    }

    /// Somebody who has been seen with an answer.
    pub(crate) fn serve(&mut self, key: u64, now: Instant) {
        if let Some(index) = self.line.iter().position(|waiting| waiting.key == key) {
            self.leaves(index, now);
        }
    }

    pub(crate) fn is_served(&self, key: u64) -> bool {
        self.served.iter().any(|served| served.waiting.key == key)
    }

    /// What it was served turned out dead, or was recalled: back to its place in the order of arrival.
    pub(crate) fn rejoin(&mut self, key: u64, after: u64) {
        if let Some(index) = self.served.iter().position(|served| served.waiting.key == key) {
            let waiting = self.served.remove(index).waiting;
            let place = self.line.iter().position(|other| other.key > key).unwrap_or(self.line.len());
            self.line.insert(place, waiting);
        }
        // It may have left and come back between two looks.
        let back = self.line.iter_mut().filter(|waiting| waiting.key == key);
        back.for_each(|waiting| waiting.after = after);
    }

    /// Whoever has been served and has not looked may find nothing.
    pub(crate) fn recall(&mut self) {
        self.served.iter_mut().for_each(|served| served.recalled = true);
    }

    /// A waiter has lost what it was served, `recalled` of it without its being dead. What it gets now, it gets now.
    pub(crate) fn lose(&mut self, key: u64, recalled: u64) -> Verdict {
        let Some(served) = self.served.iter_mut().find(|served| served.waiting.key == key) else {
            return Ok(());
        };
        let lawful = recalled <= u64::from(served.recalled);
        ensure!(lawful, "cancel.no_loss: acquire {key} lost what it was served, and nobody recalled it");
        self.returned += recalled;
        served.since = Some(Instant::now());
        Ok(())
    }

    /// An acquire has panicked, and what it was served went with it.
    pub(crate) fn panics(&mut self, key: u64) {
        self.returned += 1;
        self.served.retain(|served| served.waiting.key != key);
    }

    /// An acquire has ended by itself. Since when it has had its answer.
    pub(crate) fn ended(&mut self, key: u64, outcome: Outcome, now: Instant) -> Verdict<Option<Instant>> {
        let mut since = None;
        if outcome == Outcome::TimedOut {
            let Some(index) = self.line.iter().position(|waiting| waiting.key == key) else {
                return Err(format!("acquire.deadline: acquire {key} had its answer and timed out"));
            };
            let waiting = self.line.remove(index).expect("found above");
            let due = waiting.deadline.is_some_and(|deadline| deadline <= now);
            ensure!(due, "acquire.deadline: acquire {key} timed out before its deadline");
            self.timed_out += 1;
        } else {
            let Some(index) = self.served.iter().position(|served| served.waiting.key == key) else {
                let ahead = self.position(key).map_or(0, |position| position - 1);
                return Err(format!("acquire.fifo: acquire {key} has its answer, {ahead} came before it"));
            };
            since = self.served.remove(index).since;
            ensure!(
                outcome != Outcome::Closed || self.closed,
                "acquire {key} hears of a close that never was"
            );
        }
        if outcome == Outcome::Got {
            self.held += 1;
        } else {
            self.failed += 1;
        }
        Ok(since)
    }

    /// An acquire is dropped.
    pub(crate) fn cancels(&mut self, key: u64) {
        self.cancelled += 1;
        self.line.retain(|waiting| waiting.key != key);
        if let Some(index) = self.served.iter().position(|served| served.waiting.key == key) {
            self.served.remove(index);
            self.left_behind += 1;
        }
    }

    /// What one snapshot promises, by itself and against what has happened. `live` is what the server counts.
    pub(crate) fn judge(&self, stats: &PoolStats, live: usize, created: u64, dead_looks: u64) -> Verdict {
        let PoolStats {
            total_connections: total, idle_connections: idle, active_connections: active, ..
        } = *stats;
        ensure!(total == idle + active, "stats.consistent: total is not idle + active");
        let counted = stats.connections_created == stats.connections_destroyed + total as u64;
        ensure!(counted, "stats.consistent: created is not destroyed + total");
        let counted = stats.total_acquisitions == stats.total_releases + active as u64;
        ensure!(counted, "stats.consistent: acquisitions is not releases + active");
        ensure!(stats.checking <= idle, "stats.consistent: more under a check than idle");
        ensure!(total == live, "stats.consistent: the server has {live} connections open");
        ensure!(stats.connections_created == created, "stats.consistent: the server has opened {created}");
        ensure!(stats.max_connections == self.max, "resize.exact: the maximum is {}", self.max);

        let unseen = self.served.len();
        let known = active >= self.held && active <= self.held + unseen;
        ensure!(known, "unique ownership: {} held, {unseen} served, and active is {active}", self.held);
        ensure!(stats.failed_acquisitions == self.failed, "stats.consistent: {} have failed", self.failed);
        let timed_out = self.timed_out;
        ensure!(stats.timed_out_acquisitions == timed_out, "stats.consistent: {timed_out} have timed out");
        let cancelled = self.cancelled;
        ensure!(stats.cancelled_acquisitions == cancelled, "stats.consistent: {cancelled} were cancelled");
        let returned = self.returned + dead_looks;
        let returned = returned..=returned + self.left_behind;
        ensure!(returned.contains(&stats.total_releases), "stats.consistent: {returned:?} were returned");

        let at_hand = idle - stats.checking;
        ensure!(stats.suspended == self.suspended, "suspend.nothing_moves: suspended is {}", stats.suspended);
        ensure!(
            at_hand == 0 || !self.suspended,
            "suspend.nothing_moves: a suspended pool keeps an idle connection"
        );
        let alone = stats.pending_requests == 0 || at_hand == 0 || self.checks_first;
        ensure!(alone, "acquire.race: somebody waits beside an idle one");
        let in_bounds = at_hand == 0 || total <= self.max;
        ensure!(in_bounds, "resize.exact: {at_hand} idle, and {total} open are above {}", self.max);
        if self.closed {
            ensure!(stats.pending_requests == 0, "close.complete: somebody waits on a closed pool");
            ensure!(at_hand == 0, "close.complete: a closed pool keeps an idle connection");
        }
        Ok(())
    }
}
