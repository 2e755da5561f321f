//! The end of a pool: `close.complete`.

use std::pin::pin;

use tokio::time::Instant;

use crate::common::{Mock, Step, config, ms, poll_once, pool, secs, settle};

/// `closed` ends with the call of `close`, and not before; later calls end at once.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_close_is_told() {
    let pool = pool(&Mock::ok(), config(1));
    let held = pool.acquire().await.unwrap();
    let mut closed = pin!(pool.closed());
    assert!(poll_once(closed.as_mut()).await.is_pending());
    pool.close();
    assert!(poll_once(closed.as_mut()).await.is_ready(), "though one is held");
    assert!(poll_once(pin!(pool.closed())).await.is_ready());
    drop(held);
}

/// close.complete: everybody who waits gets `Closed` at once; close itself waits for those who hold. In
/// <https://github.com/transact-rs/sqlx/issues/3217> close returned while connections were still open.
#[tokio::test(start_paused = true)]
async fn close_wakes_waiters_and_waits_for_holders() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    settle().await;
    assert_eq!(pool.stats().pending_requests, 3);

    let begin = Instant::now();
    let mut close = pin!(pool.close());
    assert!(poll_once(close.as_mut()).await.is_pending());
    for waiter in waiters {
        assert!(waiter.await.unwrap().unwrap_err().is_closed());
    }
    assert_eq!(begin.elapsed(), ms(0));
    assert!(poll_once(close.as_mut()).await.is_pending(), "closed over a holder's head");
    assert!(pool.is_closed() && pool.try_acquire().is_none());
    drop(held);
    close.await;
    assert_eq!((mock.open(), pool.stats().total_connections), (0, 0));
    assert!(pool.acquire().await.unwrap_err().is_closed());
}

/// close.complete: idle connections are closed, whatever the minimum, and none is opened after.
#[tokio::test(start_paused = true)]
async fn nothing_is_opened_after_close() {
    let mock = Mock::ok();
    let pool = pool(&mock, poolhouse::PoolConfig { min_connections: 3, ..config(5) });
    pool.warm_up().await.unwrap();
    let held = pool.acquire().await.unwrap();
    assert_eq!(mock.open(), 3);
    let mut close = pin!(pool.close());
    assert!(poll_once(close.as_mut()).await.is_pending());
    assert_eq!(mock.open(), 1);
    drop(held);
    close.await;
    assert!(pool.acquire().await.unwrap_err().is_closed());
    assert!(pool.warm_up().await.unwrap_err().is_closed());
    pool.resize(50).unwrap();
    tokio::time::sleep(secs(600)).await;
    assert_eq!((mock.open(), mock.attempts().len()), (0, 3));
}

/// close.complete: a connect under way is abandoned, also one that would never end.
#[tokio::test(start_paused = true)]
async fn close_abandons_a_connect_under_way() {
    let mock = Mock::new(Step::Never);
    let pool =
        pool(&mock, poolhouse::PoolConfig { connect_attempt_timeout: std::time::Duration::MAX, ..config(2) });
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    settle().await;
    assert_eq!((mock.open(), pool.stats().connecting), (1, 1));
    let begin = Instant::now();
    pool.close().await;
    assert_eq!((begin.elapsed(), mock.open(), pool.stats().connecting), (ms(0), 0, 0));
    assert!(waiter.await.unwrap().unwrap_err().is_closed());
}

/// close.complete: close does not wait out a health check.
#[tokio::test(start_paused = true)]
async fn close_abandons_a_check_under_way() {
    let mock = Mock::ok();
    mock.set_check(Step::Never);
    let pool = pool(&mock, config(1));
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(31)).await;
    assert_eq!(pool.stats().checking, 1);
    let begin = Instant::now();
    pool.close().await;
    assert_eq!((begin.elapsed(), mock.open()), (ms(0), 0));
}

