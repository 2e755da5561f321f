//! What the pool's owner asks of the core: resize, invalidate, suspend, close.

use super::{Core, Effects, Entry, Refusal, Tick};
use crate::events::RetireReason;

impl<C, E, W> Core<C, E, W> {
    /// Sets the maximum. Idle connections above it go now, then attempts to connect, and held ones as they come back.
    pub(crate) fn resize(&mut self, max_connections: usize, now: Tick, fx: &mut Effects<C, W>) {
        self.config.max_connections = max_connections;
        let mut surplus = (self.open() + self.coming()).saturating_sub(max_connections);
        self.regime += 1;
        let idle = surplus.min(self.idle.len());
        for entry in self.idle.drain(..idle).collect::<Vec<_>>() {
            self.retire(entry, RetireReason::Shrunk, fx);
        }
        surplus -= idle;
        self.abandon(surplus, fx);
        self.ask_for_more(now, fx);
    }

    /// Retires every connection that is open or opening, the held ones as they come back. The server is to be asked
    /// afresh, so the pause after failures ends too.
    pub(crate) fn invalidate_all(&mut self, now: Tick, fx: &mut Effects<C, W>) {
        self.epoch += 1;
        self.regime += 1;
        self.connects_again();
        self.retire_all(RetireReason::InvalidatedAll, fx);
        self.ask_for_more(now, fx);
    }

    /// Hands out nothing and opens nothing until `resume`. Who asks waits.
    pub(crate) fn suspend(&mut self, fx: &mut Effects<C, W>) {
        self.suspended = true;
        self.regime += 1;
        self.retire_all(RetireReason::Suspended, fx);
        fx.progress = true;
    }

    pub(crate) fn resume(&mut self, now: Tick, fx: &mut Effects<C, W>) {
        self.suspended = false;
        self.ask_for_more(now, fx);
    }

    /// Closes the pool: refuses who waits, retires what is idle, and opens nothing from here on.
    pub(crate) fn close(&mut self, fx: &mut Effects<C, W>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.regime += 1;
        self.refuse_all(|| Refusal::Closed, fx);
        self.retire_idle(RetireReason::PoolClosed, |_| true, fx);
        fx.drive = true;
        fx.progress = true;
    }

    /// The last handle has gone, and with it everybody who waited. What has been served to acquires that were forgotten
    /// instead of dropped nobody will pick up.
    pub(crate) fn end(&mut self, fx: &mut Effects<C, W>) {
        self.close(fx);
        let served = self.records.iter_mut().filter_map(|(_, record)| record.served.take());
        for entry in served.collect::<Vec<_>>() {
            self.take_away(&entry);
            self.retire(entry, RetireReason::PoolClosed, fx);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Whether the pool has nothing: none held, none idle, none opening, none under a check, none on its way out.
    pub(crate) fn is_drained(&self) -> bool {
        self.open() + self.attempts.len() + self.closing == 0
    }

    /// Retires what nobody holds. Connections under a check go too, and not only when the check ends: the peer may be
    /// silent.
    fn retire_all(&mut self, reason: RetireReason, fx: &mut Effects<C, W>) {
        self.retire_idle(reason, |_| true, fx);
        self.abandon(usize::MAX, fx);
        self.cut_checks.clone_from(&self.homes);
        fx.drive = true;
    }

    pub(super) fn retire_idle(
        &mut self,
        reason: RetireReason,
        which: impl Fn(&Entry<C>) -> bool,
        fx: &mut Effects<C, W>,
    ) {
        for entry in std::mem::take(&mut self.idle) {
            if which(&entry) {
                self.retire(entry, reason, fx);
            } else {
                self.idle.push(entry);
            }
        }
    }
}
