//! A clock of the model, in place of the pool's `time`.
//!
//! The clock moves with every reading, by [`READING`] or as a scenario says, and by as much as a scenario says with
//! [`pass`]. A timer fires when its time is reached: at the end of the `pass`, or after a reading at the next unlock of the
//! pool. A reading takes no step. `pass` moves the clock under the pool's lock, so it falls before or after every decision
//! of the pool, and the timers that it fires may be late.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loom::sync::Mutex;

use crate::manager::Manager;
use crate::pool::Pool;

/// What a reading moves the clock by.
pub(crate) const READING: Duration = Duration::from_micros(1);

/// Any instant will do. Every run begins at the same one.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

// The threads of a model share one thread of the operating system, and these cells.
thread_local! {
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static PER_READING: Cell<Duration> = const { Cell::new(READING) };
    /// When the first timer fires, at the earliest.
    static FIRST_TIMER: Cell<Option<Instant>> = const { Cell::new(None) };
}

loom::lazy_static! {
    static ref TIMERS: Mutex<Vec<Timer>> = Mutex::new(Vec::new());
}

struct Timer {
    at: Instant,
    waker: Waker,
    /// Its [`Sleep`] waits for it still. To stop waiting is no step.
    wanted: Arc<AtomicBool>,
}

/// Sets the clock back, for the next run.
pub(crate) fn reset() {
    PASSED.set(Duration::ZERO);
    PER_READING.set(READING);
    FIRST_TIMER.set(None);
}

pub(crate) fn readings_take(duration: Duration) {
    PER_READING.set(duration);
}

/// Lets time pass, and then fires the timers whose time has come.
pub fn pass<M: Manager>(pool: &Pool<M>, duration: Duration) {
    pool.inner().state.read(|_| PASSED.set(PASSED.get() + duration));
    fire_due();
}

/// Fires the timers whose time has come. A step only if there are any.
pub(crate) fn fire_due() {
    if FIRST_TIMER.get().is_none_or(|first| first > current()) {
        return;
    }
    let mut timers = TIMERS.lock().expect("nothing panics under this lock");
    timers.retain(|timer| timer.wanted.load(SeqCst));
    let (due, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut *timers).into_iter().partition(|timer| timer.at <= current());
    FIRST_TIMER.set(rest.iter().map(|timer| timer.at).min());
    *timers = rest;
    drop(timers);
    for timer in due {
        timer.waker.wake();
    }
}

fn current() -> Instant {
    *BEGIN + PASSED.get()
}

/// The machine of a model does not sleep: to a decision that is the same as a clock that moves on.
pub(crate) fn slept() -> Duration {
    Duration::ZERO
}

pub(crate) fn now() -> Instant {
    PASSED.set(PASSED.get() + PER_READING.get());
    current()
}

/// To poll it is a step.
pub(crate) struct Sleep {
    until: Instant,
    wanted: Arc<AtomicBool>,
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    Sleep { until: current() + duration, wanted: Arc::default() }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.wanted.store(false, SeqCst);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut timers = TIMERS.lock().expect("nothing panics under this lock");
        // The timer of the last poll is replaced.
        self.wanted.store(false, SeqCst);
        if self.until <= current() {
            return Poll::Ready(());
        }
        self.wanted = Arc::new(AtomicBool::new(true));
        timers.push(Timer { at: self.until, waker: cx.waker().clone(), wanted: Arc::clone(&self.wanted) });
        FIRST_TIMER.set(Some(FIRST_TIMER.get().map_or(self.until, |first| first.min(self.until))));
        Poll::Pending
    }
}

pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if limit == Duration::MAX {
        return Some(future.await);
    }
    let mut future = pin!(future);
    let mut sleep = sleep(limit);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| None),
    })
    .await
}
