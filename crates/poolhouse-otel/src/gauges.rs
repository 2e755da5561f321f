//! What is read from a pool's statistics at each export.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use poolhouse::{Manager, Pool};

use crate::pool_name;

const STATE: &str = "db.client.connection.state";

/// One pool at one instant.
struct Reading {
    idle: usize,
    used: usize,
    pending: usize,
    max: usize,
    max_idle: usize,
    min_idle: usize,
}

/// A pool that is exported while it lives.
struct Observed {
    name: KeyValue,
    /// `None` once the pool has gone.
    read: Box<dyn Fn() -> Option<Reading> + Send + Sync>,
}

/// The pools that are exported. Clones share them.
#[derive(Clone)]
pub(crate) struct Gauges(Arc<Mutex<Vec<Observed>>>);

impl Gauges {
    pub(crate) fn new(meter: &Meter) -> Self {
        let gauges = Self(Arc::default());
        gauges.up_down(
            meter,
            "db.client.connection.count",
            "{connection}",
            "How many connections are open, by their state.",
            |reading, tell| {
                tell(reading.idle, Some(KeyValue::new(STATE, "idle")));
                tell(reading.used, Some(KeyValue::new(STATE, "used")));
            },
        );
        gauges.up_down(
            meter,
            "db.client.connection.pending_requests",
            "{request}",
            "How many acquires wait for a connection.",
            |reading, tell| tell(reading.pending, None),
        );
        gauges.up_down(
            meter,
            "db.client.connection.max",
            "{connection}",
            "How many connections may be open.",
            |reading, tell| tell(reading.max, None),
        );
        gauges.up_down(
            meter,
            "db.client.connection.idle.max",
            "{connection}",
            "How many connections may be idle.",
            |reading, tell| tell(reading.max_idle, None),
        );
        gauges.up_down(
            meter,
            "db.client.connection.idle.min",
            "{connection}",
            "How many idle connections the pool keeps ready.",
            |reading, tell| tell(reading.min_idle, None),
        );
        gauges
    }

    fn up_down(
        &self,
        meter: &Meter,
        name: &'static str,
        unit: &'static str,
        what: &'static str,
        read: impl Fn(&Reading, &mut dyn FnMut(usize, Option<KeyValue>)) + Send + Sync + 'static,
    ) {
        let gauges = self.clone();
        let callback = move |observer: &dyn AsyncInstrument<i64>| gauges.tell(observer, &read);
        let instrument = meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(what);
        // The meter keeps the callback.
        let _ = instrument.with_callback(callback).build();
    }

    /// Reads each pool that lives, and forgets the others.
    fn tell(
        &self,
        observer: &dyn AsyncInstrument<i64>,
        read: &impl Fn(&Reading, &mut dyn FnMut(usize, Option<KeyValue>)),
    ) {
        self.pools().retain(|pool| {
            let Some(reading) = (pool.read)() else { return false };
            read(&reading, &mut |value, state| {
                let attributes: Vec<KeyValue> = state.into_iter().chain([pool.name.clone()]).collect();
                observer.observe(i64::try_from(value).unwrap_or(i64::MAX), &attributes);
            });
            true
        });
    }

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
        self.pools().push(Observed { name: pool_name(pool.name()), read: Box::new(read) });
    }

    pub(crate) fn len(&self) -> usize {
        self.pools().len()
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Observed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
