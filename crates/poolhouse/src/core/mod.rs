//! What the pool decides. Plain synchronous code: it takes the time as an argument, and knows no runtime and no socket.
//!
//! A connection is in exactly one of four places: among the idle, with a holder, under a health check, or on its way
//! out. The first three are *open*; together with the attempts to connect and those on the way out they never exceed
//! the maximum (`size.max`). Whoever takes a connection out of a place puts it into the next in the same call, so no
//! count is ever wrong between two calls.
//!
//! Acquiring: if nobody waits and an idle connection is fit, it is handed out. Otherwise the acquire joins the queue.
//! Releasing: a connection that comes back, or a new one, goes straight to the head of the queue, whichever is first
//! (`acquire.race`); only when nobody waits does it become idle. So while somebody waits nothing fit is idle, and a
//! newcomer has nothing to overtake with (`acquire.fifo`). Not fit are those that `check_after_idle` wants checked
//! first: `plan` checks as many as there are waiters, and what passes is placed like one that comes back.
//!
//! A served waiter finds its connection in its place in the queue. Until it is picked up it counts as held; if the
//! waiter goes away instead, the connection is given back like any other (`cancel.no_loss`). If it has been recalled in
//! the meantime, or turns out dead, the waiter goes back to its turn in the queue.
//!
//! Nothing here wakes, closes or spawns. Each call fills an [`Effects`], and the caller carries it out after it has
//! unlocked. A closing connection keeps its share of the maximum until `closed` says that it is gone.

mod admin;
mod backoff;
mod look;
mod outcome;
mod plan;
mod queue;
mod report;
#[cfg(test)]
mod tests;
mod types;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slab::Slab;

use self::backoff::Backoff;
use self::queue::Queue;
pub(crate) use self::queue::Ticket;
pub(crate) use self::types::*;
use crate::config::{IdleOrder, PoolConfig};
use crate::events::RetireReason;

/// A connection type, an error type, and whatever wakes a waiter.
pub(crate) struct Core<C, E, W> {
    config: PoolConfig,
    /// Ordered by rest: the longest idle is in front.
    idle: VecDeque<Box<Entry<C>>>,
    waiters: Queue<Waiter<C, E, W>>,
    holds: Slab<Hold>,
    checking: usize,
    /// When the checks began that somebody waits for.
    wanted_checks: Vec<Instant>,
    attempts: Slab<Attempt>,
    /// Of the attempts, those that nobody wants any more, and those for successors.
    abandoned: usize,
    replacing: usize,
    closing: usize,
    closed: bool,
    suspended: bool,
    /// How often `invalidate_all` has been called.
    epoch: u64,
    backoff: Backoff,
    pace: Pace,
    last_failure: Option<LastFailure<E>>,
    /// When the youngest connection was opened that proved to work.
    last_success: Option<Instant>,
    /// When the background wakes by itself; `None` while it has no reason to.
    next_wake: Option<Instant>,
    homes: Vec<Home>,
    /// Those that have to be told to drop their checks.
    cut_checks: Vec<Home>,
    last_home: u64,
    rng: fastrand::Rng,
    counts: Counts,
    times: Times,
    last_connection: u64,
    /// `counts.acquisitions` at the last plan.
    planned_at: u64,
}

impl<C, E, W> Core<C, E, W> {
    pub(crate) fn new(config: PoolConfig, rng: fastrand::Rng) -> Self {
        Self {
            config,
            idle: VecDeque::new(),
            waiters: Queue::new(),
            holds: Slab::new(),
            checking: 0,
            wanted_checks: Vec::new(),
            attempts: Slab::new(),
            abandoned: 0,
            replacing: 0,
            closing: 0,
            closed: false,
            suspended: false,
            epoch: 0,
            backoff: Backoff::default(),
            pace: Pace::default(),
            last_failure: None,
            last_success: None,
            next_wake: None,
            homes: Vec::new(),
            cut_checks: Vec::new(),
            last_home: 0,
            rng,
            counts: Counts::default(),
            times: Times::default(),
            last_connection: 0,
            planned_at: 0,
        }
    }

