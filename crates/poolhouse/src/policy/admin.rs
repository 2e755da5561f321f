//! What the pool's owner asks of the policy: resize, invalidate, suspend, close.

use super::waiting::Refusal;
use super::{Effects, Policy, Tick};
use crate::events::RetireReason;

impl<C, E, W> Policy<C, E, W> {
    /// Sets the maximum. Connections under a health check go first, for nobody can use them now; then idle ones, then
    /// attempts to connect, and held ones as they come back.
    pub(crate) fn resize(&mut self, max_connections: usize, now: Tick, fx: &mut Effects<C, E, W>) {
        self.config.max_connections = max_connections;
        let staying = self.staying() + self.connects.coming();
        let mut surplus = staying.saturating_sub(max_connections);
        let cut = self.checks.cut_some(surplus, RetireReason::Shrunk);
        surplus -= cut;
        while surplus > 0
            && let Some(entry) = self.idle.take_longest_idle()
        {
            self.retire(entry, RetireReason::Shrunk, fx);
            surplus -= 1;
        }
        fx.plan |= self.connects.abandon(surplus) || cut > 0;
        self.request_plan_if_work(now, fx);
    }

    /// What a shrink gave up has stayed all the same, for it was faster than the word. Then an attempt is the one too many.
    pub(super) fn abandon_surplus(&mut self, fx: &mut Effects<C, E, W>) {
        let staying = self.staying() + self.connects.coming();
        fx.plan |= self.connects.abandon(staying.saturating_sub(self.config.max_connections));
    }

    /// Retires every connection that is open or opening, the held ones as they come back. The server is to be asked
    /// afresh, so the pause after failures ends too.
    pub(crate) fn invalidate_all(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        self.eviction.begin_epoch();
        fx.spent_errors.extend(self.connects.forget_failures());
        self.retire_unused(RetireReason::InvalidatedAll, now, fx);
        self.request_plan_if_work(now, fx);
    }

    /// Hands out nothing and opens nothing until `resume`. Acquires wait.
    pub(crate) fn suspend(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        self.eviction.suspend();
        self.retire_unused(RetireReason::Suspended, now, fx);
        fx.progress = true;
    }

    pub(crate) fn resume(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        self.eviction.resume();
        self.request_plan_if_work(now, fx);
    }

    /// Closes the pool: refuses those who wait, retires what nobody holds, and opens nothing from here on. Returns whether
    /// the pool was open.
    pub(crate) fn close(&mut self, now: Tick, fx: &mut Effects<C, E, W>) -> bool {
        let was_open = self.eviction.close();
        if was_open {
            for entry in self.idle.take_all(|_| true) {
                self.retire(entry, RetireReason::PoolClosed, fx);
            }
            self.take_back_ineligible(now, fx);
            self.waiting.refuse_all(|| Refusal::Closed, &mut fx.wake);
            fx.plan = true;
            fx.progress = true;
        }
        was_open
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.eviction.is_closed()
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.eviction.is_suspended()
    }

    /// Whether the pool has nothing: none held, none idle, none opening, none under a check, none on its way out.
    pub(crate) fn is_drained(&self) -> bool {
        self.open() + self.connects.under_way() + self.closing == 0
    }

    /// Retires what nobody holds. Connections under a check go too, and not only when the check ends: the peer may be
    /// silent. What a waiter was served and has not picked up is taken back.
    fn retire_unused(&mut self, reason: RetireReason, now: Tick, fx: &mut Effects<C, E, W>) {
        for entry in self.idle.take_all(|_| true) {
            self.retire(entry, reason, fx);
        }
        self.connects.abandon(usize::MAX);
        self.checks.cut_some(usize::MAX, reason);
        self.take_back_ineligible(now, fx);
        fx.plan = true;
    }
}
