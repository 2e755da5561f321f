//! Panics cost no capacity: `panic.no_loss`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use poolhouse::{Event, Pool, PoolConfig, RetireReason};

use crate::common::{Mock, Step, assert_hands_out_exactly, check_stats, config, pool, secs, settle};

/// panic.no_loss: in `connect`. The waiter is served by the next attempt. In bb8 0.9.1 and r2d2 0.8.10
/// one such panic costs a place for good.
#[tokio::test(start_paused = true)]
async fn in_connect() {
    let mock = Mock::ok().script([Step::Panic; 5]);
    let pool = pool(&mock, config(2));
    let served = tokio::time::timeout(secs(20), pool.acquire()).await.unwrap().unwrap();
    assert_eq!((mock.attempts().len(), pool.stats().failed_connects), (6, 5));
    drop(served);
    assert_hands_out_exactly(&pool, 2, "connect").await;
    assert_eq!(mock.peak(), 2);
}

/// panic.no_loss: in `check`.
#[tokio::test(start_paused = true)]
async fn in_check() {
    let mock = Mock::ok();
    mock.set_check(Step::Panic);
    let pool = pool(&mock, config(2));
    let both = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    drop(both);
    tokio::time::sleep(secs(100)).await;
    assert_eq!((mock.checks(), mock.open(), pool.stats().checking), (2, 0, 0));
    assert_hands_out_exactly(&pool, 2, "check").await;
}

/// panic.no_loss, health.known_dead: in `is_connected`, which the background asks after a check that has passed. The check
/// has failed then, for nobody knows how the connection is. It was taken for passed.
#[tokio::test(start_paused = true)]
async fn in_is_connected_after_a_check() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let told = Arc::clone(&told);
        move |event: &Event<'_>| match event {
            Event::CheckFailed { connection, error: None, .. } => {
                told.lock().unwrap().push((*connection, None));
            }
            Event::Retired { connection, reason, .. } => {
                told.lock().unwrap().push((*connection, Some(*reason)));
            }
            _ => {}
        }
    };
    let mock = Mock::ok();
    let pool = Pool::builder(mock.clone())
        .config(PoolConfig { min_connections: 1, ..config(2) })
        .listener(listener)
        .build()
        .unwrap();
    drop(pool.acquire().await.unwrap());
    mock.panic_on_look(true);
    tokio::time::sleep(secs(31)).await;
    mock.panic_on_look(false);
    assert_eq!(*told.lock().unwrap(), [(1, None), (1, Some(RetireReason::Panicked))]);
    assert_eq!((mock.checks(), pool.stats().failed_checks, pool.stats().total_connections), (1, 1, 1));
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert_hands_out_exactly(&pool, 2, "the look after a check").await;
}

/// panic.no_loss: in `is_reusable`. The panic reaches the holder; the connection is closed.
#[tokio::test(start_paused = true)]
async fn in_is_reusable() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    mock.panic_on_return(true);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(held))).is_err());
    mock.panic_on_return(false);
    assert_eq!((mock.open(), pool.stats().active_connections), (0, 0));
    check_stats(&pool.stats(), "is_reusable");
    assert_hands_out_exactly(&pool, 1, "is_reusable").await;
}

/// panic.no_loss: while holding. What the panic left half-done is closed, not passed on, and a waiter is served.
#[tokio::test(start_paused = true)]
async fn while_holding() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let holder = tokio::spawn({
        let pool = pool.clone();
        async move {
            let _held = pool.acquire().await.unwrap();
            tokio::time::sleep(secs(1)).await;
            panic!("while holding");
        }
    });
    settle().await;
    assert_eq!(pool.acquire().await.unwrap().id, 2);
    assert!(holder.await.unwrap_err().is_panic());
    assert_hands_out_exactly(&pool, 1, "holding").await;
}

/// panic.no_loss: in a callback of `acquire_async`.
#[tokio::test(start_paused = true)]
async fn in_a_callback() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let task = pool.acquire_async(|acquired| {
        let _held = acquired.unwrap();
        panic!("in the callback");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_hands_out_exactly(&pool, 1, "callback").await;
}

/// `panic.no_loss`: one poisoned mutex makes a hook panic, and then the drop of the connection that it had, while the first
/// panic unwinds. The process goes on.
#[tokio::test(start_paused = true)]
async fn in_a_hook_and_in_the_drop_of_its_connection() {
    struct Fragile;
    impl Drop for Fragile {
        fn drop(&mut self) {
            panic!("told to panic in a drop");
        }
    }
    struct MakesFragile;
    impl poolhouse::Manager for MakesFragile {
        type Connection = Fragile;
        type Error = std::io::Error;

        async fn connect(&self) -> std::io::Result<Fragile> {
            Ok(Fragile)
        }
    }
    let limit = std::time::Duration::from_secs(2);
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let at_once =
        Pool::builder(MakesFragile).config(config.clone()).after_connect(|_| panic!("told to panic"));
    let later = Pool::builder(MakesFragile)
        .config(config.clone())
        .after_connect(|_| Box::pin(async { panic!("told to panic") }));
    for builder in [at_once, later] {
        let pool = builder.build().unwrap();
        let error = pool.acquire_within(limit).await.unwrap_err().to_string();
        assert!(error.contains("the manager panicked while it connected"), "{error}");
        assert!(pool.stats().failed_connects > 0);
        pool.close().await;
    }
    // Of an error of the hook nobody but the log learns what the drop did.
    let fails = Pool::builder(MakesFragile)
        .config(config.clone())
        .after_connect(|_| Box::pin(async { Err("no role".into()) }));
    let pool = fails.build().unwrap();
    let error = pool.acquire_within(limit).await.unwrap_err().to_string();
    assert!(error.contains("no role"), "{error}");
    // A goodbye that takes too long is dropped with what it holds, and the connection with it.
    let held_up = Pool::builder(MakesFragile)
        .config(PoolConfig { close_timeout: limit, ..config.clone() })
        .before_close(|_, _| {
            Box::pin(async {
                let _one = Fragile;
                std::future::pending().await
            })
        });
    let pool = held_up.build().unwrap();
    pool.acquire().await.unwrap().invalidate();
    pool.close().await;
    let pool = Pool::builder(MakesFragile)
        .config(config)
        .before_close(|_, _| panic!("told to panic"))
        .build()
        .unwrap();
    drop(pool.acquire().await.unwrap());
    pool.close().await;
    assert_eq!(pool.stats().idle_connections, 0);
}
