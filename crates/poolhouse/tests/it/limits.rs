//! `min_idle`, `max_idle`, `max_uses`, and limits that change at run time.

use std::pin::pin;
use std::time::Duration;

use poolhouse::{AcquireError, IdleOrder, PoolConfig, RetireReason};
use tokio::time::Instant;

use crate::common::{Mock, Step, config, filled, ms, poll_once, pool, secs, settle};

/// `size.min`: `min_idle` counts idle connections, not open ones, and what is missing is opened as soon as one is taken.
#[tokio::test(start_paused = true)]
async fn as_many_as_min_idle_are_ready_beside_those_that_are_held() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { min_idle: 2, ..config(5) });
    let mut held = vec![pool.acquire().await.unwrap()];
    for (number, idle) in [(1, 2), (2, 2), (3, 2), (4, 1), (5, 0)] {
        settle().await;
        let stats = pool.stats();
        assert_eq!((stats.active_connections, stats.idle_connections), (number, idle));
        if number < 5 {
            let began = Instant::now();
            held.push(pool.acquire().await.unwrap());
            assert_eq!(began.elapsed(), ms(0));
        }
    }
    assert_eq!(mock.peak(), 5, "never above the maximum");
}

/// `size.min`: `warm_up` opens `min_idle` too, and so tells of a server that is down where the minimum is zero.
#[tokio::test(start_paused = true)]
async fn a_warm_up_opens_the_spare_ones_too() {
    let mock = Mock::ok();
    let options = PoolConfig { min_idle: 2, ..config(3) };
    let warm = pool(&mock, options.clone());
    warm.warm_up().await.unwrap();
    assert_eq!(warm.stats().idle_connections, 2);
    let _held = [warm.acquire().await.unwrap(), warm.acquire().await.unwrap()];
    warm.warm_up().await.unwrap();
    assert_eq!(warm.stats().idle_connections, 1, "there is no room for another");
    // One that comes back ends a warm-up too, though no connect ends.
    let mock = Mock::ok();
    let busy = pool(&mock, config(2));
    let held = busy.acquire().await.unwrap();
    mock.set_connect(Step::Never);
    busy.reconfigure(PoolConfig { min_idle: 1, ..config(2) }).unwrap();
    let mut warming = pin!(busy.warm_up());
    assert!(poll_once(warming.as_mut()).await.is_pending());
    let began = Instant::now();
    held.release();
    warming.await.unwrap();
    assert_eq!(began.elapsed(), ms(0));
    let cold = pool(&Mock::new(Step::Fail), options);
    assert!(matches!(cold.warm_up().await, Err(AcquireError::Connect(_))));
}

/// `size.min`: idle reaping stops at `min_idle`, with nothing held and with something.
#[tokio::test(start_paused = true)]
async fn idle_reaping_stops_at_min_idle() {
    let mock = Mock::ok();
    let options = PoolConfig { min_idle: 2, idle_timeout: secs(10), ..config(6) };
    let pool = pool(&mock, options);
    let held = [pool.acquire().await, pool.acquire().await, pool.acquire().await, pool.acquire().await];
    drop(held);
    tokio::time::sleep(secs(11)).await;
    assert_eq!(pool.stats().idle_connections, 2);
    let _held = pool.acquire().await.unwrap();
    settle().await;
    assert_eq!(pool.stats().idle_connections, 2);
}

/// One that becomes idle beyond `max_idle` takes the place of the one that has idled longest.
#[tokio::test(start_paused = true)]
async fn no_more_than_max_idle_lie_idle() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { max_idle: Some(2), ..config(4) });
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.acquire().await.unwrap());
    }
    for connection in held {
        connection.release();
        assert!(pool.stats().idle_connections <= 2);
        tokio::time::sleep(ms(1)).await;
    }
    assert_eq!(pool.stats().closed.get(RetireReason::MaxIdle), 2);
    let left = [pool.acquire().await.unwrap().id, pool.acquire().await.unwrap().id];
    assert!(left.iter().all(|id| *id >= 3), "the longest idle went: {left:?}");
}

