//! What a listener is told: `observe.events`.

use std::sync::{Arc, Mutex};

use poolhouse::{Event, GUIDE, Pool, PoolConfig, PooledConnection, RetireReason};

use crate::common::{Mock, Step, assert_hands_out_exactly, check_stats, config, ms, poll_once, secs, settle};

type Told = Arc<Mutex<Vec<String>>>;

/// An event in few words.
fn brief(event: &Event<'_>) -> String {
    match event {
        Event::Created { connection, took, .. } => format!("created {connection} in {took:?}"),
        Event::Acquired { connection, waited, .. } => format!("acquired {connection} after {waited:?}"),
        Event::Released { connection, held_for, .. } => format!("released {connection} after {held_for:?}"),
        Event::Retired { connection, reason, age, .. } => {
            format!("retired {connection} at {age:?}: {reason}")
        }
        Event::ConnectFailed { error, kind, .. } => format!("connect failed: {error} {}", kind.as_str()),
        Event::AcquireFailed { error, acquired_at, .. } => {
            let text = error.to_string();
            format!(
                "acquire failed at {}: {}",
                acquired_at.line(),
                text.split(' ').take(2).collect::<String>()
            )
        }
        Event::CheckFailed { connection, error, .. } => {
            format!("check of {connection} failed: {}", error.map_or("timeout".into(), ToString::to_string))
        }
        Event::Leaked { holder, .. } => format!("leaked {}", holder.connection),
        other => format!("{other:?}"),
    }
}

fn told(mock: &Mock, config: PoolConfig) -> (Pool<Mock>, Told) {
    let told = Told::default();
    let listener = {
        let told = Arc::clone(&told);
        move |event: &Event<'_>| told.lock().unwrap().push(brief(event))
    };
    (Pool::builder(mock.clone()).config(config).listener(listener).build().unwrap(), told)
}

fn take(told: &Told) -> Vec<String> {
    std::mem::take(&mut *told.lock().unwrap())
}

/// `observe.events`: one connection's life, in order, with the times.
#[tokio::test(start_paused = true)]
async fn the_life_of_a_connection() {
    let mock = Mock::new(Step::Slow(ms(20)));
    let (pool, told) = told(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    let mut first = take(&told);
    first.sort();
    assert_eq!(first, ["acquired 1 after 20ms", "created 1 in 20ms"]);
    tokio::time::sleep(ms(30)).await;
    drop(held);
    let again = pool.acquire().await.unwrap();
    tokio::time::sleep(ms(10)).await;
    again.invalidate();
    assert_eq!(
        take(&told),
        [
            "released 1 after 30ms",
            "acquired 1 after 0ns",
            "released 1 after 10ms",
            "retired 1 at 40ms: invalidated"
        ]
    );
    let detached = PooledConnection::detach(pool.acquire().await.unwrap());
    let last: Vec<_> = take(&told).into_iter().skip_while(|event| !event.starts_with("released")).collect();
    assert_eq!(last, ["released 2 after 0ns", "retired 2 at 0ns: detached"]);
    drop(detached);
}

/// `observe.events`: everything that fails is told, with its cause.
#[tokio::test(start_paused = true)]
async fn what_fails_is_told() {
    let mock = Mock::new(Step::Ok).script([Step::Fail, Step::Ok]);
    let config = PoolConfig { connection_timeout: secs(1), health_check_interval: secs(3), ..config(1) };
    let (pool, told) = told(&mock, config);
    let held = pool.acquire().await.unwrap();
    let line = line!() + 1;
    assert!(pool.acquire().await.is_err());
    let events = take(&told);
    assert!(
        events.contains(&format!(
            "connect failed: mock says Fail; guide: {GUIDE}/troubleshooting/server-down.html transient"
        )),
        "{events:?}"
    );
    assert!(events.contains(&format!("acquire failed at {line}: timedout")), "{events:?}");
    drop(held);
    mock.set_check(Step::Fail);
    tokio::time::sleep(secs(4)).await;
    let events = take(&told);
    assert_eq!(events[1], "check of 1 failed: mock says Fail", "{events:?}");
    assert!(events[2].ends_with("check_failed"), "{events:?}");
    mock.set_check(Step::Panic);
    drop(pool.acquire().await.unwrap());
    take(&told);
    tokio::time::sleep(secs(4)).await;
    let events = take(&told);
    assert_eq!(events[0], "check of 2 failed: timeout", "{events:?}");
}

/// `observe.events`: each reason to retire a connection has its name.
#[tokio::test(start_paused = true)]
async fn every_reason_is_told() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let reasons = Arc::clone(&reasons);
        move |event: &Event<'_>| {
            if let Event::Retired { reason, .. } = event {
                reasons.lock().unwrap().push(*reason);
            }
        }
    };
    let mock = Mock::ok();
    let config = PoolConfig { idle_timeout: secs(40), max_lifetime: secs(100), ..config(2) };
    let pool = Pool::builder(mock.clone()).config(config).listener(listener).build().unwrap();
    let last = |expected: RetireReason| {
        assert_eq!(reasons.lock().unwrap().last(), Some(&expected), "{:?}", reasons.lock().unwrap());
    };
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(41)).await;
    last(RetireReason::Idle);
    let old = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(101)).await;
    drop(old);
    last(RetireReason::Lifetime);
    let (a, b) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    pool.resize(1).unwrap();
    drop(a);
    last(RetireReason::Shrunk);
    mock.kill([b.id]);
    tokio::time::advance(ms(1)).await;
    drop(b);
    assert!(pool.try_acquire().is_none());
    settle().await;
    last(RetireReason::PeerClosed);
    drop(pool.acquire().await.unwrap());
    pool.invalidate_all();
    last(RetireReason::InvalidatedAll);
    drop(pool.acquire().await.unwrap());
    pool.suspend();
    last(RetireReason::Suspended);
    pool.resume();
    drop(pool.acquire().await.unwrap());
    mock.set_check(Step::Fail);
    tokio::time::sleep(secs(31)).await;
    last(RetireReason::CheckFailed);
    drop(pool.acquire().await.unwrap());
    pool.close().await;
    last(RetireReason::PoolClosed);
}

