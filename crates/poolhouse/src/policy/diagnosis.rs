//! What the policy tells about itself: statistics, holders, and the diagnosis of a timeout.

use std::sync::Arc;
use std::time::Duration;

use super::waiting::Refusal;
use super::{Caller, Policy, Tick};
use crate::error::{AcquireTimeout, Holder, Phase};
use crate::manager::FailureKind;
use crate::stats::PoolStats;

/// How many holders a diagnosis names.
const NAMED_HOLDERS: usize = 3;

/// What an acquire saw when its deadline passed. The target and the error are missing inside, because the policy knows
/// neither the one nor the type of the other.
pub(crate) struct Diagnosis<E> {
    pub(crate) timeout: Box<AcquireTimeout>,
    pub(crate) last_connect_error: Option<Arc<E>>,
}

impl<E> Diagnosis<E> {
    /// The same for another acquire. Not `Clone`, which would ask the same of `E`.
    pub(super) fn copy(&self) -> Self {
        Self { timeout: self.timeout.clone(), last_connect_error: self.last_connect_error.clone() }
    }
}

impl<C, E, W> Policy<C, E, W> {
    /// Who holds a connection now, the longest first.
    pub(crate) fn holders(&self, now: Tick) -> Vec<Holder> {
        self.holders.longest_first(now)
    }

    /// What a task or thread holds already. Only with `detect_nested_acquires`.
    pub(crate) fn nested(&self, caller: Option<Caller>, now: Tick) -> Vec<Holder> {
        self.holders.held_by(caller, now)
    }

    /// How many connections `warm_up` still lacks.
    pub(crate) fn minimum_missing(&self) -> usize {
        let for_minimum = self.config.min_connections.saturating_sub(self.lasting());
        let for_spare = self.config.min_idle.saturating_sub(self.lasting_unused());
        for_minimum.max(for_spare).min(self.config.max_connections.saturating_sub(self.staying()))
    }

    /// The latest failure to connect, if no connect has succeeded since.
    pub(crate) fn last_failure(&self) -> Option<Refusal<E>> {
        let last = self.connects.last_failure()?;
        Some(Refusal::Connect { error: Arc::clone(&last.error), attempts: last.in_a_row, retry: None })
    }

    /// Whether the latest failure to connect says that another try cannot help.
    pub(crate) fn fails_for_good(&self) -> bool {
        self.connects.last_failure().is_some_and(|last| last.kind == FailureKind::Permanent)
    }

    /// How many failures to connect there have been that said something about the server of their time: not those of
    /// attempts from before `invalidate_all` or a suspension.
    pub(crate) fn telling_failures(&self) -> u64 {
        self.connects.telling_failures()
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let (open, active, acquisitions) = (self.open(), self.held(), self.stats.wait_times.count());
        PoolStats {
            total_connections: open,
            active_connections: active,
            idle_connections: open - active,
            pending_requests: self.waiting.len(),
            total_acquisitions: acquisitions,
            total_releases: acquisitions - active as u64,
            connections_destroyed: self.stats.closed.total(),
            max_connections: self.config.max_connections,
            connecting: self.connects.under_way(),
            checking: self.chores.checks(),
            resetting: self.chores.resets(),
            timed_out_acquisitions: self.stats.timed_out_waits.count(),
            cancelled_acquisitions: self.stats.cancelled_waits.count(),
            suspended: self.is_suspended(),
            ..self.stats.clone()
        }
    }

    /// Of those whose waits end now. What is each waiter's own is filled in when it asks.
    pub(super) fn diagnose_queue(&self, now: Tick) -> Diagnosis<E> {
        let mut diagnosis = self.diagnose(Duration::ZERO, now);
        diagnosis.timeout.waiting = self.waiting.len();
        diagnosis
    }

    /// What a waiter at the end of the queue would be told.
    pub(crate) fn diagnose(&self, waited: Duration, now: Tick) -> Diagnosis<E> {
        let last = self.connects.last_failure();
        let mut longest_holders = self.holders(now);
        longest_holders.truncate(NAMED_HOLDERS);
        let timeout = Box::new(AcquireTimeout {
            target: String::new(),
            pool: None,
            phase: self.phase(),
            waited,
            position: self.waiting.len() + 1,
            waiting: self.waiting.len() + 1,
            active: self.held(),
            idle: self.open() - self.held(),
            connecting: self.connects.under_way(),
            closing: self.leaving,
            max_connections: self.config.max_connections,
            failed_connects: last.map_or(0, |last| last.in_a_row),
            last_connect_error: None,
            last_connect_error_age: last.map(|last| now.since(last.at)),
            server_is_busy: last.is_some_and(|last| last.kind == FailureKind::Busy),
            longest_holders,
            nested: Vec::new(),
        });
        Diagnosis { timeout, last_connect_error: last.map(|last| Arc::clone(&last.error)) }
    }

    /// Whether the server is at its own limit: what is open serves those who wait.
    fn lives_with_what_it_has(&self) -> bool {
        let last = self.connects.last_failure();
        self.open() > 0 && last.is_some_and(|last| last.kind == FailureKind::Busy)
    }

    /// Whether connects in runtimes that nobody drives take up all the room, so that nobody can release anything.
    fn waits_for_stalled(&self) -> bool {
        self.connects.stalled() > 0 && self.open() == 0 && self.room() == 0
    }

    /// What a waiter waits for now. If chores and connects are under way for waiters, what there is more of is named.
    fn phase(&self) -> Phase {
        let (coming, wanted) = (self.connects.coming(), self.chores.wanted());
        if self.is_suspended() {
            Phase::Suspended
        } else if wanted > 0 && wanted >= coming {
            if self.chores.resets() == wanted { Phase::Resetting } else { Phase::Checking }
        } else if self.lives_with_what_it_has() {
            Phase::Queueing
        } else if coming > 0 || self.waits_for_stalled() || (self.connects.is_failing() && self.room() > 0) {
            Phase::Connecting
        } else if self.chores.checks() > 0 {
            Phase::Checking
        } else {
            Phase::Queueing
        }
    }
}
