//! The pools that are exported, and what is read from their statistics at each export.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolhouse::{Manager, Pool};

use crate::instruments::{Attribute, Gauge, UNNAMED};

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

/// The values of gauges, by the name of the gauge, the name of the pool, and what else a value is told apart by.
pub(crate) type Sums = BTreeMap<(&'static str, String, Option<Attribute>), usize>;

/// The pools that are exported. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pools(Arc<Mutex<Vec<Arc<Observed>>>>);

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
        self.lock().push(Arc::new(Observed { name, read: Box::new(read) }));
    }

    /// What the pools say now. Pools of one name are added up: they are one to an exporter, whose last value would win. A
    /// pool that has gone is told of for the last time, by what `gone` makes of it.
    pub(crate) fn sums(&self, gauges: &[Gauge], gone: fn() -> Option<Reading>) -> Sums {
        let mut sums = Sums::new();
        for (observed, reading) in self.read() {
            let Some(reading) = reading.or_else(gone) else { continue };
            for gauge in gauges {
                (gauge.read)(&reading, &mut |value, attribute| {
                    let key = (gauge.instrument.name, observed.name.clone(), attribute);
                    let sum = sums.entry(key).or_default();
                    *sum = sum.saturating_add(value);
                });
            }
        }
        sums
    }

    /// Reads each pool, and forgets those that have gone.
    ///
    /// Not under the lock: whoever reads a pool may have its last handle for that moment, and so close it. That calls the
    /// listener, which may be one that observes another pool.
    fn read(&self) -> Vec<(Arc<Observed>, Option<Reading>)> {
        let pools = self.lock().clone();
        let read = |observed: Arc<Observed>| {
            let reading = (observed.read)();
            (observed, reading)
        };
        let readings: Vec<_> = pools.into_iter().map(read).collect();
        let has_gone = |pool: &Arc<Observed>| {
            readings.iter().any(|(read, reading)| reading.is_none() && Arc::ptr_eq(read, pool))
        };
        if readings.iter().any(|(_, reading)| reading.is_none()) {
            self.lock().retain(|pool| !has_gone(pool));
        }
        readings
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Observed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
