//! How connections age: `lifetime.jitter`, `lifetime.no_interrupt`, `health.off_path`, idle timeout.

use std::time::Duration;

use poolhouse::PoolConfig;
use tokio::time::Instant;

use crate::common::{Mock, Step, config, ms, pool, secs};

const NEVER: Duration = Duration::MAX;

/// lifetime.no_interrupt: a held connection outlives `max_lifetime`, and is closed when it comes back.
#[tokio::test(start_paused = true)]
async fn a_held_connection_is_never_interrupted() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { max_lifetime: secs(60), ..config(1) });
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(600)).await;
    assert_eq!((mock.open(), held.id), (1, 1));
    drop(held);
    assert_eq!(mock.open(), 0);
    assert_eq!(pool.acquire().await.unwrap().id, 2);
}

/// lifetime: an idle connection is closed on time, with nobody asking.
/// Option `max_lifetime`.
#[tokio::test(start_paused = true)]
async fn an_idle_connection_retires_at_its_lifetime() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { max_lifetime: secs(60), idle_timeout: NEVER, ..config(1) });
    let begin = Instant::now();
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(100)).await;
    let closed = mock.closed_at();
    assert_eq!(closed.len(), 1);
    let age = closed[0].1 - begin;
    assert!(age >= secs(60) && age < secs(60) + ms(5), "{age:?}");
}

/// lifetime.jitter: connections that opened together do not retire together, and none lives too long or too
/// short. <https://github.com/transact-rs/sqlx/issues/2854> had none.
/// Option `lifetime_jitter`.
#[tokio::test(start_paused = true)]
async fn jitter_spreads_retirement() {
    let mock = Mock::ok();
    let pool = pool(
        &mock,
        PoolConfig {
            min_connections: 20,
            max_lifetime: secs(1000),
            lifetime_jitter: 0.2,
            health_check_interval: NEVER,
            ..config(20)
        },
    );
    let begin = Instant::now();
    pool.warm_up().await.unwrap();
    tokio::time::sleep(secs(1001)).await;
    let ages: Vec<_> =
        mock.closed_at().iter().filter(|(id, _)| *id <= 20).map(|(_, at)| (*at - begin).as_secs()).collect();
    assert_eq!(ages.len(), 20);
    assert!(ages.iter().all(|age| (800..=1000).contains(age)), "{ages:?}");
    let distinct: std::collections::HashSet<_> = ages.iter().collect();
    assert!(distinct.len() >= 10, "{ages:?}");
}

/// lifetime.jitter: drawn once, so that use does not draw it again.
#[tokio::test(start_paused = true)]
async fn use_does_not_prolong_a_lifetime() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { max_lifetime: secs(60), lifetime_jitter: 0.5, ..config(1) });
    for _ in 0..61 {
        drop(pool.acquire().await.unwrap());
        tokio::time::sleep(secs(1)).await;
    }
    assert!(mock.attempts().len() >= 2);
}

/// idle_timeout: what is used stays, what is not goes. In
/// <https://github.com/deadpool-rs/deadpool/issues/299> the pool never shrank.
/// Option `idle_timeout`.
#[tokio::test(start_paused = true)]
async fn only_the_unused_reach_the_idle_timeout() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { idle_timeout: secs(60), ..config(2) });
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(first);
    drop(second);
    for _ in 0..10 {
        tokio::time::sleep(secs(10)).await;
        // The last returned is the next used.
        assert_eq!(pool.acquire().await.unwrap().id, 2);
    }
    let closed: Vec<_> = mock.closed_at().iter().map(|(id, _)| *id).collect();
    assert_eq!(closed, [1]);
}

/// idle_timeout: a health check does not count as use.
#[tokio::test(start_paused = true)]
async fn a_check_is_not_use() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { idle_timeout: secs(100), ..config(1) });
    let begin = Instant::now();
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(110)).await;
    assert_eq!(mock.checks(), 3, "at 30 s, 60 s and 90 s");
    let age = mock.closed_at()[0].1 - begin;
    assert!(age >= secs(100) && age < secs(100) + ms(5), "{age:?}");
}

/// health.off_path: a failing check retires the connection and the minimum is refilled.
/// Option `health_check_interval`.
#[tokio::test(start_paused = true)]
async fn a_failing_check_retires_and_refills() {
    for step in [Step::Fail, Step::Panic] {
        let mock = Mock::ok();
        mock.set_check(step);
        let pool = pool(&mock, PoolConfig { min_connections: 1, ..config(2) });
        pool.warm_up().await.unwrap();
        tokio::time::sleep(secs(31)).await;
        assert_eq!((mock.checks(), mock.open(), mock.attempts().len()), (1, 1, 2), "{step:?}");
        assert_eq!(pool.stats().failed_checks, 1);
        assert_eq!(pool.acquire().await.unwrap().id, 2, "{step:?}: the unhealthy one was handed out");
    }
}

/// health.off_path: a check that never ends costs its connection after `health_check_timeout`.
/// Option `health_check_timeout`.
#[tokio::test(start_paused = true)]
async fn a_check_that_never_ends_is_bounded() {
    let mock = Mock::ok();
    mock.set_check(Step::Never);
    let pool = pool(&mock, PoolConfig { health_check_timeout: secs(5), ..config(1) });
    drop(pool.acquire().await.unwrap());
    let begin = Instant::now();
    tokio::time::sleep(secs(31)).await;
    assert_eq!(pool.stats().checking, 1);
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    let waited = begin.elapsed();
    assert!(waited >= secs(35) && waited < secs(35) + ms(10), "{waited:?}");
}

/// health.off_path: acquiring from a healthy pool connects nothing and checks nothing. In
/// <https://github.com/transact-rs/sqlx/issues/1743> each acquire cost a round trip for a ping.
#[tokio::test(start_paused = true)]
async fn acquire_on_a_healthy_pool_does_no_io() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    for _ in 0..100 {
        let begin = Instant::now();
        drop(pool.acquire().await.unwrap());
        assert_eq!(begin.elapsed(), ms(0));
        tokio::time::sleep(secs(20)).await;
    }
    assert_eq!((mock.attempts().len(), mock.checks()), (1, 0), "what is in use needs no check");
}

/// health.off_path: checks never take the last idle connection out of reach, unless there is but one.
#[tokio::test(start_paused = true)]
async fn checks_leave_a_connection_in_reach() {
    for size in 2..6 {
        let mock = Mock::ok();
        mock.set_check(Step::Slow(secs(1)));
        let pool = pool(&mock, PoolConfig { min_connections: size, ..config(size) });
        pool.warm_up().await.unwrap();
        let mut seen = 0;
        for _ in 0..100 {
            tokio::time::sleep(ms(500)).await;
            let stats = pool.stats();
            seen += stats.checking;
            assert!(stats.idle_connections > stats.checking, "{stats:?}");
            // Not before: what is used is not due for a check.
            if stats.checking > 0 {
                drop(pool.try_acquire().expect("one is in reach"));
            }
        }
        assert!(seen > 0, "nothing was checked");
    }
}
