//! A handle that does not keep the pool open.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::manager::Manager;
use crate::pool::{Pool, PoolHandle};

/// A handle that does not keep the pool open: for a task that watches a pool, or for what the pool itself keeps, such as
/// its manager.
///
/// ```
/// use poolhouse::PacketPool;
///
/// let pool = PacketPool::new(("localhost", 5555), Default::default())?;
/// let weak = pool.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(pool);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
pub struct WeakPool<M: Manager> {
    handle: Weak<PoolHandle<M>>,
}

impl<M: Manager> WeakPool<M> {
    /// The pool, if a [`Pool`] of it is left. `None` for good after that: the pool has closed.
    ///
    /// ```
    /// use poolhouse::{Manager, WeakPool};
    ///
    /// /// What a task that exports statistics does each time.
    /// fn report(pool: &WeakPool<impl Manager>) {
    ///     if let Some(pool) = pool.upgrade() {
    ///         println!("{:?}", pool.stats());
    ///     }
    /// }
    /// ```
    pub fn upgrade(&self) -> Option<Pool<M>> {
        Some(Pool { handle: self.handle.upgrade()? })
    }
}

impl<M: Manager> Pool<M> {
    /// A handle that does not keep the pool open.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// let weak = pool.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn downgrade(&self) -> WeakPool<M> {
        WeakPool { handle: Arc::downgrade(&self.handle) }
    }
}

impl<M: Manager> Clone for WeakPool<M> {
    fn clone(&self) -> Self {
        Self { handle: Weak::clone(&self.handle) }
    }
}

impl<M: Manager> fmt::Debug for WeakPool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakPool").field("is_open", &(self.handle.strong_count() > 0)).finish()
    }
}
