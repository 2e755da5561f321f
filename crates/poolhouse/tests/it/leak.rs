//! A connection held too long is reported once a hold, with the line that acquired it: `leak.report`.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolhouse::{Event, Holder, Pool, PoolConfig, PooledConnection};

use crate::common::{Mock, config, ms, poll_once, secs};

type Reports = Arc<Mutex<Vec<Holder>>>;

fn watched(mock: &Mock, config: PoolConfig) -> (Pool<Mock>, Reports) {
    let reports = Reports::default();
    let listener = {
        let reports = Arc::clone(&reports);
        move |event: &Event<'_>| {
            if let Event::Leaked { holder, .. } = event {
                reports.lock().unwrap().push(*holder);
            }
        }
    };
    (Pool::builder(mock.clone()).config(config).listener(listener).build().unwrap(), reports)
}

fn threshold(threshold: Duration) -> PoolConfig {
    PoolConfig { leak_threshold: threshold, ..config(4) }
}

/// `leak.report`: once, in time, with the line; again only for a new hold.
/// Option `leak_threshold`.
#[tokio::test(start_paused = true)]
async fn a_long_hold_is_reported_once() {
    let mock = Mock::ok();
    let (pool, reports) = watched(&mock, threshold(secs(10)));
    let held = pool.acquire().await.unwrap();
    let line = line!() - 1;
    tokio::time::sleep(secs(9)).await;
    assert!(reports.lock().unwrap().is_empty(), "not yet");
    tokio::time::sleep(ms(1100)).await;
    let report = reports.lock().unwrap()[0];
    assert_eq!((report.connection, report.acquired_at.line()), (PooledConnection::id(&held), line));
    assert!(report.acquired_at.file().ends_with("leak.rs"), "{}", report.acquired_at);
    assert!(report.held_for >= secs(10) && report.held_for < ms(10_100), "{:?}", report.held_for);
    tokio::time::sleep(secs(100)).await;
    assert_eq!((reports.lock().unwrap().len(), pool.stats().reported_leaks), (1, 1), "once a hold");
    drop(held);
    let _again = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(11)).await;
    assert_eq!(reports.lock().unwrap().len(), 2, "a new hold");
}

/// `leak.report`: among many short holds the long one is found, however it was acquired, and no other is.
#[tokio::test(start_paused = true)]
async fn the_long_hold_among_short_ones_is_found() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mock = Mock::ok();
        let (pool, reports) = watched(&mock, threshold(secs(5)));
        drop(pool.acquire().await.unwrap());
        let mut long = None;
        for step in 0..200 {
            if step == 60 {
                long = pool.try_acquire();
                assert!(long.is_some(), "seed {seed}");
            }
            let _short = pool.acquire().await.unwrap();
            tokio::time::sleep(ms(rng.u64(1..300))).await;
        }
        let reports = reports.lock().unwrap();
        assert_eq!(reports.len(), 1, "seed {seed}: {reports:?}");
        assert_eq!(Some(reports[0].connection), long.as_ref().map(PooledConnection::id));
        assert!(reports[0].held_for < ms(5100), "seed {seed}: late by {:?}", reports[0].held_for - secs(5));
    }
}

/// `leak.report`: without a threshold nothing is reported, and nothing is closed with one.
#[tokio::test(start_paused = true)]
async fn it_reports_and_does_nothing_else() {
    let mock = Mock::ok();
    let (pool, reports) = watched(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(3600)).await;
    assert!(reports.lock().unwrap().is_empty());
    drop(held);
    let (pool, reports) = watched(&mock, threshold(secs(1)));
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(60)).await;
    assert_eq!(reports.lock().unwrap().len(), 1);
    drop(held);
    assert_eq!(pool.stats().idle_connections, 1, "it is as good as before");
}

/// `leak.report`: watching for leaks does not keep the background awake when nobody holds anything.
#[tokio::test(start_paused = true)]
async fn an_idle_pool_is_left_alone() {
    let mock = Mock::ok();
    let never = Duration::MAX;
    let config = PoolConfig {
        health_check_interval: never,
        idle_timeout: never,
        max_lifetime: never,
        ..threshold(ms(10))
    };
    let (pool, _) = watched(&mock, config);
    drop(pool.acquire().await.unwrap());
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    tokio::time::sleep(secs(3600)).await;
    let woken = metrics.worker_park_count(0) - before;
    assert!(woken < 10, "woken {woken} times in an hour in which nobody held anything");
}

/// `leak.report`, `observe.events`: what an acquire was served and has not picked up is held too, so the background tells of
/// it before its `Acquired`. That is its one report.
#[tokio::test(start_paused = true)]
async fn what_nobody_picks_up_is_reported_once() {
    let mock = Mock::ok();
    let (pool, reports) = watched(&mock, threshold(secs(10)));
    pool.resize(1).unwrap();
    let held = pool.acquire().await.unwrap();
    let mut waiter = pin!(pool.acquire());
    let line = line!() - 1;
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    drop(held);
    tokio::time::sleep(secs(11)).await;
    assert_eq!(pool.holders().len(), 1);
    assert_eq!(reports.lock().unwrap()[0].acquired_at.line(), line);
    let _held = waiter.await.unwrap();
    tokio::time::sleep(secs(100)).await;
    assert_eq!((reports.lock().unwrap().len(), pool.stats().reported_leaks), (1, 1), "once a hold");
}
