//! What callers may expect of each other and of the pool's administration: turns, bounds, and who gets what.

use std::pin::pin;
use std::task::Poll;

use poolhouse::{AcquireError, Pool, PoolConfig, PooledConnection, RetireReason};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::common::{
    Mock, Step, assert_hands_out_exactly, config, filled, ms, poll_once, pool, secs, settle,
};
use crate::support::{Events, bounded, granted, in_child, one_thread};

/// acquire.fifo, as tokio's own resources do it: a loop that acquires and gives back lets other futures of its task have
/// their turn, so a time limit around it ends it.
#[test]
fn a_time_limit_ends_a_loop_of_acquires() {
    in_child("fairness::a_time_limit_ends_a_loop_of_acquires", secs(10), || {
        one_thread().block_on(async {
            let pool = pool(&Mock::ok(), config(1));
            drop(pool.acquire().await.unwrap());
            let endless = async {
                loop {
                    drop(pool.acquire().await.unwrap());
                }
            };
            assert!(timeout(ms(100), endless).await.is_err());
            assert_hands_out_exactly(&pool, 1, "after the loop").await;
        });
    });
}

/// acquire.shed: a task that asks again at once after an `Overloaded` leaves the other tasks of its thread
/// their turn: the one that holds the connection, and so the one that waits for it.
#[test]
fn asking_again_at_once_after_overloaded_stops_nobody() {
    in_child("fairness::asking_again_at_once_after_overloaded_stops_nobody", secs(10), || {
        one_thread().block_on(async {
            let pool = pool(&Mock::ok(), PoolConfig { max_pending: Some(1), ..config(1) });
            let held = pool.acquire().await.unwrap();
            let waiter = tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await.map(drop) }
            });
            settle().await;
            assert_eq!(pool.stats().pending_requests, 1);
            let holder = tokio::spawn(async move {
                for _ in 0..3 {
                    yield_now().await;
                }
                drop(held);
            });
            let mut refused = 0_u64;
            let served = loop {
                match pool.acquire().await {
                    Ok(connection) => break connection,
                    Err(AcquireError::Overloaded { .. }) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
            };
            assert!(refused > 0);
            drop(served);
            holder.await.unwrap();
            waiter.await.unwrap().unwrap();
        });
    });
}

/// acquire.fifo: the same for `try_acquire` needs no turn of its own, but a loop of acquires lets a spawned task run.
#[test]
fn a_loop_of_acquires_lets_other_tasks_run() {
    in_child("fairness::a_loop_of_acquires_lets_other_tasks_run", secs(10), || {
        one_thread().block_on(async {
            let pool = pool(&Mock::ok(), config(2));
            let task = tokio::spawn(async {
                for _ in 0..3 {
                    yield_now().await;
                }
            });
            while !task.is_finished() {
                drop(pool.acquire().await.unwrap());
            }
        });
    });
}

/// health.known_dead: a waiter that was served a connection whose runtime ends before it looks does not get it. The pool
/// opens another, in a runtime that lives.
#[test]
fn a_waiter_gets_no_connection_of_a_runtime_that_has_ended() {
    bounded(secs(30), || {
        for within in [None, Some(secs(5))] {
            let mock = Mock::ok();
            let events = Events::default();
            let config = PoolConfig { connection_timeout: secs(5), ..config(1) };
            let pool =
                Pool::builder(mock.clone()).config(config).listener(events.listener()).build().unwrap();
            let (first, second) = (one_thread(), one_thread());
            let held = first.block_on(pool.acquire()).unwrap();
            let mut waiter = Box::pin(match within {
                Some(limit) => pool.acquire_within(limit),
                None => pool.acquire(),
            });
            assert!(second.block_on(poll_once(waiter.as_mut())).is_pending());
            drop(held);
            drop(first);
            let served = second.block_on(async { timeout(secs(10), waiter.as_mut()).await });
            let served = served.expect("it ends").expect("the second runtime lives");
            assert_eq!(PooledConnection::id(&served), 2, "a connection of the runtime that has ended");
            assert_eq!(events.reason(1), Some(RetireReason::RuntimeGone));
            drop(served);
            second.block_on(assert_hands_out_exactly(&pool, 1, "after the end of a runtime"));
        }
    });
}

/// connect.permanent: a permanent error refuses nobody while somebody holds a connection, which may come back.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_refuses_nobody_while_a_connection_is_held() {
    let mock = Mock::new(Step::Permanent).script([Step::Ok]);
    let pool = pool(&mock, config(3));
    let held = pool.acquire().await.unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    tokio::time::sleep(secs(1)).await;
    assert!(mock.attempts().len() >= 2, "the pool has tried");
    for waiter in &mut waiters {
        let polled = poll_once(waiter.as_mut()).await;
        assert!(polled.is_pending(), "refused while one is held: {polled:?}");
    }
    drop(held);
    for waiter in waiters {
        let served = timeout(secs(1), waiter).await.expect("at once").expect("the held one came back");
        assert_eq!(served.id, 1);
    }
}

