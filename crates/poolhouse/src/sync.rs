//! What the pool takes from std and tokio to lock, to wait and to run.
//!
//! In one place, so that the package `model-check` can compile the pool with the locks and the threads of a model
//! checker instead. [`crate::time`] is the same for the clock.

use std::sync::{PoisonError, TryLockError};

pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use crate::kept::Kept;

pub(crate) use tokio::runtime::{Handle, Id as RuntimeId};
pub(crate) use tokio::sync::Notify;
pub(crate) use tokio::task::{AbortHandle, JoinSet};

/// Takes a lock that is held for a fraction of a microsecond at a time, by threads that come back for it at once. The one who
/// waits keeps away for about as long as the other takes for some calls, instead of asking the system for another
/// thread: that costs more than the wait, and to ask again at once slows the other down.
#[inline]
pub(crate) fn lock_soon<T>(mutex: &Mutex<T>, pauses: impl FnOnce() -> u32) -> MutexGuard<'_, T> {
    try_lock(mutex).unwrap_or_else(|| lock_later(mutex, pauses()))
}

#[cold]
fn lock_later<T>(mutex: &Mutex<T>, pauses: u32) -> MutexGuard<'_, T> {
    for _ in 0..8 {
        for _ in 0..pauses {
            std::hint::spin_loop();
        }
        if let Some(guard) = try_lock(mutex) {
            return guard;
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing that may panic by design runs under the lock, and every call leaves the counts right: poison says nothing.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
