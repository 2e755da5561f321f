//! What a background task does with a connection, as the server sees it: a check, a reset, a goodbye. Whatever ends one, the
//! ledger hears of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{Chore, Goodbye};
use crate::server::Server;

/// A check or a reset under way.
pub(crate) struct Doing {
    server: Server,
    id: usize,
    chore: Chore,
    started: Instant,
    /// The limit that it has: one that is set later is not for it.
    limit: Duration,
    pub(crate) answered: bool,
    pub(crate) passed: bool,
}

impl Doing {
    pub(crate) fn begin(server: &Server, id: usize, chore: Chore) -> Self {
        let mut ledger = server.ledger();
        let now = Instant::now();
        let record = &mut ledger.records[id];
        let idle = record.is_unused() && !record.spoiled;
        let dirty = record.dirty;
        record.chore = Some((chore, now));
        ledger.expect(idle, |_| format!("health.off_path: {chore:?} of connection {id}, which is not idle"));
        ledger.expect(dirty == (chore == Chore::Reset), |_| {
            format!("reset.between: {chore:?} of connection {id}, and it is dirty: {dirty}")
        });
        let limit = match chore {
            Chore::Reset => {
                ledger.resetting += 1;
                ledger.config.reset_timeout
            }
            Chore::Check => {
                ledger.checking += 1;
                // A check that a waiter or a doubt asks for comes at once. A task that comes back to the line waits too.
                ledger.waited |= ledger.somebody_waits();
                let regular = !ledger.waited && !ledger.is_in_doubt(&ledger.records[id]);
                let unused = ledger.records.iter().filter(|record| record.is_open() && !record.held);
                let most = (unused.count() / 10).max(1);
                let few = !regular || ledger.checking <= most;
                ledger.expect(few, |ledger| {
                    format!("health.off_path: {} checks at once, and nobody waits", ledger.checking)
                });
                ledger.config.health_check_timeout
            }
        };
        drop(ledger);
        Self { server: server.clone(), id, chore, started: now, limit, answered: false, passed: false }
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        let (chore, started, now) = (self.chore, self.started, Instant::now());
        let mut ledger = self.server.ledger();
        match chore {
            Chore::Check => ledger.checking -= 1,
            Chore::Reset => ledger.resetting -= 1,
        }
        let record = &mut ledger.records[self.id];
        record.chore = None;
        if self.passed {
            record.dirty &= chore != Chore::Reset;
            record.proven = now;
            record.just_passed = Some((chore, started));
            ledger.happened.resets += u64::from(chore == Chore::Reset);
            return;
        }
        record.spoiled = true;
        let failed = self.answered || started.elapsed() >= self.limit;
        match (chore, failed) {
            (Chore::Check, true) => {
                ledger.failed_checks += 1;
                ledger.doubts.push((started, now));
            }
            (Chore::Check, false) => ledger.cut_checks += 1,
            (Chore::Reset, true) => ledger.failed_resets += 1,
            (Chore::Reset, false) => ledger.cut_resets += 1,
        }
    }
}

/// A graceful close under way.
pub(crate) struct Parting {
    server: Server,
    started: Instant,
    limit: Duration,
    pub(crate) ended: bool,
}

impl Parting {
    pub(crate) fn begin(server: &Server, id: usize) -> Self {
        let mut ledger = server.ledger();
        let before = ledger.records[id].goodbye.replace(Goodbye::Begun);
        ledger.expect(before == Some(Goodbye::Wanted), |_| {
            format!("close.complete: a goodbye of connection {id} begins, and it was {before:?}")
        });
        ledger.happened.goodbyes += 1;
        let limit = ledger.config.close_timeout;
        drop(ledger);
        Self { server: server.clone(), started: Instant::now(), limit, ended: false }
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        let mut ledger = self.server.ledger();
        if !self.ended {
            let in_time = self.started.elapsed() < self.limit && !ledger.runtime_gone;
            ledger.expect(!in_time, |_| "close.complete: a graceful close is cut before its time".into());
            ledger.happened.cut_goodbyes += 1;
        }
    }
}
