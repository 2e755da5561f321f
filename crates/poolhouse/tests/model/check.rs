//! What must hold after every step, and what must hold once every task that was ready has run.

use std::sync::PoisonError;
use std::time::Duration;

use poolhouse::PoolStats;
use tokio::time::Instant;

use crate::ensure;
use crate::errands::Errand;
use crate::ledger::{Chore, Ledger, Record};
use crate::ops::{End, WELL, ms};
use crate::reference::{AtServer, Lasting, Verdict};
use crate::world::World;

impl World<'_> {
    /// `quiet`: nothing is left to run at this instant.
    pub(crate) fn check(&mut self, quiet: bool) -> Verdict {
        self.sync(false)?;
        let mut ledger = self.server.ledger();
        if let Some(violation) = ledger.violations.first() {
            return Err(violation.clone());
        }
        let lost = self.held.iter().find(|held| !ledger.records[held.id].alive);
        ensure!(lost.is_none(), "lifetime.no_interrupt: a held connection was closed");
        let refused = ledger.surely_refused_up_to;
        let waits_in_vain = self.model.line.iter().any(|waiting| waiting.after < refused);
        ensure!(!waits_in_vain, "connect.permanent: somebody waits after a permanent failure");
        if quiet {
            (ledger.left_to_close, ledger.failing_fast_up_to) = (0, 0);
        }
        let live = ledger.live();
        let Ledger { failed_connects, failed_checks, failed_resets, .. } = *ledger;
        let at_server = AtServer {
            quiet,
            live,
            closing: ledger.closing(),
            created: ledger.records.len() as u64,
            dead_looks: ledger.dead_looks,
            left_to_close: ledger.left_to_close,
            unfit: ledger.perhaps_unfit(self.config.jitter),
        };
        drop(ledger);
        let Some(pool) = self.handles.last() else {
            let ledger = self.server.ledger();
            let known = self.held.len() + ledger.checking + ledger.resetting + ledger.closing();
            ensure!(live == known, "close.complete: {live} are open");
            return Ok(());
        };
        let stats = pool.stats();
        self.model.judge(&stats, &at_server).map_err(|error| format!("{error}\n{stats:?}"))?;
        ensure!(stats.failed_connects == failed_connects, "{failed_connects} failed connects, not {stats:?}");
        ensure!(stats.failed_checks == failed_checks, "{failed_checks} failed checks, not {stats:?}");
        ensure!(stats.failed_resets == failed_resets, "{failed_resets} failed resets, not {stats:?}");
        if quiet { self.check_quiet().map_err(|error| format!("{error}\n{stats:?}")) } else { Ok(()) }
    }

    fn check_quiet(&mut self) -> Verdict {
        let Some(pool) = self.handles.last() else { return Ok(()) };
        let (stats, now) = (pool.stats(), Instant::now());
        let mut ledger = self.server.ledger();
        ledger.look_for_idle();
        let Ledger { connecting, checking, resetting, .. } = *ledger;
        ensure!(stats.connecting == connecting, "stats.consistent: {connecting} attempts are under way");
        ensure!(stats.checking == checking, "stats.consistent: {checking} checks are under way");
        ensure!(stats.resetting == resetting, "stats.consistent: {resetting} resets are under way");
        let unreset = ledger.records.iter().any(|record| record.is_unused() && record.dirty);
        ensure!(!unreset, "reset.between: a dirty connection is idle, and its reset does not begin");

        // The background ends a wait in time, whether or not anybody polls it.
        let late = self.model.line.iter().any(|waiting| waiting.deadline.is_some_and(|at| at <= now));
        ensure!(!late, "acquire.deadline: somebody waits beyond the deadline");

        // A waiter that lacks a connection has an attempt under way for it, within what is allowed.
        let lacking = stats.pending_requests.saturating_sub(connecting);
        // A waiter for whom an idle connection is checked or reset gets no attempt beside it, while that is young.
        let checks_first = self.config.check_after_idle.is_some() || !ledger.doubts.is_empty();
        let checks_first = checks_first || self.reconfigured.is_some();
        let checks = if checks_first { ledger.young(Chore::Check) } else { 0 };
        let lacking = lacking.saturating_sub(checks + ledger.young(Chore::Reset));
        let lacking = lacking.max(self.model.min.saturating_sub(stats.total_connections + connecting));
        let spare = stats.idle_connections + connecting;
        let lacking = lacking.max((stats.pending_requests + self.model.min_idle).saturating_sub(spare));
        let lacking = lacking.max(usize::from(ledger.probes() && connecting == 0));
        let taken = stats.total_connections + connecting + ledger.closing();
        let room = self.model.max.saturating_sub(taken);
        let at_once = if ledger.pause.failing() { 1 } else { self.config.max_connecting };
        let begin = lacking.min(room).min(at_once.saturating_sub(connecting));
        let pauses = ledger.pause.latest.is_some_and(|latest| now < latest);
        let held_back = pauses || self.model.closed || self.model.suspended;
        let idles = begin > 0 && !held_back && self.background;
        ensure!(!idles, "acquire.race, size.min: {begin} more connects are wanted, and none begins");
        if begin > 0 && pauses {
            self.seen.saw("background: in the pause after a failure");
        }
        if self.model.min_idle > 0 && stats.idle_connections >= self.model.min_idle {
            self.seen.saw("background: min_idle is met");
        }
        if stats.total_connections + connecting == self.model.max {
            self.seen.saw("background: as many as the maximum");
        }

        let waits_in_vain = ledger.is_outage() && stats.pending_requests > 0;
        ensure!(!waits_in_vain, "fail_fast_after: somebody waits, and acquires fail fast");
        let at_hand = stats.idle_connections - checking - resetting;
        let checks = at_hand == 0 || stats.pending_requests <= checking + resetting;
        ensure!(checks, "health.known_dead: somebody waits for a check of an idle one, and none begins");
        ensure!(
            connecting == 0 || !self.model.suspended,
            "suspend.nothing_moves: a suspended pool goes on connecting"
        );
        let surplus = stats.total_connections + connecting > self.model.max && connecting > 0;
        ensure!(!surplus, "resize.exact: attempts go on above the maximum");

        let leaks = self.leaks.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(
            stats.reported_leaks == leaks.len() as u64,
            "leak.report: the listener heard of {}",
            leaks.len()
        );
        for held in &self.held {
            let Some((threshold, since)) = self.config.leak_threshold.map(ms).zip(held.since) else {
                continue;
            };
            let due = since + threshold;
            let number = poolhouse::PooledConnection::id(&held.guard);
            let times = leaks.iter().filter(|(other, at)| *other == number && *at >= due).count();
            let right = times == usize::from(due <= now) || (times == 0 && self.model.closed);
            ensure!(right, "leak.report: a hold of connection {number} was reported {times} times");
        }

        // A connection that has been served and not picked up cannot be told from an idle one.
        if stats.active_connections == self.held.len() {
            let lasting = self.surely_lasting(&ledger, &stats);
            for (id, record) in ledger.records.iter().enumerate() {
                if !record.is_unused() {
                    continue;
                }
                let uses = record.uses < self.options.max_uses.unwrap_or(u64::MAX);
                ensure!(uses, "max_uses: connection {id} is idle and has had its uses");
                let late = record.is_overdue();
                ensure!(!late, "epoch.invalidate_all: connection {id} is idle beyond the time it was given");
                let doubt = ledger.is_in_doubt(record);
                ensure!(!doubt, "health.known_dead: no check begins of connection {id}, which is in doubt");
                let old = self.options.max_lifetime <= now - record.born;
                ensure!(!old, "max_lifetime: idle connection {id} is too old");
                let unused = self.options.idle_timeout <= now - record.idle_since;
                let spare_idle = self.model.min_idle == 0 || lasting.idle > self.model.min_idle;
                let spare = lasting.total > self.model.min && spare_idle;
                ensure!(!unused || !spare, "idle_timeout: connection {id} has been idle too long");
            }
        }

        for errand in &self.errands {
            let wrong = match errand.what {
                Errand::WarmUp { patient, failures, deadline } => {
                    let failed = ledger.pause.failing() && ledger.failed_connects > failures;
                    let lasting = self.surely_lasting(&ledger, &stats);
                    let warm = stats.total_connections >= self.model.max || self.model.is_met(&lasting);
                    let due = deadline.is_some_and(|deadline| deadline <= now);
                    warm || (failed && !patient) || due || self.model.closed
                }
                Errand::Close | Errand::Drained => ledger.live() + connecting == 0,
                Errand::CloseWithin { until } => ledger.live() + connecting == 0 || until <= now,
                Errand::CheckNow { since } => {
                    let out_of_service = self.model.closed || self.model.suspended;
                    out_of_service || ledger.closing() + ledger.unproven_since(since) == 0
                }
            };
            ensure!(!wrong, "close.complete, size.min: {:?} has nothing left to wait for", errand.what);
        }
        Ok(())
    }

    /// What the minimums surely count. One in use or in a chore whose life ends may have its successor, and then it does not
    /// count.
    fn surely_lasting(&self, ledger: &Ledger, stats: &PoolStats) -> Lasting {
        let lives_end = self.config.max_lifetime.is_some() || self.options.max_lifetime < Duration::MAX;
        let open = ledger.records.iter().filter(|record| record.is_open() && !record.is_unused());
        let replaced: Vec<_> = open.filter(|record| lives_end || record.end_by.is_some()).collect();
        let unheld = replaced.iter().filter(|record| !record.held).count();
        // What is served and not picked up cannot be told from what is idle.
        let any_ends = lives_end || ledger.records.iter().any(|record| record.end_by.is_some());
        let served = if any_ends { stats.active_connections.saturating_sub(self.held.len()) } else { 0 };
        Lasting {
            total: stats.total_connections.saturating_sub(replaced.len() + served),
            idle: stats.idle_connections.saturating_sub(unheld),
        }
    }

    /// An idle connection that may be handed out as it is, if that can be known.
    pub(crate) fn fit(&self) -> Option<usize> {
        let active = self.handles.last()?.stats().active_connections;
        let ledger = self.server.ledger();
        let fit = ledger.records.iter().position(|record| {
            record.is_unused() && !record.dead && ledger.is_surely_fit(record, self.config.jitter)
        });
        fit.filter(|_| active == self.held.len())
    }

    /// Whether nothing closes a connection but its age and its idleness.
    fn is_well(&self) -> bool {
        let ledger = self.server.ledger();
        let lives = ledger
            .records
            .iter()
            .filter(|record| record.is_open())
            .all(|record| !record.dead && !record.look_panics && record.end_by.is_none());
        let idle = ledger.checking + ledger.resetting == 0 && ledger.spreads.is_empty();
        let stillborn = ledger.stillborn > 0 || ledger.connects.end == End::Stillborn;
        let well = ledger.checks == WELL && idle && !stillborn;
        lives && well && !self.model.closed && !self.model.suspended
    }

    /// Whether nothing but the reaping of idle connections may close one.
    pub(crate) fn only_reaping(&self) -> bool {
        self.is_well() && self.config.max_lifetime.is_none()
    }

    /// Whether the `total` that are open only grow old, with room for the successors of all at once.
    pub(crate) fn only_replacing(&self, total: usize) -> bool {
        let ledger = self.server.ledger();
        let connects = ledger.connects == WELL && ledger.connecting == 0 && !ledger.pause.failing();
        // One that is closed gracefully takes up the room of a successor.
        let connects = connects && ledger.closes.is_none() && ledger.closing() == 0;
        drop(ledger);
        let room = 2 * total <= self.model.max && total <= self.config.max_connecting;
        // A lifetime of a millisecond leaves the timer no time between a successor and the end.
        let long = self.config.jitter < 0.5;
        // What the minimum does not need is replaced only while it is in use.
        let needed = total <= self.model.min || self.all_in_use_at_the_end();
        self.is_well() && connects && room && long && needed && self.config.idle_timeout.is_none()
    }

    /// Whether each connection is held, or came back so late that it is in use when its successor is due.
    fn all_in_use_at_the_end(&self) -> bool {
        let Some(longest) = self.config.max_lifetime.map(ms) else { return true };
        let lead =
            self.options.connect_attempt_timeout.min(longest.mul_f64((1.0 - self.config.jitter) / 10.0));
        let ledger = self.server.ledger();
        let mut open = ledger.records.iter().filter(|record| record.is_open());
        open.all(|record| record.held || record.rests_since + lead >= record.born + longest - lead)
    }
}

