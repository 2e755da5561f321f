//! The clocks of the system, timers and time limits.

use std::time::{Duration, Instant};

pub(crate) use tokio::time::{Sleep, sleep};

/// Tokio's clock, so that a paused one pauses the pool.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long the machine has slept since it started: at least this long, and hardly longer. Zero where the system does not
/// say, or where its clock goes on during sleep.
#[cfg(not(test))]
pub(crate) fn slept() -> Duration {
    system_slept()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn system_slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    // In this order: time that passes between the two readings is not taken for sleep.
    let [with_sleep, awake] = [ClockId::Boottime, ClockId::Monotonic].map(clock_gettime);
    Duration::try_from(with_sleep - awake).unwrap_or_default()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn system_slept() -> Duration {
    Duration::ZERO
}

pub(crate) fn sleep_until(at: Instant) -> Sleep {
    tokio::time::sleep_until(at.into())
}

/// `None` when the time is up. `Duration::MAX` sets no timer.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if limit == Duration::MAX { Some(future.await) } else { tokio::time::timeout(limit, future).await.ok() }
}

#[cfg(test)]
pub(crate) use self::fake::{fake_sleep, slept};

/// A machine that sleeps when a test says so: each test has one of its own.
#[cfg(test)]
mod fake {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static SLEPT: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn slept() -> Duration {
        system_slept() + SLEPT.get()
    }

    pub(crate) fn fake_sleep(duration: Duration) {
        SLEPT.set(SLEPT.get() + duration);
    }
}
