//! What the pool's owner asks of the policy: resize, invalidate, suspend, close.

use std::time::Duration;

use super::waiting::Refusal;
use super::{Effects, Limits, Policy, Tick};
use crate::config::PoolConfig;
use crate::events::RetireReason;

impl<C, E, W> Policy<C, E, W> {
    /// Sets the maximum. Connections in a chore go first, for nobody can use them now; then idle ones, then
    /// attempts to connect, and held ones as they come back.
    pub(crate) fn resize(&mut self, max_connections: usize, now: Tick, fx: &mut Effects<C, E, W>) {
        self.config.max_connections = max_connections;
        self.keep_to_max(now, fx);
    }

    fn keep_to_max(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        let abandoned = self.chores.abandon_some(self.surplus(), RetireReason::Shrunk);
        fx.plan |= abandoned > 0;
        while self.surplus() > 0
            && let Some(entry) = self.idle.take_longest_idle()
        {
            self.retire(entry, RetireReason::Shrunk, fx);
        }
        self.abandon_surplus(fx);
        self.request_plan_if_work(now, fx);
        // That there is no room for more may be all that a warm-up waits for.
        fx.progress = true;
    }

    /// Changes every limit at once. What is held is not interrupted, and waiters wait by the new limits.
    pub(crate) fn reconfigure(&mut self, config: PoolConfig, now: Tick, fx: &mut Effects<C, E, W>) {
        self.limits = Limits::new(&config);
        self.waiting.set_limits(config.connection_timeout, config.max_pending);
        self.waiting.shed(&mut fx.wake);
        self.idle.set_order(config.idle_order);
        self.connects.set_limits(&config, now);
        self.holders.change_lifetimes(|lifetime| lifetime.recount(&config));
        self.config = config;
        self.keep_to_max(now, fx);
        self.keep_to_max_idle(fx);
        // What was not fit by the old limits may be by the new ones.
        self.serve_idle(now, fx);
        fx.plan = true;
    }

    pub(crate) fn config(&self) -> &PoolConfig {
        &self.config
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

    /// Retires every connection that is open or opening, one after the other over that time. The held ones go as they come
    /// back.
    pub(crate) fn invalidate_all_over(&mut self, spread: Duration, now: Tick, fx: &mut Effects<C, E, W>) {
        self.connects.end_by(now + spread);
        let (mut one, all) = (0, self.open());
        // Not more than the share of one, so that the successors come one after the other too.
        let lead = self.lead().min(spread / u32::try_from(all.max(1)).unwrap_or(u32::MAX));
        let Self { holders, rng, .. } = self;
        // One in each share of the time, at random within it.
        holders.change_lifetimes(|lifetime| {
            let share = (f64::from(one) + rng.f64()) / all as f64;
            lifetime.end_by(now + spread.mul_f64(share), lead);
            one += 1;
        });
        fx.plan = true;
    }

    /// How long before its end of life a successor is opened, at the most.
    pub(super) fn lead(&self) -> Duration {
        self.config.connect_attempt_timeout.min(self.config.max_lifetime / 10)
    }

    /// The server is known to be back: the next attempt to connect begins at once.
    pub(crate) fn connect_now(&mut self, now: Tick, fx: &mut Effects<C, E, W>) {
        fx.spent_errors.extend(self.connects.forget_failures());
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
            self.revoke_ineligible(now, fx);
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

    /// How many connections are on their way out.
    pub(crate) fn leaving(&self) -> usize {
        self.leaving
    }

    /// Whether the pool has nothing: none held, none idle, none opening, none in a chore, none on its way out.
    pub(crate) fn is_drained(&self) -> bool {
        self.open() + self.connects.under_way() + self.leaving == 0
    }

    /// Retires what nobody holds. Connections in a chore go too, and not only when the chore ends: the peer may be
    /// silent. What a waiter was served and has not picked up is taken back.
    fn retire_unused(&mut self, reason: RetireReason, now: Tick, fx: &mut Effects<C, E, W>) {
        self.retire_idle(reason, |_| true, fx);
        self.connects.abandon(usize::MAX);
        self.chores.abandon_some(usize::MAX, reason);
        self.revoke_ineligible(now, fx);
        fx.plan = true;
    }
}
