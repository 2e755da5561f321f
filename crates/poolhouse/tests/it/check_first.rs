//! `check_after_idle`: what has idled long is checked before somebody gets it, within the same deadline.

use std::pin::pin;
use std::time::Duration;

use poolhouse::{AcquireError, Phase, Pool, PoolConfig};
use tokio::time::Instant;

use crate::common::{
    Mock, Step, assert_hands_out_exactly, check_stats, config, filled, ms, poll_once, secs, settle,
};

fn checked_after(idle: Duration, max: usize) -> PoolConfig {
    PoolConfig {
        check_after_idle: idle,
        health_check_interval: Duration::MAX,
        idle_timeout: Duration::MAX,
        max_lifetime: Duration::MAX,
        ..config(max)
    }
}

/// `count` idle connections that have all idled too long to be trusted.
async fn stale(mock: &Mock, count: usize, config: PoolConfig) -> Pool<Mock> {
    let pool = filled(mock, count, config).await;
    tokio::time::advance(secs(60)).await;
    pool
}

/// `health.known_dead`: a connection that has idled long is checked once, and then handed out.
/// Option `check_after_idle`.
#[tokio::test(start_paused = true)]
async fn what_has_idled_long_is_checked_first() {
    let mock = Mock::ok();
    let pool = stale(&mock, 1, checked_after(secs(30), 4)).await;
    let connection = pool.acquire().await.unwrap();
    assert_eq!((connection.id, mock.checks(), mock.attempts().len()), (1, 1, 1), "checked, not replaced");
    drop(connection);
    drop(pool.acquire().await.unwrap());
    assert_eq!(mock.checks(), 1, "used a moment ago: trusted");
    assert_hands_out_exactly(&pool, 4, "checked first").await;
}

/// `health.known_dead`: zero checks every time, except what comes back to somebody who waits.
#[tokio::test(start_paused = true)]
async fn zero_checks_every_time() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, checked_after(Duration::ZERO, 1)).await;
    for checks in 1..=3 {
        assert!(pool.try_acquire().is_none());
        drop(pool.acquire().await.unwrap());
        assert_eq!(mock.checks(), checks);
    }
    let held = pool.acquire().await.unwrap();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    drop(held);
    assert!(poll_once(waiter.as_mut()).await.is_ready(), "handed on as it is");
    assert_eq!((mock.checks(), mock.attempts().len()), (4, 1));
}

/// `health.off_path`: what has not idled long is handed out without a check, though others want one.
#[tokio::test(start_paused = true)]
async fn what_was_used_a_moment_ago_is_trusted() {
    for idle_order in [poolhouse::IdleOrder::Lifo, poolhouse::IdleOrder::Fifo] {
        let mock = Mock::ok();
        let pool = stale(&mock, 3, PoolConfig { idle_order, ..checked_after(secs(30), 3) }).await;
        drop(pool.acquire().await.unwrap());
        let checks = mock.checks();
        let connection = pool.try_acquire().expect("one is fresh");
        assert_eq!((mock.checks(), checks), (1, 1), "{idle_order:?}");
        drop(connection);
    }
}

/// `try_acquire.immediate`: it does no check, so it does not get what wants one.
#[tokio::test(start_paused = true)]
async fn try_acquire_does_not_check() {
    let mock = Mock::ok();
    let pool = stale(&mock, 2, checked_after(secs(30), 2)).await;
    assert!(pool.try_acquire().is_none());
    settle().await;
    assert_eq!((mock.checks(), pool.stats().idle_connections), (0, 2));
}

/// `health.known_dead`: one that fails its check is never handed out; the next is tried.
#[tokio::test(start_paused = true)]
async fn what_fails_its_check_is_not_handed_out() {
    let mock = Mock::ok();
    let pool = stale(&mock, 3, checked_after(secs(30), 3)).await;
    mock.set_check(Step::Fail);
    let connection = pool.acquire().await.unwrap();
    assert!(connection.id > 3, "an old one got through: {}", connection.id);
    drop(connection);
    check_stats(&pool.stats(), "after");
    assert_hands_out_exactly(&pool, 3, "failed checks").await;
}

