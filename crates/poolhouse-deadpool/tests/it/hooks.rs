//! deadpool's hooks on the bridge, and beside the pool's own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool::managed::{Hook, HookError};
use poolhouse::{Pool, PoolConfig, RetireReason};
use poolhouse_deadpool::Deadpool;

use crate::common::{Mock, settle};

const MINUTES: Duration = Duration::from_secs(300);

fn config() -> PoolConfig {
    PoolConfig { idle_timeout: Duration::MAX, max_connections: 1, ..PoolConfig::default() }
}

/// What `recycle` undoes is set again after each one: between two holders, and after a health check, also of a
/// connection that nobody has held yet.
#[tokio::test(start_paused = true)]
async fn settings_outlive_a_health_check() {
    let set = || {
        Hook::async_fn(|session: &mut crate::common::Session, _| {
            Box::pin(async {
                session.application_name.push_str("reports");
                Ok(())
            })
        })
    };
    let mock = Mock::default();
    let bridge = Deadpool::new(mock.clone()).post_create(set()).post_recycle(set());
    let pool = Pool::new(bridge, config()).unwrap();
    pool.warm_up().await.unwrap();
    for recycles in [0, 1] {
        assert_eq!(mock.recycles(), recycles);
        let held = pool.acquire().await.unwrap();
        assert_eq!(held.application_name, "reports");
        held.release();
        settle().await;
    }
    let recycles = mock.recycles();
    tokio::time::sleep(MINUTES).await;
    assert!(mock.recycles() > recycles, "checked");
    assert_eq!(pool.acquire().await.unwrap().application_name, "reports");

    let mock = Mock::default();
    let bridge = Deadpool::new(mock.clone()).post_create(set()).post_recycle(set());
    let pool = Pool::new(bridge, config()).unwrap();
    pool.warm_up().await.unwrap();
    tokio::time::sleep(MINUTES).await;
    assert!(mock.recycles() > 0, "checked before its first holder");
    assert_eq!(pool.acquire().await.unwrap().application_name, "reports");
}

/// Each runs where deadpool runs it, in the order in which they were added, with the metrics. The pool's own hooks come
/// after them.
#[tokio::test(start_paused = true)]
async fn each_runs_around_its_method() {
    let mock = Mock::default();
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let (mock, log) = (mock.clone(), Arc::clone(&log));
        move |count: usize| log.lock().unwrap().push((what, mock.recycles(), count))
    };
    let hook = |what| {
        let note = note(what);
        Hook::sync_fn(move |_, metrics| {
            note(metrics.recycle_count);
            Ok(())
        })
    };
    let (connected, returned) = (note("after_connect"), note("on_return"));
    let bridge = Deadpool::new(mock.clone())
        .post_create(hook("post_create"))
        .pre_recycle(hook("pre_recycle"))
        .pre_recycle(hook("pre_recycle too"))
        .post_recycle(hook("post_recycle"));
    let pool = Pool::builder(bridge)
        .config(config())
        .after_connect(move |_| {
            connected(0);
            Box::pin(async { Ok(()) })
        })
        .on_return(move |_, _| {
            returned(0);
            Box::pin(async { Ok(()) })
        })
        .build()
        .unwrap();
    pool.acquire().await.unwrap().release();
    settle().await;
    // How often `recycle` had been called, and counted.
    let expected = [
        ("post_create", 0, 0),
        ("after_connect", 0, 0),
        ("pre_recycle", 0, 0),
        ("pre_recycle too", 0, 0),
        ("post_recycle", 1, 0),
        ("on_return", 1, 0),
    ];
    assert_eq!(*log.lock().unwrap(), expected);
}

/// An error of a hook closes the connection, which is detached once, and the caller gets another. The text arrives.
#[tokio::test(start_paused = true)]
async fn an_error_of_a_hook_closes_the_connection() {
    let refuse = || Hook::sync_fn(|_, _| Err(HookError::message("no such time zone")));

    let mock = Mock::default();
    let pool = Pool::new(Deadpool::new(mock.clone()).post_create(refuse()), config()).unwrap();
    let error = pool.warm_up().await.unwrap_err();
    assert!(error.to_string().contains(": no such time zone; "), "{error}");
    assert_eq!(mock.state().detached, [1]);

    for before in [true, false] {
        let mock = Mock::default();
        let bridge = Deadpool::new(mock.clone());
        let bridge = if before { bridge.pre_recycle(refuse()) } else { bridge.post_recycle(refuse()) };
        let pool = Pool::new(bridge, config()).unwrap();
        pool.acquire().await.unwrap().release();
        assert_eq!(pool.acquire().await.unwrap().id, 2);
        assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1);
        assert_eq!(mock.recycles(), usize::from(!before));
        assert_eq!(mock.state().detached, [1]);
    }
}
