//! Running the user's code: a manager's methods, a listener, wakers, log subscribers, and drops of any of their values.
//!
//! These calls go through here, so that two things hold of all of them. None runs under the pool's lock
//! (`foreign.unlocked`): a debug assertion watches it. And a panic ends here, as a value: the pool finishes what it has
//! decided before anybody is told (`panic.no_loss`).
//!
//! These do not: `IntoManager::into_manager`, `Manager::validate`, the clone of a waker, the callback of
//! `acquire_async`, and the drop of the manager, the listener and the hooks, when nothing of the pool is left. None
//! runs under the lock, and a panic there loses nothing.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use crate::time::within;

/// A panic of the user's code.
#[must_use]
pub(crate) struct Panic(Option<Box<dyn Any + Send>>);

impl Panic {
    /// Lets the panic go on, once nothing can be lost by it.
    pub(crate) fn resume(mut self) -> ! {
        match self.0.take() {
            Some(payload) => resume_unwind(payload),
            None => unreachable!("taken only here and on drop"),
        }
    }
}

impl Drop for Panic {
    fn drop(&mut self) {
        // The payload is a value of the user's too.
        let payload = self.0.take();
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
    }
}

/// A value of the user's that is dropped where the pool has something to lose: a panic of its drop ends here.
pub(crate) struct Shielded<T>(pub(crate) Option<T>);

impl<T> Drop for Shielded<T> {
    fn drop(&mut self) {
        if let Some(value) = self.0.take() {
            drop(call_out(|| drop(value)));
        }
    }
}

/// Wakes another waker. A panic of that one ends here: in a list of wakers it would keep those behind it asleep.
struct ShieldedWaker(Shielded<Waker>);

impl Wake for ShieldedWaker {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = &self.0.0 {
            drop(call_out(|| waker.wake_by_ref()));
        }
    }
}

pub(crate) fn shielded(waker: &Waker) -> Waker {
    Arc::new(ShieldedWaker(Shielded(Some(waker.clone())))).into()
}

pub(crate) fn call_out<T>(code: impl FnOnce() -> T) -> Result<T, Panic> {
    watch::assert_unlocked();
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| Panic(Some(payload)))
}

/// The same for a future of the user's, from its making to its drop. `None` when the time is up.
pub(crate) async fn call_out_within<F: Future>(
    limit: Duration,
    make: impl FnOnce() -> F,
) -> Result<Option<F::Output>, Panic> {
    // Shielded, for the task that waits here may be aborted.
    let mut shielded = Shielded(Some(call_out(|| Box::pin(make()))?));
    let Some(future) = &mut shielded.0 else { unreachable!("it is taken only below") };
    let outcome = within(
        limit,
        poll_fn(|cx| match call_out(|| future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }),
    )
    .await;
    let future = shielded.0.take();
    let dropped = call_out(|| drop(future));
    let output = outcome.transpose()?;
    // What the future has produced counts more than how it went.
    if output.is_none() {
        dropped?;
    }
    Ok(output)
}

/// Whether this thread has a pool's lock.
pub(crate) mod watch {
    #[cfg(debug_assertions)]
    thread_local! {
        static LOCKED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    pub(crate) struct Locked(());

    impl Locked {
        pub(crate) fn new() -> Self {
            #[cfg(debug_assertions)]
            LOCKED.with(|locked| locked.set(locked.get() + 1));
            Self(())
        }
    }

    impl Drop for Locked {
        fn drop(&mut self) {
            #[cfg(debug_assertions)]
            LOCKED.with(|locked| locked.set(locked.get() - 1));
        }
    }

    pub(super) fn assert_unlocked() {
        #[cfg(debug_assertions)]
        LOCKED.with(|locked| assert_eq!(locked.get(), 0, "the user's code is called under the pool's lock"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }

    #[test]
    fn a_panic_is_a_value_and_so_is_one_in_its_payload() {
        let panic = call_out(|| std::panic::panic_any(PanicsOnDrop));
        assert!(panic.is_err());
        drop(panic);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic = "under the pool's lock"]
    fn a_call_under_the_lock_is_noticed() {
        let _locked = watch::Locked::new();
        drop(call_out(|| ()));
    }

    #[tokio::test]
    async fn a_future_that_panics_when_dropped_is_a_panic_unless_it_has_answered() {
        async fn holds(value: PanicsOnDrop, ready: bool) {
            if !ready {
                std::future::pending::<()>().await;
            }
            drop(value);
        }
        assert!(call_out_within(Duration::ZERO, || holds(PanicsOnDrop, false)).await.is_err());
        assert!(call_out_within(Duration::MAX, || holds(PanicsOnDrop, true)).await.is_err());
        assert!(matches!(call_out_within(Duration::MAX, || async { 5 }).await, Ok(Some(5))));
    }
}
