//! Code that is not the pool's may use the pool, panic, or take its time, wherever the pool runs it: `foreign.unlocked`,
//! `panic.no_loss`, `observe.events`.
//!
//! One scenario goes through all that a pool does. It runs once for each point at which foreign code runs and each way to
//! misbehave there; where that is a panic, once for each time that the point is reached.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Context;

use poolhouse::{IdleOrder, Manager, Pool, PoolConfig, RetireReason};
use tokio::time::timeout;

use crate::common::{Mock, Step, config, filled, ms, poll_once, pool, secs, settle};
use crate::hostile::{Behaviour, Plot, Point, limits};
use crate::support::{
    Events, assert_all_can_be_held, assert_whole, in_child, on_record, one_thread, paused, quiet_panic,
};

/// Connections whose drop panics as often as the test says, unless a panic unwinds already.
#[derive(Default)]
struct Explosive {
    charges: Arc<AtomicUsize>,
    next: AtomicUsize,
    /// Connections below this are dead.
    dead_below: AtomicUsize,
}

struct Charge {
    id: usize,
    charges: Arc<AtomicUsize>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let fires = self.charges.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        if fires {
            quiet_panic();
        }
    }
}

impl Manager for Explosive {
    type Connection = Charge;
    type Error = Infallible;

    async fn connect(&self) -> Result<Charge, Infallible> {
        Ok(Charge { id: self.next.fetch_add(1, SeqCst), charges: Arc::clone(&self.charges) })
    }

    fn is_connected(&self, connection: &mut Charge) -> bool {
        connection.id >= self.dead_below.load(SeqCst)
    }
}

fn explosive(config: PoolConfig, events: &Events) -> (Pool<Explosive>, Arc<AtomicUsize>) {
    let manager = Explosive::default();
    let charges = Arc::clone(&manager.charges);
    (
        Pool::builder(manager).config(config).listener(events.listener()).build().expect("it is possible"),
        charges,
    )
}

async fn fill(pool: &Pool<Explosive>, count: usize) {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(pool.acquire().await.unwrap());
    }
}

/// panic.no_loss: a waiter is served, its connection is dead at the look, and panics as it closes. The panic may reach the
/// waiter; its place in the queue is nobody's afterwards, and `close` completes.
#[test]
fn a_panic_as_a_dead_served_connection_closes_loses_nothing() {
    in_child("foreign::a_panic_as_a_dead_served_connection_closes_loses_nothing", secs(30), || {
        paused().block_on(async {
            let events = Events::default();
            let (pool, charges) = explosive(config(1), &events);
            let held = pool.acquire().await.unwrap();
            let waiter = tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await.map(drop) }
            });
            settle().await;
            drop(held);
            pool.manager().dead_below.store(1, SeqCst);
            tokio::time::advance(ms(1)).await;
            charges.store(1, SeqCst);
            let _ = timeout(secs(60), waiter).await.expect("the waiter ends");
            assert_all_can_be_held(&pool, 1, "after the panic").await;
            timeout(secs(60), pool.close()).await.expect("close completes");
            assert_eq!(pool.stats().pending_requests, 0);
            events.assert_in_order(true, "after the panic");
        });
    });
}

