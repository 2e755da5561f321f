//! `reset.between`: `recycle` between any two holders, and when else.

use std::time::Duration;

use deadpool::managed::Metrics;
use poolhouse::{Pool, PoolConfig, RetireReason};
use poolhouse_deadpool::{Deadpool, Object};

use crate::common::{Failing, Mock, pool, settle};

const SECOND: Duration = Duration::from_secs(1);

/// `reset.between`: a connection that goes from its holder to somebody who waits is recycled in between. What the first
/// left in it is gone.
#[tokio::test(start_paused = true)]
async fn a_hand_over_to_a_waiter_is_recycled() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    let mut held = pool.acquire().await.unwrap();
    held.application_name.push_str("left over");
    mock.state().recycle_takes = SECOND;
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    let released = tokio::time::Instant::now();
    held.release();
    let next = waiter.await.unwrap().unwrap();
    assert_eq!((next.id, next.application_name.as_str(), released.elapsed()), (1, "", SECOND));
    assert_eq!(mock.state().recycled, [(1, 0)]);
}

/// Once for each return, whether or not somebody waits, and never before the first holder.
#[tokio::test(start_paused = true)]
async fn each_return_is_recycled_once() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    for uses in 0..5 {
        assert_eq!(mock.recycles(), uses);
        let mut held = pool.acquire().await.unwrap();
        assert_eq!(held.application_name, "");
        held.application_name.push_str("left over");
        held.release();
        assert!(pool.try_acquire().is_none(), "not before it is recycled");
        settle().await;
    }
    assert_eq!(mock.state().recycled, [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(mock.state().created, 1);
}

/// A waiter that goes away during the recycling, and one that goes away after it was served.
#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_lets_nothing_out() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    let mut held = pool.acquire().await.unwrap();
    held.application_name.push_str("left over");
    mock.state().recycle_takes = SECOND;
    let gone = tokio::spawn(pool.acquire_owned());
    settle().await;
    held.release();
    settle().await;
    gone.abort();
    settle().await;
    assert!(pool.try_acquire().is_none(), "the recycling goes on");
    assert_eq!(pool.acquire().await.unwrap().application_name, "");
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(mock.recycles(), 2, "one for each of the two holders");

    // Served, and not polled again: it never held the connection, which needs no second recycling.
    let held = pool.acquire().await.unwrap();
    let mut served = Box::pin(pool.acquire());
    assert!(futures_poll(served.as_mut()).await);
    held.release();
    tokio::time::sleep(SECOND * 2).await;
    drop(served);
    assert_eq!(pool.acquire().await.unwrap().id, 1);
    assert_eq!(mock.recycles(), 3);
}

/// Polls a future once. Whether it still waits.
async fn futures_poll<F: Future + Unpin>(mut future: F) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(cx).is_pending()))
        .await
}

/// A connection that is being recycled when the pool shrinks, pauses, is invalidated or closes is closed, and not handed on.
#[tokio::test(start_paused = true)]
async fn nothing_lets_a_connection_out_of_its_recycling() {
    type Act = fn(&Pool<Deadpool<Mock>>);
    let acts: [(&str, Act, u32); 4] = [
        ("resize", |pool| pool.resize(1).unwrap(), 1),
        (
            "suspend",
            |pool| {
                pool.suspend();
                pool.resume();
            },
            2,
        ),
        ("invalidate_all", |pool| pool.invalidate_all(), 2),
        ("close", |pool| drop(pool.close()), 2),
    ];
    for (name, act, gone) in acts {
        let mock = Mock::default();
        let pool = pool(&mock, 2);
        let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
        mock.state().recycle_takes = SECOND;
        drop(held);
        settle().await;
        assert_eq!(mock.recycles(), 2, "{name}");
        act(&pool);
        settle().await;
        assert!(pool.try_acquire().is_none(), "{name}");
        assert_eq!(mock.state().detached.len() as u32, gone, "{name}");
        assert_eq!(mock.state().open, 2 - gone, "{name}");
    }
}