/// `acquire.deadline`: eight idle connections, all dead and silent. The acquire does not try them one after the other: a
/// connect begins when a check takes longer than a connect does.
#[tokio::test(start_paused = true)]
async fn eight_silent_connections_cost_about_one_connect() {
    let mock = Mock::new(Step::Slow(ms(20)));
    let pool = stale(&mock, 8, checked_after(secs(30), 9)).await;
    mock.set_check(Step::Never);
    let began = Instant::now();
    let connection = pool.acquire().await.unwrap();
    assert_eq!(connection.id, 9, "a new one");
    let took = began.elapsed();
    assert!(took >= ms(40) && took <= ms(45), "{took:?} for a connect of 20 ms");
    drop(connection);
    check_stats(&pool.stats(), "after");
}

/// `acquire.deadline`: the same with no room for a ninth and a server that accepts nothing: it ends at its deadline, and
/// says that it was checking.
#[tokio::test(start_paused = true)]
async fn eight_silent_connections_and_no_room_end_at_the_deadline() {
    let mock = Mock::ok();
    let config = PoolConfig { connection_timeout: ms(800), ..checked_after(secs(30), 8) };
    let pool = stale(&mock, 8, config).await;
    mock.set_check(Step::Never);
    mock.set_connect(Step::Never);
    let began = Instant::now();
    let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("nothing answers") };
    assert!(began.elapsed() <= ms(802), "{:?}", began.elapsed());
    assert_eq!((timeout.phase, timeout.idle), (Phase::Checking, 8), "{timeout}");
    assert!(timeout.to_string().contains("(checking, 1 of 1 in the queue)"), "{timeout}");
    mock.set_connect(Step::Ok);
    mock.set_check(Step::Ok);
    tokio::time::sleep(secs(60)).await;
    assert_hands_out_exactly(&pool, 8, "after the silence").await;
}

/// `size.max`: many waiters, all idle connections silent: checks and connects together stay within the maximum.
#[tokio::test(start_paused = true)]
async fn checks_and_connects_stay_within_the_maximum() {
    let mock = Mock::ok();
    let pool = stale(&mock, 3, checked_after(secs(30), 5)).await;
    mock.set_check(Step::Never);
    mock.set_connect(Step::Slow(ms(5)));
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let _connection = pool.acquire().await.unwrap();
                tokio::time::sleep(ms(3)).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(mock.peak() <= 5, "{}", mock.peak());
    check_stats(&pool.stats(), "after");
}

/// `acquire.race`: a waiter whose connection is under a check takes one that comes back before the check ends.
#[tokio::test(start_paused = true)]
async fn a_return_beats_a_slow_check() {
    let mock = Mock::new(Step::Slow(secs(1)));
    let pool = stale(&mock, 2, checked_after(secs(30), 2)).await;
    let held = pool.acquire().await.unwrap();
    mock.set_check(Step::Slow(ms(500)));
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    tokio::time::sleep(ms(100)).await;
    let id = held.id;
    drop(held);
    let got = waiter.await.unwrap();
    assert_eq!((got.id, mock.attempts().len()), (id, 2), "and nothing was opened for it");
    tokio::time::sleep(secs(1)).await;
    assert_eq!(pool.stats().idle_connections, 1, "the checked one passed and is kept");
}

/// `cancel.no_loss`: an acquire dropped while its connection is under a check loses neither.
#[tokio::test(start_paused = true)]
async fn dropped_while_its_check_is_under_way() {
    for outcome in [Step::Slow(ms(10)), Step::Never, Step::Panic, Step::Fail] {
        let mock = Mock::ok();
        let pool = stale(&mock, 1, checked_after(secs(30), 2)).await;
        mock.set_check(outcome);
        {
            let mut acquire = pin!(pool.acquire());
            assert!(poll_once(acquire.as_mut()).await.is_pending());
            settle().await;
        }
        mock.set_check(Step::Ok);
        tokio::time::sleep(secs(10)).await;
        let context = format!("{outcome:?}");
        check_stats(&pool.stats(), &context);
        assert_hands_out_exactly(&pool, 2, &context).await;
    }
}
