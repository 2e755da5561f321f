//! Resizing, closing and looking: what the pool's owner asks of the core.

use std::time::{Duration, Instant};

use super::types::longest;
use super::{Core, Effects, Refusal, RetireReason, Ticket};
use crate::error::{AcquireTimeout, Holder, Phase};
use crate::stats::PoolStats;

impl<C, E, W> Core<C, E, W> {
    /// Sets the maximum. Idle connections above it go now, held ones as they come back.
    pub(crate) fn resize(&mut self, max_connections: usize, now: Instant, fx: &mut Effects<C, W>) {
        self.config.max_connections = max_connections;
        while self.open() + self.connecting > max_connections
            && let Some(entry) = self.idle.pop_front()
        {
            self.retire(entry, RetireReason::Shrunk, fx);
        }
        self.ask_for_connects(now, fx);
    }

    /// Closes the pool: refuses who waits, retires what is idle, and opens nothing from here on.
    pub(crate) fn close(&mut self, fx: &mut Effects<C, W>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.refuse_all(|| Refusal::Closed, fx);
        while let Some(entry) = self.idle.pop_front() {
            self.retire(entry, RetireReason::PoolClosed, fx);
        }
        fx.drive = true;
        fx.progress = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a closed pool has nothing left: none held, none opening, none under a check, none on its way out.
    pub(crate) fn is_drained(&self) -> bool {
        self.closed && self.open() + self.connecting + self.closing == 0
    }

    /// Who holds a connection now, the longest first.
    pub(crate) fn holders(&self, now: Instant) -> Vec<Holder> {
        let mut holders: Vec<_> =
            self.holds.iter().map(|(_, hold)| Holder::new(hold.at, hold.since, now)).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
        holders
    }

    /// How many connections `warm_up` still lacks, and the latest failure with its count, to tell a new one.
    pub(crate) fn minimum_missing(&self) -> usize {
        self.config.min_connections.min(self.config.max_connections).saturating_sub(self.open())
    }

    pub(crate) fn last_failure(&self) -> Option<Refusal<E>> {
        self.last_failure
            .as_ref()
            .map(|last| Refusal::Connect { error: last.error.clone(), attempts: last.in_a_row })
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let (open, active) = (self.open(), self.holds.len());
        PoolStats {
            total_connections: open,
            active_connections: active,
            idle_connections: open - active,
            pending_requests: self.waiters.len(),
            total_acquisitions: self.counts.acquisitions,
            total_releases: self.counts.releases,
            failed_acquisitions: self.counts.failed,
            connections_created: self.counts.created,
            connections_destroyed: self.counts.destroyed,
            max_connections: self.config.max_connections,
            connecting: self.connecting,
            checking: self.checking,
            failed_connects: self.counts.failed_connects,
            failed_checks: self.counts.failed_checks,
            timed_out_acquisitions: self.counts.timed_out,
            cancelled_acquisitions: self.counts.cancelled,
        }
    }

    pub(super) fn diagnose_waiter(&mut self, ticket: Ticket, now: Instant) -> Box<AcquireTimeout<E>> {
        let waited = now.saturating_duration_since(self.waiters.get(ticket).since);
        let position = self.waiters.position(ticket);
        AcquireTimeout { position, waiting: self.waiters.len(), ..self.diagnose(waited, now) }.into()
    }

    /// What somebody who waits at the end of the queue would be told.
    pub(crate) fn diagnose(&self, waited: Duration, now: Instant) -> AcquireTimeout<E> {
        let phase = if self.connecting > 0 || (self.backoff.failing() && self.room() > 0) {
            Phase::Connecting
        } else if self.checking > 0 && self.holds.len() < self.open() {
            Phase::Checking
        } else {
            Phase::Queueing
        };
        AcquireTimeout {
            target: String::new(),
            phase,
            waited,
            position: self.waiters.len() + 1,
            waiting: self.waiters.len() + 1,
            active: self.holds.len(),
            idle: self.open() - self.holds.len(),
            connecting: self.connecting,
            max_connections: self.config.max_connections,
            failed_connects: self.last_failure.as_ref().map_or(0, |last| last.in_a_row),
            last_connect_error: self.last_failure.as_ref().map(|last| last.error.clone()),
            last_connect_error_age: self
                .last_failure
                .as_ref()
                .map(|last| now.saturating_duration_since(last.at)),
            longest_holder: longest(&self.holds).map(|hold| Holder::new(hold.at, hold.since, now)),
        }
    }
}
