//! What a pool's owner does with connections: look through them, check them, add one, spread their end, connect now.

use std::panic::{AssertUnwindSafe, catch_unwind};

use poolhouse::{AcquireError, Manager, Pool, PoolConfig, RetireReason};
use tokio::time::Instant;

use crate::common::{Mock, Step, assert_hands_out_exactly, config, filled, ms, pool, secs, settle};

/// `retain` sees what nobody holds, and closes what is not kept.
#[tokio::test(start_paused = true)]
async fn retain_closes_what_is_not_kept() {
    let mock = Mock::ok();
    let pool = filled(&mock, 3, config(4)).await;
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(10)).await;
    let mut seen = Vec::new();
    let closed = pool.retain(|connection, info| {
        seen.push((connection.id, info.id, info.age, info.idle_time, info.use_count));
        connection.id == 1
    });
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1, secs(10), secs(10), 1), (2, 2, secs(10), secs(10), 1)]);
    assert_eq!((closed, pool.stats().closed.get(RetireReason::NotRetained), mock.open()), (1, 1, 2));
    drop(held);
    assert_hands_out_exactly(&pool, 4, "after retain").await;
}

/// `foreign.unlocked`, `panic.no_loss`: `keep` may use the pool, and a panic in it costs the connection that it looked at.
#[tokio::test(start_paused = true)]
async fn a_panic_in_retain_costs_one_connection() {
    let mock = Mock::ok();
    let pool = filled(&mock, 3, config(3)).await;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        pool.retain(|connection, _| {
            assert!(pool.try_acquire().is_none(), "nobody gets what is being looked through");
            assert!(connection.id != 2, "as the test says");
            true
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((pool.stats().idle_connections, mock.open()), (2, 2));
    assert_hands_out_exactly(&pool, 3, "after a panic").await;
}

/// `check_now` waits until each that nobody holds has passed or is closed, and goes on without those that are held.
#[tokio::test(start_paused = true)]
async fn check_now_checks_what_nobody_holds() {
    let mock = Mock::ok();
    let pool = filled(&mock, 4, config(4)).await;
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(1)).await;
    mock.set_check(Step::Slow(secs(2)));
    let began = Instant::now();
    pool.check_now().await;
    assert_eq!((began.elapsed(), mock.checks(), pool.stats().idle_connections), (secs(2), 3, 3), "at once");
    mock.set_check(Step::Fail);
    tokio::time::sleep(secs(1)).await;
    pool.check_now().await;
    assert_eq!((pool.stats().failed_checks, pool.stats().idle_connections), (3, 0));
    drop(held);
}

/// Nothing is left to check once the pool is closed or suspended.
#[tokio::test(start_paused = true)]
async fn check_now_ends_with_the_pool() {
    let acts: [fn(&Pool<Mock>); 2] = [|pool| drop(pool.close()), Pool::suspend];
    for act in acts {
        let mock = Mock::ok();
        let pool = filled(&mock, 2, config(2)).await;
        tokio::time::sleep(secs(1)).await;
        mock.set_check(Step::Never);
        let checked = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.check_now().await })
        };
        settle().await;
        assert!(!checked.is_finished());
        act(&pool);
        settle().await;
        assert!(checked.is_finished());
    }
}

/// `connect_now` ends the pause after failed connects.
#[tokio::test(start_paused = true)]
async fn connect_now_does_not_wait_for_the_backoff() {
    let mock = Mock::new(Step::Fail);
    let slow = PoolConfig { connect_backoff: secs(20), max_connect_backoff: secs(20), ..config(1) };
    let pool = pool(&mock, slow);
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::time::sleep(secs(1)).await;
    mock.set_connect(Step::Ok);
    let began = Instant::now();
    pool.connect_now();
    assert!(waiter.await.unwrap().is_ok());
    assert_eq!(began.elapsed(), ms(0));
}

/// `epoch.invalidate_all`, `lifetime.no_dip`: spread over a minute the connections go one after the other, all within it, and
/// the minimum is there all the time.
#[tokio::test(start_paused = true)]
async fn an_invalidation_can_be_spread() {
    let mock = Mock::ok();
    let options = PoolConfig { min_connections: 10, ..config(20) };
    let pool = pool(&mock, options);
    pool.warm_up().await.unwrap();
    let began = Instant::now();
    pool.invalidate_all_over(secs(60));
    settle().await;
    while began.elapsed() < secs(60) {
        tokio::time::sleep(ms(500)).await;
        assert!(pool.stats().total_connections >= 10, "{:?}", pool.stats());
    }
    settle().await;
    let closed: Vec<_> = mock.closed_at().iter().map(|(_, at)| at.duration_since(began)).collect();
    assert_eq!(pool.stats().closed.get(RetireReason::InvalidatedAll), 10);
    // One in each tenth, less what a successor is opened ahead.
    let (first, last) = (closed.iter().min().unwrap(), closed.iter().max().unwrap());
    assert!(*first < secs(6) && *last >= secs(40) && *last <= secs(60), "{closed:?}");
    assert_eq!(mock.open(), 10);
}

/// `epoch.invalidate_all`: held ones go as they come back after their time, and what opens later stays.
#[tokio::test(start_paused = true)]
async fn a_spread_invalidation_ends_what_was_open() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, config(4)).await;
    let held = pool.acquire().await.unwrap();
    pool.invalidate_all_over(secs(10));
    tokio::time::sleep(secs(11)).await;
    assert!(mock.closed_at().iter().all(|(id, _)| *id != held.id), "lifetime.no_interrupt");
    let old = held.id;
    held.release();
    assert!(mock.closed_at().iter().any(|(id, _)| *id == old));
    tokio::time::sleep(secs(60)).await;
    let stats = pool.stats();
    assert_eq!(stats.closed.get(RetireReason::InvalidatedAll), 2, "{:?}", stats.closed);
    assert!(stats.total_connections > 0, "the successor stays");
}

