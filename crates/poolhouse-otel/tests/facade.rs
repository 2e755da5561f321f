//! What a recorder of the crate `metrics` gets.

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use poolhouse::{CloseCounts, PacketManager, Pool, PoolConfig};
use poolhouse_echo::EchoServer;
use poolhouse_otel::FacadeMetrics;

/// A pool over a server in memory, whose metrics this thread's recorder gets.
fn pool(
    server: &EchoServer,
    name: Option<&str>,
    metrics: &FacadeMetrics,
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

/// Every metric, as `kind name unit {labels} value`. A histogram's value is what was recorded since the last look.
fn recorded(snapshotter: &Snapshotter) -> Vec<String> {
    let mut lines: Vec<String> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, unit, what, value)| {
            let (kind, key) = key.into_parts();
            assert!(what.is_some(), "{key} is not described");
            let mut labels: Vec<String> =
                key.labels().map(|label| format!("{}={}", short(label.key()), label.value())).collect();
            labels.sort();
            let value = match value {
                DebugValue::Counter(count) => count.to_string(),
                DebugValue::Gauge(value) => value.to_string(),
                DebugValue::Histogram(times) => {
                    format!("{} in {:.3}", times.len(), times.iter().map(|time| time.0).sum::<f64>())
                }
            };
            let unit = unit.expect("it has a unit").as_str();
            format!("{kind:?} {} {unit} {{{}}} {value}", key.name(), labels.join(", "))
        })
        .collect();
    lines.sort();
    lines
}

fn short(name: &str) -> &str {
    name.trim_start_matches("db.client.connection.")
}

/// The same pool as in the test of OpenTelemetry's export, used, waited for in vain, and given back.
#[tokio::test(start_paused = true)]
async fn each_metric_has_the_value_of_the_pool() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (server, metrics) = (EchoServer::in_memory(), FacadeMetrics::new());
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
    metrics.update();
    let expected = [
        "Counter db.client.connection.timeouts count {pool.name=orders} 1",
        "Counter poolhouse.acquire.failures count {error.type=timeout, pool.name=orders} 1",
        "Gauge db.client.connection.count count {pool.name=orders, state=idle} 1",
        "Gauge db.client.connection.count count {pool.name=orders, state=used} 1",
        "Gauge db.client.connection.idle.max count {pool.name=orders} 2",
        "Gauge db.client.connection.idle.min count {pool.name=orders} 1",
        "Gauge db.client.connection.max count {pool.name=orders} 2",
        "Gauge db.client.connection.pending_requests count {pool.name=orders} 0",
        "Histogram db.client.connection.create_time seconds {pool.name=orders} 2 in 0.000",
        "Histogram db.client.connection.use_time seconds {pool.name=orders} 1 in 5.000",
        "Histogram db.client.connection.wait_time seconds {error.type=timeout, pool.name=orders} 1 in 3.000",
        "Histogram db.client.connection.wait_time seconds {pool.name=orders} 2 in 0.000",
    ];
    let is_zero = |line: &String| line.starts_with("Counter poolhouse.") && line.ends_with("} 0");
    let (zeros, counted): (Vec<_>, Vec<_>) = recorded(&snapshotter).into_iter().partition(is_zero);
    assert_eq!(counted, expected);
    // Every kind of failed acquire but `timeout`, every kind of failed connect, every close reason, and leaks.
    assert_eq!(zeros.len(), 4 + 3 + CloseCounts::default().iter().count() + 1, "{zeros:#?}");
}

/// Pools of one name are counted together. One that has gone counts as nothing, and nothing keeps it alive.
#[tokio::test(start_paused = true)]
async fn pools_are_told_apart_and_may_go() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _local = metrics::set_default_local_recorder(&recorder);
    let (server, metrics) = (EchoServer::in_memory(), FacadeMetrics::new());
    let config = |max_connections| PoolConfig { max_connections, ..PoolConfig::default() };
    let named = pool(&server, Some("orders"), &metrics, config(7));
    let unnamed = [pool(&server, None, &metrics, config(4)), pool(&server, None, &metrics, config(5))];
    named.warm_up().await.unwrap();
    let maxima = || -> Vec<String> {
        metrics.update();
        let is_maximum = |line: &String| line.starts_with("Gauge db.client.connection.max ");
        recorded(&snapshotter).into_iter().filter(is_maximum).collect()
    };
    let with = |orders: u32| {
        [
            format!("Gauge db.client.connection.max count {{pool.name=orders}} {orders}"),
            "Gauge db.client.connection.max count {pool.name=unnamed} 9".to_owned(),
        ]
    };
    assert_eq!(maxima(), with(7));
    let weak = named.downgrade();
    drop(named);
    assert!(weak.upgrade().is_none(), "the metrics keep a pool alive");
    assert_eq!(maxima(), with(0));
    assert_eq!(format!("{metrics:?}"), "FacadeMetrics { pools: 2, .. }");
    drop(unnamed);
}
