//! What the pool decides. Plain synchronous code: it takes the time as an argument, and knows no runtime and no socket.
//!
//! A connection is in exactly one of four places: among the idle, with a holder, in a chore (a health check, a reset, a
//! hook or `retain`), or on its way out. The first three are *open*; together with the attempts to connect and those on
//! the way out they never exceed the maximum (`size.max`). A call that takes a connection out of a place also puts it
//! into the next, so no count is ever wrong between two calls.
//!
//! Acquiring: if nobody waits and an idle connection is fit, it is handed out. Otherwise the acquire joins the queue.
//! Releasing: a connection that comes back, or a new one, goes straight to the head of the queue, whichever is first
//! (`acquire.race`); only when nobody waits does it become idle. So while somebody waits nothing fit is idle, and a
//! newcomer has nothing to overtake with (`acquire.fifo`). Not fit are those that have to pass a health check first: the
//! plan checks as many as there are waiters, and what passes is placed like one that comes back.
//!
//! A waiter that has been served finds its connection in the record of the connection. Until it picks it up the
//! connection counts as held; if the waiter goes away instead, the connection is given back like any other
//! (`cancel.no_loss`). If it is no longer eligible in the meantime, or turns out dead, the waiter goes back to its turn in
//! the queue.
//!
//! Nothing here wakes, closes, spawns or runs the user's code. Each call fills an [`Effects`], and the caller carries it
//! out after it has unlocked (`foreign.unlocked`). A closing connection keeps its share of the maximum until
//! `connections_gone` says so.
//!
//! Each file has one job. The first group are machines with state of their own, which nothing else can reach.
//! Those of eviction, connects and health checks also have decisions of the policy, which touch other machines:
//!
//! | file | what it decides or keeps |
//! |---|---|
//! | `waiting.rs` | the waiters, the answer for each, and whose time is up |
//! | `wait_queue.rs` | the queue itself |
//! | `idle.rs` | which connections are idle, in what order |
//! | `eviction.rs` | whether a connection that nobody holds may stay: `retire_reason()`; what ends with a runtime |
//! | `holders.rs` | where each open connection is, and who holds it |
//! | `connects.rs` | attempts to connect, and their results: `refuse_if_permanent()` answers all who wait |
//! | `connects/patience.rs` | for how long an attempt is relied upon, and giving it up |
//! | `backoff.rs` | the pause after failed connects |
//! | `health_checks.rs` | which connections must pass a check or a reset, when, and what a failed one says of the others |
//! | `chores.rs` | which connections are being checked or reset now, and for which waiter |
//! | `lifetime.rs` | when the lifetime of a connection ends |
//! | `deadlines.rs` | when the background task must act: one enum, one `next_wake()` |
//!
//! The second group are decisions that touch several of these:
//!
//! | file | what it decides |
//! |---|---|
//! | `acquiring.rs` | taking an idle connection or joining the queue, the end of a wait, giving up |
//! | `release.rs` | taking a connection back, its next place, and whom it serves |
//! | `schedule.rs` | the plan of the background task |
//! | `outage.rs` | whether acquires fail fast |
//! | `admin.rs` | resize, invalidate, suspend, close |
//! | `diagnosis.rs` | statistics, holders, and why a wait timed out |
//!
//! The rest are words: `entry.rs` is a connection and what the pool knows about it, `effects.rs` what a decision leaves to
//! do, `tick.rs` an instant.

mod acquiring;
mod admin;
mod backoff;
mod chores;
mod connects;
mod deadlines;
mod diagnosis;
mod effects;
mod entry;
mod eviction;
mod health_checks;
mod holders;
mod idle;
mod lifetime;
mod outage;
mod release;
mod schedule;
#[cfg(test)]
mod tests;
mod tick;
mod wait_queue;
mod waiting;

