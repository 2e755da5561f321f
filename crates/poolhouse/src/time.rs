//! The clock, timers and time limits.

use std::time::{Duration, Instant};

pub(crate) use tokio::time::{Sleep, sleep};

/// Tokio's clock, so that a paused one pauses the pool.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

pub(crate) fn sleep_until(at: Instant) -> Sleep {
    tokio::time::sleep_until(at.into())
}

/// `None` when the time is up. `Duration::MAX` sets no timer.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if limit == Duration::MAX { Some(future.await) } else { tokio::time::timeout(limit, future).await.ok() }
}
