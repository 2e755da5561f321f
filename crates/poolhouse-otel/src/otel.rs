//! To OpenTelemetry's API.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Histogram, Meter};
use poolhouse::{Event, Listener, Manager, Pool};

use crate::instruments::{
    Attribute, BOUNDS, COUNTERS, Count, GAUGES, Gauge, Instrument, POOL_NAME, TIMES, Time,
};
use crate::pools::Pools;
use crate::record::{self, Sink};

/// The metrics of all pools of a program, or of one part of it. Clones share them.
///
/// It is a [`Listener`]: give a clone to each pool's builder, and tell it of the pool with
/// [`observe`](PoolMetrics::observe). It keeps no pool alive.
///
/// A pool takes one listener. If you have one of your own, call this one in it:
///
/// ```
/// use opentelemetry::global;
/// use poolhouse::{Event, Listener, PacketPool};
/// use poolhouse_otel::PoolMetrics;
///
/// let metrics = PoolMetrics::new(&global::meter("my-service"));
/// let both = {
///     let metrics = metrics.clone();
///     move |event: &Event<'_>| {
///         metrics.on_event(event);
///         if let Event::Leaked { holder, .. } = event {
///             eprintln!("a connection is {holder}");
///         }
///     }
/// };
/// let pool = PacketPool::builder(("localhost", 5555)).name("orders").listener(both).build()?;
/// metrics.observe(&pool);
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct PoolMetrics {
    instruments: Arc<Instruments>,
    pools: Pools,
}

/// In the order of [`COUNTERS`] and of [`TIMES`].
struct Instruments {
    counters: [Counter<u64>; COUNTERS.len()],
    times: [Histogram<f64>; TIMES.len()],
}

impl PoolMetrics {
    /// Makes the instruments. Call it once for each meter: a second one would export each pool's sums a second time.
    ///
    /// ```
    /// let metrics = poolhouse_otel::PoolMetrics::new(&opentelemetry::global::meter("my-service"));
    /// # drop(metrics);
    /// ```
    pub fn new(meter: &Meter) -> Self {
        let counters = COUNTERS.map(|counter| {
            meter.u64_counter(counter.name).with_unit(counter.unit).with_description(counter.what).build()
        });
        let times = TIMES.map(|time| {
            let histogram = meter.f64_histogram(time.name).with_unit(time.unit).with_description(time.what);
            histogram.with_boundaries(BOUNDS.to_vec()).build()
        });
        let pools = Pools::default();
        for gauge in GAUGES {
            up_down(meter, pools.clone(), gauge);
        }
        Self { instruments: Arc::new(Instruments { counters, times }), pools }
    }

    /// Exports what the pool's statistics say, from now until the pool has gone.
    ///
    /// Call it once for each pool: what is observed twice counts twice.
    ///
    /// ```
    /// # let metrics = poolhouse_otel::PoolMetrics::new(&opentelemetry::global::meter("my-service"));
    /// let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// metrics.observe(&pool);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn observe<M: Manager>(&self, pool: &Pool<M>) {
        record::start(&*self.instruments, pool.name());
        self.pools.observe(pool);
    }
}

impl Listener for PoolMetrics {
    fn on_event(&self, event: &Event<'_>) {
        record::on_event(&*self.instruments, event);
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics").field("pools", &self.pools.len()).finish_non_exhaustive()
    }
}

impl Sink for Instruments {
    fn add(&self, count: Count, value: u64, pool: &str, attribute: Option<Attribute>) {
        with_attributes(pool, attribute, |attributes| self.counters[count as usize].add(value, attributes));
    }

    fn record(&self, time: Time, took: Duration, pool: &str, attribute: Option<Attribute>) {
        let took = took.as_secs_f64();
        with_attributes(pool, attribute, |attributes| self.times[time as usize].record(took, attributes));
    }
}

fn with_attributes(pool: &str, attribute: Option<Attribute>, tell: impl FnOnce(&[KeyValue])) {
    let pool = KeyValue::new(POOL_NAME, pool.to_owned());
    match attribute {
        Some((key, value)) => tell(&[pool, KeyValue::new(key, value)]),
        None => tell(&[pool]),
    }
}

fn up_down(meter: &Meter, pools: Pools, gauge: Gauge) {
    let Instrument { name, unit, what } = gauge.instrument;
    let callback = move |observer: &dyn AsyncInstrument<i64>| {
        for ((_, pool, attribute), value) in pools.sums(std::slice::from_ref(&gauge), || None) {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            with_attributes(&pool, attribute, |attributes| observer.observe(value, attributes));
        }
    };
    let builder = meter.i64_observable_up_down_counter(name).with_unit(unit).with_description(what);
    // The meter keeps the callback.
    let _ = builder.with_callback(callback).build();
}
