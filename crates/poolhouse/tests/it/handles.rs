//! Handles of a pool, of its manager and of its connections.

use std::sync::Arc;
use std::time::Duration;

use poolhouse::{AcquireError, Pool, PoolConfig, PooledConnection};

use crate::common::{Mock, Step};

fn pool(max: usize) -> Pool<Mock> {
    Pool::new(Mock::ok(), PoolConfig { max_connections: max, min_connections: 0, ..PoolConfig::default() })
        .unwrap()
}

/// `close.complete`: a weak handle does not keep the pool open.
#[tokio::test(start_paused = true)]
async fn a_weak_handle_lets_the_pool_close() {
    let pool = pool(1);
    let weak = pool.downgrade();
    let held = pool.acquire().await.unwrap();
    let again = weak.upgrade().expect("the pool is there");
    drop(pool);
    assert_eq!(again.stats().active_connections, 1);
    assert_eq!(format!("{weak:?}"), "WeakPool { is_open: true }");
    drop(again);
    assert!(weak.upgrade().is_none(), "a guard is no handle");
    assert_eq!(format!("{:?}", weak.clone()), "WeakPool { is_open: false }");
    drop(held);
}

/// `acquire.deadline`: the future that owns its pool keeps the pool open while it waits, and no longer.
#[tokio::test(start_paused = true)]
async fn an_acquire_that_owns_its_pool_can_be_spawned() {
    let pool = pool(1);
    let held = pool.acquire().await.unwrap();
    let weak = pool.downgrade();
    let waiting = tokio::spawn(pool.acquire_owned());
    drop(pool);
    tokio::task::yield_now().await;
    held.release();
    let served = waiting.await.unwrap().expect("the pool is open while somebody waits");
    assert!(weak.upgrade().is_none());
    drop(served);
}

/// `acquire.diagnosis`: it names the line that called it.
#[tokio::test(start_paused = true)]
async fn an_acquire_that_owns_its_pool_says_where_it_waits() {
    let pool = pool(1);
    let line = line!() + 1;
    let held = pool.acquire_owned().await.unwrap();
    assert_eq!(pool.holders()[0].acquired_at.line(), line);
    let error = pool.acquire_owned().await.unwrap_err();
    assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    drop(held);
}

/// A manager that its owner keeps a handle of is asked like any other.
#[tokio::test(start_paused = true)]
async fn an_arc_of_a_manager_is_a_manager() {
    let manager = Arc::new(Mock::new(Step::Permanent));
    let pool = Pool::new(Arc::clone(&manager), PoolConfig::default()).unwrap();
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "it classifies: {error}");
    assert!(error.to_string().contains("mock"), "it says where it goes: {error}");
}

/// What the pool knows of a connection is told of the guard, and hides nothing of the connection.
#[tokio::test(start_paused = true)]
async fn a_guard_tells_age_idle_time_and_uses() {
    let pool = pool(1);
    let second = Duration::from_secs(1);
    let first = pool.acquire().await.unwrap();
    assert_eq!((PooledConnection::id(&first), PooledConnection::use_count(&first)), (1, 1));
    tokio::time::advance(second).await;
    assert_eq!(PooledConnection::idle_time(&first), Duration::ZERO, "it does not grow while it is held");
    first.release();
    tokio::time::advance(second * 2).await;
    let again = pool.acquire().await.unwrap();
    assert_eq!(PooledConnection::age(&again), second * 3);
    assert_eq!(PooledConnection::idle_time(&again), second * 2);
    assert_eq!(PooledConnection::use_count(&again), 2);
    let _: &usize = &again.as_ref().id;
}

#[tokio::test(start_paused = true)]
async fn an_acquire_says_how_far_it_is() {
    let pool = pool(1);
    let mut acquire = Box::pin(pool.acquire());
    assert!(format!("{acquire:?}").contains("not polled yet"));
    drop((&mut acquire).await);
    assert!(format!("{acquire:?}").contains("ended"));
}