    fn open(&self) -> usize {
        self.idle.len() + self.holds.len() + self.checking
    }

    /// Attempts that are wanted still.
    fn coming(&self) -> usize {
        self.attempts.len() - self.abandoned
    }

    /// How many more connections the maximum leaves room for.
    fn room(&self) -> usize {
        self.config.max_connections.saturating_sub(self.open() + self.attempts.len() + self.closing)
    }

    /// An idle connection, if nobody waits for one. `None` says nothing about why.
    pub(crate) fn try_take(
        &mut self,
        now: Instant,
        site: Site,
        fx: &mut Effects<C, W>,
    ) -> Option<Box<Entry<C>>> {
        if !self.waiters.is_empty() {
            return None;
        }
        let mut entry = self.take_fit(now, fx)?;
        self.hold(&mut entry, now, site, fx);
        self.times.wait.record(Duration::ZERO);
        Some(entry)
    }

    /// The next idle connection that may be handed out as it is.
    fn take_fit(&mut self, now: Instant, fx: &mut Effects<C, W>) -> Option<Box<Entry<C>>> {
        let mut skipped = 0;
        loop {
            let index = match self.config.queue {
                IdleOrder::Lifo => self.idle.len().checked_sub(skipped + 1)?,
                IdleOrder::Fifo => skipped,
            };
            let entry = self.idle.get(index)?;
            if let Some(reason) = self.overdue(entry, now, self.open()) {
                let entry = self.idle.remove(index)?;
                self.retire(entry, reason, fx);
            } else if self.wants_check(entry, now) {
                skipped += 1;
            } else {
                return self.idle.remove(index);
            }
        }
    }

    /// Takes an idle connection, or joins the queue unless the pool is closed or too many wait. One call, so that no
    /// connection can become idle between the look and the queue.
    pub(crate) fn take_or_join(
        &mut self,
        now: Instant,
        site: Site,
        waker: W,
        fx: &mut Effects<C, W>,
    ) -> Result<Joined<C>, Refusal<E>> {
        if let Some(entry) = self.try_take(now, site, fx) {
            fx.spent = Some(waker);
            return Ok(Joined::Taken(entry));
        }
        let refusal = match self.config.max_pending {
            _ if self.closed => Refusal::Closed,
            Some(max_pending) if self.waiters.len() >= max_pending => {
                Refusal::Overloaded { waiting: self.waiters.len(), max_pending }
            }
            _ => {
                let ticket = self.waiters.join(Waiter { since: now, site, reply: Reply::None(Some(waker)) });
                self.ask_for_more(now, fx);
                return Ok(Joined::Waiting(ticket));
            }
        };
        fx.spent = Some(waker);
        self.counts.failed += 1;
        Err(refusal)
    }

    /// What became of a waiter, if anything has; otherwise `refresh` may replace its waker.
    pub(crate) fn poll(
        &mut self,
        ticket: Ticket,
        now: impl FnOnce() -> Instant,
        refresh: impl FnOnce(&mut Option<W>),
        fx: &mut Effects<C, W>,
    ) -> Option<Result<Box<Entry<C>>, Refusal<E>>> {
        if !matches!(self.waiters.get(ticket).reply, Reply::None(_)) {
            self.recall(ticket, now, fx);
        }
        if let Reply::None(waker) = &mut self.waiters.get(ticket).reply {
            refresh(waker);
            return None;
        }
        self.collect(ticket)
    }

    /// Gives up waiting because time is up. A reply that came just in time still counts.
    pub(crate) fn expire(
        &mut self,
        ticket: Ticket,
        now: Instant,
        fx: &mut Effects<C, W>,
    ) -> Result<Box<Entry<C>>, Expired<E>> {
        self.recall(ticket, || now, fx);
        if !matches!(self.waiters.get(ticket).reply, Reply::None(_)) {
            return self.collect(ticket).expect("a reply is there").map_err(Expired::Refused);
        }
        let diagnosis = self.diagnose_waiter(ticket, now);
        if let Reply::None(waker) = self.waiters.leave(ticket).reply {
            fx.spent = waker;
        }
        self.counts.failed += 1;
        self.counts.timed_out += 1;
        Err(Expired::TimedOut(diagnosis))
    }

