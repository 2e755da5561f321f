//! Managers and customizers that fail or panic: no capacity is lost.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use poolhouse::{Pool, PooledConnection, RetireReason};
use poolhouse_r2d2::R2d2;
use r2d2::CustomizeConnection;

use crate::common::{Connection, Mock, assert_hands_out_exactly, config, pool, settle, until};

/// `panic.no_loss`: a panic on another thread is one here.
#[tokio::test(start_paused = true)]
async fn a_panicking_manager_costs_no_capacity() {
    for what in ["connect", "is_valid"] {
        let mock = Mock::default();
        let pool = pool(R2d2::new(mock.clone()), 1);
        mock.state().panics = Some(what);
        if let Ok(held) = pool.acquire_within(Duration::from_secs(2)).await {
            held.release();
            until("it is closed", || pool.stats().closed.get(RetireReason::Panicked) == 1).await;
            until("it is dropped", || mock.state().open == 0).await;
        }
        mock.state().panics = None;
        assert_hands_out_exactly(&pool, 1).await;
    }
}

/// Panics.
#[derive(Debug)]
struct Panics;

/// Its drop panics.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("told to panic in a drop");
    }
}

struct MakesFragile;

impl r2d2::ManageConnection for MakesFragile {
    type Connection = Fragile;
    type Error = io::Error;

    fn connect(&self) -> io::Result<Fragile> {
        Ok(Fragile)
    }

    fn is_valid(&self, _: &mut Fragile) -> io::Result<()> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Fragile) -> bool {
        false
    }
}

impl CustomizeConnection<Fragile, io::Error> for Panics {
    fn on_acquire(&self, _: &mut Fragile) -> io::Result<()> {
        panic!("told to panic in a customizer");
    }
}

/// `panic.no_loss`: one poisoned mutex makes a customizer panic, and then the drop of the connection. The process goes on.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_customizer_and_in_the_drop_does_not_end_the_process() {
    let bridge = R2d2::new(MakesFragile).connection_customizer(Box::new(Panics));
    let pool = Pool::new(bridge, config(1)).unwrap();
    pool.acquire_within(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!((pool.stats().connecting, pool.stats().active_connections), (0, 0));
}

/// The same for a detached connection, dropped outside of any runtime while its holder panics.
#[test]
fn a_panic_of_a_drop_does_not_end_a_process_whose_thread_panics_already() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pool = Pool::new(R2d2::new(MakesFragile), config(1)).unwrap();
    let detached = runtime.block_on(async { PooledConnection::detach(pool.acquire().await.unwrap()) });
    let panicked = std::thread::spawn(move || {
        let _detached = detached;
        panic!("told to panic while holding");
    });
    assert!(panicked.join().is_err());
}

/// `size.max`: a connection whose test panicked takes up room until it has gone.
#[tokio::test(start_paused = true)]
async fn a_connection_whose_test_panicked_takes_up_room_until_it_has_gone() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    mock.state().panics = Some("is_valid");
    mock.block(Some("drop"));
    pool.acquire().await.unwrap().release();
    until("the drop blocks", || mock.state().blocked == 1).await;
    mock.state().panics = None;
    let next = tokio::spawn(pool.acquire_owned());
    // As long as a close that waits for nothing would take: it has a thread for a moment.
    for _ in 0..10 {
        settle().await;
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    }
    assert_eq!((pool.stats().connecting, mock.count("connect"), mock.state().open), (0, 1, 1));
    mock.block(None);
    assert_eq!(next.await.unwrap().unwrap().id, 2);
    assert_eq!(mock.state().dropped_where_it_must_not_block, 0);
}

/// `panic.no_loss`: `has_broken` is asked on the thread that gives a connection back, which sees the panic.
#[tokio::test(start_paused = true)]
async fn a_panic_in_has_broken_costs_no_capacity() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().panics = Some("has_broken");
    assert!(tokio::spawn(async move { held.release() }).await.is_err_and(|error| error.is_panic()));
    mock.state().panics = None;
    until("it is dropped", || mock.state().open == 0).await;
    assert_hands_out_exactly(&pool, 1).await;
}

/// `panic.no_loss`: of a drop that panics only the log tells, for it runs on a thread of its own.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_drop_costs_no_capacity() {
    let mock = Mock::default();
    let pool = pool(R2d2::new(mock.clone()), 1);
    let held = pool.acquire().await.unwrap();
    mock.state().panics = Some("drop");
    held.invalidate();
    until("it is dropped", || mock.count("drop") == 1).await;
    mock.state().panics = None;
    assert_hands_out_exactly(&pool, 1).await;
}

/// Fails for the first connection, and counts.
#[derive(Debug, Default)]
struct Customizer {
    acquired: AtomicU32,
    released: AtomicU32,
}

#[derive(Debug)]
struct Counted(Arc<Customizer>);

impl CustomizeConnection<Connection, io::Error> for Counted {
    fn on_acquire(&self, _: &mut Connection) -> io::Result<()> {
        let calls = self.0.acquired.fetch_add(1, SeqCst);
        if calls == 0 { Err(io::Error::other("no such time zone")) } else { Ok(()) }
    }

    fn on_release(&self, connection: Connection) {
        drop(connection);
        self.0.released.fetch_add(1, SeqCst);
    }
}

/// A customizer sees each new connection once, and each that leaves once. Its error is a failed connect.
#[tokio::test(start_paused = true)]
async fn a_customizer_sees_connections_come_and_go() {
    let (mock, counts) = (Mock::default(), Arc::<Customizer>::default());
    let bridge = R2d2::new(mock.clone()).connection_customizer(Box::new(Counted(Arc::clone(&counts))));
    let mut config = config(1);
    config.min_connections = 1;
    let pool = Pool::new(bridge, config).unwrap();

    let error = pool.warm_up().await.unwrap_err();
    assert!(error.to_string().contains(": no such time zone; "), "{error}");
    for _ in 0..3 {
        assert_eq!(pool.acquire().await.unwrap().id, 2);
    }
    assert_eq!(counts.acquired.load(SeqCst), 2, "one call for each connect, none for a reuse");
    pool.close().await;
    assert_eq!((counts.released.load(SeqCst), mock.state().open), (1, 0), "not of the one that it refused");
}
