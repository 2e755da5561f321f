//! The reference: what a pool is, written so plainly that it can be seen to be right.
//!
//! A line of those who wait, oldest first; who has been answered what and has not looked yet; what is held; a
//! maximum; whether it is closed; and counts. It does not foretell when the background connects. It learns
//! from the number of those who wait how many have left the line, and from the number of connections in use
//! how many of these were served. The served must be the oldest: a waiter that turns out to be served and was
//! not among them has overtaken somebody. The others must have had a reason to leave: their time was up, or
//! they were refused.

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
    since: Instant,
    /// `None` for the limit of the pool.
    own_limit: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
}

/// Why somebody has left the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answer {
    /// A connection is decided for it.
    Granted,
    /// Its time was up. Its place in the line at that moment lies between these two, and the length of the line between
    /// `least` and `most`, of a pool with this maximum.
    TimedOut {
        first: usize,
        last: usize,
        least: usize,
        most: usize,
        max: usize,
        /// Or there were too many at the same instant.
        or_shed: bool,
    },
    /// A permanent failure, or acquires fail fast; or its time was up at the same instant.
    Refused,
    /// Somebody older came back to the line, and there were too many.
    Overloaded,
    Closed,
}

/// Somebody who has left the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    pub(crate) waiting: Waiting,
    /// `None` if it cannot be known.
    pub(crate) since: Option<Instant>,
    pub(crate) answer: Answer,
}

/// What an acquire that arrives now is told at once, if anything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Arrival {
    Closed,
    FailsFast,
    Overloaded,
    MayWait,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    Got,
    TimedOut,
    Refused,
    Overloaded,
    Closed,
}

/// What is known when the reference looks at the pool.
pub(crate) struct Seen<'a> {
    /// How many wait, and how many connections are in use or decided for somebody.
    pub(crate) pending: usize,
    pub(crate) active: usize,
    /// Waiters that joined before this number may have been refused.
    pub(crate) refused_up_to: u64,
    /// Waiters that joined before this number may have failed fast, and all of them if one has.
    pub(crate) failing_fast_up_to: u64,
    /// Those who are known to wait, even if others have left the line.
    pub(crate) known: &'a [u64],
    /// Somebody may have come back to the line in the meantime.
    pub(crate) back: bool,
    /// How many have left the line and have said so, or may have come back for a moment.
    pub(crate) gone: usize,
    pub(crate) now: Instant,
}

/// What the server counts.
pub(crate) struct AtServer {
    /// Everything that was ready has run.
    pub(crate) quiet: bool,
    pub(crate) live: usize,
    /// Of these, those that are closed gracefully.
    pub(crate) closing: usize,
    pub(crate) created: u64,
    pub(crate) dead_looks: u64,
    /// What acquires have found unfit, and leave to the background.
    pub(crate) left_to_close: usize,
    /// Idle connections that have to pass a check or a reset first, or that the background is to retire.
    pub(crate) unfit: usize,
}

/// The connections that count for `min_connections`, and those of them that count for `min_idle`.
pub(crate) struct Lasting {
    pub(crate) total: usize,
    pub(crate) idle: usize,
}

pub(crate) struct Reference {
    pub(crate) min: usize,
    pub(crate) min_idle: usize,
    pub(crate) max: usize,
    max_idle: Option<usize>,
    max_pending: Option<usize>,
    timeout: Duration,
    pub(crate) closed: bool,
    pub(crate) suspended: bool,
    /// Those who wait, the oldest first.
    pub(crate) line: VecDeque<Waiting>,
    /// Those who have been answered and have not looked.
    pub(crate) served: Vec<Served>,
    /// How many connections are in somebody's hands.
    pub(crate) held: usize,
    pub(crate) failed: u64,
    pub(crate) timed_out: u64,
    pub(crate) cancelled: u64,
    /// Connections given back, by those who held them, and by those who were served and did not look.
    pub(crate) returned: u64,
}

impl Reference {
    pub(crate) fn new(config: &poolhouse::PoolConfig) -> Self {
        Self {
            min: config.min_connections,
            min_idle: config.min_idle,
            max: config.max_connections,
            max_idle: config.max_idle,
            max_pending: config.max_pending,
            timeout: config.connection_timeout,
            closed: false,
            suspended: false,
            line: VecDeque::new(),
            served: Vec::new(),
            held: 0,
            failed: 0,
            timed_out: 0,
            cancelled: 0,
            returned: 0,
        }
    }

