//! `epoch.invalidate_all`: what was opened before it is handed out no more.

use std::pin::pin;

use poolhouse::{AcquireError, PoolConfig, PooledConnection};

use crate::common::{
    Mock, Step, assert_hands_out_exactly, check_stats, config, filled, ms, poll_once, pool, secs, settle,
    under_check,
};

/// `epoch.invalidate_all`: idle ones go now, held ones as they come back, and the minimum is opened anew.
#[tokio::test(start_paused = true)]
async fn idle_ones_go_now_and_held_ones_on_return() {
    let mock = Mock::ok();
    let pool = filled(&mock, 3, PoolConfig { min_connections: 2, ..config(3) }).await;
    let held = pool.acquire().await.unwrap();
    pool.invalidate_all();
    assert_eq!((pool.stats().total_connections, pool.stats().idle_connections), (1, 0));
    settle().await;
    assert_eq!(pool.stats().total_connections, 2, "refilled to the minimum");
    assert_eq!(held.id, 3, "still in its holder's hands");
    drop(held);
    settle().await;
    for _ in 0..3 {
        let connection = pool.acquire().await.unwrap();
        assert!(connection.id > 3, "{} is from before", connection.id);
        std::mem::forget(PooledConnection::detach(connection));
    }
    check_stats(&pool.stats(), "after");
}

/// `epoch.invalidate_all`: a connect that was under way is given up, and its connection is not used.
#[tokio::test(start_paused = true)]
async fn a_connect_under_way_is_given_up() {
    let mock = Mock::new(Step::Slow(ms(100)));
    let pool = pool(&mock, config(1));
    let mut acquire = pin!(pool.acquire());
    assert!(poll_once(acquire.as_mut()).await.is_pending());
    tokio::time::sleep(ms(50)).await;
    mock.set_connect(Step::Ok);
    pool.invalidate_all();
    let connection = acquire.await.unwrap();
    assert_eq!((mock.attempts().len(), pool.stats().connections_created), (2, 1));
    drop(connection);
    assert_eq!(mock.peak(), 1, "the old attempt was gone before the new one began");
    assert_hands_out_exactly(&pool, 1, "after").await;
}

/// `epoch.invalidate_all`, `acquire.fifo`: a waiter that was served just before, and has not looked yet, waits on in its
/// turn.
#[tokio::test(start_paused = true)]
async fn a_connection_not_yet_picked_up_is_recalled() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, config(1)).await;
    let held = pool.acquire().await.unwrap();
    let mut first = pin!(pool.acquire());
    let mut second = pin!(pool.acquire());
    assert!(poll_once(first.as_mut()).await.is_pending());
    assert!(poll_once(second.as_mut()).await.is_pending());
    drop(held);
    pool.invalidate_all();
    assert!(poll_once(first.as_mut()).await.is_pending());
    let connection = first.await.unwrap();
    assert_eq!(connection.id, 2);
    assert!(poll_once(second.as_mut()).await.is_pending());
    drop(connection);
    assert_eq!(second.await.unwrap().id, 2);
    check_stats(&pool.stats(), "after");
}

/// `epoch.invalidate_all`: the server is asked at once, however long the pause after failures still is.
#[tokio::test(start_paused = true)]
async fn it_ends_the_pause_after_failures() {
    let mock = Mock::new(Step::Fail);
    let pool =
        pool(&mock, PoolConfig { connect_backoff: secs(20), max_connect_backoff: secs(20), ..config(1) });
    let mut acquire = pin!(pool.acquire());
    assert!(poll_once(acquire.as_mut()).await.is_pending());
    settle().await;
    assert_eq!(mock.attempts().len(), 1);
    mock.set_connect(Step::Ok);
    tokio::time::advance(ms(10)).await;
    pool.invalidate_all();
    settle().await;
    assert!(poll_once(acquire.as_mut()).await.is_ready(), "{:?}", pool.stats());
}

/// `epoch.invalidate_all`, `connect.permanent`: the refusal of an old password says nothing about the new one.
#[tokio::test(start_paused = true)]
async fn an_old_refusal_does_not_reach_the_waiters() {
    let mock = Mock::new(Step::Permanent);
    let pool = pool(&mock, config(1));
    assert!(matches!(pool.acquire().await, Err(AcquireError::Connect(_))), "the old password is refused");
    mock.set_connect(Step::Ok);
    pool.invalidate_all();
    let timeout = pool.acquire().await;
    assert!(timeout.is_ok(), "{timeout:?}");
}

/// `epoch.invalidate_all`: a connection under a health check goes at once, however long the check would take.
#[tokio::test(start_paused = true)]
async fn a_check_under_way_is_cut() {
    let mock = Mock::ok();
    let pool = under_check(&mock).await;
    pool.invalidate_all();
    settle().await;
    assert_eq!((pool.stats().checking, mock.open(), pool.stats().failed_checks), (0, 0, 0));
    assert_hands_out_exactly(&pool, 1, "after the cut").await;
}

/// `epoch.invalidate_all`, `size.max`: its documented limit. Called more often than a connect takes it keeps the pool from
/// connecting, and no longer: the first connect that it leaves alone serves those who wait.
#[tokio::test(start_paused = true)]
async fn calls_that_come_faster_than_a_connect_keep_it_from_connecting() {
    let mock = Mock::new(Step::Slow(ms(50)));
    let pool = pool(&mock, config(1));
    let mut acquire = pin!(pool.acquire());
    for (pause, connects) in [(ms(20), false), (ms(60), true)] {
        for _ in 0..50 {
            assert!(poll_once(acquire.as_mut()).await.is_pending());
            pool.invalidate_all();
            tokio::time::sleep(pause).await;
            if pool.stats().connections_created > 0 {
                break;
            }
        }
        assert_eq!(pool.stats().connections_created > 0, connects, "every {pause:?}");
    }
    drop(acquire.await.unwrap());
    assert!(mock.attempts().len() > 50, "each call gives up an attempt and begins another");
    assert_eq!(mock.peak(), 1, "one at a time, however many were given up");
}
