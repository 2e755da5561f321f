//! Managers and customizers that fail or panic: no capacity is lost.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bb8::CustomizeConnection;
use poolhouse::{Pool, PoolConfig, RetireReason};
use poolhouse_bb8::Bb8;

use crate::common::{Connection, Mock, pool, settle};

/// The pool hands out exactly `max` connections.
async fn assert_hands_out_exactly(pool: &Pool<Bb8<Mock>>, max: usize) {
    let mut held = Vec::new();
    for _ in 0..max {
        held.push(pool.acquire().await.unwrap());
    }
    let limit = std::time::Duration::from_secs(1);
    assert!(pool.acquire_within(limit).await.is_err_and(|error| error.is_timeout()));
}

/// `panic.no_loss`
#[tokio::test(start_paused = true)]
async fn a_panicking_manager_costs_no_capacity() {
    for what in ["connect", "is_valid"] {
        let mock = Mock::default();
        let pool = pool(Bb8::new(mock.clone()), 1);
        mock.state().panics = Some(what);
        let limit = std::time::Duration::from_secs(2);
        if let Ok(held) = pool.acquire_within(limit).await {
            held.release();
            settle().await;
            assert_eq!(pool.stats().closed.get(RetireReason::Panicked), 1, "{what}");
        }
        mock.state().panics = None;
        assert_hands_out_exactly(&pool, 1).await;
    }
}

/// `panic.no_loss`: `has_broken` is asked on the thread that gives a connection back, which sees the panic.
#[tokio::test(start_paused = true)]
async fn a_panic_in_has_broken_costs_no_capacity() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().panics = Some("has_broken");
    assert!(tokio::spawn(async move { held.release() }).await.is_err_and(|error| error.is_panic()));
    assert_eq!(mock.state().open, 0);
    mock.state().panics = None;
    assert_hands_out_exactly(&pool, 1).await;
}

/// Panics.
#[derive(Debug)]
struct Panics;

impl CustomizeConnection<Connection, io::Error> for Panics {
    fn on_acquire<'a>(
        &'a self,
        _: &'a mut Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), io::Error>> + Send + 'a>> {
        Box::pin(async { panic!("told to panic in a customizer") })
    }
}

/// `panic.no_loss`: one poisoned mutex makes a customizer or the test of a new connection panic, and then the drop of
/// that connection, while the first panic unwinds. The process goes on.
#[tokio::test(start_paused = true)]
async fn a_panic_in_the_connect_and_in_the_drop_does_not_end_the_process() {
    let limit = std::time::Duration::from_secs(2);
    let mock = Mock::default();
    let customized = pool(Bb8::new(mock.clone()).connection_customizer(Box::new(Panics)), 1);
    mock.state().drop_panics = true;
    customized.acquire_within(limit).await.unwrap_err();
    assert_eq!(mock.state().open, 0);

    let mock = Mock::default();
    let tested = pool(Bb8::new(mock.clone()), 1);
    let held = tested.acquire().await.unwrap();
    mock.state().panics = Some("is_valid");
    mock.state().drop_panics = true;
    held.release();
    settle().await;
    tested.acquire_within(limit).await.unwrap_err();
    assert_eq!(mock.state().open, 0);

    mock.state().panics = None;
    mock.state().drop_panics = false;
    assert_hands_out_exactly(&tested, 1).await;
}

/// Fails for the first connection.
#[derive(Debug, Default)]
struct Customizer(Arc<AtomicU32>);

impl CustomizeConnection<Connection, io::Error> for Customizer {
    fn on_acquire<'a>(
        &'a self,
        _: &'a mut Connection,
    ) -> Pin<Box<dyn Future<Output = Result<(), io::Error>> + Send + 'a>> {
        Box::pin(async {
            let calls = self.0.fetch_add(1, SeqCst);
            if calls == 0 { Err(io::Error::other("no such time zone")) } else { Ok(()) }
        })
    }
}

/// A customizer sees each new connection once. Its error is a failed connect, and the connection is closed.
#[tokio::test(start_paused = true)]
async fn a_customizer_is_part_of_the_connect() {
    let (mock, calls) = (Mock::default(), Arc::default());
    let bridge = Bb8::new(mock.clone()).connection_customizer(Box::new(Customizer(Arc::clone(&calls))));
    let pool = Pool::new(bridge, PoolConfig { max_connections: 1, ..PoolConfig::default() }).unwrap();

    let error = pool.warm_up().await.unwrap_err();
    assert!(error.to_string().contains(": no such time zone; "), "{error}");
    assert_eq!(mock.state().open, 0);

    for _ in 0..3 {
        assert_eq!(pool.acquire().await.unwrap().id, 2);
    }
    assert_eq!(calls.load(SeqCst), 2, "one call for each connect, none for a reuse");
}

/// A server that takes connections and refuses commands: a Redis that reads its data, a replica that has lost its primary.
/// After the first test that fails, new connections are tested before anybody gets one, and the connects back off.
#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_commands_is_not_connected_to_again_and_again() {
    let mock = Mock::default();
    let pool = pool(Bb8::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().invalid.extend(1..1000);
    held.release();
    settle().await;

    let limit = std::time::Duration::from_secs(10);
    let error = pool.acquire_within(limit).await.unwrap_err();
    let reason = error.connect_error().and_then(|error| error.manager_error::<io::Error>());
    assert_eq!(reason.map(io::Error::kind), Some(io::ErrorKind::BrokenPipe), "{error}");
    assert!(mock.state().connects < 15, "{} connects in {limit:?}", mock.state().connects);

    mock.state().invalid.clear();
    let first = pool.acquire().await.unwrap();
    assert_eq!(mock.state().asked.last(), Some(&("is_valid", first.id)), "tested once more, and passed");
    // From now on a new connection costs no round trip.
    poolhouse::PooledConnection::detach(first);
    let second = pool.acquire().await.unwrap();
    assert_eq!(mock.state().asked.last(), Some(&("connect", 0)), "no test of {}", second.id);
}

/// A test that gets no answer, or panics, is a test that did not pass: a server that takes connections and then falls
/// silent gets no caller either.
#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_not_connected_to_again_and_again() {
    let limit = std::time::Duration::from_secs(60);
    for panics in [false, true] {
        let mock = Mock::default();
        let pool = pool(Bb8::new(mock.clone()), 1);
        let held = pool.acquire().await.unwrap();
        if panics {
            mock.state().panics = Some("is_valid");
        } else {
            mock.state().valid_takes = std::time::Duration::MAX;
        }
        held.release();
        tokio::time::sleep(pool.config().reset_timeout).await;
        settle().await;

        assert!(pool.acquire_within(limit).await.is_err_and(|error| error.is_timeout()), "panics: {panics}");
        assert!(mock.state().connects < 30, "{} connects in {limit:?}", mock.state().connects);

        mock.state().panics = None;
        mock.state().valid_takes = std::time::Duration::ZERO;
        assert_hands_out_exactly(&pool, 1).await;
    }
}
