//! Dropping an acquire: `cancel.no_loss`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use crate::common::{Mock, Step, assert_hands_out_exactly, check_stats, config, ms, poll_once, pool, settle};

/// cancel.no_loss: a future that was never polled has joined nothing.
#[tokio::test(start_paused = true)]
async fn dropped_before_its_first_poll() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(2));
    drop(pool.acquire());
    settle().await;
    assert_eq!((mock.attempts().len(), pool.stats().cancelled_acquisitions), (0, 0));
    assert_hands_out_exactly(&pool, 2, "never polled").await;
}

/// cancel.no_loss: dropped while it waits for a connect. The connect is kept for the next.
#[tokio::test(start_paused = true)]
async fn dropped_while_its_connect_is_under_way() {
    let mock = Mock::new(Step::Slow(ms(100)));
    let pool = pool(&mock, config(2));
    let mut acquire = Box::pin(pool.acquire());
    assert!(poll_once(acquire.as_mut()).await.is_pending());
    settle().await;
    drop(acquire);
    assert_eq!((pool.stats().pending_requests, pool.stats().connecting), (0, 1));
    tokio::time::sleep(ms(101)).await;
    assert_eq!(pool.stats().idle_connections, 1);
    assert_eq!(pool.stats().cancelled_acquisitions, 1);
    assert_hands_out_exactly(&pool, 2, "connecting").await;
    assert_eq!(mock.peak(), 2);
}

/// cancel.no_loss: dropped in the queue, at its head, in its middle and at its end.
#[tokio::test(start_paused = true)]
async fn dropped_in_the_queue() {
    for gone in 0..3 {
        let pool = pool(&Mock::ok(), config(1));
        let held = pool.acquire().await.unwrap();
        let mut waiters: Vec<_> = (0..3).map(|_| Box::pin(pool.acquire())).collect();
        for waiter in &mut waiters {
            assert!(poll_once(waiter.as_mut()).await.is_pending());
        }
        drop(waiters.remove(gone));
        assert_eq!(pool.stats().pending_requests, 2);
        drop(held);
        for waiter in waiters {
            drop(waiter.await.unwrap());
        }
        assert_hands_out_exactly(&pool, 1, &format!("waiter {gone} of 3")).await;
    }
}

/// cancel.no_loss: dropped when it was served but had not picked up. The next in line gets the connection. In
/// <https://github.com/transact-rs/sqlx/issues/1869> a dropped acquire took its connection along, and in
/// <https://github.com/importcjj/mobc/issues/63> a connection handed to somebody who had gone was lost.
#[tokio::test(start_paused = true)]
async fn dropped_after_it_was_served() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    let mut next = pin!(pool.acquire());
    {
        let mut served = pin!(pool.acquire());
        assert!(poll_once(served.as_mut()).await.is_pending());
        assert!(poll_once(next.as_mut()).await.is_pending());
        drop(held);
        assert_eq!(pool.stats().active_connections, 1, "what was served counts as held");
        assert!(poll_once(next.as_mut()).await.is_pending());
    }
    let connection = next.await.unwrap();
    assert_eq!((connection.id, mock.attempts().len()), (1, 1), "passed on, not replaced");
    drop(connection);
    check_stats(&pool.stats(), "after");
    assert_hands_out_exactly(&pool, 1, "served").await;
}

/// cancel.no_loss: the same with a connection that was just opened, and nobody behind.
#[tokio::test(start_paused = true)]
async fn dropped_after_a_new_connection_served_it() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    assert!({
        let mut served = pin!(pool.acquire());
        let pending = poll_once(served.as_mut()).await.is_pending();
        settle().await;
        assert_eq!(pool.stats().active_connections, 1);
        pending
    });
    assert_eq!((pool.stats().active_connections, pool.stats().idle_connections), (0, 1));
    assert_hands_out_exactly(&pool, 1, "new").await;
    assert_eq!(mock.attempts().len(), 1);
}

/// cancel.no_loss: the waker of a waiter that moved to another task is the one that is woken.
#[tokio::test(start_paused = true)]
async fn a_waiter_may_move_between_tasks() {
    let pool = pool(&Mock::ok(), config(1));
    let held = pool.acquire().await.unwrap();
    let mut waiter = Box::pin(pool.acquire());
    assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let (done, ()) = tokio::join!(waiter, async {
        settle().await;
        drop(held);
    });
    drop(done.unwrap());
}

/// cancel.no_loss: a storm of acquires that are dropped after a random number of polls. In
/// <https://github.com/djc/bb8/issues/67> each one leaked a little, until every get timed out for good.
#[tokio::test(start_paused = true)]
async fn a_storm_of_cancellations_loses_nothing() {
    for seed in 0..30 {
        let context = format!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let max = rng.usize(1..5);
        let mock = Mock::new(Step::Slow(ms(3))).script([Step::Ok, Step::Fail, Step::Panic]);
        let pool = pool(&mock, config(max));
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let (pool, limit) = (pool.clone(), rng.u32(0..8));
                let (start, hold) = (rng.u64(0..200), rng.u64(0..5));
                tokio::spawn(async move {
                    tokio::time::sleep(ms(start)).await;
                    let mut acquire = pin!(pool.acquire());
                    for _ in 0..limit {
                        if let std::task::Poll::Ready(acquired) = poll_once(acquire.as_mut()).await {
                            let _connection = acquired.unwrap();
                            tokio::time::sleep(ms(hold)).await;
                            return;
                        }
                        tokio::time::sleep(ms(1)).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let stats = pool.stats();
        check_stats(&stats, &context);
        assert_eq!((stats.pending_requests, stats.active_connections), (0, 0), "{context}");
        assert_hands_out_exactly(&pool, max, &context).await;
        assert!(mock.peak() <= max, "{context}");
    }
}

/// Looks at the pool when it is dropped, as the last waker of a task that holds a connection does.
struct Curious(poolhouse::Pool<Mock>);

impl std::task::Wake for Curious {
    fn wake(self: std::sync::Arc<Self>) {}
}

impl Drop for Curious {
    fn drop(&mut self) {
        self.0.stats();
    }
}

/// cancel.no_loss: a waker that is dropped with its acquire, replaced, or left over may use the pool. In
/// <https://github.com/djc/bb8/issues/154> what was dropped under the lock came back for the lock.
#[test]
fn wakers_are_dropped_outside_of_the_lock() {
    crate::common::in_time(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let pool = pool(&Mock::ok(), config(1));
            let held = pool.acquire().await.unwrap();
            let poll = |acquire: std::pin::Pin<&mut poolhouse::Acquire<'_, Mock>>| {
                let waker = std::sync::Arc::new(Curious(pool.clone())).into();
                acquire.poll(&mut Context::from_waker(&waker)).is_ready()
            };
            let mut dropped = Box::pin(pool.acquire());
            let mut expired = Box::pin(pool.acquire());
            for _ in 0..2 {
                assert!(!poll(dropped.as_mut()) && !poll(expired.as_mut()));
            }
            drop(dropped);
            tokio::time::sleep(crate::common::secs(60)).await;
            assert!(poll(expired.as_mut()));
            drop(held);
            let mut immediate = Box::pin(pool.acquire());
            assert!(poll(immediate.as_mut()));
        });
    });
}