/// A connection has `max_uses` holders, whether it goes from one to the next or lies idle in between.
#[tokio::test(start_paused = true)]
async fn a_connection_has_no_more_holders_than_max_uses() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { max_uses: Some(3), ..config(1) });
    let mut users = Vec::new();
    for _ in 0..3 {
        users.push(pool.acquire().await.unwrap().id);
    }
    let mut held = pool.acquire().await.unwrap();
    for _ in 0..3 {
        users.push(held.id);
        let next = tokio::spawn(pool.acquire_owned());
        settle().await;
        held.release();
        held = next.await.unwrap().unwrap();
    }
    users.push(held.id);
    assert_eq!(users, [1, 1, 1, 2, 2, 2, 3]);
    assert_eq!(pool.stats().closed.get(RetireReason::Uses), 2);
}

/// Every limit changes while the pool is in use.
#[tokio::test(start_paused = true)]
async fn every_limit_changes_at_run_time() {
    let mock = Mock::ok();
    let pool = filled(&mock, 4, config(4)).await;
    // Idle time: what has idled for longer goes now.
    tokio::time::sleep(secs(20)).await;
    pool.reconfigure(PoolConfig { idle_timeout: secs(15), min_connections: 1, ..config(4) }).unwrap();
    settle().await;
    assert_eq!(pool.stats().total_connections, 1);
    // Lifetime: of connections that are open, held ones as they come back.
    let held = pool.acquire().await.unwrap();
    pool.reconfigure(PoolConfig { max_lifetime: secs(15), ..config(4) }).unwrap();
    held.release();
    assert_eq!(pool.stats().closed.get(RetireReason::Lifetime), 1);
    // The deadline: of those who wait.
    let one = PoolConfig { max_connections: 1, ..config(1) };
    pool.reconfigure(one.clone()).unwrap();
    let held = pool.acquire().await.unwrap();
    let (began, waiter) = (Instant::now(), tokio::spawn(pool.acquire_owned()));
    tokio::time::sleep(secs(1)).await;
    pool.reconfigure(PoolConfig { connection_timeout: secs(3), ..one.clone() }).unwrap();
    assert!(matches!(waiter.await.unwrap(), Err(AcquireError::Timeout(_))));
    assert_eq!(began.elapsed(), secs(3));
    // The queue: the youngest beyond the new limit are refused.
    let waiters: Vec<_> = (0..3).map(|_| tokio::spawn(pool.acquire_owned())).collect();
    settle().await;
    pool.reconfigure(PoolConfig { max_pending: Some(1), ..one }).unwrap();
    settle().await;
    assert_eq!(pool.stats().pending_requests, 1);
    // The maximum and the minimum.
    pool.reconfigure(PoolConfig { min_connections: 3, ..config(3) }).unwrap();
    settle().await;
    assert_eq!((pool.stats().total_connections, pool.stats().pending_requests), (3, 0));
    drop((held, waiters));
}

/// The order of the idle connections and the number of attempts at once change too.
#[tokio::test(start_paused = true)]
async fn the_order_and_the_attempts_at_once_change() {
    let mock = Mock::new(Step::Slow(secs(1)));
    let pool = filled(&mock, 3, config(8)).await;
    let last = pool.acquire().await.unwrap();
    let newest = last.id;
    drop(last);
    pool.reconfigure(PoolConfig { idle_order: IdleOrder::Fifo, max_connecting: 1, ..config(8) }).unwrap();
    assert_ne!(pool.acquire().await.unwrap().id, newest);
    mock.take_connecting_peak();
    pool.reconfigure(PoolConfig { min_connections: 8, max_connecting: 2, ..config(8) }).unwrap();
    tokio::time::sleep(secs(10)).await;
    assert_eq!((pool.stats().total_connections, mock.take_connecting_peak()), (8, 2));
}