/// What may be handed out as it is.
impl Ledger {
    /// Whether a check failed that began after the connection had last proved to work: it may be dead for the same reason.
    pub(crate) fn is_in_doubt(&self, record: &Record) -> bool {
        self.doubts.iter().any(|(began, _)| record.proven < *began)
    }

    /// How many connections that nobody holds have not proved to work since then.
    pub(crate) fn unproven_since(&self, since: Instant) -> usize {
        let unheld = self.records.iter().filter(|record| record.is_open() && !record.held);
        unheld.filter(|record| record.proven < since).count()
    }

    /// How many connections may have to pass a chore, or to retire, before anybody gets one.
    pub(crate) fn perhaps_unfit(&self, jitter: f64) -> usize {
        let idle = self.records.iter().filter(|record| record.is_unused());
        idle.filter(|record| !self.is_surely_fit(record, jitter)).count()
    }

    /// Whether a connection that is idle may be handed out as it is, but for what the peer does.
    pub(crate) fn is_surely_fit(&self, record: &Record, jitter: f64) -> bool {
        let (now, config) = (Instant::now(), &self.config);
        let wanted = record.uses < config.max_uses.unwrap_or(u64::MAX) && record.end_by.is_none();
        let lifetime = config.max_lifetime;
        let young = lifetime == Duration::MAX || now - record.born < lifetime.mul_f64(1.0 - jitter);
        let rested = now - record.rests_since < config.idle_timeout;
        let proven = now - record.proven < config.check_after_idle;
        wanted && young && rested && proven && !record.dirty && !self.is_in_doubt(record)
    }
}