/// connect.permanent: nor while another connect is under way.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_refuses_nobody_while_another_connect_is_under_way() {
    let mock = Mock::new(Step::Permanent).script([Step::Permanent, Step::Slow(secs(2))]);
    let pool = pool(&mock, config(2));
    let (mut first, mut second) = (pin!(pool.acquire()), pin!(pool.acquire()));
    assert!(poll_once(first.as_mut()).await.is_pending());
    assert!(poll_once(second.as_mut()).await.is_pending());
    tokio::time::sleep(secs(1)).await;
    let polled = poll_once(first.as_mut()).await;
    assert!(polled.is_pending(), "refused while a connect is under way: {polled:?}");
    drop(first.await.unwrap());
    drop(second.await.unwrap());
}

/// connect.permanent: nor where the connect that failed was for the successor of a connection that lives.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_of_a_successor_refuses_nobody() {
    let mock = Mock::new(Step::Permanent).script([Step::Ok]);
    let config = PoolConfig { min_connections: 1, max_lifetime: secs(100), ..config(2) };
    let pool = pool(&mock, config);
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(89)).await;
    pool.resize(2).unwrap();
    let mut waiter = pin!(pool.acquire_within(secs(20)));
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    tokio::time::sleep(secs(8)).await;
    let polled = poll_once(waiter.as_mut()).await;
    assert!(polled.is_pending(), "refused while one is held: {polled:?}");
    drop(held);
    let served = timeout(secs(1), waiter).await.expect("at once").expect("the held one came back");
    assert_eq!(served.id, 1);
}

/// connect.permanent: with nothing open and nothing opening everybody who waits is refused at once; also where the last
/// connection that was held goes while they wait.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_refuses_everybody_where_nothing_is_open() {
    let mock = Mock::new(Step::Permanent);
    let pool = pool(&mock, config(3));
    let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    for waiter in waiters {
        let refused = timeout(ms(10), waiter).await.expect("at once");
        assert!(matches!(refused, Err(AcquireError::Connect(_))), "{refused:?}");
    }

    let mock = Mock::new(Step::Permanent).script([Step::Ok]);
    let pool = crate::common::pool(&mock, config(2));
    let held = pool.acquire().await.unwrap();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    tokio::time::sleep(secs(1)).await;
    assert!(poll_once(waiter.as_mut()).await.is_pending(), "refused while one is held");
    held.invalidate();
    // At once, or after the pause that the failures so far have drawn.
    let refused = timeout(secs(6), waiter).await.expect("nothing is left to wait for");
    assert!(matches!(refused, Err(AcquireError::Connect(_))), "{refused:?}");
}

/// What sends a waiter that has been served back to its turn.
#[derive(Debug, Clone, Copy)]
enum Back {
    Dead,
    InvalidateAll,
    Suspend,
}

/// acquire.shed: never more than `max_pending` wait. Where a waiter has to go back to its turn, the youngest beyond the bound
/// are refused.
#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_back_to_its_turn_displaces_the_youngest() {
    for back in [Back::Dead, Back::InvalidateAll, Back::Suspend] {
        for bound in [1, 3] {
            let context = format!("{back:?}, {bound}");
            let mock = Mock::ok();
            let pool = filled(&mock, 1, PoolConfig { max_pending: Some(bound), ..config(1) }).await;
            let held = pool.acquire().await.unwrap();
            mock.set_connect(Step::Slow(secs(1)));
            let mut waiters: Vec<_> = (0..=bound).map(|_| Box::pin(pool.acquire())).collect();
            let (last, first) = waiters.split_last_mut().unwrap();
            for waiter in &mut *first {
                assert!(poll_once(waiter.as_mut()).await.is_pending(), "{context}");
            }
            // The oldest is served, so there is room for one more.
            drop(held);
            assert!(poll_once(last.as_mut()).await.is_pending(), "{context}");
            assert_eq!(pool.stats().pending_requests, bound, "{context}");
            match back {
                Back::Dead => {
                    mock.kill([1]);
                    tokio::time::advance(ms(1)).await;
                }
                Back::InvalidateAll => pool.invalidate_all(),
                Back::Suspend => pool.suspend(),
            }
            assert!(pool.stats().pending_requests <= bound, "{context}: {:?}", pool.stats().pending_requests);
            assert!(poll_once(waiters[0].as_mut()).await.is_pending(), "{context}");
            let waiting = pool.stats().pending_requests;
            assert!(waiting <= bound, "{context}: {waiting} wait");
            let youngest = poll_once(waiters[bound].as_mut()).await;
            assert!(
                matches!(youngest, Poll::Ready(Err(AcquireError::Overloaded { .. }))),
                "{context}: {youngest:?}"
            );
            waiters.pop();
            pool.resume();
            for waiter in waiters {
                let served = timeout(secs(20), waiter).await;
                drop(served.expect("it ends").unwrap_or_else(|error| panic!("{context}: {error}")));
            }
            assert_eq!(pool.stats().pending_requests, 0, "{context}");
            assert_hands_out_exactly(&pool, 1, &context).await;
        }
    }
}

