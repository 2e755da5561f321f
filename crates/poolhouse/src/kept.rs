//! Memory that is never freed, but used again.
//!
//! Whoever gives a connection back leaves it under the pool's lock, and with it what keeps the pool in memory. As soon as
//! the lock is free another thread may end the pool, while this one is not quite out of its unlock: it may have a sleeper
//! to wake. A count of its own for that moment would be safe too, but costs as much as the lock: two atomic
//! read-modify-writes for each connection that is handed out. So the lock lies in memory that stays. When a pool ends, its
//! lock is set aside for the next pool of the same type. Of one type there are never more than there have been pools at
//! once.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, PoisonError};

/// What has been set aside: a `Vec<&'static T>` for each `T`.
static SPARE: LazyLock<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>> = LazyLock::new(Mutex::default);

pub(crate) struct Kept<T: 'static>(&'static T);

impl<T: Send + Sync> Kept<T> {
    /// One that has been set aside, or a new one.
    pub(crate) fn new(make: impl FnOnce() -> T) -> Self {
        Self(with_spare(Vec::pop).unwrap_or_else(|| Box::leak(Box::new(make()))))
    }

    /// For somebody else to use, if `clear` has made it ready for that; otherwise nobody will. Nobody may use it as what it
    /// was from here on, but to unlock it.
    pub(crate) fn set_aside(self, clear: impl FnOnce(&T) -> bool) {
        if clear(self.0) {
            with_spare(|spare| spare.push(self.0));
        }
    }
}

fn with_spare<T: Send + Sync + 'static, R>(run: impl FnOnce(&mut Vec<&'static T>) -> R) -> R {
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    let of_type = spare.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(Vec::<&'static T>::new()));
    run(of_type.downcast_mut().expect("filed under its type"))
}

impl<T> Clone for Kept<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    /// What is kept for a pool that has ended.
    #[test]
    fn a_lock_is_small() {
        assert!(size_of::<crate::desk::Desk<crate::PacketManager>>() < 2048);
    }

    /// A type of its own, so that no other test has set one aside.
    #[derive(Default)]
    struct Counter {
        count: AtomicU32,
    }

    #[test]
    fn what_is_set_aside_is_used_again() {
        let (first, second) = (Kept::new(Counter::default), Kept::new(Counter::default));
        first.count.store(1, Relaxed);
        second.count.store(2, Relaxed);
        let place = std::ptr::from_ref::<Counter>(&first);
        first.set_aside(|counter| {
            counter.count.store(0, Relaxed);
            true
        });
        let third = Kept::new(|| unreachable!("there is one"));
        assert_eq!(std::ptr::from_ref::<Counter>(&third), place);
        assert_eq!(third.count.load(Relaxed), 0);
        let fourth = Kept::new(Counter::default);
        assert_eq!((second.count.load(Relaxed), fourth.count.load(Relaxed)), (2, 0));
        third.set_aside(|_| false);
        let fifth = Kept::new(Counter::default);
        assert_ne!(std::ptr::from_ref::<Counter>(&fifth), place, "it was not ready");
    }
}
