//! A successor opens before its predecessor's lifetime ends: `lifetime.no_dip`.

use std::time::Duration;

use poolhouse::{PoolConfig, RetireReason};

use crate::common::{
    Mock, Step, assert_hands_out_exactly, check_stats, config, filled, ms, pool, secs, settle,
};

fn living(lifetime: Duration, max: usize) -> PoolConfig {
    PoolConfig { max_lifetime: lifetime, idle_timeout: Duration::MAX, ..config(max) }
}

/// `lifetime.no_dip`: over ten lifetimes, with connects that take a while, there is never one connection less.
#[tokio::test(start_paused = true)]
async fn an_idle_pool_never_dips() {
    let mock = Mock::new(Step::Slow(ms(500)));
    let config = PoolConfig { min_connections: 4, lifetime_jitter: 0.2, ..living(secs(60), 5) };
    let pool = filled(&mock, 4, config).await;
    for tenth in 0..6000 {
        tokio::time::sleep(ms(100)).await;
        let stats = pool.stats();
        assert!(stats.total_connections >= 4, "after {tenth} tenths of a second: {stats:?}");
    }
    assert!(mock.peak() <= 5 && mock.attempts().len() >= 40, "{} {}", mock.peak(), mock.attempts().len());
    check_stats(&pool.stats(), "after");
    assert_hands_out_exactly(&pool, 5, "after ten lifetimes").await;
}

/// `lifetime.no_dip`, `lifetime.no_interrupt`: under steady use nobody waits for a connect, and nothing is cut.
#[tokio::test(start_paused = true)]
async fn a_busy_pool_never_waits_for_a_successor() {
    let mock = Mock::ok();
    let pool = filled(&mock, 3, living(secs(30), 4)).await;
    mock.set_connect(Step::Slow(ms(200)));
    let users: Vec<_> = (0..3)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..1000 {
                    let _connection = pool.acquire().await.unwrap();
                    tokio::time::sleep(ms(100 + number)).await;
                }
            })
        })
        .collect();
    for user in users {
        user.await.unwrap();
    }
    let longest = pool.stats().wait_times.quantile(1.0).unwrap();
    assert!(longest < ms(1), "somebody waited for {longest:?}");
    assert!(mock.attempts().len() > 6, "{}", mock.attempts().len());
    assert!(mock.peak() <= 4, "{}", mock.peak());
}

/// `size.max`: at the maximum there is no room for a successor, so the old one goes first, at its time and no earlier.
#[tokio::test(start_paused = true)]
async fn at_the_maximum_the_old_one_goes_first() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, PoolConfig { min_connections: 2, ..living(secs(60), 2) }).await;
    tokio::time::sleep(secs(59)).await;
    assert!(mock.closed_at().is_empty());
    tokio::time::sleep(secs(2)).await;
    settle().await;
    assert_eq!((mock.closed_at().len(), pool.stats().total_connections), (2, 2));
    assert!(mock.peak() <= 2);
}

/// `connect.backoff`: when the successor cannot be opened the old one serves until its time, and the server is asked no
/// more often than after any failure.
#[tokio::test(start_paused = true)]
async fn a_failed_successor_leaves_the_old_one_in_service() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, PoolConfig { min_connections: 1, ..living(secs(60), 2) }).await;
    mock.set_connect(Step::Fail);
    tokio::time::sleep(secs(59)).await;
    assert_eq!(pool.stats().idle_connections, 1, "still there");
    let attempts = mock.attempts().len();
    assert!((3..=30).contains(&attempts), "{attempts}");
    mock.set_connect(Step::Ok);
    tokio::time::sleep(secs(10)).await;
    drop(pool.acquire().await.unwrap());
}

/// `lifetime.no_dip`: what nobody uses and the minimum does not need has no successor.
#[tokio::test(start_paused = true)]
async fn successors_do_not_keep_a_pool_large() {
    let mock = Mock::ok();
    let pool = filled(&mock, 3, PoolConfig { min_connections: 1, ..living(secs(60), 4) }).await;
    tokio::time::sleep(secs(59)).await;
    assert_eq!((pool.stats().total_connections, mock.attempts().len()), (3, 4), "one successor is there");
    tokio::time::sleep(secs(2)).await;
    assert_eq!((pool.stats().total_connections, mock.attempts().len()), (1, 4));
}

