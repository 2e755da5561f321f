//! Connection churn: bursts with lulls between them, longer than `idle_timeout`,
//! open every connection anew.
//!
//! `cargo run --example connection_churn`. The clock is tokio's, paused: minutes
//! pass in no time, and every run is the same.

mod trace;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolhouse::{Dial, Event, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{Connector, EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The echo server in memory. A connect takes as long as one with TLS and a login.
struct Backend(Connector);

impl Dial for Backend {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        sleep(Duration::from_millis(80)).await;
        self.0.connect().await
    }

    fn target(&self) -> Cow<'_, str> {
        "db.example:5432".into()
    }
}

type BackendPool = Pool<PacketManager<Backend>>;

// ANCHOR: listener
/// Counts why connections are closed: the first thing to know about churn.
type Reasons = Arc<Mutex<BTreeMap<&'static str, u32>>>;

fn counter(reasons: Reasons) -> impl Fn(&Event<'_>) {
    move |event| {
        if let Event::Retired { reason, .. } = event {
            *reasons
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(reason.as_str())
                .or_default() += 1;
        }
    }
}
// ANCHOR_END: listener

/// One request that needs a connection for its query only.
async fn request(pool: BackendPool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("select").await?;
    connection.receive().await?;
    Ok(())
}

/// Ten bursts of five requests, a minute apart.
async fn bursts(
    name: &'static str,
    config: PoolConfig,
) -> Result<(), Box<dyn Error>> {
    let slow =
        Faults { latency: Some(Duration::from_millis(20)), ..Faults::default() };
    let server = EchoServer::builder().faults(slow).in_memory();
    let reasons = Reasons::default();
    let manager = PacketManager::new(Backend(server.connector()));
    let pool = Pool::builder(manager)
        .config(config)
        .listener(counter(Arc::clone(&reasons)))
        .build()?;
    trace::part(name);
    let watched = pool.clone();
    let _watch = trace::watch(Duration::from_secs(1), move || {
        watched.stats().total_connections
    });
    for _ in 0..10 {
        let mut tasks = JoinSet::new();
        for _ in 0..5 {
            tasks.spawn(request(pool.clone()));
        }
        while let Some(task) = tasks.join_next().await {
            task?.map_err(|error| error.to_string())?;
        }
        sleep(Duration::from_secs(60)).await;
    }
    let stats = pool.stats();
    println!("requests: {}", stats.total_acquisitions);
    println!("connections_created: {}", stats.connections_created);
    println!("connections_destroyed: {}", stats.connections_destroyed);
    for (reason, count) in &*reasons.lock().unwrap_or_else(PoisonError::into_inner)
    {
        println!("closed for {reason}: {count}");
    }
    let waited = stats.wait_times.quantile(0.5).unwrap_or_default();
    println!(
        "half of the requests waited for at most, in ms: {}",
        waited.as_millis()
    );
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    println!("== the symptom");
    // ANCHOR: churns
    let churns = PoolConfig {
        min_connections: 0,
        // Shorter than the lull between two bursts.
        idle_timeout: Duration::from_secs(10),
        ..PoolConfig::default()
    };
    // ANCHOR_END: churns
    bursts("before the cure", churns).await?;

    println!("== after the cure");
    // ANCHOR: keeps
    let keeps = PoolConfig {
        // What a burst uses stays open through the lull.
        min_connections: 5,
        idle_timeout: Duration::from_secs(5 * 60),
        ..PoolConfig::default()
    };
    // ANCHOR_END: keeps
    bursts("after the cure", keeps).await
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
