//! What a program exports, as its exporter gets it.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use poolhouse::{CloseCounts, Event, PacketManager, Pool, PoolConfig};
use poolhouse_echo::EchoServer;
use poolhouse_otel::PoolMetrics;

/// An exporter that keeps what it gets.
struct Exported {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

impl Exported {
    fn new() -> (Self, PoolMetrics) {
        let exporter = InMemoryMetricExporter::default();
        let reader =
            PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3600)).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let metrics = PoolMetrics::new(&provider.meter("tests"));
        (Self { provider, exporter }, metrics)
    }

    /// Every point, as `name unit {attributes} value`. A histogram's value is its count and its sum.
    fn points(&self) -> Vec<String> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let mut points = Vec::new();
        for resource in self.exporter.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics) {
                let of = |attributes: Vec<String>, value: String| {
                    let mut attributes = attributes;
                    attributes.sort();
                    format!("{} {} {{{}}} {value}", metric.name(), metric.unit(), attributes.join(", "))
                };
                match metric.data() {
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        points.extend(histogram.data_points().map(|point| {
                            let value = format!("{} in {:.3}", point.count(), point.sum());
                            of(point.attributes().map(attribute).collect(), value)
                        }));
                    }
                    AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                        points.extend(sum.data_points().map(|point| {
                            of(point.attributes().map(attribute).collect(), point.value().to_string())
                        }));
                    }
                    AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                        points.extend(sum.data_points().map(|point| {
                            of(point.attributes().map(attribute).collect(), point.value().to_string())
                        }));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        points.sort();
        points
    }
}

fn is_zero(point: &str) -> bool {
    point.starts_with("poolhouse.") && point.ends_with("} 0")
}

/// Without the zeros of counters, which have a test of their own.
fn counted(points: Vec<String>) -> Vec<String> {
    points.into_iter().filter(|point| !is_zero(point)).collect()
}

fn attribute(attribute: &opentelemetry::KeyValue) -> String {
    let short = |name: &str| name.trim_start_matches("db.client.connection.").to_owned();
    format!("{}={}", short(attribute.key.as_str()), attribute.value)
}

fn pool(
    server: &EchoServer,
    name: Option<&str>,
    metrics: &PoolMetrics,
    config: PoolConfig,
) -> Pool<impl poolhouse::Manager> {
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let mut builder = Pool::builder(PacketManager::new(dial)).config(config).listener(metrics.clone());
    if let Some(name) = name {
        builder = builder.name(name);
    }
    let pool = builder.build().unwrap();
    metrics.observe(&pool);
    pool
}

/// The names, units and attributes of the conventions, with the values of a pool that has been used, waited for in vain,
/// and given back.
#[tokio::test(start_paused = true)]
async fn each_metric_of_the_conventions_has_the_value_of_the_pool() {
    let server = EchoServer::in_memory();
    let (exported, metrics) = Exported::new();
    let config = PoolConfig {
        min_connections: 0,
        max_connections: 2,
        min_idle: 1,
        max_idle: Some(2),
        connection_timeout: Duration::from_secs(3),
        ..PoolConfig::default()
    };
    let pool = pool(&server, Some("orders"), &metrics, config);
    let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(pool.acquire().await.is_err_and(|error| error.is_timeout()));
    let [first, _second] = held;
    first.release();
    let expected = [
        "db.client.connection.count {connection} {pool.name=orders, state=idle} 1",
        "db.client.connection.count {connection} {pool.name=orders, state=used} 1",
        "db.client.connection.create_time s {pool.name=orders} 2 in 0.000",
        "db.client.connection.idle.max {connection} {pool.name=orders} 2",
        "db.client.connection.idle.min {connection} {pool.name=orders} 1",
        "db.client.connection.max {connection} {pool.name=orders} 2",
        "db.client.connection.pending_requests {request} {pool.name=orders} 0",
        "db.client.connection.timeouts {timeout} {pool.name=orders} 1",
        "db.client.connection.use_time s {pool.name=orders} 1 in 5.000",
        "db.client.connection.wait_time s {error.type=timeout, pool.name=orders} 1 in 3.000",
        "db.client.connection.wait_time s {pool.name=orders} 2 in 0.000",
        "poolhouse.acquire.failures {acquire} {error.type=timeout, pool.name=orders} 1",
    ];
    assert_eq!(counted(exported.points()), expected);
}