/// panic.no_loss: `try_acquire` finds the first idle connection overdue, and that panics as it closes. The fit one behind it
/// stays in the pool.
#[test]
fn a_panic_as_an_overdue_connection_closes_loses_none_behind_it() {
    in_child("foreign::a_panic_as_an_overdue_connection_closes_loses_none_behind_it", secs(30), || {
        // The runtime is not driven while the first becomes overdue, so `try_acquire` finds out. Real time,
        // for that.
        let runtime = one_thread();
        let events = Events::default();
        let limits = PoolConfig { idle_timeout: ms(300), idle_order: IdleOrder::Fifo, ..config(2) };
        let (pool, charges) = explosive(limits, &events);
        let (first, second) =
            runtime.block_on(async { (pool.acquire().await.unwrap(), pool.acquire().await.unwrap()) });
        drop(first);
        std::thread::sleep(ms(320));
        drop(second);
        charges.store(1, SeqCst);
        let taken = catch_unwind(AssertUnwindSafe(|| pool.try_acquire().map(|connection| connection.id)));
        assert_eq!(pool.stats().active_connections, 0, "{taken:?}");
        assert_whole(&pool, "after the panic");
        runtime.block_on(async {
            // An acquire closes nothing that is overdue: the background does, as soon as it is driven.
            let told = async {
                while events.reason(1).is_none() {
                    tokio::task::yield_now().await;
                }
            };
            timeout(secs(5), told).await.expect("the overdue connection goes");
            charges.store(0, SeqCst);
            assert_eq!(events.reason(1), Some(RetireReason::Idle));
            assert_all_can_be_held(&pool, 2, "after the panic").await;
            timeout(secs(5), pool.close()).await.expect("close completes");
        });
        events.assert_in_order(true, "after the panic");
    });
}

/// panic.no_loss: `invalidate_all` while a waiter has been served and has not looked. What it was served panics as it
/// closes; its wait ends once.
#[test]
fn a_panic_as_a_recalled_connection_closes_loses_nothing() {
    in_child("foreign::a_panic_as_a_recalled_connection_closes_loses_nothing", secs(30), || {
        for suspend in [false, true] {
            paused().block_on(async {
                let events = Events::default();
                let (pool, charges) = explosive(config(2), &events);
                let (held, other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
                let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(pool.acquire())).collect();
                for waiter in &mut waiters {
                    assert!(poll_once(waiter.as_mut()).await.is_pending());
                }
                drop(held);
                charges.store(1, SeqCst);
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    if suspend { pool.suspend() } else { pool.invalidate_all() }
                }));
                let mut served = waiters.remove(0);
                // The panic may reach the waiter as well as the caller above.
                let polled = catch_unwind(AssertUnwindSafe(|| {
                    served.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
                }));
                charges.store(0, SeqCst);
                drop(polled);
                drop(served);
                pool.resume();
                drop(other);
                for waiter in waiters {
                    drop(timeout(secs(60), waiter).await.expect("a waiter ends").unwrap());
                }
                assert_all_can_be_held(&pool, 2, "after the panic").await;
                timeout(secs(60), pool.close()).await.expect("close completes");
                assert_eq!(pool.stats().pending_requests, 0);
                events.assert_in_order(true, "after the panic");
            });
        }
    });
}

/// panic.no_loss: the same where a younger connection is idle by then, which the waiter gets in the same look. Its place in
/// the queue is given up once, and the younger connection has an owner.
#[test]
fn a_panic_as_a_recalled_connection_closes_loses_no_younger_one() {
    in_child("foreign::a_panic_as_a_recalled_connection_closes_loses_no_younger_one", secs(30), || {
        paused().block_on(async {
            let events = Events::default();
            let (pool, charges) = explosive(PoolConfig { min_connections: 2, ..config(2) }, &events);
            let (held, other) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
            let mut served = Box::pin(pool.acquire());
            assert!(poll_once(served.as_mut()).await.is_pending());
            drop(held);
            drop(other);
            pool.invalidate_all();
            tokio::time::sleep(secs(1)).await;
            charges.store(1, SeqCst);
            let polled = catch_unwind(AssertUnwindSafe(|| {
                served.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
            }));
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(served)));
            charges.store(0, SeqCst);
            assert!(dropped.is_ok(), "giving up the wait panics");
            drop(polled);
            assert_all_can_be_held(&pool, 2, "after the panic").await;
            timeout(secs(60), pool.close()).await.expect("close completes");
            assert_eq!(pool.stats().pending_requests, 0);
            events.assert_in_order(true, "after the panic");
        });
    });
}