/// `panic.no_loss`: a listener that panics costs nothing but its own call.
#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_costs_nothing() {
    let mock = Mock::ok();
    let listener = |_: &Event<'_>| panic!("as the test says");
    let pool = Pool::builder(mock.clone()).config(config(2)).listener(listener).build().unwrap();
    let held = pool.acquire().await.unwrap();
    let mut waiters: Vec<_> = (0..2).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut waiters {
        let _ = poll_once(waiter.as_mut()).await;
    }
    held.invalidate();
    for waiter in waiters {
        drop(waiter.await.unwrap());
    }
    check_stats(&pool.stats(), "after");
    assert_hands_out_exactly(&pool, 2, "panics").await;
}

/// `observe.events`: a listener may use the pool: it is called outside of the lock.
#[tokio::test(start_paused = true)]
async fn a_listener_may_use_the_pool() {
    let handle: Arc<Mutex<Option<Pool<Mock>>>> = Arc::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let (handle, seen) = (Arc::clone(&handle), Arc::clone(&seen));
        move |_: &Event<'_>| {
            if let Some(pool) = &*handle.lock().unwrap() {
                seen.lock().unwrap().push(pool.stats().total_connections);
            }
        }
    };
    let pool = Pool::builder(Mock::ok()).config(config(1)).listener(listener).build().unwrap();
    *handle.lock().unwrap() = Some(pool.clone());
    pool.acquire().await.unwrap().invalidate();
    settle().await;
    assert_eq!(seen.lock().unwrap().last(), Some(&0), "{seen:?}");
    handle.lock().unwrap().take();
}

/// `stats.consistent`: the histograms count what the counters count, and know how long it took.
#[tokio::test(start_paused = true)]
async fn histograms_agree_with_the_counters() {
    let mock = Mock::new(Step::Slow(ms(40)));
    let (pool, _) = told(&mock, config(1));
    for _ in 0..10 {
        let _connection = pool.acquire().await.unwrap();
        tokio::time::sleep(ms(100)).await;
    }
    let stats = pool.stats();
    assert_eq!(stats.wait_times.count(), stats.total_acquisitions);
    assert_eq!(stats.hold_times.count(), stats.total_releases);
    assert_eq!(stats.connect_times.count(), stats.connections_created);
    for (times, millis) in [(&stats.hold_times, 100), (&stats.connect_times, 40)] {
        let median = times.quantile(0.5).unwrap();
        assert!(median >= ms(millis) && median <= ms(millis) * 9 / 8, "{median:?} for {millis} ms");
    }
    assert!(stats.wait_times.quantile(0.5).unwrap() < ms(1), "nine of ten did not wait");
    assert!(stats.wait_times.quantile(1.0).unwrap() >= ms(40), "one waited for the connect");
}

/// `observe.events`: that the pool closes is told once, by the call or by the last handle.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_pool_is_told_once() {
    let mock = Mock::ok();
    for by_call in [true, false] {
        let (pool, told) = told(&mock, config(2));
        let held = pool.acquire().await.unwrap();
        take(&told);
        if by_call {
            drop(pool.close());
            drop(pool.close());
        }
        drop(pool);
        assert_eq!(take(&told), ["Closed { pool: None, held: 1 }"], "by a call: {by_call}");
        drop(held);
    }
}