    /// Takes a connection back from a waiter who has not picked it up, if `invalidate_all` or `suspend` came between.
    /// The waiter goes back to its turn.
    fn recall(&mut self, ticket: Ticket, now: impl FnOnce() -> Instant, fx: &mut Effects<C, W>) {
        let (epoch, suspended) = (self.epoch, self.suspended);
        let reply = &mut self.waiters.get(ticket).reply;
        let Reply::Granted(entry) = &*reply else { return };
        let reason = match () {
            () if entry.epoch != epoch => RetireReason::InvalidatedAll,
            () if suspended => RetireReason::Suspended,
            () => return,
        };
        // A closed pool has refused everybody in the line, and nobody would come by again.
        let instead = if self.closed { Reply::Refused(Refusal::Closed) } else { Reply::None(None) };
        let Reply::Granted(entry) = std::mem::replace(reply, instead) else { return };
        self.let_go(entry.hold);
        self.retire(entry, reason, fx);
        if !self.closed {
            self.waiters.rejoin(ticket);
            self.serve_idle(now(), fx);
        }
    }

    fn collect(&mut self, ticket: Ticket) -> Option<Result<Box<Entry<C>>, Refusal<E>>> {
        match self.waiters.leave(ticket).reply {
            Reply::None(_) => None,
            Reply::Granted(entry) => Some(Ok(entry)),
            Reply::Refused(refusal) => {
                self.counts.failed += 1;
                Some(Err(refusal))
            }
        }
    }

    /// Gives up waiting because the acquire was dropped. What it was served goes to the next.
    pub(crate) fn cancel(&mut self, ticket: Ticket, now: Instant, fx: &mut Effects<C, W>) {
        self.counts.cancelled += 1;
        match self.waiters.leave(ticket).reply {
            Reply::None(waker) => fx.spent = waker,
            Reply::Granted(entry) => self.give_back(entry, Fate::Reuse, now, fx),
            Reply::Refused(_) => {}
        }
    }

    /// Somebody has come back into the line: what became idle in the meantime is for them.
    fn serve_idle(&mut self, now: Instant, fx: &mut Effects<C, W>) {
        while !self.waiters.is_empty()
            && let Some(entry) = self.take_fit(now, fx)
        {
            self.place(entry, now, fx);
        }
        self.ask_for_more(now, fx);
    }

    /// For how long a connection has been held that is about to come back.
    pub(crate) fn held_for(&self, entry: &Entry<C>, now: Instant) -> Duration {
        self.holds.get(entry.hold).map_or(Duration::ZERO, |hold| now.saturating_duration_since(hold.since))
    }

    /// A held connection comes back, to be used again or not.
    pub(crate) fn give_back(
        &mut self,
        mut entry: Box<Entry<C>>,
        fate: Fate,
        now: Instant,
        fx: &mut Effects<C, W>,
    ) {
        self.times.hold.record(self.held_for(&entry, now));
        let hold = self.let_go(entry.hold);
        match fate {
            Fate::Reuse if hold.replaced => self.retire(entry, RetireReason::Lifetime, fx),
            Fate::Reuse => {
                entry.proven_at = now;
                self.place(entry, now, fx);
            }
            Fate::Retire(reason) => self.retire(entry, reason, fx),
        }
    }

    /// A held connection leaves the pool alive. Its share of the maximum is free at once.
    pub(crate) fn detach(&mut self, entry: Entry<C>, now: Instant, fx: &mut Effects<C, W>) -> (C, Duration) {
        let held_for = self.held_for(&entry, now);
        self.times.hold.record(held_for);
        self.let_go(entry.hold);
        self.counts.destroyed += 1;
        fx.progress = true;
        self.ask_for_more(now, fx);
        (entry.connection, held_for)
    }

    fn let_go(&mut self, hold: usize) -> Hold {
        self.counts.releases += 1;
        self.holds.remove(hold)
    }

    /// Gives an open connection its next place: with the oldest waiter, among the idle, or out.
    fn place(&mut self, entry: Box<Entry<C>>, now: Instant, fx: &mut Effects<C, W>) {
        self.place_idle_since(entry, now, now, fx);
    }