pub(crate) use self::acquiring::Polled;
use self::chores::Chores;
pub(crate) use self::chores::{Chore, ChoreOutcome};
use self::connects::Connects;
pub(crate) use self::connects::{ClosedAtOnce, FailedAttempt};
use self::deadlines::Deadlines;
pub(crate) use self::diagnosis::Diagnosis;
pub(crate) use self::effects::{Effects, FailedConnect};
pub(crate) use self::entry::Entry;
use self::eviction::Eviction;
pub(crate) use self::eviction::Home;
use self::health_checks::HealthChecks;
use self::holders::Holders;
pub(crate) use self::holders::{Caller, Site};
use self::idle::IdleSet;
pub(crate) use self::release::Disposition;
pub(crate) use self::schedule::Plan;
pub(crate) use self::tick::{Span, Tick};
#[cfg(test)]
use self::wait_queue::Ticket;
use self::waiting::Waiting;
pub(crate) use self::waiting::{Refusal, Wait};
use crate::config::PoolConfig;
use crate::stats::PoolStats;

/// A connection type, an error type, and whatever wakes a waiter.
pub(crate) struct Policy<C, E, W> {
    config: PoolConfig,
    limits: Limits,
    waiting: Waiting<E, W>,
    idle: IdleSet<C>,
    eviction: Eviction,
    holders: Holders<C>,
    connects: Connects<E>,
    checks: HealthChecks,
    chores: Chores,
    deadlines: Deadlines,
    /// What only grows. What is of the moment is filled in when somebody asks.
    stats: PoolStats,
    /// How many connections are on their way out.
    leaving: usize,
    /// How many acquisitions there had been at the last plan.
    acquisitions_at_plan: u64,
    rng: fastrand::Rng,
}

/// The limits of the configuration that are asked for again and again, each by the name of its option.
struct Limits {
    idle_timeout: Span,
    health_check_interval: Span,
    leak_threshold: Span,
    check_after_idle: Span,
    max_uses: u64,
    fail_fast_after: Span,
}

impl Limits {
    fn new(config: &PoolConfig) -> Self {
        Self {
            idle_timeout: config.idle_timeout.into(),
            health_check_interval: config.health_check_interval.into(),
            leak_threshold: config.leak_threshold.into(),
            check_after_idle: config.check_after_idle.into(),
            max_uses: config.max_uses.unwrap_or(u64::MAX),
            fail_fast_after: config.fail_fast_after.into(),
        }
    }
}

impl<C, E, W> Policy<C, E, W> {
    pub(crate) fn new(config: PoolConfig, rng: fastrand::Rng) -> Self {
        Self {
            limits: Limits::new(&config),
            waiting: Waiting::new(config.connection_timeout, config.max_pending),
            idle: IdleSet::new(config.idle_order),
            eviction: Eviction::default(),
            holders: Holders::new(),
            connects: Connects::new(&config),
            checks: HealthChecks::default(),
            chores: Chores::default(),
            deadlines: Deadlines::default(),
            stats: PoolStats::default(),
            leaving: 0,
            acquisitions_at_plan: 0,
            rng,
            config,
        }
    }

    /// How many connections are idle, held, or in a chore.
    fn open(&self) -> usize {
        self.holders.open()
    }

    /// Of these, all but those whose chores are told to stop: they are as good as gone.
    fn staying(&self) -> usize {
        self.open() - self.chores.abandoned()
    }

    /// How many nobody holds.
    fn unused(&self) -> usize {
        self.idle.len() + self.chores.under_way()
    }

    /// How many count for `min_connections`: those that stay, but for those whose successors are open.
    fn lasting(&self) -> usize {
        self.staying().saturating_sub(self.holders.with_successor())
    }

    /// How many of these nobody holds: they count for `min_idle`.
    fn lasting_unused(&self) -> usize {
        (self.unused() - self.chores.abandoned()).saturating_sub(self.holders.unused_with_successor())
    }

    pub(crate) fn held(&self) -> usize {
        self.open() - self.unused()
    }
}