/// An error of `recycle`, of either kind, closes the connection, and a waiter gets another.
#[tokio::test(start_paused = true)]
async fn an_error_closes_the_connection() {
    for failing in [Failing::RecycleMessage, Failing::RecycleBackend] {
        let mock = Mock::default();
        let pool = pool(&mock, 1);
        let held = pool.acquire().await.unwrap();
        let waiter = tokio::spawn(pool.acquire_owned());
        settle().await;
        mock.state().fails = Some(failing);
        held.release();
        assert_eq!(waiter.await.unwrap().unwrap().id, 2, "{failing:?}");
        assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1, "{failing:?}");
        assert_eq!(mock.state().detached, [1], "{failing:?}");
    }
}

/// A recycling that never ends takes no longer than `reset_timeout`.
#[tokio::test(start_paused = true)]
async fn a_recycling_that_hangs_costs_one_connection() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    let held = pool.acquire().await.unwrap();
    mock.state().recycle_takes = Duration::from_secs(3600);
    let released = tokio::time::Instant::now();
    held.release();
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(released.elapsed(), pool.config().reset_timeout);
}

/// The metrics are kept for each connection, and shown to the manager and to its holder. A health check recycles too, and
/// counts as no use.
#[tokio::test(start_paused = true)]
async fn metrics_count_the_recyclings_between_holders() {
    let mock = Mock::default();
    let pool = pool(&mock, 2);
    let (one, two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let fresh: &Metrics = Object::metrics(&one);
    assert!(fresh.recycled.is_none() && fresh.recycle_count == 0);
    let created = fresh.created;
    one.release();
    settle().await;
    let one = pool.acquire().await.unwrap();
    let used = Object::metrics(&one);
    assert_eq!((one.id, used.created, used.recycle_count), (1, created, 1));
    assert!(used.recycled.is_some_and(|at| at >= created));
    assert_eq!(Object::metrics(&two).recycle_count, 0);

    drop((one, two));
    settle().await;
    let recycles = mock.recycles();
    tokio::time::sleep(pool.config().health_check_interval * 2).await;
    assert!(mock.recycles() > recycles, "idle connections are checked");
    for held in [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()] {
        let counted = Object::metrics(&held).recycle_count;
        assert_eq!(counted, if held.id == 1 { 2 } else { 1 });
    }
}

/// `health.known_dead`: an idle connection that its server has closed is not handed out, if the bridge knows how to see it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_idle_is_not_handed_out() {
    let mock = Mock::default();
    let bridge = Deadpool::new(mock.clone()).with_is_connected(|session| !session.is_closed());
    let pool = Pool::new(bridge, PoolConfig::default()).unwrap();
    pool.acquire().await.unwrap().release();
    settle().await;
    mock.state().closed.insert(1);
    tokio::time::advance(Duration::from_millis(2)).await;
    let held = pool.acquire().await.unwrap();
    assert_eq!(held.id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::PeerClosed), 1);

    // And one that dies in use goes as it comes back, without a recycling.
    let recycles = mock.recycles();
    mock.state().closed.insert(2);
    held.release();
    assert_eq!(pool.stats().closed.get(RetireReason::NotReusable), 1);
    assert_eq!(mock.recycles(), recycles);
}

/// Where only a round trip tells, `check_after_idle` has an idle connection recycled before it is handed out.
#[tokio::test(start_paused = true)]
async fn check_after_idle_recycles_first() {
    let mock = Mock::default();
    let config = PoolConfig { check_after_idle: SECOND, ..PoolConfig::default() };
    let pool = Pool::new(Deadpool::new(mock.clone()), config).unwrap();
    pool.acquire().await.unwrap().release();
    settle().await;
    mock.state().fails = Some(Failing::RecycleBackend);
    tokio::time::advance(SECOND).await;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::CheckFailed), 1);
}