/// An alert sees the first failure, leak or close of any kind as an increase.
#[tokio::test(start_paused = true)]
async fn every_counter_begins_at_zero_with_each_kind_and_each_reason() {
    let server = EchoServer::in_memory();
    let (exported, metrics) = Exported::new();
    let _pool = pool(&server, Some("orders"), &metrics, PoolConfig::default());
    let zeros: Vec<String> = exported.points().into_iter().filter(|point| is_zero(point)).collect();
    let series = |metric: &str, key: &str, values: &[&str]| -> Vec<String> {
        values.iter().map(|value| format!("{metric} {{{key}={value}, pool.name=orders}} 0")).collect()
    };
    let kinds = ["closed", "connect", "overloaded", "runtime_ended", "timeout"];
    let mut expected = series("poolhouse.acquire.failures {acquire}", "error.type", &kinds);
    let kinds = ["busy", "permanent", "transient"];
    expected.extend(series("poolhouse.connect.failures {connect}", "error.type", &kinds));
    let reasons = CloseCounts::default();
    expected.extend(reasons.iter().map(|(reason, _)| {
        format!("poolhouse.connection.closed {{connection}} {{pool.name=orders, poolhouse.close.reason={reason}}} 0")
    }));
    expected.push("poolhouse.connection.leaked {connection} {pool.name=orders} 0".to_owned());
    expected.sort();
    assert_eq!(zeros, expected);
}

/// What the conventions do not name: a leak, a connect that fails, and why a connection was closed.
#[tokio::test(start_paused = true)]
async fn failures_leaks_and_closes_are_counted_by_their_reason() {
    let server = EchoServer::in_memory();
    let (exported, metrics) = Exported::new();
    let config = PoolConfig {
        max_connections: 2,
        leak_threshold: Duration::from_secs(5),
        max_pending: Some(1),
        ..PoolConfig::default()
    };
    let pool = pool(&server, Some("orders"), &metrics, config);
    let held = pool.acquire().await.unwrap();
    let second = pool.acquire().await.unwrap();
    let (served, refused) = tokio::join!(
        async {
            let waits = pool.acquire().await;
            waits.map(drop)
        },
        async {
            let refused = pool.acquire().await.map(drop);
            tokio::time::sleep(Duration::from_secs(6)).await;
            drop(second);
            refused
        }
    );
    served.unwrap();
    assert!(refused.is_err_and(|error| error.is_overloaded()));
    held.invalidate();
    server.stop().await;
    pool.invalidate_all();
    assert!(pool.warm_up().await.is_err());
    let points: Vec<String> =
        counted(exported.points()).into_iter().filter(|point| point.starts_with("poolhouse.")).collect();
    let expected = [
        "poolhouse.acquire.failures {acquire} {error.type=overloaded, pool.name=orders} 1",
        "poolhouse.connect.failures {connect} {error.type=transient, pool.name=orders} 1",
        "poolhouse.connection.closed {connection} {pool.name=orders, poolhouse.close.reason=invalidate_all} 1",
        "poolhouse.connection.closed {connection} {pool.name=orders, poolhouse.close.reason=invalidated} 1",
        "poolhouse.connection.leaked {connection} {pool.name=orders} 2",
    ];
    assert_eq!(points, expected);
}

