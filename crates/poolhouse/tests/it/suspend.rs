//! `suspend.nothing_moves`: a suspended pool hands out nothing and opens nothing, and acquires wait.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use poolhouse::{AcquireError, FailureKind, Manager, Phase, Pool, PoolConfig};
use tokio::sync::Notify;

use crate::common::{
    Mock, MockError, Step, assert_hands_out_exactly, check_stats, config, filled, ms, poll_once, pool, secs,
    settle, under_check,
};

/// `suspend.nothing_moves`: callers see a pause, and are served in order after it.
#[tokio::test(start_paused = true)]
async fn callers_see_a_pause() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, PoolConfig { min_connections: 2, ..config(2) }).await;
    pool.suspend();
    assert!(pool.is_suspended() && pool.stats().suspended);
    assert!(!pool.is_closed());
    assert_eq!(pool.stats().total_connections, 0, "idle ones close");
    assert!(pool.try_acquire().is_none());
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    tokio::time::sleep(secs(10)).await;
    assert_eq!((mock.attempts().len(), mock.open()), (2, 0), "nothing was opened meanwhile");
    pool.resume();
    assert!(!pool.is_suspended() && !pool.stats().suspended);
    for waiter in waiters {
        drop(waiter.await.unwrap());
    }
    assert_hands_out_exactly(&pool, 2, "after the pause").await;
}

/// `suspend.nothing_moves`: held connections stay usable and close on return; `drained` waits for them.
#[tokio::test(start_paused = true)]
async fn drained_waits_for_what_is_held() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, config(2)).await;
    let held = pool.acquire().await.unwrap();
    pool.suspend();
    let mut drained = pin!(pool.drained());
    assert!(poll_once(drained.as_mut()).await.is_pending());
    drop(held);
    drained.await;
    assert_eq!((mock.open(), pool.stats().total_connections), (0, 0));
    pool.resume();
    assert_hands_out_exactly(&pool, 2, "after the drain").await;
}

/// `suspend.nothing_moves`: a connect under way is given up.
#[tokio::test(start_paused = true)]
async fn a_connect_under_way_is_given_up() {
    let mock = Mock::new(Step::Slow(ms(100)));
    let pool = pool(&mock, config(1));
    let mut acquire = pin!(pool.acquire());
    assert!(poll_once(acquire.as_mut()).await.is_pending());
    settle().await;
    pool.suspend();
    pool.drained().await;
    assert_eq!((mock.open(), pool.stats().connecting), (0, 0));
    assert!(poll_once(acquire.as_mut()).await.is_pending());
    pool.resume();
    drop(acquire.await.unwrap());
    assert_eq!(mock.peak(), 1);
}

/// Its first connect waits for the gate and is refused for good; the others succeed.
struct Gated {
    gate: Arc<Notify>,
    first: AtomicBool,
}

impl Manager for Gated {
    type Connection = ();
    type Error = MockError;

    async fn connect(&self) -> Result<(), MockError> {
        if self.first.swap(false, SeqCst) {
            self.gate.notified().await;
            return Err(MockError(Step::Permanent));
        }
        Ok(())
    }

    fn classify(&self, _: &MockError) -> FailureKind {
        FailureKind::Permanent
    }
}

/// `suspend.nothing_moves`, `epoch.invalidate_all`, `connect.permanent`: a connect from before fails for good, in the
/// moment before the pool has given it up. That says nothing about now, so those who wait, wait on.
#[tokio::test(start_paused = true)]
async fn a_failure_from_before_refuses_nobody() {
    for suspends in [true, false] {
        let gate = Arc::new(Notify::new());
        let manager = Gated { gate: Arc::clone(&gate), first: AtomicBool::new(true) };
        let pool = Pool::new(manager, PoolConfig { min_connections: 1, ..config(1) }).unwrap();
        let mut acquire = pin!(pool.acquire());
        let mut warm_up = pin!(pool.warm_up());
        assert!(poll_once(acquire.as_mut()).await.is_pending());
        assert!(poll_once(warm_up.as_mut()).await.is_pending());
        settle().await;
        // Before the background runs again, the connect does.
        gate.notify_one();
        if suspends {
            pool.suspend();
            pool.resume();
        } else {
            pool.invalidate_all();
        }
        let served = acquire.await;
        assert!(served.is_ok(), "suspends: {suspends}, {served:?}");
        let warm = warm_up.await;
        assert!(warm.is_ok(), "suspends: {suspends}, {warm:?}");
        assert_eq!(pool.stats().failed_connects, 1);
    }
}

/// `suspend.nothing_moves`: a waiter that was served just before, and has not looked yet, waits on.
#[tokio::test(start_paused = true)]
async fn a_connection_not_yet_picked_up_is_recalled() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, config(1)).await;
    let held = pool.acquire().await.unwrap();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    drop(held);
    pool.suspend();
    settle().await;
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    pool.drained().await;
    pool.resume();
    assert_eq!(waiter.await.unwrap().id, 2);
    check_stats(&pool.stats(), "after");
}

/// `acquire.deadline`, `acquire.diagnosis`: the deadline holds, and the text says why.
#[tokio::test(start_paused = true)]
async fn a_timeout_says_that_the_pool_is_suspended() {
    let pool =
        pool(&Mock::ok(), PoolConfig { connection_timeout: secs(2), max_pending: Some(1), ..config(1) });
    pool.suspend();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    assert!(matches!(pool.acquire().await, Err(AcquireError::Overloaded { .. })), "and shedding goes on");
    let Err(AcquireError::Timeout(timeout)) = waiter.await else { panic!("nobody resumes") };
    assert_eq!(timeout.phase, Phase::Suspended);
    let text = timeout.to_string();
    assert!(text.contains(": call Pool::resume() when the server is back; guide: "), "{text}");
    assert!(text.ends_with("/guide/maintenance.html"), "{text}");
}

/// `close.complete`: a suspended pool closes like any other.
#[tokio::test(start_paused = true)]
async fn a_suspended_pool_closes() {
    let pool = filled(&Mock::ok(), 1, config(1)).await;
    pool.suspend();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    pool.close().await;
    assert!(waiter.await.unwrap_err().is_closed());
    pool.resume();
    assert!(pool.acquire().await.unwrap_err().is_closed());
}

/// `suspend.nothing_moves`: a connection under a health check goes at once, however long the check would take.
#[tokio::test(start_paused = true)]
async fn a_check_under_way_is_cut() {
    let mock = Mock::ok();
    let pool = under_check(&mock).await;
    pool.suspend();
    settle().await;
    assert_eq!((pool.stats().checking, mock.open(), pool.stats().failed_checks), (0, 0, 0));
    pool.resume();
    assert_hands_out_exactly(&pool, 1, "after the cut").await;
}
