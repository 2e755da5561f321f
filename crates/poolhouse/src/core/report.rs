//! What the core tells about itself: statistics, holders, and the diagnosis of a timeout.

use std::time::Duration;

use super::{Caller, Core, Hold, Record, Refusal, Tick, Ticket, Time};
use crate::error::{AcquireTimeout, Holder, Phase};
use crate::stats::PoolStats;

/// How many holders a diagnosis names.
const NAMED_HOLDERS: usize = 3;

impl<C, E, W> Core<C, E, W> {
    /// Who holds a connection now, the longest first.
    pub(crate) fn holders(&self, now: Tick) -> Vec<Holder> {
        let mut holders: Vec<_> =
            self.holding().map(|(record, hold)| hold.holder(record.connection, now)).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.held_for));
        holders
    }

    /// The records of the connections that are held.
    pub(super) fn holding(&self) -> impl Iterator<Item = (&Record<C>, Hold)> {
        self.records.iter().filter_map(|(_, record)| Some((record, record.hold?)))
    }

    /// How many connections `warm_up` still lacks.
    pub(crate) fn minimum_missing(&self) -> usize {
        self.config.min_connections.min(self.config.max_connections).saturating_sub(self.open())
    }

    /// The latest failure to connect, if no connect has succeeded since.
    pub(crate) fn last_failure(&self) -> Option<Refusal<E>> {
        self.last_failure
            .as_ref()
            .map(|last| Refusal::Connect { error: last.error.clone(), attempts: last.in_a_row })
    }

    pub(crate) fn failed_connects(&self) -> u64 {
        self.counts.failed_connects
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let (open, active, acquisitions) = (self.open(), self.held(), self.acquisitions());
        let times = self.times.complete(self.tallies());
        PoolStats {
            total_connections: open,
            active_connections: active,
            idle_connections: open - active,
            pending_requests: self.waiters.len(),
            total_acquisitions: acquisitions,
            total_releases: acquisitions - active as u64,
            failed_acquisitions: self.counts.failed,
            connections_created: self.counts.created,
            connections_destroyed: self.counts.destroyed,
            max_connections: self.config.max_connections,
            connecting: self.attempts.len(),
            checking: self.checking,
            failed_connects: self.counts.failed_connects,
            failed_checks: self.counts.failed_checks,
            timed_out_acquisitions: self.counts.timed_out,
            cancelled_acquisitions: self.counts.cancelled,
            reported_leaks: self.counts.reported_leaks,
            suspended: self.suspended,
            wait_times: times.wait,
            hold_times: times.hold,
            connect_times: times.connect,
        }
    }

    /// Whether a task or thread may hold a connection already. Only with `detect_nested_acquires`.
    #[inline]
    pub(crate) fn may_hold(&self, caller: Option<Caller>) -> bool {
        caller.is_some_and(|caller| self.callers.contain(caller))
    }

    /// What it holds.
    pub(crate) fn nested(&self, caller: Option<Caller>, now: impl Time) -> Vec<Holder> {
        if !self.may_hold(caller) {
            return Vec::new();
        }
        let own = self.records.iter().filter(|(key, _)| self.callers.get(*key) == caller);
        own.filter_map(|(_, record)| Some(record.hold?.holder(record.connection, now.tick()))).collect()
    }

    pub(super) fn diagnose_waiter(
        &mut self,
        ticket: Ticket,
        caller: Option<Caller>,
        now: Tick,
    ) -> Box<AcquireTimeout<E>> {
        let waited = now.since(self.waiters.get(ticket).0.since);
        let position = self.waiters.position(ticket);
        let nested = self.nested(caller, now);
        AcquireTimeout { position, waiting: self.waiters.len(), nested, ..self.diagnose(waited, now) }.into()
    }

    /// What somebody who waits at the end of the queue would be told.
    pub(crate) fn diagnose(&self, waited: Duration, now: Tick) -> AcquireTimeout<E> {
        let coming = self.coming();
        let phase = if self.suspended {
            Phase::Suspended
        } else if !self.wanted_checks.is_empty() && self.wanted_checks.len() >= coming {
            Phase::Checking
        } else if coming > 0 || (self.backoff.failing() && self.room() > 0) {
            Phase::Connecting
        } else if self.checking > 0 {
            Phase::Checking
        } else {
            Phase::Queueing
        };
        let mut longest_holders = self.holders(now);
        longest_holders.truncate(NAMED_HOLDERS);
        AcquireTimeout {
            target: String::new(),
            phase,
            waited,
            position: self.waiters.len() + 1,
            waiting: self.waiters.len() + 1,
            active: self.held(),
            idle: self.open() - self.held(),
            connecting: self.attempts.len(),
            max_connections: self.config.max_connections,
            failed_connects: self.last_failure.as_ref().map_or(0, |last| last.in_a_row),
            last_connect_error: self.last_failure.as_ref().map(|last| last.error.clone()),
            last_connect_error_age: self.last_failure.as_ref().map(|last| now.since(last.at)),
            longest_holders,
            nested: Vec::new(),
        }
    }
}