/// Pools of one name are counted together, and of those that have gone only the others are left.
#[tokio::test(start_paused = true)]
async fn pools_of_one_name_are_counted_together() {
    let server = EchoServer::in_memory();
    let (exported, metrics) = Exported::new();
    let config = |max_connections| PoolConfig { max_connections, ..PoolConfig::default() };
    let pools = [4, 5].map(|maximum| pool(&server, None, &metrics, config(maximum)));
    let held = [pools[0].acquire().await.unwrap(), pools[1].acquire().await.unwrap()];
    let sums = |names: [&str; 2]| -> Vec<String> {
        let named = |point: &String| names.iter().any(|name| point.starts_with(name));
        exported.points().into_iter().filter(named).collect()
    };
    let names = ["db.client.connection.max ", "db.client.connection.count "];
    let expected = |used: u32, maximum: u32| {
        [
            "db.client.connection.count {connection} {pool.name=unnamed, state=idle} 0".to_owned(),
            format!("db.client.connection.count {{connection}} {{pool.name=unnamed, state=used}} {used}"),
            format!("db.client.connection.max {{connection}} {{pool.name=unnamed}} {maximum}"),
        ]
    };
    assert_eq!(sums(names), expected(2, 9));
    let [first, second] = pools;
    drop(second);
    assert_eq!(sums(names), expected(1, 4));
    drop((held, first));
}

/// A listener may use the metrics whenever it is told of something, also when the export has the last handle of a pool for a
/// moment, and so closes it.
#[test]
fn a_listener_may_use_the_metrics_during_an_export() {
    let (exported, metrics) = Exported::new();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        // The exports are those of this thread and of the reader's.
        let (stopped, here) = (AtomicBool::new(false), thread::current().id());
        let closed_elsewhere = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stopped.load(SeqCst) {
                    exported.provider.force_flush().unwrap();
                }
            });
            for round in 0..20_000 {
                let (shown, told) = (metrics.clone(), Arc::clone(&closed_elsewhere));
                let listener = move |event: &Event<'_>| {
                    if matches!(event, Event::Closed { .. }) && thread::current().id() != here {
                        told.store(format!("{shown:?}").contains("pools"), SeqCst);
                    }
                };
                let pool = Pool::builder(("localhost", 5555)).listener(listener).build().unwrap();
                metrics.observe(&pool);
                (0..round % 50).for_each(|_| thread::yield_now());
                drop(pool);
                if closed_elsewhere.load(SeqCst) {
                    break;
                }
            }
            stopped.store(true, SeqCst);
        });
        assert!(closed_elsewhere.load(SeqCst), "no export closed a pool: this test has shown nothing");
        ended.send(()).unwrap();
    });
    assert_eq!(end.recv_timeout(Duration::from_secs(20)), Ok(()), "the listener waits for the export");
}

/// Pools are told apart by their names. One that has gone is forgotten, and nothing keeps it alive.
#[tokio::test(start_paused = true)]
async fn pools_are_told_apart_and_may_go() {
    let server = EchoServer::in_memory();
    let (exported, metrics) = Exported::new();
    let config = PoolConfig { max_connections: 7, ..PoolConfig::default() };
    let named = pool(&server, Some("orders"), &metrics, config.clone());
    let unnamed = pool(&server, None, &metrics, PoolConfig { max_connections: 4, ..config });
    named.warm_up().await.unwrap();
    let maxima = |points: Vec<String>| -> Vec<String> {
        points.into_iter().filter(|point| point.starts_with("db.client.connection.max ")).collect()
    };
    let expected = [
        "db.client.connection.max {connection} {pool.name=orders} 7",
        "db.client.connection.max {connection} {pool.name=unnamed} 4",
    ];
    assert_eq!(maxima(exported.points()), expected);
    let weak = named.downgrade();
    drop(named);
    assert!(weak.upgrade().is_none(), "the metrics keep a pool alive");
    assert_eq!(maxima(exported.points()), expected[1..]);
    assert_eq!(format!("{metrics:?}"), "PoolMetrics { pools: 1, .. }");
    drop(unnamed);
}
