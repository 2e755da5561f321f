//! Connections in somebody's hands: what may get there, and how they come back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use poolhouse::PooledConnection;
use tokio::time::Instant;

use crate::ensure;
use crate::ledger::Record;
use crate::ops::Fate;
use crate::reference::Verdict;
use crate::server::{LOOK_INTERVAL, OnReturn, Scripted, Server};
use crate::world::{Held, World, pick};

impl World<'_> {
    pub(crate) fn hold(
        &mut self,
        guard: PooledConnection<Server>,
        since: Option<Instant>,
        at_once: bool,
    ) -> Verdict {
        let id = guard.id;
        let mut ledger = self.server.ledger();
        let record = &mut ledger.records[id];
        // By the options of now, and not by those of before.
        let by_these = at_once || since.is_some_and(|since| self.reconfigured.is_none_or(|at| at < since));
        ensure!(record.is_open(), "cancel.tainted: connection {id} is closed and handed out");
        ensure!(!record.dirty, "reset.between: connection {id} is handed out without its reset");
        record.uses += 1;
        let uses = record.uses;
        ensure!(PooledConnection::use_count(&guard) == uses, "max_uses: connection {id} has had {uses}");
        let most = if by_these { self.options.max_uses.unwrap_or(u64::MAX) } else { self.most_uses };
        ensure!(uses <= most, "max_uses: connection {id} is handed out for the {uses}th time");
        ensure!(!record.held, "unique ownership: connection {id} is in two hands");
        ensure!(!record.spoiled, "cancel.tainted: connection {id} was unfit and is handed out");
        let chore = record.chore;
        ensure!(chore.is_none(), "unique ownership: connection {id} is handed out during {chore:?}");
        // Between two looks a millisecond may pass.
        let just_seen = record.looked_at.is_some_and(|at| at.elapsed() < LOOK_INTERVAL);
        ensure!(
            !record.dead || just_seen,
            "health.known_dead: connection {id} is handed out, its peer has closed it"
        );
        let idle = since.map(|since| since.saturating_duration_since(record.proven));
        let unchecked = by_these && idle.is_some_and(|idle| self.options.check_after_idle <= idle);
        ensure!(!unchecked, "health.known_dead: connection {id} is handed out without the check");
        let proven = record.proven;
        let in_doubt = ledger.doubts.iter().any(|(began, failed)| {
            let known = since.is_some_and(|since| *failed < since || (at_once && *failed == since));
            proven < *began && known
        });
        ensure!(!in_doubt, "health.known_dead: connection {id} is handed out, and a check of another failed");
        let record = &mut ledger.records[id];
        let old = at_once && self.options.max_lifetime <= record.born.elapsed();
        ensure!(!old, "max_lifetime: connection {id} is too old and is handed out");
        let old = at_once && record.is_overdue();
        ensure!(!old, "epoch.invalidate_all: connection {id} is handed out after the time it was given");
        record.held = true;
        let suspended = record.suspension != ledger.suspensions;
        ensure!(!suspended, "suspend.nothing_moves: connection {id} was open before a suspension");
        let record = &ledger.records[id];
        ensure!(record.greeted || !ledger.hooked, "after_connect: connection {id} is handed out before it");
        let old = record.epoch != ledger.epoch;
        ensure!(!old, "epoch.invalidate_all: connection {id} was born before, and is handed out after");
        ensure!(!ledger.suspended, "suspend.nothing_moves: a suspended pool hands out connection {id}");
        drop(ledger);
        self.held.push(Held { id, since, guard });
        Ok(())
    }

    pub(crate) fn try_acquire(&mut self) -> Verdict {
        let Some(pool) = self.pool() else { return Ok(()) };
        self.sync(false)?;
        let begun = self.server.ledger().begun;
        let Ok(got) = catch_unwind(AssertUnwindSafe(|| pool.try_acquire())) else {
            self.seen.saw("acquire: the look at it panics");
            self.model.returned += 1;
            return Ok(());
        };
        let calm = self.server.ledger().begun == begun;
        ensure!(calm, "try_acquire.immediate: it connects");
        let Some(guard) = got else {
            self.seen.saw(match self.model.line.len() {
                _ if self.model.closed => "try_acquire: closed",
                0 => "try_acquire: nothing at hand",
                _ => "try_acquire: somebody waits",
            });
            let none = !self.model.line.is_empty() || self.fit().is_none();
            ensure!(none || self.model.closed, "try_acquire.immediate: None beside an idle connection");
            return Ok(());
        };
        ensure!(!self.model.closed, "close.complete: a closed pool hands out a connection");
        ensure!(self.model.line.is_empty(), "try_acquire.immediate: it overtakes those who wait");
        self.seen.saw("try_acquire: got one");
        self.model.held += 1;
        self.hold(guard, Some(Instant::now()), true)
    }

    pub(crate) fn give_back(&mut self, which: u8, fate: Fate) -> Verdict {
        let Some(index) = pick(which, self.held.len()) else { return Ok(()) };
        let Held { id, mut guard, .. } = self.held.swap_remove(index);
        self.model.held -= 1;
        self.model.returned += 1;
        let mut reused = matches!(fate, Fate::Release | Fate::Drop | Fate::Dirty);
        let drop_panics;
        {
            let mut ledger = self.server.ledger();
            let Record { epoch, suspension, .. } = ledger.records[id];
            let before = epoch != ledger.epoch || suspension != ledger.suspensions;
            let overdue = ledger.records[id].is_overdue();
            let hooked = ledger.hooked;
            let retires = ledger.suspended || ledger.closed || before || overdue;
            let record = &mut ledger.records[id];
            record.held = false;
            record.spoiled = !reused;
            record.dirty = fate == Fate::Dirty || (hooked && reused);
            record.manager_resets = fate == Fate::Dirty;
            record.detached = fate == Fate::Detach;
            (record.idle_since, record.rests_since) = (Instant::now(), Instant::now());
            record.proven = Instant::now();
            reused &= !retires;
            record.drop_panics |= fate == Fate::PanicInDrop;
            record.drop_panics &= fate != Fate::Detach;
            drop_panics = record.drop_panics;
        }
        guard.on_return = match fate {
            Fate::Tainted | Fate::PanicInDrop => OnReturn::Tainted,
            Fate::PanicInIsReusable => OnReturn::PanicInIsReusable,
            Fate::Dirty => OnReturn::Dirty,
            Fate::PanicInNeedsReset => OnReturn::PanicInNeedsReset,
            _ => OnReturn::Reusable,
        };
        self.seen.saw(match fate {
            Fate::Release => "return: Release",
            Fate::Drop => "return: Drop",
            Fate::Dirty => "return: Dirty",
            Fate::PanicInNeedsReset => "return: PanicInNeedsReset",
            Fate::Invalidate => "return: Invalidate",
            Fate::Detach => "return: Detach",
            Fate::Tainted => "return: Tainted",
            Fate::PanicInIsReusable => "return: PanicInIsReusable",
            Fate::PanicWhileHeld => "return: PanicWhileHeld",
            Fate::PanicInDrop => "return: PanicInDrop",
        });
        let panics = catch_unwind(AssertUnwindSafe(|| match fate {
            Fate::Release => guard.release(),
            Fate::Drop
            | Fate::Dirty
            | Fate::PanicInNeedsReset
            | Fate::Tainted
            | Fate::PanicInIsReusable
            | Fate::PanicInDrop => drop(guard),
            Fate::Invalidate => guard.invalidate(),
            Fate::Detach => self.detached.push(PooledConnection::detach(guard)),
            Fate::PanicWhileHeld => {
                let _held = guard;
                std::panic::panic_any(Scripted)
            }
        }))
        .is_err();
        let (alive, goodbye) = {
            let record = &self.server.ledger().records[id];
            (record.alive, record.goodbye.is_some())
        };
        // The panic of a drop is for the holder whose return it ends, and for nobody else.
        let expected = (drop_panics && !alive)
            || matches!(fate, Fate::PanicInIsReusable | Fate::PanicInNeedsReset | Fate::PanicWhileHeld);
        ensure!(panics == expected, "panic.no_loss: a return by {fate:?} panics is {panics}");
        let gone = reused || (alive && !goodbye) == (fate == Fate::Detach);
        ensure!(gone, "cancel.tainted: connection {id} was given back by {fate:?} and alive is {alive}");
        Ok(())
    }
}
