//! Statistics that export well, and the name of a pool: `stats.consistent`, `observe.events`.

use std::sync::{Arc, Mutex};

use poolhouse::{Event, Pool, PoolConfig, RetireReason};

use crate::common::{Mock, Step, check_stats, config, filled, ms, poll_once, pool, secs};

/// The waits of those who ran out of time, or went away, are counted with their times: in an outage they are all there is.
#[tokio::test(start_paused = true)]
async fn failed_waits_have_times_too() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, PoolConfig { connection_timeout: secs(3), ..config(1) }).await;
    let held = pool.acquire().await.unwrap();
    assert!(pool.acquire().await.is_err());
    {
        let mut waiter = std::pin::pin!(pool.acquire());
        assert!(poll_once(waiter.as_mut()).await.is_pending());
        tokio::time::sleep(ms(700)).await;
    }
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::time::sleep(ms(200)).await;
    drop(held);
    drop(waiter.await.unwrap().unwrap());
    let stats = pool.stats();
    assert_eq!((stats.timed_out_waits.count(), stats.timed_out_waits.sum()), (1, secs(3)));
    assert_eq!((stats.cancelled_waits.count(), stats.cancelled_waits.sum()), (1, ms(700)));
    assert_eq!((stats.timed_out_acquisitions, stats.cancelled_acquisitions), (1, 1));
    assert_eq!(
        (stats.waited_acquisitions, stats.wait_times.sum()),
        (2, ms(200)),
        "the connect is a wait too"
    );
    assert_eq!(stats.hold_times.sum(), secs(3) + ms(900));
}

/// The difference of two snapshots holds what happened between them.
#[tokio::test(start_paused = true)]
async fn two_snapshots_can_be_subtracted() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, config(2)).await;
    let before = pool.stats();
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(ms(40)).await;
    held.invalidate();
    let between = pool.stats().since(&before);
    assert_eq!((between.total_acquisitions, between.total_releases, between.connections_created), (1, 1, 0));
    assert_eq!((between.hold_times.count(), between.hold_times.sum()), (1, ms(40)));
    assert_eq!((between.closed.get(RetireReason::Invalidated), between.closed.total()), (1, 1));
    assert_eq!(between.idle_connections, 1, "as it is now");
    assert_eq!(before.since(&pool.stats()).total_acquisitions, 0, "the wrong way round is nothing");
}

/// Every connection that goes is counted once, by its reason.
#[tokio::test(start_paused = true)]
async fn closes_are_counted_by_reason() {
    let mock = Mock::ok();
    let pool = filled(&mock, 3, PoolConfig { idle_timeout: secs(60), ..config(3) }).await;
    pool.acquire().await.unwrap().invalidate();
    mock.refuse_returns(true);
    pool.acquire().await.unwrap().release();
    mock.refuse_returns(false);
    tokio::time::sleep(secs(61)).await;
    let stats = pool.stats();
    let counted: Vec<_> = stats.closed.iter().filter(|(_, count)| *count > 0).collect();
    let expected = [(RetireReason::Idle, 1), (RetireReason::NotReusable, 1), (RetireReason::Invalidated, 1)];
    assert_eq!(counted, expected);
    check_stats(&stats, "closes by reason");
}

/// The name of a pool is in its events and in the texts of its errors.
#[tokio::test(start_paused = true)]
async fn a_named_pool_says_its_name() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let names = Arc::clone(&names);
        move |event: &Event<'_>| names.lock().unwrap().push(event.pool().map(str::to_string))
    };
    let options = PoolConfig { connection_timeout: secs(1), max_pending: Some(1), ..config(1) };
    let builder = Pool::builder(Mock::ok()).config(options).name("orders").listener(listener);
    let pool = builder.build().unwrap();
    assert_eq!(pool.name(), Some("orders"));
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::time::sleep(ms(1)).await;
    let overloaded = pool.acquire().await.unwrap_err();
    let timeout = waiter.await.unwrap().unwrap_err();
    drop(held);
    pool.close().await;
    let told = names.lock().unwrap().len();
    pool.close().await;
    assert_eq!(names.lock().unwrap().len(), told, "Closed is told once");
    let closed = pool.acquire().await.unwrap_err();
    for (error, text) in [
        (
            overloaded,
            "1 acquire already waits for a connection to mock:1 (pool \"orders\") and max_pending is 1",
        ),
        (timeout, "timed out after 1s waiting for a connection to mock:1 (pool \"orders\") (queueing"),
        (closed, "the pool for mock:1 (pool \"orders\") is closed"),
    ] {
        assert!(error.to_string().contains(text), "{error}");
    }
    let names = names.lock().unwrap();
    assert!(names.len() >= 5 && names.iter().all(|name| name.as_deref() == Some("orders")), "{names:?}");
}

/// `acquire.diagnosis`: a failed connect names the pool too.
#[tokio::test(start_paused = true)]
async fn a_failed_connect_says_its_name() {
    let mock = Mock::new(Step::Permanent);
    let pool = Pool::builder(mock).config(config(1)).name("replica").build().unwrap();
    let error = pool.acquire().await.unwrap_err();
    let text = "cannot connect to mock:1 (pool \"replica\"): mock says Permanent";
    assert!(error.to_string().starts_with(text), "{error}");
}

/// A pool without a name says nothing of one.
#[tokio::test(start_paused = true)]
async fn an_unnamed_pool_has_none() {
    let pool = pool(&Mock::ok(), config(1));
    assert_eq!(pool.name(), None);
    pool.close().await;
    let error = pool.acquire().await.unwrap_err();
    assert!(error.to_string().starts_with("the pool for mock:1 is closed"), "{error}");
}