/// A pool with one connection, and an acquire that has been served it and has not looked.
macro_rules! served {
    ($pool:ident, $events:ident, $waiter:ident) => {
        let $events = Events::default();
        let $pool = Pool::builder(Mock::ok()).config(config(1)).listener($events.listener()).build().unwrap();
        let held = $pool.acquire().await.unwrap();
        let mut $waiter = Box::pin($pool.acquire());
        assert!(poll_once($waiter.as_mut()).await.is_pending());
        drop(held);
        assert_eq!($pool.stats().active_connections, 1);
    };
}

/// close.complete: once `close` was polled, an acquire that had been served and had not looked gets `Closed`, also if the
/// future of `close` was dropped.
#[tokio::test(start_paused = true)]
async fn after_a_close_that_was_dropped_a_served_acquire_gets_closed() {
    served!(pool, events, waiter);
    {
        let mut close = pin!(pool.close());
        let _ = poll_once(close.as_mut()).await;
    }
    let polled = timeout(secs(1), waiter.as_mut()).await.expect("it ends");
    assert!(polled.as_ref().is_err_and(AcquireError::is_closed), "{polled:?}");
    settle().await;
    assert_eq!(events.reason(1), Some(RetireReason::PoolClosed));
}

/// close.complete: calling `close` closes the pool, whether its future is polled or not.
#[tokio::test(start_paused = true)]
#[allow(clippy::let_underscore_future, reason = "that this closes the pool is the point")]
async fn a_close_that_is_never_polled_closes() {
    served!(pool, events, waiter);
    let _ = pool.close();
    assert!(pool.is_closed());
    let polled = timeout(secs(1), waiter.as_mut()).await.expect("it ends");
    assert!(polled.as_ref().is_err_and(AcquireError::is_closed), "{polled:?}");
    assert!(pool.acquire().await.unwrap_err().is_closed());
    settle().await;
    assert_eq!(events.reason(1), Some(RetireReason::PoolClosed));
}

/// suspend.nothing_moves: after `suspend` and `resume` a served acquire does not get a connection from before.
#[tokio::test(start_paused = true)]
async fn after_suspend_and_resume_a_served_acquire_gets_a_new_connection() {
    served!(pool, events, waiter);
    pool.suspend();
    pool.resume();
    let connection = timeout(secs(1), waiter.as_mut()).await.expect("it ends").unwrap();
    assert_eq!(connection.id, 2, "a connection from before the suspension");
    drop(connection);
    assert_eq!(events.reason(1), Some(RetireReason::Suspended));
}

/// suspend.nothing_moves: a connection that was held when the pool was suspended retires when it comes back, also if that is
/// after `resume`.
#[tokio::test(start_paused = true)]
async fn a_connection_held_through_a_suspension_is_not_used_again() {
    let (mock, events) = (Mock::ok(), Events::default());
    let pool = Pool::builder(mock.clone()).config(config(2)).listener(events.listener()).build().unwrap();
    let held = pool.acquire().await.unwrap();
    pool.suspend();
    pool.resume();
    let younger = pool.acquire().await.unwrap();
    drop(held);
    assert_eq!(events.reason(1), Some(RetireReason::Suspended));
    drop(younger);
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(events.reason(2), None, "one from after the suspension stays");
    assert_hands_out_exactly(&pool, 2, "after the suspension").await;
}

/// suspend.nothing_moves, close.complete: a served acquire that nobody polls holds up nobody: its connection is closed at once.
#[tokio::test(start_paused = true)]
async fn a_served_acquire_that_nobody_polls_does_not_hold_up_the_drain() {
    for close in [false, true] {
        served!(pool, events, waiter);
        let ended = if close {
            timeout(secs(10), pool.close()).await
        } else {
            pool.suspend();
            timeout(secs(10), pool.drained()).await
        };
        assert!(ended.is_ok(), "close: {close}: {:?}", events.all());
        let reason = if close { RetireReason::PoolClosed } else { RetireReason::Suspended };
        assert_eq!(events.reason(1), Some(reason));
        if !close {
            pool.resume();
            let polled = timeout(secs(1), waiter.as_mut()).await.expect("it ends");
            assert_eq!(granted(Poll::Ready(polled)).id, 2);
        } else {
            assert!(waiter.as_mut().await.unwrap_err().is_closed());
        }
    }
}