    /// The options change. Those who wait do so by the new ones, counted from when they began; those beyond the new bound
    /// are refused, the youngest first. Returns how many.
    pub(crate) fn reconfigure(&mut self, config: &poolhouse::PoolConfig, now: Instant) -> usize {
        self.min = config.min_connections;
        self.min_idle = config.min_idle;
        self.max = config.max_connections;
        self.max_idle = config.max_idle;
        self.max_pending = config.max_pending;
        self.timeout = config.connection_timeout;
        let granted = self.served.iter_mut().filter(|served| served.answer == Answer::Granted);
        for waiting in self.line.iter_mut().chain(granted.map(|served| &mut served.waiting)) {
            waiting.deadline = deadline(waiting.since, waiting.own_limit.unwrap_or(self.timeout));
        }
        self.shed(now)
    }

    /// `fails_fast`: nothing is open, and connecting has failed for long.
    pub(crate) fn arrival(&self, fails_fast: bool) -> Arrival {
        if self.closed {
            Arrival::Closed
        } else if fails_fast {
            Arrival::FailsFast
        } else if self.max_pending.is_some_and(|most| self.line.len() >= most) {
            Arrival::Overloaded
        } else {
            Arrival::MayWait
        }
    }

    pub(crate) fn join(&mut self, key: u64, limit: Option<Duration>, now: Instant) {
        let deadline = deadline(now, limit.unwrap_or(self.timeout));
        self.line.push_back(Waiting { key, after: key, since: now, own_limit: limit, deadline });
    }

    pub(crate) fn deadline_of(&self, key: u64) -> Option<Instant> {
        self.line.iter().find(|waiting| waiting.key == key).and_then(|waiting| waiting.deadline)
    }

    /// Its place in the line, from 1.
    pub(crate) fn position(&self, key: u64) -> Option<usize> {
        self.line.iter().position(|waiting| waiting.key == key).map(|index| index + 1)
    }

    /// How many connections are decided for somebody who has not looked.
    pub(crate) fn granted(&self) -> usize {
        self.served.iter().filter(|served| served.answer == Answer::Granted).count()
    }

    /// Who has left the line since the last look, and why.
    ///
    /// All whose time is up leave together. Before and after that the oldest are served. So of those who are due the
    /// oldest have been served, as many as the numbers say, and so have the oldest of the others.
    pub(crate) fn sync(&mut self, seen: &Seen<'_>) -> Verdict {
        let Seen { pending, active, refused_up_to, failing_fast_up_to, known, back, gone, now } = *seen;
        ensure!(pending <= self.line.len(), "{pending} wait, and only {} may", self.line.len());
        let before = self.held + self.granted();
        let Some(granted) = active.checked_sub(before) else {
            return Err(format!("cancel.no_loss: of {before} in use {active} are left"));
        };
        let line = self.line.len();
        let left = line - pending;
        let Some(mut turned_away) = left.checked_sub(granted) else {
            return Err(format!("acquire.fifo: {granted} are served, and {left} have left the line"));
        };
        // A refusal is for all who wait at that moment. If fewer have left, it was for none of them.
        let refuses_all =
            |&up_to: &u64| self.line.iter().filter(|waiting| waiting.after < up_to).count() <= turned_away;
        let refused_up_to =
            [refused_up_to, failing_fast_up_to].into_iter().filter(refuses_all).max().unwrap_or(0);
        // A refusal comes when nothing is open, so what is decided now was decided after it.
        for index in (0..self.line.len()).rev() {
            if turned_away > 0 && self.line[index].after < refused_up_to {
                self.leaves(index, now, Answer::Refused);
                turned_away -= 1;
            }
        }
        let may_leave = |waiting: &Waiting| !known.contains(&waiting.key);
        let is_due = |waiting: &Waiting| waiting.deadline.is_some_and(|deadline| deadline <= now);
        let due = self.line.iter().filter(|waiting| may_leave(waiting) && is_due(waiting)).count();
        let shed = turned_away.saturating_sub(due);
        ensure!(
            shed == 0 || (back && self.max_pending.is_some()),
            "cancel.no_loss: {turned_away} have left the line without a reason, and {due} with one"
        );
        // The oldest of the due that were served, if the others have timed out.
        let mut due_and_served = if turned_away == 0 { granted } else { (due + shed) - turned_away };
        let mut served = granted;
        let (mut timed_out, mut place) = (Vec::new(), 0);
        let mut leaving = Vec::new();
        for (index, waiting) in self.line.iter().enumerate().filter(|(_, waiting)| may_leave(waiting)) {
            if turned_away > 0 && is_due(waiting) {
                if due_and_served == 0 {
                    timed_out.push((waiting.key, index + 1 - place, index + 1));
                    continue;
                }
                due_and_served -= 1;
            }
            if served > 0 {
                served -= 1;
                place += 1;
                leaving.push(waiting.key);
            }
        }
        ensure!(served == 0, "{granted} are served, and {} more are known to wait", known.len());
        for key in leaving {
            self.serve(key, now);
        }
        // A waiter that left for another reason did so before or after that; one that came back may have done
        // so after it.
        let (least, most) = (if back { 1 } else { pending + timed_out.len() }, line + gone);
        for (key, first, last) in timed_out {
            let first = if back { 1 } else { first };
            let last = last + gone;
            let or_shed = back && self.max_pending.is_some();
            self.answer(key, now, Answer::TimedOut { first, last, least, most, max: self.max, or_shed });
        }
        for _ in 0..shed {
            let youngest = self.line.iter().rposition(may_leave);
            let Some(youngest) = youngest else { return Err("somebody known to wait has left".into()) };
            self.leaves(youngest, now, Answer::Overloaded);
        }
        ensure!(self.line.len() == pending, "{pending} wait, and {} should", self.line.len());
        Ok(())
    }

