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
mod callers;
mod clock;
mod effects;
mod line;
mod look;
mod outcome;
mod place;
mod plain;
mod plan;
mod queue;
mod report;
mod tally;
#[cfg(test)]
mod tests;
mod types;

use std::time::Duration;

use slab::Slab;

use self::backoff::Backoff;
pub(crate) use self::callers::Caller;
use self::callers::Callers;
use self::clock::{Clock, Haste, Window};
pub(crate) use self::clock::{Tick, Time};
pub(crate) use self::effects::Effects;
use self::queue::Queue;
pub(crate) use self::queue::Ticket;
use self::tally::{Tally, Times};
pub(crate) use self::types::*;
use crate::config::{IdleOrder, PoolConfig};
use crate::events::RetireReason;

/// A connection type, an error type, and whatever wakes a waiter.
// In this order in memory: in front what most calls change, close together, for where several threads use the pool, each
// line of the cache that one has changed has to change hands; then what most calls look at; then the rest.
#[repr(C)]
pub(crate) struct Core<C, E, W> {
    // With the lock, a line.
    clock: Clock,
    waiters: Queue<Waiter<W>>,
    // A line, which plain calls change only when nobody waits.
    /// Ordered by rest: the longest idle is in front.
    idle: Vec<Box<Entry<C>>>,
    /// The latest that an idle connection has come to rest.
    last_rest: Tick,
    /// When the background wakes by itself; never while it has no reason to.
    next_wake: Tick,
    /// See `settle`.
    calm: Window,
    /// Counts what can make a connection unwelcome: a close, a suspension, an epoch that ends, a runtime that goes, a new
    /// maximum, a successor that is open. One that was welcome in the present regime still is.
    regime: u64,
    // What follows plain calls do not change, but for what belongs to a connection.
    quiet: Window,
    crowded: Window,
    /// One for each open connection.
    records: Slab<Record<C>>,
    /// Who holds the connections, by the keys of their records.
    callers: Callers,
    checking: usize,
    closing: usize,
    /// Whether `next_wake` is all there is to wake for, as a plan has found.
    planned: bool,
    limits: Limits,
    haste: Haste,
    attempts: Slab<Attempt>,
    /// Of the attempts, those that nobody wants any more, and those for successors.
    abandoned: usize,
    replacing: usize,
    config: PoolConfig,
    /// What waiters were refused with, until they ask.
    refusals: Slab<Refusal<E>>,
    /// When the checks began that somebody waits for.
    wanted_checks: Vec<Tick>,
    closed: bool,
    suspended: bool,
    /// How often `invalidate_all` has been called.
    epoch: u64,
    backoff: Backoff,
    pace: Pace,
    last_failure: Option<LastFailure<E>>,
    /// When the youngest connection was opened that proved to work.
    last_success: Option<Tick>,
    homes: Vec<Home>,
    /// Those that have to be told to drop their checks.
    cut_checks: Vec<Home>,
    last_home: u64,
    rng: fastrand::Rng,
    counts: Counts,
    times: Times,
    last_connection: u64,
    /// How many acquisitions there had been at the last plan.
    planned_at: u64,
}