/// How several connections come to close in one go.
#[derive(Debug, Clone, Copy)]
enum Closing {
    InvalidateAll,
    Suspend,
    Resize,
    Close,
    LastHandle,
    Reap,
}

/// panic.no_loss: several connections close in one go and all of them panic. Every one is closed, the process lives, and the
/// pool goes on.
#[test]
fn several_connections_that_panic_as_they_close_end_one_by_one() {
    in_child("foreign::several_connections_that_panic_as_they_close_end_one_by_one", secs(30), || {
        use Closing::{Close, InvalidateAll, LastHandle, Reap, Resize, Suspend};
        for closing in [InvalidateAll, Suspend, Resize, Close, LastHandle, Reap] {
            paused().block_on(async {
                let context = format!("{closing:?}");
                let events = Events::default();
                let (pool, charges) = explosive(config(4), &events);
                fill(&pool, 4).await;
                charges.store(4, SeqCst);
                let go_on = match closing {
                    InvalidateAll => {
                        catch_unwind(AssertUnwindSafe(|| pool.invalidate_all())).map(|()| pool.clone())
                    }
                    Suspend => catch_unwind(AssertUnwindSafe(|| pool.suspend())).map(|()| pool.clone()),
                    Resize => {
                        catch_unwind(AssertUnwindSafe(|| pool.resize(1).unwrap())).map(|()| pool.clone())
                    }
                    Close | LastHandle | Reap => Ok(pool.clone()),
                };
                drop(go_on);
                match closing {
                    Close => {
                        let pool = pool.clone();
                        let _ = tokio::spawn(async move { pool.close().await }).await;
                    }
                    Reap => tokio::time::sleep(secs(301)).await,
                    _ => {}
                }
                if matches!(closing, LastHandle) {
                    let _ = catch_unwind(AssertUnwindSafe(move || drop(pool)));
                    settle().await;
                    assert_eq!(charges.load(SeqCst), 0, "{context}: not all have closed");
                } else {
                    settle().await;
                    let left = if matches!(closing, Resize) { 1 } else { 0 };
                    assert_eq!(charges.load(SeqCst), left, "{context}: not all have closed");
                    assert_eq!(pool.stats().total_connections, left, "{context}");
                    charges.store(0, SeqCst);
                    if !matches!(closing, Close) {
                        let _ = pool.resize(4);
                        pool.resume();
                        assert_all_can_be_held(&pool, 4, &context).await;
                        timeout(secs(60), pool.close()).await.expect("close completes");
                    }
                    settle().await;
                }
                events.assert_in_order(true, &context);
            });
        }
    });
}

/// panic.no_loss, size.min: a panic as the background closes an idle connection does not end the background: the other idle
/// connections stay, and the minimum is met again.
#[test]
fn a_panic_in_a_reap_does_not_end_the_background() {
    in_child("foreign::a_panic_in_a_reap_does_not_end_the_background", secs(30), || {
        paused().block_on(async {
            let events = Events::default();
            let limits = PoolConfig { min_connections: 2, max_lifetime: secs(1000), ..config(4) };
            let (pool, charges) = explosive(limits, &events);
            fill(&pool, 3).await;
            charges.store(1, SeqCst);
            tokio::time::sleep(secs(310)).await;
            assert_eq!(charges.load(SeqCst), 0, "one was reaped");
            assert_eq!(pool.stats().total_connections, 2, "{:?}", events.all());
            // And the background goes on: lifetimes end, and have successors.
            tokio::time::sleep(secs(1000)).await;
            assert_eq!(pool.stats().total_connections, 2);
            let reasons: Vec<_> = (1..=3).filter_map(|id| events.reason(id)).collect();
            assert!(!reasons.contains(&RetireReason::RuntimeGone), "{reasons:?}");
            assert_eq!(reasons.len(), 3);
            assert_all_can_be_held(&pool, 4, "after the reap").await;
        });
    });
}

