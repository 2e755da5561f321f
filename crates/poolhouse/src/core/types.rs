//! What goes in and out of the core.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Span, Tick};
use super::queue::Turn;
use super::tally::Tally;
use super::{Caller, Ticket};
use crate::config::{IdleOrder, PoolConfig};
use crate::error::{AcquireTimeout, ConnectError, Holder};
use crate::events::RetireReason;
use crate::manager::FailureKind;

/// The background task, and so the runtime, that opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home(pub(super) u64);

/// Who asks for a connection, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    pub(crate) at: &'static Location<'static>,
    /// Only with `detect_nested_acquires`.
    pub(crate) caller: Option<Caller>,
}

/// A connection and what the pool knows about it. Boxed once, when it opens, so that handing it on moves a pointer.
// What each hand-out touches is in front, close together.
#[repr(C)]
pub(crate) struct Entry<C> {
    /// The key of its record.
    pub(super) record: u32,
    /// Whether it comes straight from its connect, and nobody has looked at it.
    pub(crate) fresh: bool,
    /// The regime in which it was last found welcome.
    pub(super) regime: u64,
    pub(super) idle_since: Tick,
    /// When it was last handed out.
    pub(crate) held_since: Tick,
    /// The place in the order of arrival of the waiter that it was served to.
    pub(super) turn: Turn,
    pub(super) retire_at: Tick,
    /// The earlier of `retire_at` and `replace_at`.
    pub(super) ages_at: Tick,
    /// Counts connections from 1, for logs.
    pub(crate) id: u64,
    pub(crate) connection: C,
    /// When its successor is to be opened, a little before `retire_at`.
    pub(super) replace_at: Tick,
    /// When it was opened, or last passed a check.
    pub(super) checked_at: Tick,
    /// When a check began that somebody waits for.
    pub(super) wanted_since: Option<Tick>,
    /// When its connect began, and when it ended.
    pub(super) began_at: Tick,
    pub(crate) opened_at: Tick,
    pub(super) home: Home,
    /// How often `invalidate_all` had been called when its connect began.
    pub(super) epoch: u64,
}

/// What the core keeps of a connection while somebody else has it. Two lines of the cache.
#[repr(C, align(64))]
pub(super) struct Record<C> {
    pub(super) hold: Option<Hold>,
    /// The connection itself, until the waiter that it was served to picks it up.
    pub(super) served: Option<Box<Entry<C>>>,
    /// The connection's `id` and `replace_at`.
    pub(super) connection: u64,
    pub(super) replace_at: Tick,
    /// Its successor is open: it retires when it comes back.
    pub(super) replaced: bool,
    /// The hold has been reported as a leak.
    pub(super) reported: bool,
    pub(super) tally: Tally,
}

#[derive(Clone, Copy)]
pub(super) struct Hold {
    pub(super) since: Tick,
    pub(super) at: &'static Location<'static>,
}

impl Hold {
    pub(super) fn holder(&self, connection: u64, now: Tick) -> Holder {
        Holder::new(connection, self.at, now.since(self.since))
    }
}

impl<C> Record<C> {
    #[inline]
    pub(super) fn begin_hold(&mut self, since: Tick, at: &'static Location<'static>) {
        (self.hold, self.reported) = (Some(Hold { since, at }), false);
    }
}

impl<C> Entry<C> {
    /// When it last proved to work: opened, given back as reusable, or checked.
    #[inline]
    pub(super) fn proven_at(&self) -> Tick {
        self.checked_at.max(self.idle_since)
    }
}

/// An attempt to connect.
pub(super) struct Attempt {
    pub(super) started: Tick,
    pub(super) home: Home,
    pub(super) epoch: u64,
    /// The number of its connection, once that is there.
    pub(super) connection: Option<u64>,
    /// The connection whose lifetime ends soon, if this is for its successor.
    pub(super) replaces: Option<u64>,
    pub(super) state: AttemptState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptState {
    Wanted,
    /// Nobody wants it any more. Its background task does not know yet.
    Abandoned,
    /// Its background task has been told to drop it.
    Dropping,
}

pub(super) struct Waiter<W> {
    /// Without one the waiter has been woken, and looks for itself.
    pub(super) waker: Option<W>,
    pub(super) since: Tick,
    pub(super) at: Option<&'static Location<'static>>,
}

impl<W> Default for Waiter<W> {
    fn default() -> Self {
        Self { waker: None, since: Tick::START, at: None }
    }
}

/// What a waiter was served, as the note in its place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// The record of the connection.
    Granted(u32),
    /// The key of the refusal.
    Refused(u32),
}

impl Reply {
    const REFUSED: u32 = 1 << 31;

    pub(super) fn note(self) -> u32 {
        match self {
            Self::Granted(record) => record,
            Self::Refused(key) => key | Self::REFUSED,
        }
    }

    pub(super) fn read(note: u32) -> Self {
        if note & Self::REFUSED == 0 { Self::Granted(note) } else { Self::Refused(note & !Self::REFUSED) }
    }
}

