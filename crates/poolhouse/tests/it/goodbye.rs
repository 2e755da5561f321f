//! A graceful close: bounded, in the background, and counted until it has ended (`size.max`, `close.complete`).

use poolhouse::{AcquireError, Phase, Pool, PoolConfig, RetireReason};
use tokio::time::Instant;

use crate::common::{Mock, Step, config, filled, in_time, pool, secs, settle};

/// `size.max`: a connection that says goodbye takes up room until it has ended, so the server never counts more.
#[tokio::test(start_paused = true)]
async fn a_connection_takes_up_room_until_its_close_has_ended() {
    let mock = Mock::ok();
    mock.set_close(Step::Slow(secs(2)));
    let pool = filled(&mock, 2, config(2)).await;
    let began = Instant::now();
    pool.invalidate_all();
    let connection = pool.acquire().await.unwrap();
    assert_eq!((connection.id, began.elapsed()), (3, secs(2)));
    assert_eq!(mock.done(), [("close", 1), ("close", 2)]);
    assert_eq!(mock.peak(), 2);
}

/// A holder that invalidates its connection, or drops one that is not reusable, does not wait for the goodbye.
#[tokio::test(start_paused = true)]
async fn a_release_does_not_wait_for_the_close() {
    let mock = Mock::ok();
    mock.set_close(Step::Slow(secs(2)));
    let pool = filled(&mock, 1, config(1)).await;
    let began = Instant::now();
    pool.acquire().await.unwrap().invalidate();
    assert_eq!(began.elapsed(), secs(0));
    assert_eq!((pool.stats().connections_destroyed, mock.open()), (1, 1));
    tokio::time::sleep(secs(2)).await;
    settle().await;
    assert_eq!(mock.open(), 0);
}

/// `close.complete`: `close` waits for every goodbye, those of connections that come back later included.
#[tokio::test(start_paused = true)]
async fn close_waits_for_every_goodbye() {
    let mock = Mock::ok();
    mock.set_close(Step::Slow(secs(2)));
    let pool = filled(&mock, 3, config(3)).await;
    let held = pool.acquire().await.unwrap();
    let began = Instant::now();
    let closed = {
        let pool = pool.clone();
        tokio::spawn(async move { pool.close_within(secs(60)).await })
    };
    tokio::time::sleep(secs(5)).await;
    assert_eq!(mock.open(), 1, "the idle ones have said goodbye");
    drop(held);
    let report = closed.await.unwrap();
    assert!(report.is_complete());
    assert_eq!((began.elapsed(), mock.open(), mock.done().len()), (secs(7), 0, 3));
}

/// A goodbye that hangs or panics is bounded by `close_timeout`, and its room is given back.
#[tokio::test(start_paused = true)]
async fn a_close_that_does_not_end_is_given_up() {
    for (step, took) in [(Step::Never, secs(3)), (Step::Panic, secs(0))] {
        let mock = Mock::ok();
        mock.set_close(step);
        let pool = filled(&mock, 1, PoolConfig { close_timeout: secs(3), ..config(1) }).await;
        let began = Instant::now();
        pool.invalidate_all();
        assert_eq!(pool.acquire().await.unwrap().id, 2, "{step:?}");
        assert_eq!((began.elapsed(), mock.open()), (took, 1), "{step:?}");
    }
}

/// `acquire.diagnosis`: who waits for a goodbye is told so, and not that all connections are held.
#[tokio::test(start_paused = true)]
async fn a_timeout_behind_a_goodbye_names_it() {
    let mock = Mock::ok();
    mock.set_close(Step::Never);
    let pool = filled(&mock, 1, PoolConfig { close_timeout: secs(9), ..config(1) }).await;
    pool.invalidate_all();
    let error = pool.acquire_within(secs(1)).await.unwrap_err();
    let AcquireError::Timeout(timeout) = &error else { panic!("{error}") };
    assert_eq!((timeout.phase, timeout.active, timeout.closing), (Phase::Queueing, 0, 1));
    let text = error.to_string();
    assert!(
        text.contains("0 of 1 connections are held, 0 connecting, 1 closing; connections on their way out"),
        "{text}"
    );
    assert!(text.contains("lower close_timeout"), "{text}");
}

/// `acquire.diagnosis`: one goodbye under way does not hide that the others are held.
#[tokio::test(start_paused = true)]
async fn a_goodbye_that_would_not_help_is_not_the_advice() {
    let mock = Mock::ok();
    mock.set_close(Step::Never);
    let pool = filled(&mock, 2, PoolConfig { close_timeout: secs(60), ..config(2) }).await;
    let _held = pool.acquire().await.unwrap();
    pool.acquire().await.unwrap().invalidate();
    let (first, second) = tokio::join!(pool.acquire_within(secs(1)), pool.acquire_within(secs(1)));
    let texts = [first, second].map(|ended| ended.unwrap_err().to_string());
    assert!(texts[0].contains("lower close_timeout"), "{}", texts[0]);
    assert!(texts[1].contains("release connections sooner"), "{}", texts[1]);
}

