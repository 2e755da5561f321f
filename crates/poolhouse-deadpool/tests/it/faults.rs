//! Managers that panic: no capacity is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use poolhouse::{Pool, PoolConfig, PooledConnection, RetireReason};
use poolhouse_deadpool::{Deadpool, Object};

use crate::common::{Mock, assert_hands_out_exactly, pool, settle};

/// `panic.no_loss`
#[tokio::test(start_paused = true)]
async fn a_panic_in_create_or_recycle_costs_no_capacity() {
    for what in ["create", "recycle"] {
        let mock = Mock::default();
        let pool = pool(&mock, 1);
        mock.state().panics = Some(what);
        if let Ok(held) = pool.acquire_within(Duration::from_secs(2)).await {
            held.release();
            settle().await;
            assert_eq!(pool.stats().closed.get(RetireReason::Panicked), 1, "{what}");
            assert_eq!(mock.state().detached, [1], "{what}");
        }
        mock.state().panics = None;
        assert_hands_out_exactly(&pool, 1).await;
    }
}

/// `panic.no_loss`: `detach` runs as the connection is dropped. Its holder sees the panic.
#[tokio::test(start_paused = true)]
async fn a_panic_in_detach_costs_no_capacity() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    let held = pool.acquire().await.unwrap();
    mock.state().panics = Some("detach");
    assert!(tokio::spawn(async move { held.invalidate() }).await.is_err_and(|error| error.is_panic()));
    assert_eq!(mock.state().open, 0);
    mock.state().panics = None;
    assert_hands_out_exactly(&pool, 1).await;
}

/// `panic.no_loss`: one poisoned mutex makes `detach` and the drop of the connection panic, one after the other. The
/// process goes on, whoever drops the connection: its holder, a holder that panics itself, or a background task.
#[tokio::test(start_paused = true)]
async fn a_panic_in_detach_and_in_the_drop_does_not_end_the_process() {
    let mock = Mock::default();
    let pool = pool(&mock, 1);
    let panic_in_both = |both: bool| {
        let mut state = mock.state();
        (state.panics, state.drop_panics) = (both.then_some("detach"), both);
    };

    let held = pool.acquire().await.unwrap();
    panic_in_both(true);
    assert!(tokio::spawn(async move { held.invalidate() }).await.is_err_and(|error| error.is_panic()));

    let held = pool.acquire().await.unwrap();
    let panicking = tokio::spawn(async move {
        let _held = held;
        panic!("while it holds a connection");
    });
    assert!(panicking.await.is_err());

    let object = PooledConnection::detach(pool.acquire().await.unwrap());
    let panicking = tokio::spawn(async move {
        let _object = object;
        panic!("while it holds an object");
    });
    assert!(panicking.await.is_err());

    let object = PooledConnection::detach(pool.acquire().await.unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| Object::take(object))).is_err());

    pool.acquire().await.unwrap().release();
    settle().await;
    pool.retain(|_, _| false);

    panic_in_both(false);
    assert_eq!(mock.state().detached, [1, 2, 3, 4, 5], "each once");
    assert_eq!(mock.state().open, 0);
    assert_hands_out_exactly(&pool, 1).await;
}

/// `panic.no_loss`: a hook panics, and so does `detach`, as the new connection is dropped while that panic unwinds.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_hook_and_in_detach_does_not_end_the_process() {
    let mock = Mock::default();
    let pool = Pool::builder(Deadpool::new(mock.clone()))
        .config(PoolConfig { min_connections: 1, ..PoolConfig::default() })
        .after_connect(|_| Box::pin(async { panic!("told to panic in a hook") }))
        .build()
        .unwrap();
    mock.state().panics = Some("detach");
    pool.warm_up().await.unwrap_err();
    assert_eq!(mock.state().detached, [1]);
    assert_eq!(mock.state().open, 0);
    mock.state().panics = None;
}