    fn leaves(&mut self, index: usize, since: Instant, answer: Answer) {
        if let Some(waiting) = self.line.remove(index) {
            self.served.push(Served { waiting, since: Some(since), answer });
        }
    }

    /// Somebody who has been seen with an answer.
    pub(crate) fn answer(&mut self, key: u64, now: Instant, answer: Answer) {
        if let Some(index) = self.line.iter().position(|waiting| waiting.key == key) {
            self.leaves(index, now, answer);
        }
    }

    /// Somebody who has been seen with a connection.
    pub(crate) fn serve(&mut self, key: u64, now: Instant) {
        self.answer(key, now, Answer::Granted);
    }

    pub(crate) fn is_granted(&self, key: u64) -> bool {
        self.served(key).is_some_and(|served| served.answer == Answer::Granted)
    }

    pub(crate) fn served(&self, key: u64) -> Option<&Served> {
        self.served.iter().find(|served| served.waiting.key == key)
    }

    /// What it was served turned out dead or too old, or was recalled: back to its place in the order of arrival.
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

    /// Somebody has come back to the line. If there are too many now, the youngest go.
    pub(crate) fn shed(&mut self, now: Instant) -> usize {
        let most = self.max_pending.unwrap_or(usize::MAX);
        let surplus = self.line.len().saturating_sub(most);
        for _ in 0..surplus {
            self.leaves(self.line.len() - 1, now, Answer::Overloaded);
        }
        surplus
    }

    /// What was served and not picked up is taken back at once.
    pub(crate) fn recall(&mut self, mut after: impl FnMut() -> u64) {
        let granted = self.served.iter().filter(|served| served.answer == Answer::Granted);
        let keys: Vec<_> = granted.map(|served| served.waiting.key).collect();
        for key in keys {
            self.returned += 1;
            self.rejoin(key, after());
        }
    }

    /// Nobody waits any more.
    pub(crate) fn close(&mut self, now: Instant) {
        self.closed = true;
        while !self.line.is_empty() {
            self.leaves(0, now, Answer::Closed);
        }
    }

    /// An acquire has panicked, and what it was served went with it.
    pub(crate) fn panics(&mut self, key: u64) {
        self.returned += 1;
        self.served.retain(|served| served.waiting.key != key);
        self.line.retain(|waiting| waiting.key != key);
    }

    /// An acquire has ended by itself. Since when it has had its answer.
    pub(crate) fn ended(&mut self, key: u64, outcome: Outcome, now: Instant) -> Verdict<Option<Instant>> {
        let Some(index) = self.served.iter().position(|served| served.waiting.key == key) else {
            let ahead = self.position(key).map_or(0, |position| position - 1);
            return Err(format!("acquire.fifo: acquire {key} is {outcome:?}, {ahead} came before it"));
        };
        let Served { waiting, since, answer } = self.served.remove(index);
        let due = waiting.deadline.is_some_and(|deadline| deadline <= now);
        let right = match answer {
            Answer::Granted => outcome == Outcome::Got,
            Answer::TimedOut { or_shed, .. } => {
                outcome == Outcome::TimedOut || (or_shed && outcome == Outcome::Overloaded)
            }
            Answer::Refused => outcome == Outcome::Refused || outcome == Outcome::TimedOut,
            Answer::Overloaded => outcome == Outcome::Overloaded,
            Answer::Closed => outcome == Outcome::Closed,
        };
        ensure!(right, "cancel.no_loss: acquire {key} is {outcome:?}, and its answer was {answer:?}");
        ensure!(
            due || outcome != Outcome::TimedOut,
            "acquire.deadline: acquire {key} timed out before its deadline"
        );
        match outcome {
            Outcome::Got => self.held += 1,
            Outcome::TimedOut => {
                self.timed_out += 1;
                self.failed += 1;
            }
            Outcome::Refused | Outcome::Overloaded | Outcome::Closed => self.failed += 1,
        }
        Ok(since)
    }

