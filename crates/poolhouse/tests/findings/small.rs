//! Smaller findings, each a promise that something rare broke.

use std::collections::HashSet;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use poolhouse::{Event, Manager, Pool, PoolConfig, RetireReason};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::common::{Mock, Step, assert_hands_out_exactly, config, ms, poll_once, pool, secs, settle};
use crate::support::{Events, Told, assert_all_can_be_held, assert_whole, bounded, granted};

/// observe.events: a new connection that is dead at its first look counts as a failed connect, and a failed connect is told.
#[tokio::test(start_paused = true)]
async fn a_connection_dead_at_its_first_look_is_told_as_a_failed_connect() {
    let (mock, events) = (Mock::ok(), Events::default());
    mock.kill([1, 2]);
    let pool = Pool::builder(mock.clone()).config(config(1)).listener(events.listener()).build().unwrap();
    let connection = pool.acquire().await.unwrap();
    assert_eq!(connection.id, 3);
    let told = events.failed_connects();
    assert_eq!(told.len() as u64, pool.stats().failed_connects, "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|text| text.contains("closes them at once")), "{told:?}");
    drop(connection);
    events.assert_in_order(false, "dead at the first look");
}

/// resize.exact: a shrink closes the connection under a check that hangs, not the one that can be used.
#[tokio::test(start_paused = true)]
async fn a_shrink_closes_the_connection_under_a_hung_check_first() {
    let mock = Mock::ok();
    let config = PoolConfig { health_check_timeout: secs(600), ..config(2) };
    let pool = pool(&mock, config);
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    mock.set_check(Step::Never);
    drop(first);
    tokio::time::sleep(secs(20)).await;
    drop(second);
    tokio::time::sleep(secs(11)).await;
    assert_eq!((pool.stats().checking, pool.stats().idle_connections), (1, 2));
    pool.resize(1).unwrap();
    let mut acquire = pin!(pool.acquire());
    assert_eq!(granted(poll_once(acquire.as_mut()).await).id, 2);
    settle().await;
    assert_eq!((mock.open(), pool.stats().checking), (1, 0));
    assert_hands_out_exactly(&pool, 1, "after the shrink").await;
}

/// lifetime.no_dip: a lifetime that ends while the connection is under a check has a successor all the same.
#[tokio::test(start_paused = true)]
async fn a_lifetime_that_ends_during_a_check_has_a_successor() {
    let mock = Mock::new(Step::Slow(ms(200)));
    mock.set_check(Step::Slow(secs(20)));
    let config = PoolConfig {
        min_connections: 1,
        max_lifetime: secs(60),
        health_check_interval: secs(50),
        health_check_timeout: secs(60),
        connect_attempt_timeout: secs(1),
        ..config(2)
    };
    let pool = pool(&mock, config);
    pool.warm_up().await.unwrap();
    let begin = tokio::time::Instant::now();
    while begin.elapsed() < secs(400) {
        tokio::time::sleep(ms(50)).await;
        let stats = pool.stats();
        assert!(
            stats.total_connections >= 1,
            "none after {:?}: {} opened",
            begin.elapsed(),
            mock.attempts().len()
        );
    }
    assert!(mock.attempts().len() >= 6, "lifetimes do end");
    assert!(mock.peak() <= 2);
}

/// observe.events, leak.report: a listener that takes its time over `Created` falsifies nothing: a hold begins when the
/// connection is handed out. Real time, for it is a thread that is slow.
#[test]
fn a_slow_listener_of_created_falsifies_nothing() {
    bounded(secs(30), || {
        let slow = ms(1000);
        let events = Events::default();
        let note = events.clone();
        let waited = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&waited);
        let listener = move |event: &Event<'_>| {
            note.note(event);
            match event {
                Event::Created { .. } => thread::sleep(slow),
                Event::Acquired { waited, .. } => *keep.lock().unwrap() = Some(*waited),
                _ => {}
            }
        };
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let config = PoolConfig { leak_threshold: ms(700), ..config(1) };
        let pool = Pool::builder(Mock::ok()).config(config).listener(listener).build().unwrap();
        let connection =
            runtime.block_on(async { tokio::spawn(async {}).await.map(|()| pool.acquire()).unwrap().await });
        let connection = connection.unwrap();
        let held_for = pool.holders()[0].held_for;
        assert!(held_for < ms(600), "held for {held_for:?}, as the pool says");
        drop(connection);
        let told = events.of(1);
        assert_eq!(told, [Told::Created, Told::Acquired, Told::Released]);
        let waited = waited.lock().unwrap().unwrap();
        let recorded = pool.stats().wait_times.quantile(1.0).unwrap();
        assert!(waited >= slow - ms(50), "the event says {waited:?}");
        assert!(recorded >= slow - ms(100), "the statistics say {recorded:?}, the event {waited:?}");
    });
}

/// Connections whose drop waits for a gate, where the test has set one.
#[derive(Default)]
struct Gated {
    next: AtomicU64,
    dead: Mutex<HashSet<u64>>,
    gate: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

struct Gate {
    id: u64,
    gate: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            let _ = gate.recv_timeout(secs(10));
        }
    }
}