    fn place_idle_since(
        &mut self,
        mut entry: Box<Entry<C>>,
        since: Instant,
        now: Instant,
        fx: &mut Effects<C, W>,
    ) {
        entry.idle_since = since;
        let reason = if self.closed {
            Some(RetireReason::PoolClosed)
        } else if self.suspended {
            Some(RetireReason::Suspended)
        } else if entry.epoch != self.epoch {
            Some(RetireReason::InvalidatedAll)
        } else if !self.homes.contains(&entry.home) {
            Some(RetireReason::RuntimeGone)
        } else if self.open() >= self.config.max_connections {
            Some(RetireReason::Shrunk)
        } else {
            self.overdue(&entry, now, self.open() + 1)
        };
        if let Some(reason) = reason {
            self.retire(entry, reason, fx);
        } else if let Some((waiter, turn)) = self.waiters.serve() {
            let (site, waited) = (waiter.site, now.saturating_duration_since(waiter.since));
            entry.turn = turn;
            entry.hold = self.holds.vacant_key();
            let (connection, replace_at) = (entry.id, entry.replace_at);
            if let Reply::None(Some(waker)) = std::mem::replace(&mut waiter.reply, Reply::Granted(entry)) {
                fx.wake.push(waker);
            }
            self.held(connection, replace_at, now, site, fx);
            self.times.wait.record(waited);
        } else {
            let fresh = entry.fresh;
            self.succeeded(&mut entry);
            self.wake_by(self.dues(&entry, self.open() + 1, now).min(), fx);
            // Ordered by rest: one that comes from a check goes back to where it was.
            let place =
                self.idle.iter().rposition(|other| other.idle_since <= since).map_or(0, |index| index + 1);
            self.idle.insert(place, entry);
            if fresh {
                self.ask_for_more(now, fx);
            }
        }
    }

    fn hold(&mut self, entry: &mut Entry<C>, now: Instant, site: Site, fx: &mut Effects<C, W>) {
        entry.hold = self.holds.vacant_key();
        entry.turn = self.waiters.next_turn();
        self.held(entry.id, entry.replace_at, now, site, fx);
    }

    fn held(
        &mut self,
        connection: u64,
        replace_at: Option<Instant>,
        now: Instant,
        site: Site,
        fx: &mut Effects<C, W>,
    ) {
        self.counts.acquisitions += 1;
        self.holds.insert(Hold {
            since: now,
            site,
            connection,
            replace_at,
            replaced: false,
            reported: false,
        });
        if let Some(threshold) = self.config.leak_threshold {
            self.wake_by(now.checked_add(threshold), fx);
        }
    }

    /// Sends a connection that is in none of the open places on its way out. It still takes up room, so `closed` asks
    /// for its replacement.
    fn retire(&mut self, entry: Box<Entry<C>>, reason: RetireReason, fx: &mut Effects<C, W>) {
        self.closing += 1;
        self.counts.destroyed += 1;
        fx.retired.push((entry, reason));
    }

    /// A retired connection is gone, and its share of the maximum is free.
    pub(crate) fn closed(&mut self, count: usize, now: Instant, fx: &mut Effects<C, W>) {
        self.closing -= count;
        fx.progress = true;
        self.ask_for_more(now, fx);
    }

    /// Why a connection may not be handed out, if so; `open` counts it too.
    fn overdue(&self, entry: &Entry<C>, now: Instant, open: usize) -> Option<RetireReason> {
        if entry.retire_at.is_some_and(|at| at <= now) {
            return Some(RetireReason::Lifetime);
        }
        let idle_until = entry.idle_since.checked_add(self.config.idle_timeout);
        (idle_until.is_some_and(|at| at <= now) && open > self.config.min_connections)
            .then_some(RetireReason::Idle)
    }

    /// Whether `check_after_idle` keeps a connection from being handed out as it is.
    fn wants_check(&self, entry: &Entry<C>, now: Instant) -> bool {
        self.config
            .check_after_idle
            .is_some_and(|limit| now.saturating_duration_since(entry.proven_at) >= limit)
    }
}