/// release.anywhere: a connection that spawns as it is dropped, to say goodbye, panics where there is no runtime. That costs
/// the connection and nothing else.
#[test]
fn a_drop_that_needs_a_runtime_costs_one_connection() {
    struct Polite;
    struct Goodbye;
    impl Drop for Goodbye {
        fn drop(&mut self) {
            tokio::spawn(async {});
        }
    }
    impl Manager for Polite {
        type Connection = Goodbye;
        type Error = Infallible;
        async fn connect(&self) -> Result<Goodbye, Infallible> {
            Ok(Goodbye)
        }
    }
    in_child("foreign::a_drop_that_needs_a_runtime_costs_one_connection", secs(30), || {
        let runtime = one_thread();
        let pool = Pool::new(Polite, config(3)).unwrap();
        runtime.block_on(async {
            let _held =
                [pool.acquire().await.unwrap(), pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
        });
        let _ = catch_unwind(AssertUnwindSafe(|| pool.invalidate_all()));
        assert_eq!(pool.stats().total_connections, 0);
        assert_whole(&pool, "outside of a runtime");
        runtime.block_on(assert_all_can_be_held(&pool, 3, "after it"));
        let _ = catch_unwind(AssertUnwindSafe(move || drop(pool)));
    });
}

/// foreign.unlocked: a subscriber that asks the pool on every record.
#[test]
fn a_subscriber_may_ask_the_pool_on_every_record() {
    in_child("foreign::a_subscriber_may_ask_the_pool_on_every_record", secs(30), || {
        paused().block_on(async {
            let mock = Mock::ok().script([Step::Fail]);
            let pool = pool(&mock, PoolConfig { max_pending: Some(1), leak_threshold: secs(5), ..config(1) });
            let seen = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
            let _recording = on_record({
                let (pool, seen) = (pool.clone(), Arc::clone(&seen));
                move |target| {
                    thread_local!(static ASKS: Cell<bool> = const { Cell::new(false) });
                    if !ASKS.replace(true) {
                        assert!(pool.stats().active_connections <= 1 && pool.holders().len() <= 1);
                        drop(pool.try_acquire());
                        ASKS.set(false);
                    }
                    seen.lock().unwrap().insert(target.to_string());
                }
            });
            drop(pool.acquire().await.unwrap());
            tokio::time::sleep(secs(31)).await;
            mock.set_check(Step::Fail);
            tokio::time::sleep(secs(31)).await;
            let held = pool.acquire().await.unwrap();
            let mut waiter = pin!(pool.acquire());
            assert!(poll_once(waiter.as_mut()).await.is_pending());
            assert!(pool.acquire().await.is_err());
            assert!(waiter.await.is_err());
            assert!(!pool.close_within(secs(1)).await.is_complete());
            drop(held);
            timeout(secs(5), pool.close()).await.expect("it closes");
            let seen = seen.lock().unwrap().clone();
            let all = ["acquire", "check", "close", "connect", "leak", "retire"]
                .map(|it| format!("poolhouse::{it}"));
            assert!(seen.iter().eq(&all), "{seen:?}");
        });
    });
}

/// foreign.unlocked: an error whose drop asks the pool, in the places where the pool drops one: a connect that succeeds after
/// failures, another failure, a waiter that gives up, and the end of the pool.
#[test]
fn an_error_may_ask_the_pool_as_it_is_dropped() {
    in_child("foreign::an_error_may_ask_the_pool_as_it_is_dropped", secs(30), || {
        for panics in [false, true] {
            let behaviour = if panics { Behaviour::PanicAt(0) } else { Behaviour::CallBack };
            let plot = Plot::new(Point::DropError, behaviour);
            let events = Events::default();
            paused().block_on(async {
                let pool = plot.pool(limits(1), &events);
                plot.refuse.store(true, SeqCst);
                // Fails several times, and one error takes the place of another.
                drop(pool.acquire_within(secs(3)).await.map(drop));
                plot.arm(true);
                plot.refuse.store(false, SeqCst);
                // Succeeds, and the last error goes.
                let _ = tokio::spawn({
                    let pool = pool.clone();
                    async move { pool.acquire_within(secs(15)).await.map(drop) }
                })
                .await;
                plot.arm(false);
                tokio::time::sleep(secs(10)).await;
                assert!(plot.visits() > 0, "no error was dropped");
                assert_all_can_be_held(&pool, 1, "after the error").await;
                plot.forget_pool();
                timeout(secs(5), pool.close()).await.expect("it closes");
            });
        }
    });
}

/// panic.no_loss: `target` that panics while a panic of `connect` unwinds, as an address behind a poisoned mutex does, ends
/// neither the process nor the pool.
#[test]
fn a_target_that_panics_too_does_not_end_the_process() {
    #[derive(Default)]
    struct Poisoned(Mutex<String>, AtomicBool);
    impl Manager for Poisoned {
        type Connection = ();
        type Error = Infallible;
        async fn connect(&self) -> Result<(), Infallible> {
            if self.1.load(SeqCst) {
                return Ok(());
            }
            let _address = self.0.lock();
            quiet_panic();
        }
        fn target(&self) -> Cow<'_, str> {
            // What an `unwrap` of the poisoned lock does, without the message.
            match self.0.lock() {
                Ok(address) => address.clone().into(),
                Err(_) => quiet_panic(),
            }
        }
    }
    in_child("foreign::a_target_that_panics_too_does_not_end_the_process", secs(30), || {
        let _recording = on_record(|_| ());
        paused().block_on(async {
            let pool = Pool::new(Poisoned::default(), config(2)).unwrap();
            let _ = tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire_within(secs(1)).await.is_ok() }
            })
            .await;
            pool.manager().0.clear_poison();
            pool.manager().1.store(true, SeqCst);
            tokio::time::sleep(secs(10)).await;
            assert_all_can_be_held(&pool, 2, "after both panics").await;
        });
    });
}

