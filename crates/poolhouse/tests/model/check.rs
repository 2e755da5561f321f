//! What must hold after every step, and what must hold once every task that was ready has run.

use tokio::time::Instant;

use crate::ensure;
use crate::errands::Errand;
use crate::ops::WELL;
use crate::reference::Verdict;
use crate::world::World;

impl World<'_> {
    /// `quiet`: nothing is left to run at this instant.
    pub(crate) fn check(&mut self, quiet: bool) -> Verdict {
        self.sync()?;
        let ledger = self.server.ledger();
        if let Some(violation) = ledger.violations.first() {
            return Err(violation.clone());
        }
        let lost = self.held.iter().find(|held| !ledger.records[held.id].alive);
        ensure!(lost.is_none(), "lifetime.no_interrupt: a held connection was closed");
        let waits_in_vain = self.model.line.front().is_some_and(|oldest| oldest.key < ledger.refused_up_to);
        ensure!(!waits_in_vain, "connect.permanent: somebody waits after a permanent failure");
        let (live, created) = (ledger.live(), ledger.records.len() as u64);
        let (failed_connects, failed_checks) = (ledger.failed_connects, ledger.failed_checks);
        drop(ledger);
        let Some(pool) = self.handles.last() else {
            ensure!(
                live == self.held.len() + self.server.ledger().checking,
                "close.complete: {live} are open"
            );
            return Ok(());
        };
        let stats = pool.stats();
        self.model.judge(&stats, live, created).map_err(|error| format!("{error}\n{stats:?}"))?;
        ensure!(stats.failed_connects == failed_connects, "{failed_connects} failed connects, not {stats:?}");
        ensure!(stats.failed_checks == failed_checks, "{failed_checks} failed checks, not {stats:?}");
        if quiet { self.check_quiet().map_err(|error| format!("{error}\n{stats:?}")) } else { Ok(()) }
    }

    fn check_quiet(&mut self) -> Verdict {
        let Some(pool) = self.handles.last() else { return Ok(()) };
        let (stats, now) = (pool.stats(), Instant::now());
        let ledger = self.server.ledger();
        let (connecting, checking) = (ledger.connecting, ledger.checking);
        ensure!(stats.connecting == connecting, "stats.consistent: {connecting} attempts are under way");
        ensure!(stats.checking == checking, "stats.consistent: {checking} checks are under way");

        let late = self.waiters.iter().find(|waiter| {
            let due = self.model.deadline_of(waiter.key).is_some_and(|deadline| deadline <= now);
            due && !waiter.is_lazy()
        });
        ensure!(late.is_none(), "acquire.deadline: somebody waits beyond the deadline");

        // Whoever lacks a connection has an attempt under way for him, within what is allowed.
        let lacking = stats.pending_requests.saturating_sub(connecting);
        let lacking = lacking.max(self.model.min.saturating_sub(stats.total_connections + connecting));
        let room = self.model.max.saturating_sub(stats.total_connections + connecting);
        let at_once = if ledger.pause.failing() { 1 } else { self.config.max_connecting };
        let begin = lacking.min(room).min(at_once.saturating_sub(connecting));
        let pauses = ledger.pause.latest.is_some_and(|latest| now < latest);
        let idles = begin > 0 && !pauses && !self.model.closed && self.background;
        ensure!(!idles, "acquire.race, size.min: {begin} more connects are wanted, and none begins");
        if begin > 0 && pauses {
            self.seen.saw("background: in the pause after a failure");
        }
        if stats.total_connections + connecting == self.model.max {
            self.seen.saw("background: as many as the maximum");
        }

        // A connection that has been served and not picked up cannot be told from an idle one.
        if stats.active_connections == self.held.len() {
            for (id, record) in ledger.records.iter().enumerate() {
                if !record.alive || record.held || record.checking || record.detached {
                    continue;
                }
                let old = self.options.max_lifetime <= now - record.born;
                ensure!(!old, "max_lifetime: idle connection {id} is too old");
                let unused = self.options.idle_timeout <= now - record.idle_since;
                let spare = stats.total_connections > self.model.min;
                ensure!(!unused || !spare, "idle_timeout: connection {id} has been idle too long");
            }
        }

        for errand in &self.errands {
            let wrong = match errand.what {
                Errand::WarmUp { failures, deadline } => {
                    let failed = ledger.pause.failing() && ledger.failed_connects > failures;
                    let warm = stats.total_connections >= self.model.min.min(self.model.max);
                    let due = deadline.is_some_and(|deadline| deadline <= now);
                    warm || failed || due || self.model.closed
                }
                Errand::Close => stats.total_connections + connecting == 0,
                Errand::CloseWithin { until } => stats.total_connections + connecting == 0 || until <= now,
            };
            ensure!(!wrong, "close.complete, size.min: {:?} has nothing left to wait for", errand.what);
        }
        Ok(())
    }

    /// Whether nothing but the reaping of idle connections may close one.
    pub(crate) fn only_reaping(&self) -> bool {
        let ledger = self.server.ledger();
        let well = ledger.checks == WELL && ledger.checking == 0;
        well && !self.model.closed && self.config.max_lifetime.is_none()
    }
}
