//! What blocks never runs on the runtime's thread. The runtime of these tests has one.

use std::sync::{Arc, Mutex};
use std::thread;

use poolhouse::{Pool, PooledConnection, RetireReason};
use poolhouse_r2d2::{Connection, R2d2};

use crate::common::{Mock, config, pool, settle, until};

/// While a connect blocks, the runtime goes on.
#[tokio::test(start_paused = true)]
async fn a_connect_does_not_block_the_runtime() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    mock.block(Some("connect"));
    let acquire = tokio::spawn(pool.acquire_owned());
    until("the connect blocks", || mock.state().blocked == 1).await;
    assert_eq!(tokio::spawn(async { 5 }).await.unwrap(), 5, "other tasks run");
    mock.block(None);
    assert_eq!(acquire.await.unwrap().unwrap().id, 1);
    assert!(mock.threads("connect") != [thread::current().id()]);
}

/// Nor does a test, between two holders, nor the drop of a connection. `has_broken` is a plain call.
#[tokio::test(start_paused = true)]
async fn neither_a_test_nor_a_drop_blocks_the_runtime() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    mock.block(Some("is_valid"));
    held.release();
    until("the test blocks", || mock.state().blocked == 1).await;
    mock.block(Some("drop"));
    let held = waiter.await.unwrap().unwrap();
    held.invalidate();
    let next = tokio::spawn(pool.acquire_owned());
    until("the drop blocks", || mock.state().blocked == 1).await;
    // `size.max`: it takes up room until it has gone.
    assert_eq!((mock.count("connect"), mock.state().open), (1, 1));
    mock.block(None);
    assert_eq!(next.await.unwrap().unwrap().id, 2);

    let here = thread::current().id();
    for what in ["connect", "is_valid", "drop"] {
        assert!(mock.count(what) > 0 && !mock.threads(what).contains(&here), "{what}");
    }
    assert!(mock.threads("has_broken").iter().all(|thread| *thread == here));
}

/// Nor does the drop of a connection that is not closed gracefully, for its peer has closed it.
#[tokio::test(start_paused = true)]
async fn the_drop_of_a_dead_connection_does_not_block_the_runtime() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()).test_on_return(false), 1);
    pool.acquire().await.unwrap().release();
    mock.state().broken.insert(1);
    tokio::time::advance(std::time::Duration::from_millis(2)).await;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_eq!(pool.stats().closed.get(RetireReason::PeerClosed), 1);
    until("it has gone", || mock.count("drop") == 1).await;
    assert_eq!(mock.state().dropped_where_it_must_not_block, 0);
}

/// `close` waits until the last connection has gone, on a thread that may block.
#[tokio::test(start_paused = true)]
async fn close_waits_for_drops_that_block() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 2);
    drop((pool.acquire().await.unwrap(), pool.acquire().await.unwrap()));
    until("both are tested", || pool.stats().resetting == 0 && mock.count("is_valid") == 2).await;
    mock.block(Some("drop"));
    let closing = pool.clone();
    let closed = tokio::spawn(async move { closing.close_within(std::time::Duration::MAX).await });
    until("both block", || mock.state().blocked == 2).await;
    assert!(!closed.is_finished());
    mock.block(None);
    assert!(closed.await.unwrap().is_complete());
    assert_eq!(mock.state().open, 0);
}

/// `close.complete`: also if a hook before close gets what `is_valid` still has.
#[tokio::test(start_paused = true)]
async fn a_hook_before_close_may_find_the_connection_away() {
    let (mock, seen) = (Mock::default(), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&seen);
    let builder = Pool::builder(R2d2::new(mock.clone())).config(config(1));
    let pool = builder
        .before_close(move |connection, _| {
            let asked = Connection::get_mut(connection).map(|connection| connection.id);
            told.lock().unwrap().push(asked);
            // Panics if the connection is away, and nothing is lost by that.
            let id = connection.id;
            Box::pin(async move { if Some(id) == asked { Ok(()) } else { Err("another".into()) } })
        })
        .build()
        .unwrap();
    for blocks in [None, Some("is_valid")] {
        mock.block(blocks);
        pool.acquire().await.unwrap().release();
        until("it is tested, or the test blocks", || {
            mock.state().blocked == 1 || (mock.count("is_valid") == 1 && pool.stats().resetting == 0)
        })
        .await;
        if blocks.is_none() {
            pool.invalidate_all();
            until("it has gone", || mock.state().open == 0).await;
        }
    }
    let closing = pool.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    until("the hook has run", || seen.lock().unwrap().len() == 2).await;
    settle().await;
    assert!(!closed.is_finished(), "the connection is open yet");
    mock.block(None);
    closed.await.unwrap();
    assert_eq!((mock.state().open, seen.lock().unwrap().clone()), (0, vec![Some(1), None]));
}

/// A connect that takes too long is given up. What it opens after all is dropped, off the runtime's thread.
#[tokio::test(start_paused = true)]
async fn a_connection_that_comes_too_late_is_dropped() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    mock.block(Some("connect"));
    let late = tokio::spawn(pool.acquire_owned());
    until("the connect blocks", || mock.state().blocked == 1).await;
    tokio::time::advance(pool.config().connect_attempt_timeout).await;
    until("the pool has given up", || pool.stats().failed_connects == 1).await;
    mock.block(None);
    until("it was opened and dropped", || mock.count("drop") == 1).await;
    assert!(!mock.threads("drop").contains(&thread::current().id()));
    assert_eq!(late.await.unwrap().unwrap().id, 2, "the next attempt");
}