/// `lifetime.no_dip`, `size.min`: however long nobody uses it, a successor stays while the old one is held, and another one
/// is opened if it goes.
#[tokio::test(start_paused = true)]
async fn the_minimum_is_there_when_the_old_one_comes_back() {
    let options = PoolConfig { min_connections: 1, idle_timeout: secs(5), ..living(secs(100), 4) };
    for is_lost in [false, true] {
        let mock = Mock::ok();
        let pool = filled(&mock, 1, options.clone()).await;
        let held = pool.acquire().await.unwrap();
        tokio::time::sleep(secs(97)).await;
        if is_lost {
            pool.acquire().await.unwrap().invalidate();
            settle().await;
        }
        assert_eq!(pool.stats().total_connections, 2, "lost: {is_lost}");
        drop(held);
        settle().await;
        assert_eq!(pool.stats().total_connections, 1, "lost: {is_lost}");
        assert_hands_out_exactly(&pool, 4, "after it").await;
    }
}

/// `lifetime.no_dip`: nor does `max_idle` close a successor while the old one passes its check.
#[tokio::test(start_paused = true)]
async fn a_check_of_the_old_one_costs_no_successor() {
    let mock = Mock::ok();
    let options = PoolConfig {
        min_connections: 1,
        max_idle: Some(1),
        health_check_interval: secs(88),
        ..living(secs(100), 4)
    };
    let pool = filled(&mock, 1, options).await;
    mock.set_check(Step::Slow(secs(4)));
    mock.set_connect(Step::Slow(ms(500)));
    for tenth in 0..1100 {
        tokio::time::sleep(ms(100)).await;
        let stats = pool.stats();
        assert!(stats.total_connections >= 1, "after {tenth} tenths of a second: {stats:?}");
    }
    assert_eq!(pool.stats().closed.get(RetireReason::MaxIdle), 0);
}

/// `lifetime.no_dip`: one that nobody had used for long is in use again shortly before its lifetime ends.
#[tokio::test(start_paused = true)]
async fn a_late_use_brings_a_successor() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, living(secs(100), 4)).await;
    tokio::time::sleep(secs(92)).await;
    drop(pool.acquire().await.unwrap());
    settle().await;
    assert_eq!(pool.stats().total_connections, 1, "the successor has replaced the one that is idle");
    tokio::time::sleep(secs(9)).await;
    assert!(pool.try_acquire().is_some());
    assert_eq!(mock.attempts().len(), 2);
}

/// `size.min`, `lifetime.no_dip`: the same for the minimum of idle connections, while the old one is under its check.
#[tokio::test(start_paused = true)]
async fn a_spare_is_there_when_the_check_of_the_old_one_ends() {
    for is_taken in [false, true] {
        let mock = Mock::ok();
        let options = PoolConfig {
            min_idle: 1,
            idle_timeout: secs(2),
            health_check_interval: secs(88),
            health_check_timeout: secs(20),
            ..living(secs(100), 4)
        };
        let pool = pool(&mock, options);
        pool.warm_up().await.unwrap();
        mock.set_check(Step::Slow(secs(8)));
        mock.set_connect(Step::Slow(ms(500)));
        let mut held = None;
        for tenth in 0..1100 {
            tokio::time::sleep(ms(100)).await;
            if is_taken && tenth == 910 {
                held = pool.try_acquire();
                assert!(held.is_some());
            }
            let stats = pool.stats();
            let spare = is_taken && (910..=916).contains(&tenth);
            assert!(spare || stats.idle_connections >= 1, "after {tenth} tenths of a second: {stats:?}");
        }
        drop(held);
    }
}

/// `lifetime.no_dip`, `resize.exact`: one whose successor has gone serves to its end, and has another one.
#[tokio::test(start_paused = true)]
async fn a_successor_that_goes_leaves_the_old_one_in_service() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, living(secs(100), 2)).await;
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(95)).await;
    assert_eq!(pool.stats().total_connections, 2);
    pool.resize(1).unwrap();
    settle().await;
    assert_eq!(pool.stats().total_connections, 1);
    drop(held);
    settle().await;
    assert_eq!((pool.acquire().await.unwrap().id, mock.attempts().len()), (1, 2), "it serves on");
    pool.resize(2).unwrap();
    let held = pool.acquire().await.unwrap();
    settle().await;
    assert_eq!((held.id, mock.attempts().len()), (1, 3), "there is room for a successor");
}
