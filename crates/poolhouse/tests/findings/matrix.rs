//! A manager, a listener, a waker or a log subscriber that misbehaves, at every point where the pool runs such code:
//! it calls back into the pool, blocks, or panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

use poolhouse::{Pool, PoolConfig, PooledConnection};
use tokio::time::timeout;

use crate::common::{ms, secs, settle};
use crate::hostile::{Behaviour, Hostile, Plot, Point, limits};
use crate::support::{Events, assert_all_can_be_held, assert_whole, in_child, on_record, paused};

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

/// One step, with the pool and the plot by these names.
macro_rules! step {
    ($from_pool:ident, $from_plot:ident, |$pool:ident, $plot:ident| $body:block) => {
        step({
            let ($pool, $plot) = ($from_pool.clone(), Arc::clone($from_plot));
            // Not every step needs both.
            let _ = (&$pool, &$plot);
            async move { $body }
        })
        .await;
    };
}

/// What a pool does, once or twice, except `reconfigure`, `add` and `connect_now`.
async fn scenario(pool: &Pool<Hostile>, plot: &Arc<Plot>) {
    step!(pool, plot, |pool, _plot| {
        let _ = pool.warm_up().await;
    });
    step!(pool, plot, |pool, _plot| { drop(hold(&pool, 1).await) });
    step!(pool, plot, |pool, _plot| { drop(hold(&pool, MAX).await) });
    step!(pool, plot, |pool, _plot| {
        let mut held = hold(&pool, MAX).await;
        if let Some(connection) = held.pop() {
            connection.invalidate();
        }
        if let Some(connection) = held.pop() {
            drop(PooledConnection::detach(connection));
        }
    });
    // A wait that is served, one that is served and dropped, and one that is dropped before.
    for drop_it in [None, Some(true), Some(false)] {
        step!(pool, plot, |pool, plot| {
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
        step!(pool, plot, |pool, plot| {
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
    step!(pool, plot, |pool, _plot| { pool.invalidate_all() });
    step!(pool, plot, |pool, _plot| { drop(hold(&pool, MAX).await) });
    step!(pool, plot, |pool, plot| {
        plot.kill_all();
        tokio::time::sleep(ms(2)).await;
        drop(pool.try_acquire());
        drop(hold(&pool, 1).await);
    });
    for permanent in [false, true] {
        step!(pool, plot, |pool, plot| {
            plot.refuse.store(true, SeqCst);
            plot.permanent.store(permanent, SeqCst);
            pool.invalidate_all();
            if let Err(error) = pool.acquire_within(secs(2)).await {
                drop((format!("{error}"), format!("{error:?}")));
            }
        });
        plot.refuse.store(false, SeqCst);
        plot.permanent.store(false, SeqCst);
        step!(pool, plot, |pool, _plot| { drop(hold(&pool, MAX).await) });
    }
    for sick in [false, true] {
        plot.sick.store(sick, SeqCst);
        step!(pool, plot, |_pool, _plot| { tokio::time::sleep(secs(31)).await });
    }
    plot.sick.store(false, SeqCst);
    step!(pool, plot, |pool, plot| {
        let held = hold(&pool, MAX).await;
        plot.tainted.store(true, SeqCst);
        drop(held);
    });
    plot.tainted.store(false, SeqCst);
    step!(pool, plot, |pool, _plot| {
        let _held = hold(&pool, 1).await;
        tokio::time::sleep(secs(41)).await;
    });
    step!(pool, plot, |pool, _plot| {
        let held = hold(&pool, MAX).await;
        let _ = pool.resize(1);
        drop(held);
    });
    let _ = catch_unwind(AssertUnwindSafe(|| pool.resize(MAX)));
    settle().await;
    step!(pool, plot, |pool, _plot| {
        drop(hold(&pool, MAX).await);
        pool.suspend();
    });
    // A panic may have cut the way to it.
    let _ = catch_unwind(AssertUnwindSafe(|| pool.resume()));
    settle().await;
    step!(pool, plot, |pool, _plot| { drop(hold(&pool, MAX).await) });
    changes_from_outside(pool, plot).await;
    resets_and_goodbyes(pool, plot).await;
    step!(pool, plot, |_pool, _plot| { tokio::time::sleep(secs(301)).await });
}

/// Other options, a connection that was opened elsewhere, and the word that the server is back.
async fn changes_from_outside(pool: &Pool<Hostile>, plot: &Arc<Plot>) {
    step!(pool, plot, |pool, _plot| {
        let held = hold(&pool, MAX).await;
        let _ = pool.reconfigure(PoolConfig { max_idle: Some(1), ..limits(MAX - 1) });
        drop(held);
    });
    let _ = catch_unwind(AssertUnwindSafe(|| pool.reconfigure(limits(MAX))));
    settle().await;
    step!(pool, plot, |pool, plot| {
        let mut held = hold(&pool, MAX).await;
        // There is no room, so the connection comes back, and is dropped here.
        drop(pool.add(plot.connection()));
        if let Some(connection) = held.pop() {
            connection.invalidate();
        }
        drop(pool.add(plot.connection()));
    });
    step!(pool, plot, |pool, plot| {
        plot.refuse.store(true, SeqCst);
        pool.invalidate_all();
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { drop(pool.acquire_within(secs(2)).await) }
        });
        settle().await;
        plot.refuse.store(false, SeqCst);
        pool.connect_now();
        let _ = waiter.await;
    });
    plot.refuse.store(false, SeqCst);
    step!(pool, plot, |pool, _plot| { drop(hold(&pool, MAX).await) });
}

/// What comes back is reset, or cannot be, and what goes says goodbye.
async fn resets_and_goodbyes(pool: &Pool<Hostile>, plot: &Arc<Plot>) {
    plot.dirty.store(true, SeqCst);
    for sick in [false, true] {
        plot.sick.store(sick, SeqCst);
        step!(pool, plot, |pool, _plot| { drop(hold(&pool, MAX).await) });
        // A wait that is served after a reset, or after a connect.
        step!(pool, plot, |pool, plot| {
            let mut held = hold(&pool, MAX).await;
            let mut waiter = Box::pin(pool.acquire());
            let waker = plot.waker(std::task::Waker::noop());
            if waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                held.pop();
                let _ = waiter.await;
            }
        });
    }
    plot.sick.store(false, SeqCst);
    plot.graceful.store(true, SeqCst);
    step!(pool, plot, |pool, _plot| {
        let mut held = hold(&pool, MAX).await;
        if let Some(connection) = held.pop() {
            connection.invalidate();
        }
        // Its room is free when it has said goodbye.
        drop(hold(&pool, 1).await);
    });
    plot.dirty.store(false, SeqCst);
    step!(pool, plot, |pool, _plot| {
        drop(hold(&pool, MAX).await);
        pool.invalidate_all_over(secs(1));
        tokio::time::sleep(secs(2)).await;
    });
    step!(pool, plot, |pool, plot| {
        drop(hold(&pool, MAX).await);
        pool.retain(|_, info| {
            plot.reached(Point::Retain);
            info.use_count.is_multiple_of(2)
        });
    });
    step!(pool, plot, |pool, _plot| { pool.check_now().await });
    step!(pool, plot, |pool, _plot| { pool.invalidate_all() });
    plot.graceful.store(false, SeqCst);
    step!(pool, plot, |pool, _plot| { drop(hold(&pool, MAX).await) });
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
        let _ = catch_unwind(AssertUnwindSafe(|| (pool.resume(), pool.reconfigure(limits(MAX)))));
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

/// Runs the scenario for one point with each behaviour. Of the visits, each one of so many panics in its turn.
fn misbehaves_at(name: &str, point: Point, each: usize) {
    in_child(name, secs(120), move || {
        misbehave(point, Behaviour::CallBack);
        misbehave(point, Behaviour::Block);
        let panics =
            (0..).step_by(each).take_while(|&number| misbehave(point, Behaviour::PanicAt(number))).count();
        assert!(panics > 0, "{point:?}: the scenario does not reach it");
        println!("{point:?}: {panics} panics");
    });
}

macro_rules! hostile {
    ($($name:ident: $point:ident;)*) => {
        $(
            #[doc = concat!("foreign.unlocked, panic.no_loss, observe.events: `", stringify!($point), "` misbehaves.")]
            #[test]
            fn $name() {
                misbehaves_at(concat!("matrix::", stringify!($name)), Point::$point, 7);
            }
        )*

        /// The same, with a panic at each visit.
        mod at_length {
            use super::*;

            $(
                #[test]
                #[ignore = "long: a panic at each visit, not at each seventh"]
                fn $name() {
                    misbehaves_at(concat!("matrix::at_length::", stringify!($name)), Point::$point, 1);
                }
            )*
        }

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
    hostile_needs_reset: NeedsReset;
    hostile_reset: Reset;
    hostile_needs_close: NeedsClose;
    hostile_close: Close;
    hostile_after_connect: AfterConnect;
    hostile_before_reuse: BeforeReuse;
    hostile_on_return: OnReturn;
    hostile_before_close: BeforeClose;
    hostile_retain: Retain;
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
