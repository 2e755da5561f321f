//! What the pool's owner asks of the policy: resize, invalidate, suspend, close.

use super::waiting::Refusal;
use super::{Effects, Policy, Tick};
use crate::events::RetireReason;

impl<C, E, W> Policy<C, E, W> {
    /// Sets the maximum. Connections under a health check go first, for nobody can use them now; then idle ones, then
    /// attempts to connect, and held ones as they come back.
    pub(crate) fn resize(&mut self, max_connections: usize, now: Tick, fx: &mut Effects<C, E, W>) {
        self.config.max_connections = max_connections;
        let cut = self.checks.cut_some(self.surplus(), RetireReason::Shrunk);
        fx.plan |= cut > 0;
        while self.surplus() > 0
            && let Some(entry) = self.idle.take_longest_idle()
        {
            self.retire(entry, RetireReason::Shrunk, fx);
        }
        self.abandon_surplus(fx);
        self.request_plan_if_work(now, fx);
    }

    /// How many of the connections that stay or come are above the maximum.
    fn surplus(&self) -> usize {
        (self.staying() + self.connects.coming()).saturating_sub(self.config.max_connections)
    }

    /// Gives up the attempts above the maximum: after a shrink, and where something that a shrink gave up has stayed all the
    /// same, for it was faster than the word.
    pub(super) fn abandon_surplus(&mut self, fx: &mut Effects<C, E, W>) {
        fx.plan |= self.connects.abandon(self.surplus());
    }

    /// Retires every connection that is open or opening, the held ones as they come back. The server is to be asked
    /// afresh, so the pause after failures ends too.
    pub(crate) fn invalidate_all(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        self.eviction.begin_epoch();
        fx.spent_errors.extend(self.connects.forget_failures());
        self.retire_unused(RetireReason::InvalidatedAll, now, fx);
        self.request_plan_if_work(now, fx);
    }

    /// Hands out nothing and opens nothing until `resume`. Acquires wait. What failed before says nothing about then.
    pub(crate) fn suspend(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        self.eviction.suspend();
        fx.spent_errors.extend(self.connects.forget_failures());
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
            self.retire_idle(RetireReason::PoolClosed, |_| true, fx);
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
        self.retire_idle(reason, |_| true, fx);
        self.connects.abandon(usize::MAX);
        self.checks.cut_some(usize::MAX, reason);
        self.take_back_ineligible(now, fx);
        fx.plan = true;
    }
}
