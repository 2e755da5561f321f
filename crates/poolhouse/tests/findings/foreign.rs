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
use std::task::{Context, Poll};

use poolhouse::{IdleOrder, Manager, Pool, PoolConfig, PooledConnection, RetireReason};
use tokio::time::timeout;

use crate::common::{Mock, Step, config, filled, ms, poll_once, pool, secs, settle};
use crate::hostile::{Behaviour, Hostile, Plot, Point, limits};
use crate::support::{
    Events, assert_all_can_be_held, assert_whole, in_child, on_record, one_thread, paused, quiet_panic,
};

const MAX: usize = 3;

/// Runs one step of the scenario in a task of its own: a panic that reaches the caller ends the step and no more.
async fn step<F: Future<Output = ()> + Send + 'static>(step: F) {
    let _ = tokio::spawn(step).await;
    settle().await;
}

/// Acquires up to `count`, as far as that goes.
async fn hold(pool: &Pool<Hostile>, count: usize) -> Vec<PooledConnection<Hostile>> {
    let mut held = Vec::new();
    for _ in 0..count {
        if let Ok(connection) = pool.acquire_within(secs(2)).await {
            held.push(connection);
        }
    }
    held
}

/// All that a pool does, once or twice.
async fn scenario(pool: &Pool<Hostile>, plot: &Arc<Plot>) {
    macro_rules! step {
        (|$pool:ident, $plot:ident| $body:block) => {
            step({
                let ($pool, $plot) = (pool.clone(), Arc::clone(plot));
                // Not every step needs both.
                let _ = (&$pool, &$plot);
                async move { $body }
            })
            .await;
        };
    }
    step!(|pool, _plot| {
        let _ = pool.warm_up().await;
    });
    step!(|pool, _plot| { drop(hold(&pool, 1).await) });
    step!(|pool, _plot| { drop(hold(&pool, MAX).await) });
    step!(|pool, _plot| {
        let mut held = hold(&pool, MAX).await;
        if let Some(connection) = held.pop() {
            connection.invalidate();
        }
        if let Some(connection) = held.pop() {
            drop(connection.detach());
        }
    });
    // A wait that is served, one that is served and dropped, and one that is dropped before.
    for drop_it in [None, Some(true), Some(false)] {
        step!(|pool, plot| {
            let mut held = hold(&pool, MAX).await;
            let mut waiter = Box::pin(pool.acquire());
            let (mut polled, task) = (Poll::Pending, std::task::Waker::noop());
            for waker in [plot.waker(task), plot.waker(task)] {
                if polled.is_pending() {
                    polled = waiter.as_mut().poll(&mut Context::from_waker(&waker));
                }
            }
            if drop_it != Some(false) {
                held.pop();
            }
            if drop_it.is_some() || polled.is_ready() {
                return;
            }
            let _ = waiter.await;
        });
    }
    // A waiter that finds what it was served dead, or recalled.
    for dead in [true, false] {
        step!(|pool, plot| {
            let mut held = hold(&pool, MAX).await;
            let mut waiter = Box::pin(pool.acquire());
            let waker = plot.waker(std::task::Waker::noop());
            if waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                return;
            }
            held.pop();
            if dead {
                plot.kill_all();
                tokio::time::sleep(ms(2)).await;
            } else {
                pool.invalidate_all();
            }
            let _ = waiter.await;
        });
    }
    step!(|pool, _plot| { pool.invalidate_all() });
    step!(|pool, _plot| { drop(hold(&pool, MAX).await) });
    step!(|pool, plot| {
        plot.kill_all();
        tokio::time::sleep(ms(2)).await;
        drop(pool.try_acquire());
        drop(hold(&pool, 1).await);
    });
    for permanent in [false, true] {
        step!(|pool, plot| {
            plot.refuse.store(true, SeqCst);
            plot.permanent.store(permanent, SeqCst);
            pool.invalidate_all();
            if let Err(error) = pool.acquire_within(secs(2)).await {
                drop((format!("{error}"), format!("{error:?}")));
            }
        });
        plot.refuse.store(false, SeqCst);
        plot.permanent.store(false, SeqCst);
        step!(|pool, _plot| { drop(hold(&pool, MAX).await) });
    }
    for sick in [false, true] {
        plot.sick.store(sick, SeqCst);
        step!(|_pool, _plot| { tokio::time::sleep(secs(31)).await });
    }
    plot.sick.store(false, SeqCst);
    step!(|pool, plot| {
        let held = hold(&pool, MAX).await;
        plot.tainted.store(true, SeqCst);
        drop(held);
    });
    plot.tainted.store(false, SeqCst);
    step!(|pool, _plot| {
        let _held = hold(&pool, 1).await;
        tokio::time::sleep(secs(41)).await;
    });
    step!(|pool, _plot| {
        let held = hold(&pool, MAX).await;
        let _ = pool.resize(1);
        drop(held);
    });
    let _ = catch_unwind(AssertUnwindSafe(|| pool.resize(MAX)));
    settle().await;
    step!(|pool, _plot| {
        drop(hold(&pool, MAX).await);
        pool.suspend();
    });
    // A panic may have cut the way to it.
    let _ = catch_unwind(AssertUnwindSafe(|| pool.resume()));
    settle().await;
    step!(|pool, _plot| { drop(hold(&pool, MAX).await) });
    step!(|_pool, _plot| { tokio::time::sleep(secs(301)).await });
}

