//! Knowing when nothing is left to run.
//!
//! A runtime of one thread parks when no task is ready. Tokio calls a hook before it parks and another when it wakes,
//! and each may wake the test. So the test runs exactly when everybody else has run, however many hops that took, and
//! again whenever the paused clock has moved to the next timer.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Waker>>>);

impl Slot {
    fn put(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }

    fn wake(&self) {
        if let Some(waker) = self.put(None) {
            waker.wake();
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Quiet {
    parks: Slot,
    unparks: Slot,
}

impl Quiet {
    /// A runtime with a paused clock, which this one listens to.
    pub(crate) fn runtime(&self) -> Runtime {
        let (parks, unparks) = (self.parks.clone(), self.unparks.clone());
        Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .on_thread_park(move || parks.wake())
            .on_thread_unpark(move || unparks.wake())
            .build()
            .expect("a runtime without I/O")
    }

    /// Every task that is ready runs, and those that they wake, until none is. No time passes.
    pub(crate) async fn settle(&self) {
        let mut armed = false;
        poll_fn(|cx| {
            let previous = self.parks.put(Some(cx.waker().clone()));
            if armed && previous.is_none() {
                self.parks.put(None);
                return Poll::Ready(());
            }
            armed = true;
            Poll::Pending
        })
        .await;
    }

    /// Time moves on to the next timer of anybody, at the latest to `end`.
    pub(crate) async fn next_event(&self, end: Instant) {
        let mut sleep = pin!(tokio::time::sleep_until(end));
        let mut armed = false;
        poll_fn(|cx| {
            let previous = self.unparks.put(Some(cx.waker().clone()));
            if sleep.as_mut().poll(cx).is_ready() || (armed && previous.is_none()) {
                self.unparks.put(None);
                return Poll::Ready(());
            }
            armed = true;
            Poll::Pending
        })
        .await;
    }
}

/// Whether a future has been woken since it was last polled.
pub(crate) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A future that the test polls by hand.
pub(crate) struct Polled<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    flag: Arc<Flag>,
}

impl<T> Polled<T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'static) -> Self {
        Self { future: Box::pin(future), flag: Arc::new(Flag(AtomicBool::new(true))) }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.flag.0.load(SeqCst)
    }

    /// `None` if it panics.
    pub(crate) fn try_poll(&mut self) -> Option<Poll<T>> {
        catch_unwind(AssertUnwindSafe(|| self.poll())).ok()
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.flag.0.store(false, SeqCst);
        self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.flag))))
    }
}