pub(super) struct LastFailure<E> {
    pub(super) error: Arc<ConnectError<E>>,
    pub(super) at: Tick,
    /// Failures since the last connect that succeeded.
    pub(super) in_a_row: u64,
}

impl<E> Clone for LastFailure<E> {
    fn clone(&self) -> Self {
        Self { error: Arc::clone(&self.error), ..*self }
    }
}

/// Why an acquire gets no connection, other than time.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    Closed,
    Overloaded { waiting: usize, max_pending: usize },
    Connect { error: Arc<ConnectError<E>>, attempts: u64 },
}

/// How an acquire begins, and when.
pub(crate) enum Joined<C> {
    Taken(Box<Entry<C>>, Tick),
    Waiting(Ticket, Tick),
}

/// What is in a waiter's place.
pub(crate) enum PickedUp<C> {
    Entry(Box<Entry<C>>),
    /// Nothing yet, and who waits need do nothing about it.
    Nothing,
    Unclear,
}

/// What became of a wait.
pub(crate) enum Polled<C, E> {
    Granted(Box<Entry<C>>),
    Refused(Refusal<E>),
    /// Nothing yet.
    Waiting {
        /// No background task lives: somebody has to start one.
        homeless: bool,
    },
    /// Nothing, and the common deadline has passed.
    Late,
}

/// How the wait ended at its deadline, if not with a connection. The diagnosis lacks the target, which the core does
/// not know.
pub(crate) enum Expired<E> {
    Refused(Refusal<E>),
    TimedOut(Box<AcquireTimeout<E>>),
}

/// What the holder says of a connection that it gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Reuse,
    Retire(RetireReason),
}

/// How a health check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    Passed,
    Failed,
    /// It was dropped half-way, so the connection may be in the middle of an exchange.
    Cut,
}

/// How an attempt to connect failed.
pub(crate) struct Failure<E> {
    pub(crate) error: Arc<ConnectError<E>>,
    pub(crate) kind: FailureKind,
}

/// What the background has to begin, and when to ask again.
pub(crate) struct Plan<C> {
    /// The keys of the attempts to begin.
    pub(crate) connects: Vec<usize>,
    /// The keys of the attempts to drop.
    pub(crate) abandoned: Vec<usize>,
    /// Whether to drop the checks that are under way.
    pub(crate) cut_checks: bool,
    pub(crate) checks: Vec<Box<Entry<C>>>,
    /// Holds to report as leaks.
    pub(crate) leaks: Vec<Holder>,
    /// `None` for never.
    pub(crate) wake_at: Option<Tick>,
}

impl<C> Plan<C> {
    pub(super) fn wake_by(&mut self, due: Tick) {
        self.wake_at = self.wake_at.into_iter().chain(due.if_ever()).min();
    }
}

impl<C> Default for Plan<C> {
    fn default() -> Self {
        Self {
            connects: Vec::new(),
            abandoned: Vec::new(),
            cut_checks: false,
            checks: Vec::new(),
            leaks: Vec::new(),
            wake_at: None,
        }
    }
}

/// The limits of the configuration that are asked for again and again.
pub(super) struct Limits {
    pub(super) order: IdleOrder,
    pub(super) wait: Span,
    /// How many may wait.
    pub(super) pending: usize,
    pub(super) idle: Span,
    pub(super) until_check: Span,
    pub(super) until_leak: Span,
    /// The time until a connection, idle or held, wants something done in the background, its own age aside.
    pub(super) calm: Span,
    /// The time until one that is idle has to be checked before it is handed out.
    pub(super) trust: Span,
}

impl Limits {
    pub(super) fn new(config: &PoolConfig) -> Self {
        let optional = |limit: Option<Duration>| limit.map_or(Span::FOREVER, Span::from);
        let (idle, until_check) = (Span::from(config.idle_timeout), Span::from(config.health_check_interval));
        Self {
            order: config.queue,
            wait: config.connection_timeout.into(),
            pending: config.max_pending.unwrap_or(usize::MAX),
            idle,
            until_check,
            until_leak: optional(config.leak_threshold),
            calm: idle.min(until_check).min(optional(config.leak_threshold)),
            trust: optional(config.check_after_idle),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) failed: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
    pub(super) created: u64,
    pub(super) destroyed: u64,
    pub(super) failed_connects: u64,
    pub(super) failed_checks: u64,
    pub(super) reported_leaks: u64,
}

/// How long a connect takes, smoothed, so that one slow connect says little.
#[derive(Default)]
pub(super) struct Pace(Option<Duration>);

impl Pace {
    pub(super) fn record(&mut self, took: Duration) {
        self.0 = Some(self.0.map_or(took, |pace| pace - pace / 8 + took / 8));
    }

    /// How long a check may take before a connect is begun beside it: by then a new connection would have been there.
    pub(super) fn patience(&self) -> Duration {
        self.0.unwrap_or_default().max(Duration::from_millis(1))
    }
}
