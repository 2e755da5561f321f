//! The pool's clock: tokio's, and on Linux the time that the machine has slept.
//!
//! Tokio's clock is that of the system, unless a test has paused it. On Linux it stands still while the machine sleeps.
//! Another clock goes on, and the difference between the two says how long the machine has slept. Asking costs as much as
//! a second reading, so a reading that comes less than [`ASK_INTERVAL`] after the last one that asked does not ask.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::policy::{Span, Tick};
use crate::time::{now, slept};

pub(crate) const ASK_INTERVAL: Duration = Duration::from_millis(1);
/// A difference that is smaller may come from reading two clocks one after the other, so it does not count yet.
const NOTICED: Duration = Duration::from_millis(100);

pub(crate) struct Clock {
    /// The instant that is [`Tick::START`] to the policy, if the machine does not sleep.
    origin: Instant,
    /// Nanoseconds from `origin` to the last reading that asked.
    asked: AtomicU64,
    /// For how many nanoseconds the machine had slept by then. It only grows, so the order in which threads enter what
    /// they found does not matter.
    slept: AtomicU64,
    /// The same when the pool began.
    slept_before: Duration,
}

/// A reading of the clock.
pub(crate) struct Reading {
    pub(crate) now: Tick,
    /// The machine has slept since the last reading that asked, so all timers are late.
    pub(crate) woke: bool,
}

impl Clock {
    pub(crate) fn new() -> Self {
        // The first answer may be too small. What the first question costs is not asked again.
        let slept_before = (0..3).map(|_| slept()).max().unwrap_or_default();
        Self { origin: now(), asked: AtomicU64::new(0), slept: AtomicU64::new(0), slept_before }
    }

    #[inline]
    pub(crate) fn read(&self) -> Reading {
        let at = now();
        let Some(after) = at.checked_duration_since(self.origin) else {
            return Reading { now: Tick::START - self.origin.saturating_duration_since(at), woke: false };
        };
        let after = Span::from(after);
        let since_asked = after.as_nanos().saturating_sub(self.asked.load(Relaxed));
        let woke = since_asked >= ASK_INTERVAL.as_nanos() as u64 && self.ask(after);
        Reading { now: Tick::START + after + self.slept(), woke }
    }

    /// Returns whether the machine has slept since somebody asked.
    #[cold]
    fn ask(&self, after: Span) -> bool {
        self.asked.fetch_max(after.as_nanos(), Relaxed);
        let slept = Span::from(slept().saturating_sub(self.slept_before)).as_nanos();
        let is_sleep = |before: u64| slept.saturating_sub(before) >= NOTICED.as_nanos() as u64;
        is_sleep(self.slept.load(Relaxed)) && is_sleep(self.slept.fetch_max(slept, Relaxed))
    }

    fn slept(&self) -> Span {
        Span::from_nanos(self.slept.load(Relaxed))
    }
}
