//! What the pool takes from std and tokio to lock, to wait and to run.
//!
//! In one place, so that the package `model-check` can compile the pool with the locks and the threads of a model
//! checker instead. [`crate::time`] is the same for the clock.

use std::sync::{MutexGuard, PoisonError, TryLockError};

pub(crate) use std::sync::Mutex;

pub(crate) use tokio::runtime::{Handle, Id as RuntimeId};
pub(crate) use tokio::sync::Notify;
pub(crate) use tokio::task::{AbortHandle, JoinSet};

/// Takes the pool's lock, which is held for a fraction of a microsecond at a time.
///
/// A thread that finds it taken pauses for about as long as the other needs, some times, before it asks the system to
/// wait: that costs more than the wait. This is for speed only: without it the code is the same.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    for _ in 0..8 {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            // The policy leaves its counts right whatever happens, so poison says nothing.
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => (0..32).for_each(|_| std::hint::spin_loop()),
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
