//! When a connection's lifetime ends: after `max_lifetime`, less a jitter that is drawn once. A held one goes when it
//! comes back.

use std::time::Duration;

use super::Tick;
use crate::config::PoolConfig;
use crate::events::RetireReason;

/// How long a connection may live: drawn once, when it opens, and counted anew when the limits change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetime {
    opened_at: Tick,
    /// The share of `max_lifetime` by which it retires early.
    early: f64,
    /// When it has to have gone, and how long before that its successor is opened, if the pool's owner has said so.
    ends_by: Option<(Tick, Duration)>,
    pub(super) replace_at: Tick,
    pub(super) retire_at: Tick,
    pub(super) reason: RetireReason,
}

impl Lifetime {
    /// Draws the jitter: by what share of `max_lifetime` it retires early. With `ends_by` it began to open before
    /// `invalidate_all_over`, and retires with the others of that time.
    pub(super) fn draw(
        opened_at: Tick,
        ends_by: Option<(Tick, Duration)>,
        config: &PoolConfig,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let early = config.lifetime_jitter * rng.f64();
        Self::new(opened_at, early.min(0.999), ends_by, config)
    }

    fn new(opened_at: Tick, early: f64, ends_by: Option<(Tick, Duration)>, config: &PoolConfig) -> Self {
        let lifetime = config.max_lifetime - config.max_lifetime.mul_f64(early);
        let lead = config.connect_attempt_timeout.min(lifetime / 10);
        let mut new = Self {
            opened_at,
            early,
            ends_by: None,
            replace_at: opened_at + (lifetime - lead),
            retire_at: opened_at + lifetime,
            reason: RetireReason::Lifetime,
        };
        if let Some((at, lead)) = ends_by {
            new.end_by(at, lead);
        }
        new
    }

    /// The limits have changed. What the pool's owner has said of this connection stays true.
    pub(super) fn recount(&mut self, config: &PoolConfig) {
        *self = Self::new(self.opened_at, self.early, self.ends_by, config);
    }

    /// It retires at that time, unless its life ends before, and its successor is opened so long before.
    pub(super) fn end_by(&mut self, at: Tick, lead: Duration) {
        // Kept though its life may end before: the limits may change.
        if self.ends_by.is_none_or(|(before, _)| at < before) {
            self.ends_by = Some((at, lead));
        }
        if at < self.retire_at {
            (self.retire_at, self.replace_at) = (at, at - lead);
            self.reason = RetireReason::InvalidatedAll;
        }
    }
}