/// An option that no pool can have is refused by name, and the pool keeps its options.
#[tokio::test(start_paused = true)]
async fn impossible_options_change_nothing() {
    let pool = pool(&Mock::ok(), config(4));
    let error = pool.reconfigure(PoolConfig { min_idle: 5, ..config(4) }).unwrap_err();
    assert_eq!(error.field(), "min_idle");
    assert!(
        error.to_string().starts_with("min_idle is 5, above max_connections, which is 4: lower it or raise")
    );
    let error = pool.reconfigure(PoolConfig { max_uses: Some(0), ..config(4) }).unwrap_err();
    assert_eq!(error.field(), "max_uses");
    assert_eq!(pool.config(), config(4));
    pool.resize(7).unwrap();
    assert_eq!(pool.config(), config(7), "a resize shows");
}

/// `detect_nested_acquires` and `leak_threshold` can be switched on when they are needed.
#[tokio::test(start_paused = true)]
async fn what_helps_to_diagnose_can_be_switched_on() {
    let pool = pool(&Mock::ok(), PoolConfig { connection_timeout: secs(1), ..config(1) });
    let held = pool.acquire().await.unwrap();
    let on = PoolConfig { detect_nested_acquires: true, leak_threshold: secs(5), ..pool.config() };
    pool.reconfigure(on).unwrap();
    drop(held);
    let held = pool.acquire().await.unwrap();
    let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("it waits for itself") };
    assert_eq!(timeout.nested.len(), 1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(pool.stats().reported_leaks, 1);
    drop(held);
}

/// `max_idle` does not close what waiters are about to get.
#[tokio::test(start_paused = true)]
async fn max_idle_leaves_what_a_waiter_waits_for() {
    let mock = Mock::ok();
    mock.set_reset(Step::Slow(secs(1)));
    let pool = pool(&mock, PoolConfig { max_idle: Some(0), ..config(1) });
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    held.release();
    let held = waiter.await.unwrap().unwrap();
    assert_eq!((held.id, pool.stats().closed.get(RetireReason::MaxIdle)), (1, 0));
    // It leaves, and the connection is one too many.
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    held.release();
    settle().await;
    waiter.abort();
    tokio::time::sleep(secs(2)).await;
    assert_eq!((pool.stats().idle_connections, pool.stats().closed.get(RetireReason::MaxIdle)), (0, 1));
}

/// `lifetime.no_dip`: nor the successor of a connection that is held.
#[tokio::test(start_paused = true)]
async fn max_idle_leaves_a_successor_until_the_old_one_comes_back() {
    let mock = Mock::ok();
    let options = PoolConfig { max_idle: Some(0), max_lifetime: secs(100), ..config(4) };
    let pool = pool(&mock, options);
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(96)).await;
    assert_eq!((pool.stats().total_connections, pool.stats().closed.get(RetireReason::MaxIdle)), (2, 0));
    mock.set_connect(Step::Slow(secs(1)));
    let began = Instant::now();
    let next = pool.acquire().await.unwrap();
    assert_eq!((next.id, began.elapsed()), (2, ms(0)));
    drop(next);
    held.release();
    settle().await;
    assert_eq!(pool.stats().total_connections, 0, "none may lie idle");
}

/// `size.min`, `lifetime.no_dip`: what `min_idle` needs is replaced before its lifetime ends.
#[tokio::test(start_paused = true)]
async fn min_idle_does_not_dip_when_lives_end() {
    let mock = Mock::ok();
    let options =
        PoolConfig { min_idle: 2, max_lifetime: secs(100), idle_timeout: Duration::MAX, ..config(6) };
    let pool = pool(&mock, options);
    pool.acquire().await.unwrap().release();
    settle().await;
    mock.set_connect(Step::Slow(secs(1)));
    for _ in 0..1200 {
        tokio::time::sleep(ms(100)).await;
        assert!(pool.stats().idle_connections >= 2, "{:?}", pool.stats());
    }
}
