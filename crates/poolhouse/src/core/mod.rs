//! What the pool decides. Plain synchronous code: it takes the time as an argument, and knows no runtime and no socket.
//!
//! A connection is in exactly one of four places: among the idle, with a holder, under a health check, or on its way
//! out. The first three are *open*; together with the attempts to connect and those on the way out they never exceed
//! the maximum (`size.max`). Whoever takes a connection out of a place puts it into the next in the same call, so no
//! count is ever wrong between two calls.
//!
//! Acquiring: if nobody waits and an idle connection is fit, it is handed out. Otherwise the acquire joins the queue.
//! Releasing: a connection that comes back, or a new one, goes straight to the head of the queue, whichever is first
//! (`acquire.race`); only when nobody waits does it become idle. So while somebody waits nothing is idle, and a
//! newcomer has nothing to overtake with (`acquire.fifo`).
//!
//! A served waiter finds its connection in its place in the queue. Until it is picked up it counts as held; if the
//! waiter goes away instead, the connection is given back like any other (`cancel.no_loss`).
//!
//! Connects are asked for by `plan`: one for each waiter that has no attempt under way for it, and as many as
//! `min_connections` lacks, within the room there is, `max_connecting`, and the pause after failures.
//!
//! Nothing here wakes, closes or spawns. Each call fills an [`Effects`], and the caller carries it out after it has
//! unlocked. A closing connection keeps its share of the maximum until `closed` says that it is gone.

mod admin;
mod backoff;
mod outcome;
mod queue;
#[cfg(test)]
mod tests;
mod types;

use std::collections::VecDeque;
use std::panic::Location;
use std::time::Instant;

use slab::Slab;

use self::backoff::Backoff;
use self::queue::Queue;
pub(crate) use self::queue::Ticket;
pub(crate) use self::types::*;
use crate::config::{IdleOrder, PoolConfig};

/// A connection type, an error type, and whatever wakes a waiter.
pub(crate) struct Core<C, E, W> {
    config: PoolConfig,
    idle: VecDeque<Box<Entry<C>>>,
    waiters: Queue<Waiter<C, E, W>>,
    holds: Slab<Hold>,
    checking: usize,
    connecting: usize,
    closing: usize,
    closed: bool,
    backoff: Backoff,
    last_failure: Option<LastFailure<E>>,
    /// When the background wakes by itself; `None` while it has no reason to.
    next_wake: Option<Instant>,
    homes: Vec<Home>,
    last_home: u64,
    rng: fastrand::Rng,
    counts: Counts,
}

impl<C, E, W> Core<C, E, W> {
    pub(crate) fn new(config: PoolConfig, rng: fastrand::Rng) -> Self {
        Self {
            config,
            idle: VecDeque::new(),
            waiters: Queue::new(),
            holds: Slab::new(),
            checking: 0,
            connecting: 0,
            closing: 0,
            closed: false,
            backoff: Backoff::default(),
            last_failure: None,
            next_wake: None,
            homes: Vec::new(),
            last_home: 0,
            rng,
            counts: Counts::default(),
        }
    }

    fn open(&self) -> usize {
        self.idle.len() + self.holds.len() + self.checking
    }

    /// How many more connections the maximum leaves room for.
    fn room(&self) -> usize {
        self.config.max_connections.saturating_sub(self.open() + self.connecting + self.closing)
    }

    /// An idle connection, if nobody waits for one. `None` says nothing about why.
    pub(crate) fn try_take(
        &mut self,
        now: Instant,
        at: &'static Location<'static>,
        fx: &mut Effects<C, W>,
    ) -> Option<Box<Entry<C>>> {
        if self.closed || !self.waiters.is_empty() {
            return None;
        }
        loop {
            let mut entry = match self.config.queue {
                IdleOrder::Lifo => self.idle.pop_back(),
                IdleOrder::Fifo => self.idle.pop_front(),
            }?;
            if let Some(reason) = self.overdue(&entry, now, self.open() + 1) {
                self.retire(entry, reason, fx);
                continue;
            }
            self.hold(&mut entry, now, at);
            return Some(entry);
        }
    }

