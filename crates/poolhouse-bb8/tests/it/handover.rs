//! What is asked between two holders, and before a hand-out.

use std::time::Duration;

use poolhouse::{Phase, PoolConfig, RetireReason};
use poolhouse_bb8::Bb8;

use crate::common::{Mock, pool, settle};

const SECOND: Duration = Duration::from_secs(1);

/// `reset.between`: a waiter gets the connection after `is_valid`, as with bb8.
#[tokio::test(start_paused = true)]
async fn a_waiter_gets_it_after_is_valid() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().valid_takes = SECOND;
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    let released = tokio::time::Instant::now();
    held.release();
    let again = waiter.await.unwrap().unwrap();
    assert_eq!((again.id, released.elapsed()), (1, SECOND));
    assert_eq!(mock.tests(), 1);
}

/// One `is_valid` for each return, also when nobody waits, and none before the first holder.
#[tokio::test(start_paused = true)]
async fn each_return_is_tested_once() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    for uses in 0..5 {
        assert_eq!(mock.tests(), uses);
        pool.acquire().await.unwrap().release();
        settle().await;
    }
    assert_eq!(mock.state().connects, 1);
}

/// Neither a waiter that goes away nor a change of the maximum nor a pause lets an untested connection out.
#[tokio::test(start_paused = true)]
async fn nothing_lets_it_out_untested() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 2);
    let held = pool.acquire().await.unwrap();
    mock.state().valid_takes = SECOND;

    // The waiter goes away during the test: it goes on, and the next waiter gets what has passed it.
    pool.resize(1).unwrap();
    let gone = tokio::spawn(pool.acquire_owned());
    settle().await;
    held.release();
    settle().await;
    gone.abort();
    settle().await;
    assert!(pool.try_acquire().is_none(), "the test goes on");
    let held = pool.acquire().await.unwrap();
    assert_eq!((held.id, mock.tests()), (1, 1));

    // A suspended pool closes what is under a test, and opens another afterwards.
    held.release();
    settle().await;
    pool.suspend();
    settle().await;
    assert_eq!(mock.state().open, 0);
    pool.resume();
    assert_eq!(pool.acquire().await.unwrap().id, 2);
}

/// `test_on_return(false)`: a direct hand-over, as with bb8's `test_on_check_out(false)`.
#[tokio::test(start_paused = true)]
async fn without_the_test_a_waiter_gets_it_at_once() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()).test_on_return(false), 1);
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    held.release();
    assert_eq!(waiter.await.unwrap().unwrap().id, 1);
    assert_eq!(mock.tests(), 0);
}

/// `has_broken` is asked when a connection comes back.
#[tokio::test(start_paused = true)]
async fn a_broken_connection_does_not_stay() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().broken.insert(1);
    held.release();
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::NotReusable), 1);
    assert_eq!(mock.tests(), 0, "what has broken is not tested");
}

/// `health.known_dead`: `has_broken` is asked before an idle connection is handed out.
#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_while_idle_is_not_handed_out() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    pool.acquire().await.unwrap().release();
    settle().await;
    mock.state().broken.insert(1);
    tokio::time::advance(Duration::from_millis(2)).await;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::PeerClosed), 1);
}

/// Where `has_broken` never answers `true`, as bb8-redis' does, `is_valid` finds what broke in use.
#[tokio::test(start_paused = true)]
async fn is_valid_finds_what_has_broken_does_not() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    mock.state().invalid.insert(1);
    held.release();
    assert_eq!(waiter.await.unwrap().unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1);
}

/// And with `check_after_idle`, what broke idle.
#[tokio::test(start_paused = true)]
async fn is_valid_finds_what_broke_idle() {
    let mock = Mock::default();
    let config = PoolConfig { check_after_idle: SECOND, ..PoolConfig::default() };
    let pool = poolhouse::Pool::new(Bb8::new(mock.clone()), config).unwrap();
    pool.acquire().await.unwrap().release();
    settle().await;
    mock.state().invalid.insert(1);
    tokio::time::advance(SECOND).await;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::CheckFailed), 1);
}

/// Idle connections are checked in the background.
#[tokio::test(start_paused = true)]
async fn is_valid_is_the_health_check() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()).test_on_return(false), 1);
    pool.acquire().await.unwrap().release();
    mock.state().invalid.insert(1);
    tokio::time::sleep(pool.config().health_check_interval * 2).await;
    assert_eq!((mock.tests(), mock.state().open), (1, 0));
    assert_eq!(pool.stats().failed_checks, 1);
}

/// A test that never ends takes no longer than `reset_timeout`, and nobody waits forever.
#[tokio::test(start_paused = true)]
async fn a_test_that_hangs_costs_one_connection() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().valid_takes = Duration::from_secs(3600);
    let released = tokio::time::Instant::now();
    held.release();
    settle().await;
    // The next one answers.
    mock.state().valid_takes = Duration::ZERO;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(released.elapsed(), pool.config().reset_timeout);
    assert_eq!(mock.state().open, 1);
}

/// A timeout tells where the connections would have gone.
#[tokio::test(start_paused = true)]
async fn messages_name_the_target() {
    let pool = pool(Bb8::new(Mock::default()).with_target("db.example:5432"), 1);
    let _held = pool.acquire().await.unwrap();
    let error = pool.acquire_within(SECOND).await.unwrap_err();
    assert!(error.to_string().contains("db.example:5432"), "{error}");
    let poolhouse::AcquireError::Timeout(timeout) = error else { panic!("{error}") };
    assert_eq!(timeout.phase, Phase::Queueing);
}
