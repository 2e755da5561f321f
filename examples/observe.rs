//! What a pool tells about itself: events, statistics, and who holds a connection
//! for too long.
//!
//! `cargo run --example observe` starts its own echo server; `cargo run --example
//! observe 127.0.0.1:5555` uses yours.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolhouse::{
    Event, Listener, PacketManager, PacketOptions, PacketPool, PoolConfig,
    TcpDialer,
};
use poolhouse_echo::EchoServer;
use tokio::time::sleep;

// ANCHOR: listener
/// Counts what happens, as a metrics library would.
#[derive(Clone, Default)]
struct Metrics(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Listener for Metrics {
    fn on_event(&self, event: &Event<'_>) {
        let name = match event {
            Event::Created { .. } => "created",
            Event::Acquired { .. } => "acquired",
            Event::Released { .. } => "released",
            Event::Retired { reason, .. } => reason.as_str(),
            Event::ConnectFailed { .. } => "connect_failed",
            Event::AcquireFailed { .. } => "acquire_failed",
            Event::CheckFailed { .. } => "check_failed",
            Event::Leaked { holder, .. } => {
                println!("held for too long: acquired at {}", holder.acquired_at);
                "leaked"
            }
            _ => return,
        };
        *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
    }
}
// ANCHOR_END: listener

async fn run() -> Result<(), Box<dyn Error>> {
    let (address, _server) = match std::env::args().nth(1) {
        Some(address) => (address.parse()?, None),
        None => {
            let server = EchoServer::start().await?;
            (server.addr(), Some(server))
        }
    };
    let options = PacketOptions {
        io_timeout: Duration::from_secs(2),
        ..PacketOptions::default()
    };
    let manager =
        PacketManager::new(TcpDialer::from(address)).with_options(options);
    // ANCHOR: pool
    let config = PoolConfig {
        min_connections: 0,
        max_connections: 2,
        connection_timeout: Duration::from_secs(5),
        leak_threshold: Duration::from_millis(100),
        ..PoolConfig::default()
    };
    let metrics = Metrics::default();
    let pool = PacketPool::builder(manager)
        .config(config)
        .listener(metrics.clone())
        .build()?;
    // ANCHOR_END: pool

    for _ in 0..10 {
        let mut connection = pool.acquire().await?;
        connection.send_packet("hello").await?;
        connection.receive().await?;
    }
    let forgotten = pool.acquire().await?;
    sleep(Duration::from_millis(300)).await;
    forgotten.invalidate();

    for (name, count) in &*metrics.0.lock().unwrap_or_else(PoisonError::into_inner)
    {
        println!("{name}: {count}");
    }
    // ANCHOR: stats
    let stats = pool.stats();
    for (name, times) in [
        ("wait", &stats.wait_times),
        ("hold", &stats.hold_times),
        ("connect", &stats.connect_times),
    ] {
        let median = times.quantile(0.5).unwrap_or_default();
        println!(
            "{name}: {} counted, half of them within {median:?}",
            times.count()
        );
    }
    // ANCHOR_END: stats
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