    /// Takes an idle connection, or joins the queue unless the pool is closed or too many wait. One call, so that no
    /// connection can become idle between the look and the queue.
    pub(crate) fn take_or_join(
        &mut self,
        now: Instant,
        at: &'static Location<'static>,
        waker: W,
        fx: &mut Effects<C, W>,
    ) -> Result<Joined<C>, Refusal<E>> {
        if let Some(entry) = self.try_take(now, at, fx) {
            fx.spent = Some(waker);
            return Ok(Joined::Taken(entry));
        }
        let refusal = match self.config.max_pending {
            _ if self.closed => Refusal::Closed,
            Some(max_pending) if self.waiters.len() >= max_pending => {
                Refusal::Overloaded { waiting: self.waiters.len(), max_pending }
            }
            _ => {
                let ticket = self.waiters.join(Waiter { since: now, at, reply: Reply::None(Some(waker)) });
                self.ask_for_connects(now, fx);
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
        refresh: impl FnOnce(&mut Option<W>),
    ) -> Option<Result<Box<Entry<C>>, Refusal<E>>> {
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

    /// A held connection comes back, to be used again or not.
    pub(crate) fn give_back(
        &mut self,
        mut entry: Box<Entry<C>>,
        fate: Fate,
        now: Instant,
        fx: &mut Effects<C, W>,
    ) {
        self.holds.remove(entry.hold);
        self.counts.releases += 1;
        fx.progress |= self.closed;
        match fate {
            Fate::Reuse => {
                entry.proven_at = now;
                self.place(entry, now, fx);
            }
            Fate::Retire(reason) => self.retire(entry, reason, fx),
        }
    }

    /// A held connection leaves the pool alive. Its share of the maximum is free at once.
    pub(crate) fn detach(&mut self, entry: Entry<C>, now: Instant, fx: &mut Effects<C, W>) -> C {
        self.holds.remove(entry.hold);
        self.counts.releases += 1;
        self.counts.destroyed += 1;
        fx.progress |= self.closed;
        self.ask_for_connects(now, fx);
        entry.connection
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
        } else if !self.homes.contains(&entry.home) {
            Some(RetireReason::RuntimeGone)
        } else if self.open() >= self.config.max_connections {
            Some(RetireReason::Shrunk)
        } else {
            self.overdue(&entry, now, self.open() + 1)
        };
        if let Some(reason) = reason {
            self.retire(entry, reason, fx);
        } else if let Some(waiter) = self.waiters.serve() {
            entry.hold = self.holds.insert(Hold { since: now, at: waiter.at });
            self.counts.acquisitions += 1;
            if let Reply::None(Some(waker)) = std::mem::replace(&mut waiter.reply, Reply::Granted(entry)) {
                fx.wake.push(waker);
            }
        } else {
            self.wake_by(self.next_due(&entry, self.open() + 1), fx);
            // Ordered by rest: one that comes from a check goes back to where it was.
            let place =
                self.idle.iter().rposition(|other| other.idle_since <= since).map_or(0, |index| index + 1);
            self.idle.insert(place, entry);
        }
    }

    fn hold(&mut self, entry: &mut Entry<C>, now: Instant, at: &'static Location<'static>) {
        entry.hold = self.holds.insert(Hold { since: now, at });
        self.counts.acquisitions += 1;
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
        fx.progress |= self.closed;
        self.ask_for_connects(now, fx);
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

    /// When the background next has something to do with an idle connection; `open` counts it too.
    fn next_due(&self, entry: &Entry<C>, open: usize) -> Option<Instant> {
        let idle_until = (open > self.config.min_connections)
            .then(|| entry.idle_since.checked_add(self.config.idle_timeout))
            .flatten();
        let check_at = entry.proven_at.checked_add(self.config.health_check_interval);
        [entry.retire_at, idle_until, check_at].into_iter().flatten().min()
    }

    fn wake_by(&mut self, due: Option<Instant>, fx: &mut Effects<C, W>) {
        if let Some(due) = due
            && self.next_wake.is_none_or(|wake| due < wake)
        {
            self.next_wake = Some(due);
            fx.drive = true;
        }
    }

    fn ask_for_connects(&mut self, now: Instant, fx: &mut Effects<C, W>) {
        if self.connects_wanted() > 0 {
            match self.backoff.pause(now) {
                Some(end) => self.wake_by(Some(end), fx),
                None => fx.drive = true,
            }
        }
    }

    /// How many connects to begin, the pause after failures aside.
    fn connects_wanted(&self) -> usize {
        if self.closed {
            return 0;
        }
        let for_waiters = self.waiters.len().saturating_sub(self.connecting);
        let for_minimum = self.config.min_connections.saturating_sub(self.open() + self.connecting);
        // One probe is enough to learn whether a server that refused is back.
        let at_once = if self.backoff.failing() { 1 } else { self.config.max_connecting };
        for_waiters.max(for_minimum).min(self.room()).min(at_once.saturating_sub(self.connecting))
    }

    /// A background task has begun in some runtime. Connections that it opens live as long as that runtime.
    pub(crate) fn home_opened(&mut self) -> Home {
        self.last_home += 1;
        self.homes.push(Home(self.last_home));
        Home(self.last_home)
    }

    /// A background task has ended. Its runtime is gone, and with it the I/O of every connection opened there. All who
    /// wait are woken, for one of them may have to start the next task.
    pub(crate) fn home_lost(&mut self, home: Home, fx: &mut Effects<C, W>) {
        self.homes.retain(|other| *other != home);
        self.next_wake = None;
        let lost: VecDeque<_>;
        (lost, self.idle) = std::mem::take(&mut self.idle).into_iter().partition(|entry| entry.home == home);
        for entry in lost {
            self.retire(entry, RetireReason::RuntimeGone, fx);
        }
        self.waiters.for_each(|waiter| {
            if let Reply::None(waker) = &mut waiter.reply {
                waker.take().into_iter().for_each(|waker| fx.wake.push(waker));
            }
        });
        fx.drive = true;
    }

    /// Whether any background task lives.
    pub(crate) fn has_home(&self) -> bool {
        !self.homes.is_empty()
    }

    /// Retires what has come of age, and says what the background has to begin and when to come back. The connects and
    /// checks in the plan are under way from here on.
    pub(crate) fn plan(&mut self, now: Instant, fx: &mut Effects<C, W>) -> Plan<C> {
        if self.closed {
            return Plan { connects: 0, checks: Vec::new(), wake_at: None };
        }
        let mut idle = std::mem::take(&mut self.idle);
        let count = idle.len();
        let mut checks = Vec::new();
        let mut wake_at = None;
        for done in 0..count {
            let entry = idle.pop_front().expect("counted above");
            // The rest of the idle count as open while this one is judged.
            let rest = count - done;
            let open = self.idle.len() + rest + self.holds.len() + self.checking;
            if let Some(reason) = self.overdue(&entry, now, open) {
                self.retire(entry, reason, fx);
                continue;
            }
            let due = entry.proven_at.checked_add(self.config.health_check_interval);
            // Half stay in reach, so that checks never empty a pool of more than one.
            if due.is_some_and(|due| due <= now) && self.checking < (count / 2).max(1) {
                self.checking += 1;
                checks.push(entry);
                continue;
            }
            self.idle.push_back(entry);
        }
        for index in 0..self.idle.len() {
            // A check that is due but has no room now comes up again when one of those under way ends.
            let due = self.next_due(&self.idle[index], self.open()).filter(|due| *due > now);
            wake_at = [wake_at, due].into_iter().flatten().min();
        }
        let mut connects = self.connects_wanted();
        if connects > 0
            && let Some(end) = self.backoff.pause(now)
        {
            connects = 0;
            wake_at = Some(wake_at.map_or(end, |wake| end.min(wake)));
        }
        self.connecting += connects;
        self.next_wake = wake_at;
        Plan { connects, checks, wake_at }
    }
}
