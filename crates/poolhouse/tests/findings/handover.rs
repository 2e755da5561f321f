//! A panic beside a hand-over loses neither the connection that is on its way nor the news for somebody else: `panic.no_loss`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};

use poolhouse::PoolConfig;

use crate::common::{Mock, config, pool, secs, settle};
use crate::support::{
    Counting, assert_all_can_be_held, assert_whole, granted, in_child, on_record, paused, quiet_panic,
};

/// Polls an acquire and drops it, with a subscriber that panics at its call of that number. Returns whether it came to that.
async fn subscriber_panics_at(visit: usize, waits: bool) -> bool {
    let context = format!("call {visit}, waits: {waits}");
    let pool = pool(&Mock::ok(), config(1));
    drop(pool.acquire().await.unwrap());
    let mut held = waits.then(|| pool.try_acquire().unwrap());
    let left = std::rc::Rc::new(Cell::new(Some(visit)));
    let recording = on_record({
        let left = std::rc::Rc::clone(&left);
        move |_| match left.get() {
            Some(0) if !std::thread::panicking() => {
                left.set(None);
                quiet_panic();
            }
            number => left.set(number.map(|number| number.saturating_sub(1))),
        }
    });
    let mut acquire = Box::pin(pool.acquire());
    for _ in 0..2 {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            acquire.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        }));
        drop(held.take());
        if !matches!(polled, Ok(false)) {
            break;
        }
    }
    let _ = catch_unwind(AssertUnwindSafe(|| drop(acquire)));
    drop(recording);
    settle().await;
    assert_eq!(pool.stats().active_connections, 0, "{context}");
    assert_whole(&pool, &context);
    assert_all_can_be_held(&pool, 1, &context).await;
    left.get().is_none()
}

/// panic.no_loss: a subscriber of the log panics as the span of an acquire is made, entered, cloned, left or closed, also when
/// the acquire has its connection already.
#[test]
fn a_subscriber_that_panics_about_a_span_takes_no_connection_along() {
    in_child("handover::a_subscriber_that_panics_about_a_span_takes_no_connection_along", secs(30), || {
        paused().block_on(async {
            for waits in [false, true] {
                let mut panics = 0;
                while subscriber_panics_at(panics, waits).await {
                    panics += 1;
                }
                assert!(panics >= 6, "made, cloned, entered, left, and closed twice: {panics}");
            }
        });
    });
}

type OnClone = Box<dyn FnOnce()>;

thread_local! {
    static ON_CLONE: Cell<Option<OnClone>> = const { Cell::new(None) };
    static DROP_PANICS: Cell<bool> = const { Cell::new(false) };
}

/// A waker that runs code as it is cloned and may panic as it is dropped. One that counts its references, as those made of an
/// `Arc` do, runs no code there while another is alive.
fn raw_waker() -> RawWaker {
    static CALLS: RawWakerVTable = RawWakerVTable::new(
        |_| {
            if let Some(code) = ON_CLONE.take() {
                code();
            }
            raw_waker()
        },
        |_| {},
        |_| {},
        |_| {
            if DROP_PANICS.replace(false) {
                quiet_panic();
            }
        },
    );
    RawWaker::new(std::ptr::null(), &CALLS)
}

/// panic.no_loss: an acquire that moves to another task clones that one's waker. Meanwhile it is served, so nobody wants the
/// clone, and that panics as it is dropped. The caller gets its connection, and the place in the queue is given up once.
#[test]
#[expect(unsafe_code, reason = "a waker of a table is the only one that runs code as it is cloned")]
fn a_waker_that_panics_as_it_is_dropped_takes_no_connection_along() {
    let test = || {
        paused().block_on(async {
            let pool = pool(&Mock::ok(), config(1));
            let held = pool.acquire().await.unwrap();
            let mut waiter = Box::pin(pool.acquire());
            assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            ON_CLONE.set(Some(Box::new(move || {
                drop(held);
                DROP_PANICS.set(true);
            })));
            // SAFETY: the functions of the table use no pointer and no state but that of this thread.
            let waker = unsafe { Waker::from_raw(raw_waker()) };
            let polled = waiter.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(!DROP_PANICS.get(), "the clone has been dropped");
            drop(granted(polled));
            drop(waiter);
            assert_whole(&pool, "afterwards");
            assert_all_can_be_held(&pool, 1, "afterwards").await;
        });
    };
    // A queue that is damaged panics again as the acquire is dropped, which ends the process.
    in_child("handover::a_waker_that_panics_as_it_is_dropped_takes_no_connection_along", secs(30), test);
}

struct PanicsAsItWakes;

impl Wake for PanicsAsItWakes {
    fn wake(self: Arc<Self>) {
        quiet_panic();
    }
}

type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// panic.no_loss, close.complete: of those who wait for the end of a pool the first has a waker that panics. All others hear of
/// the end.
#[test]
fn a_waker_that_panics_keeps_nobody_else_asleep() {
    paused().block_on(async {
        for first in 0..3 {
            let pool = pool(&Mock::ok(), PoolConfig { min_connections: 2, ..config(2) });
            pool.suspend();
            let other = pool.clone();
            let mut hostile: Wait = match first {
                0 => Box::pin(async move { other.closed().await }),
                1 => Box::pin(async move { drop(other.warm_up().await) }),
                _ => Box::pin(async move { drop(other.warm_up_within(secs(9)).await) }),
            };
            let panics = Waker::from(Arc::new(PanicsAsItWakes));
            assert!(hostile.as_mut().poll(&mut Context::from_waker(&panics)).is_pending(), "{first}");
            let counting = Arc::new(Counting::default());
            let waker = Waker::from(Arc::clone(&counting));
            let mut others: Vec<_> = (0..40).map(|_| Box::pin(pool.closed())).collect();
            for other in &mut others {
                assert!(other.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{first}");
            }
            drop(pool.close());
            assert_eq!(counting.woken(), 40, "{first}");
            for other in &mut others {
                assert!(other.as_mut().poll(&mut Context::from_waker(&waker)).is_ready(), "{first}");
            }
        }
    });
}
