//! The clocks of the system, timers and time limits.

use std::time::{Duration, Instant};

pub(crate) use tokio::time::sleep;

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

/// `None` when the time is up. `Duration::MAX` sets no timer.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if limit == Duration::MAX { Some(future.await) } else { tokio::time::timeout(limit, future).await.ok() }
}

#[cfg(test)]
pub(crate) use self::fake::slept;

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

    pub(super) fn fake_sleep(duration: Duration) {
        SLEPT.set(SLEPT.get() + duration);
    }
}

/// Of the pool's clock too: the model checker compiles that one with a `time` of its own.
#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::fake::fake_sleep;
    use super::*;
    use crate::clock::{ASK_INTERVAL, Clock};
    use crate::{Manager, Pool, PoolConfig, PooledConnection};

    struct Numbers;

    impl Manager for Numbers {
        type Connection = u32;
        type Error = Infallible;

        async fn connect(&self) -> Result<u32, Infallible> {
            Ok(7)
        }
    }

    const HOUR: Duration = Duration::from_secs(3600);

    /// `time.fresh`.
    #[tokio::test(start_paused = true)]
    async fn an_age_counts_what_the_machine_slept() {
        let clock = Clock::new();
        let before = clock.read().now;
        tokio::time::advance(ASK_INTERVAL).await;
        fake_sleep(HOUR);
        let after = clock.read();
        assert!(after.woke);
        assert_eq!(after.now.since(before), ASK_INTERVAL + HOUR);
        assert!(!clock.read().woke, "once is enough");
    }

    /// `time.fresh`: the next call is right, and the background is told, whose timer is late.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_idled_while_the_machine_slept_is_not_handed_out() {
        let config = PoolConfig { min_connections: 0, idle_timeout: HOUR / 2, ..PoolConfig::default() };
        let pool = Pool::new(Numbers, config).unwrap();
        assert_eq!(PooledConnection::id(&pool.acquire().await.unwrap()), 1);
        fake_sleep(HOUR);
        tokio::time::advance(ASK_INTERVAL).await;
        assert_eq!(PooledConnection::id(&pool.acquire().await.unwrap()), 2);
        let stats = pool.stats();
        assert_eq!((stats.total_connections, stats.connections_destroyed), (1, 1));
    }

    /// What may come from the reading itself is not counted, so times that a test has paused are exact; sleeps that are short
    /// count once they are long together.
    #[tokio::test(start_paused = true)]
    async fn a_moment_between_two_readings_is_no_sleep() {
        let clock = Clock::new();
        let before = clock.read().now;
        for naps in 1..=4 {
            tokio::time::advance(ASK_INTERVAL).await;
            fake_sleep(Duration::from_millis(30));
            let reading = clock.read();
            let slept = if naps == 4 { Duration::from_millis(120) } else { Duration::ZERO };
            assert_eq!(reading.woke, naps == 4);
            // The system's own clocks add less than a millisecond to what the test says.
            let excess = reading.now.since(before) - ASK_INTERVAL * naps - slept;
            assert!(excess < Duration::from_millis(1), "{naps}: {excess:?}");
        }
    }

    /// A timer knows nothing of what the machine has slept before.
    #[tokio::test(start_paused = true)]
    async fn a_timer_fires_in_time_after_a_sleep() {
        let config = PoolConfig { min_connections: 0, max_connections: 1, ..PoolConfig::default() };
        let pool = Pool::new(Numbers, config).unwrap();
        let _held = pool.acquire().await.unwrap();
        tokio::time::advance(ASK_INTERVAL).await;
        fake_sleep(HOUR);
        let (limit, began) = (Duration::from_secs(5), now());
        assert!(pool.acquire_within(limit).await.is_err());
        let took = now() - began;
        assert!(limit <= took && took < limit + Duration::from_millis(2), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_does_not_ask_again_at_once() {
        let clock = Clock::new();
        tokio::time::advance(ASK_INTERVAL).await;
        let before = clock.read();
        fake_sleep(HOUR);
        tokio::time::advance(ASK_INTERVAL / 2).await;
        assert_eq!(clock.read().now.since(before.now), ASK_INTERVAL / 2);
        tokio::time::advance(ASK_INTERVAL / 2).await;
        assert!(clock.read().woke);
    }
}
