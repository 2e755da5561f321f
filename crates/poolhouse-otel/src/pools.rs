//! The pools that are exported, and what is read from their statistics at each export.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolhouse::{Manager, Pool};

use crate::instruments::UNNAMED;

/// One pool at one instant.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) idle: usize,
    pub(crate) used: usize,
    pub(crate) pending: usize,
    pub(crate) max: usize,
    pub(crate) max_idle: usize,
    pub(crate) min_idle: usize,
}

/// A pool that is exported while it lives.
struct Observed {
    name: String,
    /// `None` once the pool has gone.
    read: Box<dyn Fn() -> Option<Reading> + Send + Sync>,
}

/// The pools that are exported. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pools(Arc<Mutex<Vec<Observed>>>);

impl Pools {
    pub(crate) fn observe<M: Manager>(&self, pool: &Pool<M>) {
        let weak = pool.downgrade();
        let read = move || {
            let pool = weak.upgrade()?;
            let (stats, config) = (pool.stats(), pool.config());
            Some(Reading {
                idle: stats.idle_connections,
                used: stats.active_connections,
                pending: stats.pending_requests,
                max: stats.max_connections,
                max_idle: config.max_idle.unwrap_or(stats.max_connections),
                min_idle: config.min_idle,
            })
        };
        let name = pool.name().unwrap_or(UNNAMED).to_owned();
        self.lock().push(Observed { name, read: Box::new(read) });
    }

    /// Tells of each pool, with `None` of one that has gone, for the last time.
    pub(crate) fn read(&self, mut tell: impl FnMut(&str, Option<Reading>)) {
        self.lock().retain(|pool| {
            let reading = (pool.read)();
            let lives = reading.is_some();
            tell(&pool.name, reading);
            lives
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Observed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
