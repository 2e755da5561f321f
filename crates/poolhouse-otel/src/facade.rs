//! To the recorder of the crate `metrics`.

use std::fmt;
use std::time::Duration;

use metrics::{Label, Unit, describe_counter, describe_gauge, describe_histogram};
use poolhouse::{Event, Listener, Manager, Pool};

use crate::instruments::{
    Attribute, BOUNDS, COUNTERS, Count, GAUGES, Gauge, Instrument, POOL_NAME, TIMES, Time,
};
use crate::pools::{Pools, Reading};
use crate::record::{self, Sink};

/// The same metrics by the crate [`metrics`], for a program that exports by one of its recorders. Clones share them.
///
/// The names and attributes are those of OpenTelemetry's conventions. An exporter may write them otherwise: that for
/// Prometheus writes `db_client_connection_wait_time`, with an underscore for each dot.
///
/// `metrics` asks nobody when it exports. So call [`update`](FacadeMetrics::update) then: it reads the pools' statistics.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use poolhouse::PacketPool;
/// use poolhouse_otel::FacadeMetrics;
///
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// # let recorder = metrics_util::debugging::DebuggingRecorder::new();
/// # let recorded = recorder.snapshotter();
/// # recorder.install()?;
/// // Once in a program, after it has installed its recorder.
/// let metrics = FacadeMetrics::new();
///
/// // For each pool.
/// let builder = PacketPool::builder((server.host(), server.port())).name("orders");
/// let pool = builder.listener(metrics.clone()).build()?;
/// metrics.observe(&pool);
/// # pool.acquire().await?;
///
/// // At each export.
/// metrics.update();
/// # assert!(recorded.snapshot().into_vec().len() > 10);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FacadeMetrics {
    pools: Pools,
}

impl FacadeMetrics {
    /// Upper bounds in seconds for the histograms of times. A recorder may want them, or make a summary instead.
    ///
    /// ```
    /// assert!(poolhouse_otel::FacadeMetrics::TIME_BUCKETS.is_sorted());
    /// ```
    pub const TIME_BUCKETS: &'static [f64] = &BOUNDS;

    /// Describes the metrics to the recorder that the program has installed.
    ///
    /// ```
    /// let metrics = poolhouse_otel::FacadeMetrics::new();
    /// # drop(metrics);
    /// ```
    #[expect(clippy::new_without_default, reason = "a default describes nothing to a recorder")]
    pub fn new() -> Self {
        for counter in COUNTERS {
            describe_counter!(counter.name, unit(&counter), counter.what);
        }
        for time in TIMES {
            describe_histogram!(time.name, unit(&time), time.what);
        }
        for Gauge { instrument, .. } in GAUGES {
            describe_gauge!(instrument.name, unit(&instrument), instrument.what);
        }
        Self { pools: Pools::default() }
    }

    /// Exports what the pool's statistics say, at each [`update`](FacadeMetrics::update) until the pool has gone.
    ///
    /// Call it once for each pool: what is observed twice counts twice.
    ///
    /// ```
    /// # let metrics = poolhouse_otel::FacadeMetrics::new();
    /// let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// metrics.observe(&pool);
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn observe<M: Manager>(&self, pool: &Pool<M>) {
        record::start(&Recorder, pool.name());
        self.pools.observe(pool);
    }

    /// Sets the gauges to what the pools' statistics say now. Those of a pool that has gone become 0, because a recorder
    /// keeps them.
    ///
    /// Call it when you export, or on a timer if your recorder exports by itself. Call it from one place: of two calls at
    /// once, the one that read first may write last.
    ///
    /// ```
    /// # let metrics = poolhouse_otel::FacadeMetrics::new();
    /// metrics.update();
    /// ```
    pub fn update(&self) {
        let sums = self.pools.sums(&GAUGES, || Some(Reading::default()));
        for ((name, pool, attribute), value) in sums {
            metrics::gauge!(name, labels(&pool, attribute)).set(value as f64);
        }
    }
}

impl Listener for FacadeMetrics {
    fn on_event(&self, event: &Event<'_>) {
        record::on_event(&Recorder, event);
    }
}

impl fmt::Debug for FacadeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FacadeMetrics").field("pools", &self.pools.len()).finish_non_exhaustive()
    }
}

/// The recorder that is installed when something is measured.
struct Recorder;

impl Sink for Recorder {
    fn add(&self, count: Count, value: u64, pool: &str, attribute: Option<Attribute>) {
        metrics::counter!(COUNTERS[count as usize].name, labels(pool, attribute)).increment(value);
    }

    fn record(&self, time: Time, took: Duration, pool: &str, attribute: Option<Attribute>) {
        metrics::histogram!(TIMES[time as usize].name, labels(pool, attribute)).record(took.as_secs_f64());
    }
}

/// What the crate `metrics` calls the unit. It has one name for whatever is counted.
fn unit(instrument: &Instrument) -> Unit {
    if instrument.unit == "s" { Unit::Seconds } else { Unit::Count }
}

fn labels(pool: &str, attribute: Option<Attribute>) -> Vec<Label> {
    let attribute = attribute.map(|(key, value)| Label::from_static_parts(key, value));
    attribute.into_iter().chain([Label::new(POOL_NAME, pool.to_owned())]).collect()
}