impl Manager for Gated {
    type Connection = Gate;
    type Error = Infallible;

    async fn connect(&self) -> Result<Gate, Infallible> {
        Ok(Gate { id: self.next.fetch_add(1, SeqCst) + 1, gate: Arc::clone(&self.gate) })
    }

    fn is_connected(&self, connection: &mut Gate) -> bool {
        !self.dead.lock().unwrap().contains(&connection.id)
    }
}

/// try_acquire.immediate: it does not wait for the slow drop of another connection, where the pool's background lives.
#[test]
fn try_acquire_does_not_wait_for_the_drop_of_another_connection() {
    bounded(secs(40), || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let pool = Pool::new(Gated::default(), config(2)).unwrap();
        runtime.block_on(async {
            let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
            drop((first, second));
        });
        // The one that is next is dead by the time, and closes slowly.
        let next = pool.try_acquire().unwrap().id;
        pool.manager().dead.lock().unwrap().insert(next);
        thread::sleep(ms(20));
        let (open, gate) = mpsc::channel();
        *pool.manager().gate.lock().unwrap() = Some(gate);
        let (send, taken) = mpsc::channel();
        let asks = thread::spawn({
            let pool = pool.clone();
            move || send.send(pool.try_acquire().map(|connection| connection.id)).unwrap()
        });
        let taken = taken.recv_timeout(secs(4));
        let _ = open.send(());
        asks.join().unwrap();
        let taken = taken.expect("it waits for the drop");
        assert!(taken.is_some_and(|id| id != next), "{taken:?}");
        runtime.block_on(assert_all_can_be_held(&pool, 2, "after the slow drop"));
    });
}

/// suspend.nothing_moves, observe.events: a connection whose check is cut by `suspend` retires for that, also if `resume`
/// follows at once.
#[tokio::test(start_paused = true)]
async fn a_check_that_suspend_cuts_retires_as_suspended() {
    let (mock, events) = (Mock::ok(), Events::default());
    mock.set_check(Step::Never);
    let config = PoolConfig { health_check_timeout: Duration::MAX, ..config(1) };
    let pool = Pool::builder(mock.clone()).config(config).listener(events.listener()).build().unwrap();
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(31)).await;
    assert_eq!(pool.stats().checking, 1);
    pool.suspend();
    pool.resume();
    settle().await;
    assert_eq!((events.reason(1), events.failed_checks()), (Some(RetireReason::Suspended), 0));
    assert_hands_out_exactly(&pool, 1, "after the cut").await;
}

/// A manager without a `check`, whose connections may die.
#[derive(Clone, Default)]
struct Unchecked {
    next: Arc<AtomicU64>,
    dead: Arc<Mutex<HashSet<u64>>>,
}

impl Manager for Unchecked {
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self) -> Result<u64, Infallible> {
        Ok(self.next.fetch_add(1, SeqCst) + 1)
    }

    fn is_connected(&self, connection: &mut u64) -> bool {
        !self.dead.lock().unwrap().contains(connection)
    }
}

/// size.min, health.off_path: the background finds idle connections that have died, within `health_check_interval`, also for a
/// manager that has no `check`, and opens others in their place.
#[tokio::test(start_paused = true)]
async fn the_background_finds_dead_idle_connections_without_a_check() {
    let (manager, events) = (Unchecked::default(), Events::default());
    let config = PoolConfig { min_connections: 2, idle_timeout: Duration::MAX, ..config(4) };
    let pool = Pool::builder(manager.clone()).config(config).listener(events.listener()).build().unwrap();
    pool.warm_up().await.unwrap();
    settle().await;
    manager.dead.lock().unwrap().extend([1, 2]);
    tokio::time::sleep(secs(35)).await;
    let closed = Some(RetireReason::PeerClosed);
    assert_eq!((events.reason(1), events.reason(2)), (closed, closed), "{:?}", events.all());
    assert_eq!(pool.stats().total_connections, 2);
    let ids: HashSet<_> = [*pool.acquire().await.unwrap(), *pool.acquire().await.unwrap()].into();
    assert!(ids.is_disjoint(&[1, 2].into()), "{ids:?}");
    assert_whole(&pool, "after the dead");
    events.assert_in_order(false, "after the dead");
}

/// observe.events: after `suspend` and `invalidate_all` a held connection and one that was served and not picked up retire
/// for the same reason.
#[tokio::test(start_paused = true)]
async fn held_and_served_connections_retire_for_the_same_reason() {
    let events = Events::default();
    let pool = Pool::builder(Mock::ok()).config(config(2)).listener(events.listener()).build().unwrap();
    let (held, other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut waiter = Box::pin(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    drop(other);
    pool.suspend();
    pool.invalidate_all();
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    drop(held);
    timeout(secs(1), pool.drained()).await.expect("both have come back");
    let reasons = (events.reason(1), events.reason(2));
    assert!(reasons.0.is_some() && reasons.0 == reasons.1, "{reasons:?}");
    events.assert_in_order(true, "suspended and invalidated");
}