/// close.complete: with a limit, each remaining holder is listed by file and line, the longest first.
#[tokio::test(start_paused = true)]
async fn close_within_lists_who_still_holds() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(3));
    let (first, line_first) = (pool.acquire().await.unwrap(), line!());
    tokio::time::sleep(secs(1)).await;
    let (second, line_second) = (pool.acquire().await.unwrap(), line!());
    let back_in_time = pool.acquire().await.unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(ms(500)).await;
        drop(back_in_time);
    });

    let begin = Instant::now();
    let report = pool.close_within(secs(2)).await;
    assert!(begin.elapsed() >= secs(2) && begin.elapsed() < secs(2) + ms(5));
    assert!(!report.is_complete());
    let lines: Vec<_> = report.still_held.iter().map(|holder| holder.acquired_at.line()).collect();
    assert_eq!(lines, [line_first, line_second]);
    let text = report.to_string();
    assert!(text.starts_with("2 connections are still held; one held for 3"), "{text}");
    assert!(text.contains(&format!("acquired at {}:{line_first}:", file!())), "{text}");
    assert!(text.contains("; each closes when it comes back: "), "{text}");

    drop(first);
    let text = pool.close_within(ms(1)).await.to_string();
    assert!(text.starts_with("1 connection is still held; one held for 2"), "{text}");
    assert!(text.contains("; it closes when it comes back: "), "{text}");

    drop(second);
    assert_eq!(mock.open(), 0, "what comes back late is closed");
    assert!(pool.close_within(secs(1)).await.is_complete());
}

/// close.complete: where a connect holds up the end, because nobody drives its runtime, the report blames no holder.
#[test]
fn close_within_blames_no_holder_for_a_connect() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (undriven, driven) = (runtime(), runtime());
    let pool = pool(&Mock::new(Step::Never), config(1));
    undriven.block_on(async {
        let mut waiter = pin!(pool.acquire());
        assert!(poll_once(waiter.as_mut()).await.is_pending());
        settle().await;
    });
    let report = driven.block_on(pool.close_within(ms(1)));
    assert_eq!((report.still_held.len(), report.still_closing, report.is_complete()), (0, 0, false));
    let text = report.to_string();
    assert!(text.starts_with("a connect, a check or a reset has not ended yet: "), "{text}");
    undriven.block_on(settle());
    assert!(driven.block_on(pool.close_within(ms(1))).is_complete());
}

/// close.complete: a close that is dropped has closed the pool all the same, and two may wait.
#[tokio::test(start_paused = true)]
async fn a_dropped_close_has_closed() {
    let pool = pool(&Mock::ok(), config(1));
    let held = pool.acquire().await.unwrap();
    assert!(poll_once(pin!(pool.close())).await.is_pending());
    assert!(pool.is_closed());
    let both = async { tokio::join!(pool.close(), pool.close()) };
    tokio::join!(both, async { drop(held) });
}

/// close.complete: the last handle that goes closes the pool; a clone keeps it open.
#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_what_is_idle() {
    let mock = Mock::ok();
    let pool = pool(&mock, poolhouse::PoolConfig { min_connections: 2, ..config(3) });
    pool.warm_up().await.unwrap();
    let clone = pool.clone();
    drop(pool);
    settle().await;
    assert_eq!(mock.open(), 2);
    let held = clone.acquire().await.unwrap();
    drop(clone);
    assert_eq!(mock.open(), 1, "the idle one is closed at once");
    drop(held);
    assert_eq!(mock.open(), 0);
    tokio::time::sleep(secs(600)).await;
    assert_eq!((mock.open(), mock.attempts().len()), (0, 2));
}

/// close.complete: a connect under way ends with the last handle.
#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_abandons_a_connect() {
    let mock = Mock::new(Step::Never);
    let pool = pool(&mock, config(1));
    let mut acquire = Box::pin(pool.acquire());
    assert!(poll_once(acquire.as_mut()).await.is_pending());
    settle().await;
    drop(acquire);
    assert_eq!(mock.open(), 1);
    drop(pool);
    settle().await;
    assert_eq!(mock.open(), 0);
}

/// close.complete: a closed pool answers a thread that has no runtime.
#[test]
fn a_closed_pool_refuses_outside_of_a_runtime() {
    let pool = pool(&Mock::ok(), config(1));
    let mut close = std::pin::pin!(pool.close());
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(close.as_mut().poll(&mut cx).is_ready(), "nothing is open");
    let mut acquire = std::pin::pin!(pool.acquire());
    let std::task::Poll::Ready(Err(error)) = acquire.as_mut().poll(&mut cx) else { panic!("no answer") };
    assert!(error.is_closed(), "{error}");
    assert_eq!(pool.stats().failed_acquisitions, 1);
}
