//! What is asked between two holders, and before a hand-out.

use std::time::Duration;

use poolhouse::{Pool, PoolConfig, RetireReason};
use poolhouse_r2d2::R2d2;

use crate::common::{Mock, pool, until};

/// `reset.between`: a waiter gets the connection after `is_valid`, as with r2d2.
#[tokio::test(start_paused = true)]
async fn each_return_is_tested_once() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    for uses in 0..5 {
        let held = pool.acquire().await.unwrap();
        let waiter = tokio::spawn(pool.acquire_owned());
        tokio::task::yield_now().await;
        assert_eq!(mock.count("is_valid"), 2 * uses);
        held.release();
        assert!(pool.try_acquire().is_none(), "not before it is tested");
        let next = waiter.await.unwrap().unwrap();
        assert_eq!((next.id, mock.count("is_valid")), (1, 2 * uses + 1));
        next.release();
        until("it is tested", || mock.count("is_valid") == 2 * uses + 2 && pool.stats().resetting == 0).await;
    }
    assert_eq!(mock.state().connects, 1);
}

/// A test that fails, for a manager whose `has_broken` does not notice.
#[tokio::test(start_paused = true)]
async fn is_valid_finds_what_has_broken_does_not() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::task::yield_now().await;
    mock.state().invalid.insert(1);
    held.release();
    assert_eq!(waiter.await.unwrap().unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1);
}

/// A waiter that goes away during the test lets nothing out: the next gets what has passed it.
#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_lets_nothing_out() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.block(Some("is_valid"));
    let gone = tokio::spawn(pool.acquire_owned());
    tokio::task::yield_now().await;
    held.release();
    until("the test blocks", || mock.state().blocked == 1).await;
    gone.abort();
    assert!(gone.await.is_err_and(|error| error.is_cancelled()));
    assert!(pool.try_acquire().is_none());
    mock.block(None);
    assert_eq!(pool.acquire().await.unwrap().id, 1);
}

/// A suspended pool closes what is under a test, and has drained once the call has come back. Then it opens another.
#[tokio::test(start_paused = true)]
async fn a_suspended_pool_lets_nothing_out() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    mock.block(Some("is_valid"));
    pool.acquire().await.unwrap().release();
    until("the test blocks", || mock.state().blocked == 1).await;
    pool.suspend();
    let waiting = pool.clone();
    let drained = tokio::spawn(async move { waiting.drained().await });
    until("it is given up", || pool.stats().closed.get(RetireReason::Suspended) == 1).await;
    assert!(!drained.is_finished());
    mock.block(None);
    drained.await.unwrap();
    assert_eq!(mock.state().open, 0);
    pool.resume();
    assert_eq!(pool.acquire().await.unwrap().id, 2);
}

/// `test_on_return(false)`: a direct hand-over, as with r2d2's `test_on_check_out(false)`.
#[tokio::test(start_paused = true)]
async fn without_the_test_a_waiter_gets_it_at_once() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()).test_on_return(false), 1);
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::task::yield_now().await;
    held.release();
    assert_eq!(waiter.await.unwrap().unwrap().id, 1);
    assert_eq!(mock.count("is_valid"), 0);
}

/// `has_broken` is asked when a connection comes back.
#[tokio::test(start_paused = true)]
async fn a_broken_connection_does_not_stay() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().broken.insert(1);
    held.release();
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::NotReusable), 1);
    assert_eq!(mock.count("is_valid"), 0, "what has broken is not tested");
}

/// `ask_has_broken(false)`: for a manager whose `has_broken` asks the server. `is_valid` finds what is broken.
#[tokio::test(start_paused = true)]
async fn has_broken_may_be_switched_off() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()).ask_has_broken(false), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().invalid.insert(1);
    held.release();
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    until("the second is tested", || mock.count("is_valid") == 2 && pool.stats().resetting == 0).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(mock.count("has_broken"), 0);
}

/// With `check_after_idle`, what broke idle is found before it is handed out.
#[tokio::test(start_paused = true)]
async fn is_valid_finds_what_broke_idle() {
    let second = Duration::from_secs(1);
    let mock = Mock::default();
    let config = PoolConfig { check_after_idle: second, ..PoolConfig::default() };
    let pool = Pool::new(R2d2::new(mock.clone()), config).unwrap();
    pool.acquire().await.unwrap().release();
    until("it is tested", || mock.count("is_valid") == 1 && pool.stats().resetting == 0).await;
    mock.state().invalid.insert(1);
    tokio::time::advance(second).await;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::CheckFailed), 1);
}