/// `warm_up_within` waits for a server that starts late, says why when the time is up, and does not wait for what cannot work.
#[tokio::test(start_paused = true)]
async fn a_late_server_can_be_waited_for() {
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, PoolConfig { min_connections: 2, ..config(2) });
    let Err(AcquireError::Timeout(timeout)) = pool.warm_up_within(secs(3)).await else {
        panic!("it is down")
    };
    assert!(timeout.waited == secs(3) && timeout.to_string().contains("mock says Fail"), "{timeout}");
    let warm = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.warm_up_within(secs(60)).await })
    };
    tokio::time::sleep(secs(20)).await;
    mock.set_connect(Step::Ok);
    warm.await.unwrap().unwrap();
    assert_eq!(pool.stats().total_connections, 2);
    pool.invalidate_all();
    mock.set_connect(Step::Permanent);
    let began = Instant::now();
    assert!(matches!(pool.warm_up_within(secs(60)).await, Err(AcquireError::Connect(_))));
    assert_eq!(began.elapsed(), ms(0));
}

/// `size.max`: a connection that was opened elsewhere joins if there is room, serves a waiter, and ends like
/// any other.
#[tokio::test(start_paused = true)]
async fn a_connection_can_be_added() {
    let mock = Mock::new(Step::Never).script([Step::Ok, Step::Ok, Step::Ok]);
    let pool = pool(&mock, config(1));
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    let spare = [mock.connect().await.unwrap(), mock.connect().await.unwrap()];
    let first = waiter.await.unwrap().unwrap();
    let [one, other] = spare;
    let one = pool.add(one).expect_err("there is no room");
    first.invalidate();
    settle().await;
    assert!(pool.add(one).is_ok());
    assert_eq!((pool.stats().idle_connections, pool.stats().connections_created), (1, 2));
    pool.suspend();
    let other = pool.add(other).expect_err("it is suspended");
    pool.resume();
    pool.close().await;
    assert!(pool.add(other).is_err(), "it is closed");
    assert_eq!(mock.open(), 0);
}

/// A pool whose background is there opens nothing for an added connection, and events tell of it as of any other.
#[tokio::test(start_paused = true)]
async fn an_added_connection_serves_who_waits() {
    let mock = Mock::new(Step::Slow(secs(100))).script([Step::Ok]);
    let spare = mock.connect().await.unwrap();
    let pool = pool(&mock, config(2));
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    assert!(pool.add(spare).is_ok());
    let served = waiter.await.unwrap().unwrap();
    assert_eq!(served.id, 1);
}

/// `warm_up_within` judges by what fails after it is called.
#[tokio::test(start_paused = true)]
async fn an_old_permanent_failure_ends_no_warm_up() {
    let mock = Mock::new(Step::Permanent);
    let pool = pool(&mock, PoolConfig { min_connections: 1, ..config(1) });
    assert!(pool.warm_up_within(secs(1)).await.is_err());
    mock.set_connect(Step::Ok);
    pool.warm_up_within(secs(30)).await.unwrap();
}

/// `check_now` waits for those under a reset, and not for what comes later.
#[tokio::test(start_paused = true)]
async fn check_now_waits_for_what_was_there() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, config(1)).await;
    mock.set_reset(Step::Never);
    pool.acquire().await.unwrap().release();
    settle().await;
    tokio::time::sleep(secs(1)).await;
    let began = Instant::now();
    pool.check_now().await;
    assert_eq!(began.elapsed(), secs(4), "until reset_timeout");

    // Each use is checked first, so one is under a check at each look.
    mock.set_reset(None);
    mock.set_check(Step::Slow(ms(10)));
    let busy = PoolConfig { check_after_idle: ms(0), ..config(2) };
    pool.reconfigure(busy).unwrap();
    for offset in [0, 5] {
        let pool = pool.clone();
        tokio::spawn(async move {
            tokio::time::sleep(ms(offset)).await;
            loop {
                let held = pool.acquire().await.unwrap();
                tokio::time::sleep(ms(1)).await;
                held.release();
            }
        });
    }
    tokio::time::sleep(secs(1)).await;
    assert!(tokio::time::timeout(secs(60), pool.check_now()).await.is_ok());
}

/// `Pool::add` says nothing about connecting: neither how long it takes, nor that it works.
#[tokio::test(start_paused = true)]
async fn an_added_connection_says_nothing_about_connecting() {
    let mock = Mock::new(Step::Fail).script([Step::Ok]);
    let spare = mock.connect().await.unwrap();
    let slow = PoolConfig { connect_backoff: secs(20), max_connect_backoff: secs(20), ..config(4) };
    let pool = pool(&mock, slow);
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    let attempts = mock.attempts().len();
    assert!(pool.add(spare).is_ok());
    let _held = waiter.await.unwrap().unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::time::sleep(secs(1)).await;
    assert_eq!(
        (mock.attempts().len(), pool.stats().connect_times.count()),
        (attempts, 0),
        "the pause goes on"
    );
    waiter.abort();
}

/// `epoch.invalidate_all`: a short spread does not make all successors begin at once.
#[tokio::test(start_paused = true)]
async fn a_short_spread_is_a_spread() {
    let mock = Mock::ok();
    let pool = filled(&mock, 4, config(8)).await;
    let held = [pool.acquire().await, pool.acquire().await, pool.acquire().await, pool.acquire().await];
    pool.invalidate_all_over(secs(8));
    settle().await;
    assert!(mock.attempts().len() <= 5, "{:?}", mock.attempts());
    tokio::time::sleep(secs(8)).await;
    assert_eq!(mock.attempts().len(), 8);
    drop(held);
}
