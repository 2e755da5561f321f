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
//! that nobody exports costs three histograms' records an exchange, and no memory that grows. All counters, with every
//! kind and every reason, are exported as zeros from `observe` on, so that their first event is an increase.
//!
//! A wait that times out is in `wait_time` too, with `error.type` = `timeout`. Without it, waits would look best in an
//! outage, when only the quick ones end well.
//!
//! # Features
//!
//! | feature | what |
//! |---|---|
//! | `opentelemetry`, a default | [`PoolMetrics`], for OpenTelemetry's API |
//! | `metrics` | [`FacadeMetrics`], for the recorders of the crate `metrics`, such as metrics-exporter-prometheus |
//!
//! [semantic conventions for database clients]: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(not(any(feature = "metrics", feature = "opentelemetry")))]
compile_error!("poolhouse-otel has nothing to export to: switch on the feature `opentelemetry` or `metrics`");

#[cfg(feature = "metrics")]
mod facade;
mod instruments;
#[cfg(feature = "opentelemetry")]
mod otel;
mod pools;
mod record;

#[cfg(feature = "metrics")]
pub use crate::facade::FacadeMetrics;
#[cfg(feature = "opentelemetry")]
pub use crate::otel::PoolMetrics;