/// A test that takes too long costs one connection. It takes up room until the call comes back (`size.max`).
#[tokio::test(start_paused = true)]
async fn a_test_that_hangs_costs_one_connection() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    mock.block(Some("is_valid"));
    pool.acquire().await.unwrap().release();
    until("the test blocks", || mock.state().blocked == 1).await;
    let next = tokio::spawn(pool.acquire_owned());
    tokio::time::advance(pool.config().reset_timeout).await;
    until("it is given up", || pool.stats().closed.get(RetireReason::ResetFailed) == 1).await;
    assert_eq!((mock.count("connect"), mock.state().open), (1, 1));
    mock.block(None);
    assert_eq!(next.await.unwrap().unwrap().id, 2);
    assert_eq!((mock.count("drop"), mock.state().dropped_where_it_must_not_block), (1, 0));
}

/// But not for longer than `close_timeout`: the limit of what cannot be cancelled.
#[tokio::test(start_paused = true)]
async fn a_test_that_never_ends_takes_up_room_for_close_timeout() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    mock.block(Some("is_valid"));
    pool.acquire().await.unwrap().release();
    until("the test blocks", || mock.state().blocked == 1).await;
    let next = tokio::spawn(pool.acquire_owned());
    tokio::time::advance(pool.config().reset_timeout).await;
    until("it is given up", || pool.stats().closed.get(RetireReason::ResetFailed) == 1).await;
    let given_up = tokio::time::Instant::now();
    // The clock does not move by itself while a thread blocks. It stands still again once a connect has begun, for that takes
    // real time on another thread.
    while pool.stats().connecting == 0 && !next.is_finished() {
        tokio::time::advance(std::time::Duration::from_millis(100)).await;
        settle().await;
    }
    assert!(given_up.elapsed() >= pool.config().close_timeout, "{:?}", given_up.elapsed());
    let next = next.await.unwrap().unwrap();
    assert_eq!((next.id, mock.state().open), (2, 2));
    mock.block(None);
    until("it has gone", || mock.count("drop") == 1).await;
    assert_eq!(mock.state().dropped_where_it_must_not_block, 0);
}

/// `release.anywhere`: after the runtime has gone, the connection is dropped where its guard is.
#[test]
fn without_a_runtime_it_is_dropped_in_place() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let held = runtime.block_on(pool.acquire()).unwrap();
    drop(runtime);
    drop(held);
    assert_eq!(mock.threads("drop"), [thread::current().id()]);
}

/// Threads without async code: the same bridge in `poolhouse::blocking`.
#[test]
fn threads_share_it() {
    let mock = Mock::default();
    let pool = poolhouse::blocking::Pool::new(R2d2::new(mock.clone()), config(2)).unwrap();
    let ask = || {
        let pool = pool.clone();
        thread::spawn(move || (0..10).map(|_| pool.acquire().unwrap().id).max())
    };
    let threads: Vec<_> = (0..4).map(|_| ask()).collect();
    for thread in threads {
        assert!(thread.join().unwrap() <= Some(2));
    }
    assert!(pool.close_within(std::time::Duration::MAX).is_complete());
    assert_eq!(mock.state().open, 0);
}

/// The pool for threads brings a runtime of its own, which ends with it. What is still open then must not be dropped on that
/// runtime's thread.
#[test]
fn dropping_the_pool_drops_connections_where_they_may_block() {
    for _ in 0..50 {
        let mock = Mock::default();
        let pool = poolhouse::blocking::Pool::new(R2d2::new(mock.clone()), config(2)).unwrap();
        drop((pool.acquire().unwrap(), pool.acquire().unwrap()));
        drop(pool);
        let began = std::time::Instant::now();
        while mock.state().open > 0 {
            assert!(began.elapsed() < std::time::Duration::from_secs(20), "a connection is never dropped");
            thread::yield_now();
        }
        assert_eq!(mock.state().dropped_where_it_must_not_block, 0);
    }
}

/// What its holder takes out of the pool is the holder's.
#[tokio::test(start_paused = true)]
async fn a_holder_may_take_it() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let mine = Connection::take(PooledConnection::detach(pool.acquire().await.unwrap()));
    assert_eq!((mine.id, pool.stats().total_connections), (1, 0));
    drop(mine);
    assert_eq!(mock.threads("drop"), [thread::current().id()]);
}

/// The bridge needs a thread that may block. If closures that wait for a connection have all of them, they wait in vain. One
/// thread is enough if the guard moves into the closure, or if the closure waits for a pool with a runtime of its own.
#[test]
fn a_closure_that_may_block_must_not_wait_for_a_connection() {
    let one_thread = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap()
    };
    let limit = std::time::Duration::from_millis(50);
    let (runtime, waits) = (one_thread(), pool(R2d2::new(Mock::default()), 1));
    let waited = runtime.block_on(async {
        let closure = move || tokio::runtime::Handle::current().block_on(waits.acquire_within(limit)).is_ok();
        tokio::task::spawn_blocking(closure).await.unwrap()
    });
    assert!(!waited, "the connect waits for the closure's thread");

    let (runtime, first) = (one_thread(), pool(R2d2::new(Mock::default()), 1));
    let own = poolhouse::blocking::Pool::new(R2d2::new(Mock::default()), config(1)).unwrap();
    let ids = runtime.block_on(async {
        let moved = first.acquire().await.unwrap();
        let moved = tokio::task::spawn_blocking(move || moved.id).await.unwrap();
        let again = first.acquire().await.unwrap().id;
        let own = tokio::task::spawn_blocking(move || own.acquire().unwrap().id).await.unwrap();
        [moved, again, own]
    });
    assert_eq!(ids, [1; 3]);
}