/// Nobody is there to say goodbye to: the peer has closed the connection.
#[tokio::test(start_paused = true)]
async fn a_connection_that_its_peer_has_closed_is_dropped() {
    let mock = Mock::ok();
    mock.set_close(Step::Ok);
    let pool = filled(&mock, 1, config(1)).await;
    tokio::time::sleep(secs(1)).await;
    mock.kill([1]);
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    settle().await;
    assert_eq!(pool.stats().closed.get(RetireReason::PeerClosed), 1);
    assert!(mock.done().is_empty());
}

/// Its runtime has ended, and with it its I/O: another runtime of the pool says no goodbye, whatever the reason is.
#[test]
fn a_connection_whose_runtime_has_ended_gets_no_goodbye() {
    let mock = Mock::ok();
    mock.set_close(Step::Ok);
    in_time(move || {
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (first, second) = (runtime(), runtime());
        let pool = pool(&mock, config(2));
        let of_first = first.block_on(pool.acquire()).unwrap();
        let of_second = second.block_on(pool.acquire()).unwrap();
        drop(first);
        of_first.invalidate();
        of_second.invalidate();
        second.block_on(settle());
        assert_eq!(mock.done(), [("close", 2)]);
    });
}

/// `release.anywhere`: without a runtime there is nobody to say goodbye, so the connection is dropped.
#[test]
fn without_a_runtime_it_is_dropped() {
    let mock = Mock::ok();
    mock.set_close(Step::Never);
    let (held, pool): (_, Pool<Mock>) = {
        let mock = mock.clone();
        in_time(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let pool = pool(&mock, config(2));
            let (held, idle) = runtime.block_on(async { (pool.acquire().await, pool.acquire().await) });
            // Its goodbye has not ended when the runtime does.
            idle.unwrap().invalidate();
            runtime.block_on(settle());
            assert_eq!(mock.done(), [("close", 2)]);
            drop(runtime);
            (held.unwrap(), pool)
        })
    };
    assert_eq!(mock.open(), 1, "the one that is held");
    drop(held);
    assert_eq!((mock.open(), mock.done().len()), (0, 1));
    assert_eq!(pool.stats().total_connections, 0);
}

/// `close.complete`: the last handle goes, and what is idle says goodbye all the same.
#[tokio::test(start_paused = true)]
async fn the_last_handle_says_goodbye_too() {
    let mock = Mock::ok();
    mock.set_close(Step::Slow(secs(1)));
    let pool = filled(&mock, 2, config(2)).await;
    let held = pool.acquire().await.unwrap();
    drop(pool);
    tokio::time::sleep(secs(2)).await;
    assert_eq!((mock.open(), mock.done().len()), (1, 1));
    drop(held);
    tokio::time::sleep(secs(2)).await;
    assert_eq!((mock.open(), mock.done().len()), (0, 2));
}

/// `close.complete`: `close_within` tells what holds it up, also if that is a goodbye.
#[tokio::test(start_paused = true)]
async fn a_report_tells_of_goodbyes() {
    let mock = Mock::ok();
    mock.set_close(Step::Never);
    let pool = filled(&mock, 2, PoolConfig { close_timeout: secs(60), ..config(2) }).await;
    let held = pool.acquire().await.unwrap();
    let report = pool.close_within(secs(1)).await;
    assert_eq!((report.still_held.len(), report.still_closing), (1, 1));
    let text = report.to_string();
    assert!(text.contains("1 connection is still held; one held for 1s"), "{text}");
    assert!(
        text.contains("; 1 connection is still closing: give close_within more time than close_timeout"),
        "{text}"
    );
    drop(held);
    let text = pool.close_within(secs(1)).await.to_string();
    assert!(text.starts_with("2 connections are still closing: "), "{text}");
}

/// A closed pool whose last connection is detached leaves no task behind.
#[tokio::test(start_paused = true)]
async fn a_detached_connection_ends_a_closed_pool() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let pool = pool(&Mock::ok(), config(1));
    let held = pool.acquire().await.unwrap();
    drop(pool.close());
    settle().await;
    assert_eq!(tasks(), before + 1, "it waits for the one that is held");
    drop(poolhouse::PooledConnection::detach(held));
    settle().await;
    assert_eq!(tasks(), before);
}
