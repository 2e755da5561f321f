//! What a background task does with connections that nobody holds: which are in its hands, what for, and for whom.

use super::eviction::Home;
use super::{Entry, Tick};
use crate::events::RetireReason;

/// What is done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chore {
    /// A health check.
    Check,
    /// What its last holder left behind is cleaned up (`reset.between`).
    Reset,
    /// The hook before reuse runs, for a waiter, after a health check if one is due.
    Prepare { check: bool },
    /// The owner of the pool looks at it, in `retain`.
    Inspect,
}

/// How a chore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChoreOutcome {
    Passed,
    Failed,
    /// The hook before reuse said no. The health check before it had passed.
    Refused,
    /// A hook does not keep the connection. That is no failure.
    Discarded,
    /// The user's code panicked, in the chore or in the look that follows it.
    Panicked,
    /// The peer had closed the connection.
    PeerClosed,
    /// It was dropped half-way, so the connection may be in the middle of an exchange.
    Dropped,
}

pub(super) struct UnderWay {
    connection: u64,
    home: Home,
    pub(super) chore: Chore,
    pub(super) began: Tick,
    /// When the connection had last proved to work.
    proven_at: Tick,
    /// Whether a waiter is to have the connection.
    wanted: bool,
    /// Why the background task is to drop it, if so.
    pub(super) abandoned: Option<RetireReason>,
    /// Whether the background task has been told.
    told: bool,
}

#[derive(Default)]
pub(super) struct Chores {
    under_way: Vec<UnderWay>,
}

impl Chores {
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn resets(&self) -> usize {
        self.under_way.iter().filter(|one| one.chore == Chore::Reset).count()
    }

    pub(super) fn checks(&self) -> usize {
        let is_check = |one: &&UnderWay| matches!(one.chore, Chore::Check | Chore::Prepare { .. });
        self.under_way.iter().filter(is_check).count()
    }

    /// Those that are told to stop. Their connections are about to go.
    #[inline]
    pub(super) fn abandoned(&self) -> usize {
        self.under_way.iter().filter(|one| one.abandoned.is_some()).count()
    }

    /// Those whose connections are for waiters.
    pub(super) fn wanted(&self) -> usize {
        self.under_way.iter().filter(|one| one.wanted).count()
    }

    /// When those began.
    pub(super) fn wanted_since(&self) -> impl Iterator<Item = Tick> {
        self.under_way.iter().filter(|one| one.wanted).map(|one| one.began)
    }

    /// Whether one of these connections has not proved to work since then.
    pub(super) fn any_unproven_since(&self, then: Tick) -> bool {
        self.under_way.iter().any(|one| one.proven_at < then)
    }

    /// A chore begins.
    pub(super) fn begin<C>(
        &mut self,
        entry: &Entry<C>,
        chore: Chore,
        (home, began): (Home, Tick),
        wanted: bool,
    ) {
        let (connection, proven_at) = (entry.id, entry.proven_at());
        // What comes of a reset is for those that wait then.
        let wanted = wanted || chore == Chore::Reset;
        let one =
            UnderWay { connection, home, chore, began, proven_at, wanted, abandoned: None, told: false };
        self.under_way.push(one);
    }

    pub(super) fn end(&mut self, connection: u64) -> Option<UnderWay> {
        let index = self.under_way.iter().position(|one| one.connection == connection)?;
        Some(self.under_way.swap_remove(index))
    }

    /// Ends some early, `count` of them at most: no waiter will have their connections. Returns how many.
    pub(super) fn abandon_some(&mut self, count: usize, reason: RetireReason) -> usize {
        let kept = self.under_way.iter_mut().filter(|one| one.abandoned.is_none());
        kept.take(count).map(|one| (one.abandoned, one.wanted) = (Some(reason), false)).count()
    }

    /// The connections whose chores a background task has to drop. It is told once.
    pub(super) fn take_abandoned(&mut self, home: Home) -> Vec<u64> {
        let of_home = self.under_way.iter_mut().filter(|one| one.home == home);
        let to_tell = of_home.filter(|one| one.abandoned.is_some() && !one.told);
        to_tell
            .map(|one| {
                one.told = true;
                one.connection
            })
            .collect()
    }
}