/// Runs the scenario and says whether its panic, if there is to be one, has been reached.
fn misbehave(point: Point, behaviour: Behaviour) -> bool {
    let context = format!("{point:?}, {behaviour:?}");
    let plot = Plot::new(point, behaviour);
    let events = Events::default();
    let _recording =
        (point == Point::Record || point == Point::Target || point == Point::DisplayError).then(|| {
            let plot = Arc::clone(&plot);
            on_record(move |_| plot.reached(Point::Record))
        });
    paused().block_on(async {
        let pool = plot.pool(limits(MAX), &events);
        plot.arm(true);
        scenario(&pool, &plot).await;
        plot.arm(false);
        let _ = catch_unwind(AssertUnwindSafe(|| (pool.resume(), pool.resize(MAX))));
        // Time for the pauses after failed connects, and for the background.
        tokio::time::sleep(secs(60)).await;
        assert_eq!(plot.locked_out(), 0, "{context}: the lock was held");
        assert_whole(&pool, &context);
        let stats = pool.stats();
        assert_eq!((stats.active_connections, stats.pending_requests), (0, 0), "{context}");
        assert!(stats.total_connections >= 1, "{context}: the minimum is not met");
        assert_all_can_be_held(&pool, MAX, &context).await;
        events.assert_in_order(false, &context);
        plot.forget_pool();
        assert!(timeout(secs(60), pool.close()).await.is_ok(), "{context}: close does not end");
        settle().await;
        assert_eq!(pool.stats().total_connections, 0, "{context}");
        events.assert_in_order(true, &context);
    });
    assert!(
        plot.visits() > 0 || matches!(behaviour, Behaviour::PanicAt(_)),
        "{context}: the scenario does not reach it"
    );
    plot.has_panicked()
}

/// Runs the scenario for one point with every behaviour.
fn misbehaves_at(point: Point) {
    let name = format!("foreign::hostile_{}", snake(point));
    in_child(&name, secs(120), move || {
        misbehave(point, Behaviour::CallBack);
        misbehave(point, Behaviour::Block);
        let mut number = 0;
        while misbehave(point, Behaviour::PanicAt(number)) {
            number += 1;
        }
        assert!(number > 0, "{point:?}: the scenario does not reach it");
        println!("{point:?}: {number} panics");
    });
}

fn snake(point: Point) -> String {
    let mut name = String::new();
    for letter in format!("{point:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

macro_rules! hostile {
    ($($name:ident: $point:ident;)*) => {
        $(
            #[doc = concat!("foreign.unlocked, panic.no_loss, observe.events: `", stringify!($point), "` misbehaves.")]
            #[test]
            fn $name() {
                misbehaves_at(Point::$point);
            }
        )*

        /// foreign.unlocked: every point has a test.
        #[test]
        fn every_point_has_a_test() {
            assert_eq!([$(Point::$point),*], Point::ALL);
        }
    };
}

hostile! {
    hostile_connect: Connect;
    hostile_check: Check;
    hostile_is_connected: IsConnected;
    hostile_is_reusable: IsReusable;
    hostile_classify: Classify;
    hostile_target: Target;
    hostile_drop_connection: DropConnection;
    hostile_drop_error: DropError;
    hostile_display_error: DisplayError;
    hostile_debug_error: DebugError;
    hostile_listener: Listener;
    hostile_wake: Wake;
    hostile_drop_waker: DropWaker;
    hostile_record: Record;
}

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
    (Pool::with_listener(manager, config, events.listener()).expect("it is possible"), charges)
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
        // The runtime is not driven while the first becomes overdue, so `try_acquire` is who finds out. Real time, for
        // that.
        let runtime = one_thread();
        let events = Events::default();
        let limits = PoolConfig { idle_timeout: ms(300), queue: IdleOrder::Fifo, ..config(2) };
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
            let pool =
                pool(&mock, PoolConfig { max_pending: Some(1), leak_threshold: Some(secs(5)), ..config(1) });
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
