//! Connections in somebody's hands: what may get there, and how they come back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use poolhouse::PooledConnection;
use tokio::time::Instant;

use crate::ensure;
use crate::ops::Fate;
use crate::reference::Verdict;
use crate::server::{OnReturn, Scripted, Server};
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
        ensure!(record.alive, "cancel.tainted: connection {id} is closed and handed out");
        ensure!(!record.held, "unique ownership: connection {id} is in two hands");
        ensure!(!record.spoiled, "cancel.tainted: connection {id} was unfit and is handed out");
        ensure!(!record.checking, "unique ownership: connection {id} is handed out during a check");
        ensure!(!record.dead, "health.known_dead: connection {id} is handed out, its peer has closed it");
        let idle = since.map(|since| since.saturating_duration_since(record.proven));
        let unchecked = self.options.check_after_idle.zip(idle).is_some_and(|(limit, idle)| limit <= idle);
        ensure!(!unchecked, "health.known_dead: connection {id} is handed out without the check");
        let old = at_once && self.options.max_lifetime <= record.born.elapsed();
        ensure!(!old, "max_lifetime: connection {id} is too old and is handed out");
        record.held = true;
        record.unsure = false;
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
        let mut reused = matches!(fate, Fate::Release | Fate::Drop);
        {
            let mut ledger = self.server.ledger();
            let retires = ledger.suspended || ledger.closed || ledger.records[id].epoch != ledger.epoch;
            let record = &mut ledger.records[id];
            record.held = false;
            record.spoiled = !reused;
            record.detached = fate == Fate::Detach;
            record.idle_since = Instant::now();
            record.proven = Instant::now();
            reused &= !retires;
        }
        guard.on_return = match fate {
            Fate::Tainted | Fate::PanicInDrop => OnReturn::Tainted,
            Fate::PanicInIsReusable => OnReturn::Panic,
            _ => OnReturn::Reusable,
        };
        guard.panic_in_drop = fate == Fate::PanicInDrop;
        self.seen.saw(match fate {
            Fate::Release => "return: Release",
            Fate::Drop => "return: Drop",
            Fate::Invalidate => "return: Invalidate",
            Fate::Detach => "return: Detach",
            Fate::Tainted => "return: Tainted",
            Fate::PanicInIsReusable => "return: PanicInIsReusable",
            Fate::PanicWhileHeld => "return: PanicWhileHeld",
            Fate::PanicInDrop => "return: PanicInDrop",
        });
        match fate {
            Fate::Release => guard.release(),
            Fate::Drop | Fate::Tainted => drop(guard),
            Fate::Invalidate => guard.invalidate(),
            Fate::Detach => self.detached.push(guard.detach()),
            Fate::PanicInIsReusable | Fate::PanicInDrop => {
                let panics = catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err();
                ensure!(panics, "panic.no_loss: the panic is lost");
            }
            Fate::PanicWhileHeld => {
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let _held = guard;
                    std::panic::panic_any(Scripted)
                }));
            }
        }
        let alive = self.server.ledger().records[id].alive;
        let gone = reused || alive == (fate == Fate::Detach);
        ensure!(gone, "cancel.tainted: connection {id} was given back by {fate:?} and alive is {alive}");
        Ok(())
    }
}