    /// An acquire is dropped.
    pub(crate) fn cancels(&mut self, key: u64) {
        self.cancelled += 1;
        self.line.retain(|waiting| waiting.key != key);
        self.returned += u64::from(self.is_granted(key));
        self.served.retain(|served| served.waiting.key != key);
    }

    /// Whether a warm-up may have nothing left to wait for.
    pub(crate) fn is_warm(&self, stats: &PoolStats) -> bool {
        let open = Lasting { total: stats.total_connections, idle: stats.idle_connections };
        open.total >= self.max || self.is_met(&open)
    }

    /// Whether both minimums are met.
    pub(crate) fn is_met(&self, lasting: &Lasting) -> bool {
        lasting.total >= self.min && lasting.idle >= self.min_idle
    }

    /// What one snapshot promises, by itself and against what has happened.
    pub(crate) fn judge(&self, stats: &PoolStats, server: &AtServer) -> Verdict {
        let AtServer { quiet, live, closing, created, dead_looks, left_to_close, unfit } = *server;
        let PoolStats {
            total_connections: total, idle_connections: idle, active_connections: active, ..
        } = *stats;
        ensure!(total == idle + active, "stats.consistent: total is not idle + active");
        let counted = stats.connections_created == stats.connections_destroyed + total as u64;
        ensure!(counted, "stats.consistent: created is not destroyed + total");
        let counted = stats.total_acquisitions == stats.total_releases + active as u64;
        ensure!(counted, "stats.consistent: acquisitions is not releases + active");
        let chores = stats.checking + stats.resetting;
        ensure!(chores <= idle, "stats.consistent: more under a check or a reset than idle");
        let open = total..=total + left_to_close;
        let kept = live - closing;
        ensure!(open.contains(&kept), "stats.consistent: the server has {kept} connections open");
        ensure!(stats.connections_created == created, "stats.consistent: the server has opened {created}");
        ensure!(stats.max_connections == self.max, "resize.exact: the maximum is {}", self.max);

        let (held, granted) = (self.held, self.granted());
        ensure!(
            active == held + granted,
            "unique ownership: {held} held, {granted} served, and active is {active}"
        );
        ensure!(stats.failed_acquisitions == self.failed, "stats.consistent: {} have failed", self.failed);
        let timed_out = self.timed_out;
        ensure!(stats.timed_out_acquisitions == timed_out, "stats.consistent: {timed_out} have timed out");
        let cancelled = self.cancelled;
        ensure!(stats.cancelled_acquisitions == cancelled, "stats.consistent: {cancelled} were cancelled");
        let returned = self.returned + dead_looks;
        ensure!(stats.total_releases == returned, "stats.consistent: {returned} were returned");
        ensure!(
            self.max_pending.is_none_or(|most| stats.pending_requests <= most),
            "acquire.shed: more wait than max_pending"
        );

        let at_hand = idle - chores;
        // What waiters are about to get may be there too, and the successors of what is held or in a chore, one for each.
        let excused = active + chores + stats.pending_requests;
        // What is under a chore and has become one too many goes after it.
        let few = self.max_idle.is_none_or(|most| idle <= most + excused || at_hand == 0);
        // The successor of one that comes back is closed by the background.
        ensure!(few || !quiet, "max_idle: {idle} are idle");
        ensure!(stats.suspended == self.suspended, "suspend.nothing_moves: suspended is {}", stats.suspended);
        ensure!(
            at_hand == 0 || !self.suspended,
            "suspend.nothing_moves: a suspended pool keeps an idle connection"
        );
        let alone = stats.pending_requests == 0 || at_hand <= unfit;
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

fn deadline(since: Instant, limit: Duration) -> Option<Instant> {
    (limit != Duration::MAX).then(|| since + limit)
}
