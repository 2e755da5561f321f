//! A clock that moves when a scenario says so, in place of the pool's `time`.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use loom::sync::Mutex;

/// Any instant will do. Every run begins at the same one.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    /// The threads of a model share one thread of the operating system, and this cell.
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

loom::lazy_static! {
    /// Who sleeps until when. Looking at the time takes no step; sleeping and waking do.
    static ref SLEEPERS: Mutex<Vec<(Instant, Waker)>> = Mutex::new(Vec::new());
}

/// Sets the clock back, for the next run.
pub(crate) fn reset() {
    PASSED.set(Duration::ZERO);
}

/// Lets time pass, and wakes whose time has come.
pub fn pass(duration: Duration) {
    let mut sleepers = SLEEPERS.lock().expect("nothing panics under this lock");
    PASSED.set(PASSED.get() + duration);
    let (due, rest) = std::mem::take(&mut *sleepers).into_iter().partition(|(until, _)| *until <= now());
    *sleepers = rest;
    drop(sleepers);
    for (_, waker) in due {
        waker.wake();
    }
}

pub(crate) fn now() -> Instant {
    *BEGIN + PASSED.get()
}

pub(crate) struct Sleep {
    until: Instant,
}

pub(crate) fn sleep(duration: Duration) -> Sleep {
    sleep_until(now() + duration)
}

pub(crate) fn sleep_until(until: Instant) -> Sleep {
    Sleep { until }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut sleepers = SLEEPERS.lock().expect("nothing panics under this lock");
        if self.until <= now() {
            return Poll::Ready(());
        }
        sleepers.push((self.until, cx.waker().clone()));
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