/// observe.events: no `Released` without its `Acquired` where `is_connected` panics or says no, or the manager panics
/// anywhere on the way: a gauge made of the two ends at zero.
#[tokio::test(start_paused = true)]
async fn a_panic_in_is_connected_tells_no_release_without_an_acquire() {
    let events = Events::default();
    let plot = Plot::new(Point::IsConnected, Behaviour::PanicAt(0));
    let pool = plot.pool(PoolConfig { min_connections: 0, ..limits(1) }, &events);
    drop(pool.acquire().await.unwrap());
    tokio::time::advance(ms(1)).await;
    plot.arm(true);
    // One that takes an idle connection.
    let caught = catch_unwind(AssertUnwindSafe(|| pool.try_acquire()));
    assert!(caught.is_err() && plot.has_panicked());
    plot.arm(false);
    assert_whole(&pool, "after the panic");
    plot.forget_pool();
    pool.close().await;
    events.assert_in_order(true, "after the panic");
    assert_eq!(events.reason(1), Some(RetireReason::Panicked));
}

/// panic.no_loss: a pool of connections that do not panic is as whole as ever after a caller's panic in the middle of a
/// wait.
#[tokio::test(start_paused = true)]
async fn a_callers_panic_in_the_middle_of_a_wait_loses_nothing() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, config(2)).await;
    let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    let task = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut waiter = Box::pin(pool.acquire());
            assert!(poll_once(waiter.as_mut()).await.is_pending());
            tokio::time::sleep(secs(1)).await;
            quiet_panic();
        }
    });
    tokio::time::sleep(ms(500)).await;
    drop(held);
    assert!(task.await.unwrap_err().is_panic());
    assert_all_can_be_held(&pool, 2, "after the caller's panic").await;
}