impl<C, E, W> Core<C, E, W> {
    pub(crate) fn new(config: PoolConfig, rng: fastrand::Rng) -> Self {
        Self {
            clock: Clock::default(),
            haste: Haste::default(),
            next_wake: Tick::NEVER,
            calm: Window::default(),
            quiet: Window::default(),
            crowded: Window::default(),
            regime: 0,
            last_rest: Tick::START,
            idle: Vec::new(),
            limits: Limits::new(&config),
            waiters: Queue::new(),
            records: Slab::new(),
            callers: Callers::new(config.detect_nested_acquires),
            checking: 0,
            closing: 0,
            planned: false,
            attempts: Slab::new(),
            abandoned: 0,
            replacing: 0,
            config,
            refusals: Slab::new(),
            wanted_checks: Vec::new(),
            closed: false,
            suspended: false,
            epoch: 0,
            backoff: Backoff::default(),
            pace: Pace::default(),
            last_failure: None,
            last_success: None,
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

    /// Of a connection that has not been found welcome yet.
    const NO_REGIME: u64 = u64::MAX;

    fn acquisitions(&self) -> u64 {
        // Each acquisition is one wait, if of no time.
        self.times.waits(self.tallies())
    }

    fn tallies(&self) -> impl Iterator<Item = &Tally> {
        self.records.iter().map(|(_, record)| &record.tally)
    }

    fn held(&self) -> usize {
        self.open() - self.idle.len() - self.checking
    }

    #[inline]
    fn open(&self) -> usize {
        self.records.len()
    }

    /// Attempts that are wanted still.
    fn coming(&self) -> usize {
        self.attempts.len() - self.abandoned
    }

    /// How many more connections the maximum leaves room for.
    fn room(&self) -> usize {
        self.config.max_connections.saturating_sub(self.open() + self.attempts.len() + self.closing)
    }

    pub(crate) fn somebody_waits(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// The last reading of the clock, if that serves the next call too; otherwise zero.
    pub(crate) fn tick_at_hand(&self) -> u64 {
        self.clock.tick_at_hand()
    }

    /// The time for one call, from the clock or from the last reading of it.
    #[inline]
    fn time(&mut self, now: impl Time, fx: &mut Effects<C, W>) -> Tick {
        match self.clock.at_hand() {
            Some(now) => now,
            None => self.read_clock(now.tick(), fx),
        }
    }

    #[inline(never)]
    fn read_clock(&mut self, now: Tick, fx: &mut Effects<C, W>) -> Tick {
        // Without a background nobody would come by to end the haste.
        if !self.homes.is_empty() {
            fx.drive |= self.haste.read(&mut self.clock, now);
        }
        now
    }

    /// An idle connection, if nobody waits for one. `None` says nothing about why.
    #[inline]
    pub(crate) fn try_take(
        &mut self,
        now: impl Time,
        site: Site,
        fx: &mut Effects<C, W>,
    ) -> Option<Box<Entry<C>>> {
        if !self.waiters.is_empty() || self.idle.is_empty() {
            return None;
        }
        let now = self.time(now, fx);
        let mut entry = self.take_fit(now, fx)?;
        self.hold(&mut entry, now, &site);
        self.wake_by(now + self.limits.until_leak, fx);
        Some(entry)
    }

    /// The next idle connection that may be handed out as it is. Passes over what wants a check, and retires what is
    /// overdue.
    fn take_fit(&mut self, now: Tick, fx: &mut Effects<C, W>) -> Option<Box<Entry<C>>> {
        let mut skipped = 0;
        loop {
            let index = match self.limits.order {
                IdleOrder::Lifo => self.idle.len().checked_sub(skipped + 1)?,
                IdleOrder::Fifo => skipped,
            };
            let entry = self.idle.get(index)?;
            if let Some(reason) = self.overdue(entry, now) {
                let entry = self.idle.remove(index);
                self.retire(entry, reason, fx);
            } else if self.wants_check(entry, now) {
                skipped += 1;
            } else {
                return Some(self.idle.remove(index));
            }
        }
    }

    /// A held connection comes back, to be used again or not.
    #[inline]
    pub(crate) fn give_back(
        &mut self,
        mut entry: Box<Entry<C>>,
        fate: Fate,
        now: impl Time,
        fx: &mut Effects<C, W>,
    ) {
        let now = self.time(now, fx);
        let replaced = self.let_go(&entry, now);
        match fate {
            Fate::Reuse if replaced => self.retire(entry, RetireReason::Lifetime, fx),
            Fate::Reuse => {
                entry.idle_since = now;
                self.place(entry, now, fx);
            }
            Fate::Retire(reason) => self.retire(entry, reason, fx),
        }
    }

    /// A held connection leaves the pool alive. Its share of the maximum is free at once.
    pub(crate) fn detach(&mut self, entry: Entry<C>, now: Tick, fx: &mut Effects<C, W>) -> (C, Duration) {
        let held_for = now.since(entry.held_since);
        self.let_go(&entry, now);
        self.forget(&entry);
        fx.progress = true;
        self.ask_for_more(now, fx);
        (entry.connection, held_for)
    }

    /// Ends a hold that was somebody's, and says whether the successor of the connection is open.
    #[inline]
    fn let_go(&mut self, entry: &Entry<C>, now: Tick) -> bool {
        let record = &mut self.records[entry.record as usize];
        record.tally.hold(now.nanos_since(entry.held_since), &mut self.times);
        self.take_away(entry)
    }

    /// The same for a hold that nobody made use of.
    #[inline]
    fn take_away(&mut self, entry: &Entry<C>) -> bool {
        let record = &mut self.records[entry.record as usize];
        record.hold = None;
        self.callers.set(entry.record, None);
        record.replaced
    }

    /// Begins a hold for which nobody had to wait.
    #[inline(always)]
    fn hold(&mut self, entry: &mut Entry<C>, now: Tick, site: &Site) {
        entry.turn = self.waiters.next_turn();
        entry.held_since = now;
        let record = &mut self.records[entry.record as usize];
        record.begin_hold(now, site.at);
        record.tally.no_wait();
        self.callers.set(entry.record, site.caller);
    }

    /// Sends a connection that is in none of the open places on its way out. It still takes up room, so `closed` asks
    /// for its replacement.
    #[inline(never)]
    fn retire(&mut self, entry: Box<Entry<C>>, reason: RetireReason, fx: &mut Effects<C, W>) {
        self.forget(&entry);
        self.closing += 1;
        fx.retired.push((entry, reason));
    }

    fn forget(&mut self, entry: &Entry<C>) {
        self.records.remove(entry.record as usize).tally.add_to(&mut self.times);
        self.counts.destroyed += 1;
    }

    /// A retired connection is gone, and its share of the maximum is free.
    pub(crate) fn closed(&mut self, count: usize, now: Tick, fx: &mut Effects<C, W>) {
        self.closing -= count;
        fx.progress = true;
        self.ask_for_more(now, fx);
    }

    /// Why an open connection may not be handed out, if so.
    #[inline]
    fn overdue(&self, entry: &Entry<C>, now: Tick) -> Option<RetireReason> {
        if entry.retire_at <= now {
            return Some(RetireReason::Lifetime);
        }
        (entry.idle_since + self.limits.idle <= now && self.open() > self.config.min_connections)
            .then_some(RetireReason::Idle)
    }

    /// Whether `check_after_idle` keeps a connection from being handed out as it is.
    #[inline]
    fn wants_check(&self, entry: &Entry<C>, now: Tick) -> bool {
        entry.proven_at() + self.limits.trust <= now
    }
}
