//! OpenTelemetry metrics of [`poolhouse`] connection pools.
//!
//! The names, units and attributes are those of the [semantic conventions for database clients], version 1.44, so that a
//! dashboard made for another language's pool shows this one.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use opentelemetry::global;
//! use poolhouse::Pool;
//! use poolhouse_otel::PoolMetrics;
//!
//! # let server = poolhouse_echo::EchoServer::start().await?;
//! // Once in a program. The provider is the one that your exporter has set.
//! let metrics = PoolMetrics::new(&global::meter("my-service"));
//!
//! // For each pool.
//! let builder = Pool::builder((server.host(), server.port())).name("orders").listener(metrics.clone());
//! let pool = builder.build()?;
//! metrics.observe(&pool);
//! # pool.acquire().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is exported
//!
//! | metric | kind, unit | what |
//! |---|---|---|
//! | `db.client.connection.count` | sum that goes up and down, `{connection}` | open connections, by `db.client.connection.state`: `idle` or `used` |
//! | `db.client.connection.max` | the same | `max_connections` |
//! | `db.client.connection.idle.max` | the same | `max_idle`, or the maximum if there is none |
//! | `db.client.connection.idle.min` | the same | `min_idle` |
//! | `db.client.connection.pending_requests` | the same, `{request}` | acquires that wait |
//! | `db.client.connection.timeouts` | counter, `{timeout}` | acquires that timed out |
//! | `db.client.connection.create_time` | histogram, `s` | how long connects took |
//! | `db.client.connection.wait_time` | histogram, `s` | how long acquires took; those that timed out too, with `error.type` |
//! | `db.client.connection.use_time` | histogram, `s` | how long connections were held |
//!
//! The conventions have no name for four more, which alerts need:
//!
//! | metric | kind, unit | what |
//! |---|---|---|
//! | `poolhouse.acquire.failures` | counter, `{acquire}` | acquires that gave no connection, by `error.type`: an [`AcquireErrorKind`](poolhouse::AcquireErrorKind) |
//! | `poolhouse.connect.failures` | counter, `{connect}` | attempts to connect that failed, by `error.type`: a [`FailureKind`](poolhouse::FailureKind) |
//! | `poolhouse.connection.closed` | counter, `{connection}` | connections that the pool closed, by `poolhouse.close.reason`: a [`RetireReason`](poolhouse::RetireReason) |
//! | `poolhouse.connection.leaked` | counter, `{connection}` | holds that lasted longer than `leak_threshold` |
//!
//! Each has the attribute `db.client.connection.pool.name`. Give each pool a name with
//! [`PoolBuilder::name`](poolhouse::PoolBuilder::name), such as `orders@db-1:5432`: all pools without one are `unnamed`
//! together.
//!
//! The times are measured as they happen, and the others are read from the pool's statistics at each export. So a pool
//! that nobody exports costs three histograms' records an exchange, and no memory that grows. Counters of
//! timeouts, failures and leaks are exported as zeros from `observe` on, so that their first event is an increase.
//!
//! A wait that times out is in `wait_time` too, with `error.type` = `timeout`. Without it, waits would look best in an
//! outage, when only the quick ones end well.
//!
//! [semantic conventions for database clients]: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod counts;
mod gauges;
mod times;

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use poolhouse::{Event, Listener, Manager, Pool};

use crate::counts::Counts;
use crate::gauges::Gauges;
use crate::times::Times;

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
    times: Arc<Times>,
    counts: Arc<Counts>,
    gauges: Gauges,
}

impl PoolMetrics {
    /// Makes the instruments. Call it once for each meter: a second one would export each pool's sums a second time.
    ///
    /// ```
    /// let metrics = poolhouse_otel::PoolMetrics::new(&opentelemetry::global::meter("my-service"));
    /// # drop(metrics);
    /// ```
    pub fn new(meter: &Meter) -> Self {
        Self {
            times: Arc::new(Times::new(meter)),
            counts: Arc::new(Counts::new(meter)),
            gauges: Gauges::new(meter),
        }
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
        let name = pool_name(pool.name());
        self.times.start(&name);
        self.counts.start(&name);
        self.gauges.observe(pool);
    }
}

/// The attribute by which one pool is told from another.
fn pool_name(name: Option<&str>) -> KeyValue {
    KeyValue::new("db.client.connection.pool.name", name.unwrap_or("unnamed").to_owned())
}

impl Listener for PoolMetrics {
    fn on_event(&self, event: &Event<'_>) {
        self.times.on_event(event);
        self.counts.on_event(event);
    }
}

impl fmt::Debug for PoolMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolMetrics").field("pools", &self.gauges.len()).finish_non_exhaustive()
    }
}
