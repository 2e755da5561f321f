//! What goes in and out of the core.

use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use slab::Slab;

use super::Ticket;
use crate::error::{AcquireTimeout, ConnectError};

/// The background task, and so the runtime, that opened a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home(pub(super) u64);

/// A connection and what the pool knows about it. Boxed once, when it opens, so that handing it on moves a pointer.
pub(crate) struct Entry<C> {
    pub(crate) connection: C,
    /// Counts connections from 1, for logs.
    pub(crate) id: u64,
    pub(super) home: Home,
    pub(super) retire_at: Option<Instant>,
    pub(super) idle_since: Instant,
    /// When it last proved to work: opened, given back as reusable, or checked.
    pub(super) proven_at: Instant,
    /// Its key among the holds, while it is held.
    pub(super) hold: usize,
}

pub(super) struct Hold {
    pub(super) since: Instant,
    pub(super) at: &'static Location<'static>,
}

pub(super) struct Waiter<C, E, W> {
    pub(super) since: Instant,
    pub(super) at: &'static Location<'static>,
    pub(super) reply: Reply<C, E, W>,
}

pub(super) enum Reply<C, E, W> {
    /// None yet. Without a waker the waiter has been woken, and looks for itself.
    None(Option<W>),
    Granted(Box<Entry<C>>),
    Refused(Refusal<E>),
}

pub(super) struct LastFailure<E> {
    pub(super) error: Arc<ConnectError<E>>,
    pub(super) at: Instant,
    /// Failures since the last connect that succeeded.
    pub(super) in_a_row: u64,
}

/// Why an acquire gets no connection, other than time.
#[derive(Debug)]
pub(crate) enum Refusal<E> {
    Closed,
    Overloaded { waiting: usize, max_pending: usize },
    Connect { error: Arc<ConnectError<E>>, attempts: u64 },
}

/// How an acquire begins.
pub(crate) enum Joined<C> {
    Taken(Box<Entry<C>>),
    Waiting(Ticket),
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

/// Why the pool closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetireReason {
    Lifetime,
    Idle,
    Shrunk,
    PoolClosed,
    RuntimeGone,
    CheckFailed,
    NotReusable,
    Invalidated,
    Panicked,
}

impl RetireReason {
    /// The value of the `reason` field of the retire event.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lifetime => "max_lifetime",
            Self::Idle => "idle_timeout",
            Self::Shrunk => "resize",
            Self::PoolClosed => "pool_closed",
            Self::RuntimeGone => "runtime_gone",
            Self::CheckFailed => "check_failed",
            Self::NotReusable => "not_reusable",
            Self::Invalidated => "invalidated",
            Self::Panicked => "panicked",
        }
    }
}

/// What the caller has to do after it has unlocked.
pub(crate) struct Effects<C, W> {
    pub(crate) wake: Wakes<W>,
    /// The waker of somebody who has left. Dropping it may run foreign code, so it is dropped with the rest.
    pub(crate) spent: Option<W>,
    /// To be dropped, then reported with `closed`.
    pub(crate) retired: Vec<(Box<Entry<C>>, RetireReason)>,
    /// The background has to make a new plan.
    pub(crate) drive: bool,
    /// Something changed that `warm_up` or `close` may wait for.
    pub(crate) progress: bool,
}

impl<C, W> Default for Effects<C, W> {
    fn default() -> Self {
        Self { wake: Wakes::default(), spent: None, retired: Vec::new(), drive: false, progress: false }
    }
}

/// Wakers, without an allocation for the first: one is what a release wakes.
pub(crate) struct Wakes<W> {
    first: Option<W>,
    rest: Vec<W>,
}

impl<W> Default for Wakes<W> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

impl<W> Wakes<W> {
    pub(crate) fn push(&mut self, waker: W) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.rest.push(waker),
        }
    }
}

impl<W> IntoIterator for Wakes<W> {
    type Item = W;
    type IntoIter = std::iter::Chain<std::option::IntoIter<W>, std::vec::IntoIter<W>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

/// What the background has to begin, and when to ask again.
pub(crate) struct Plan<C> {
    pub(crate) connects: usize,
    pub(crate) checks: Vec<Box<Entry<C>>>,
    pub(crate) wake_at: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) acquisitions: u64,
    pub(super) releases: u64,
    pub(super) failed: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
    pub(super) created: u64,
    pub(super) destroyed: u64,
    pub(super) failed_connects: u64,
    pub(super) failed_checks: u64,
}

/// The hold that began first.
pub(super) fn longest(holds: &Slab<Hold>) -> Option<&Hold> {
    holds.iter().map(|(_, hold)| hold).min_by_key(|hold| hold.since)
}
