//! Connections that opened together reach their lifetime together, hour after
//! hour.
//!
//! `cargo run --example stampede` runs a day in virtual time against an echo
//! server in memory.

mod trace;

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolhouse::{Event, PacketManager, Pool, PoolConfig};
use poolhouse_echo::EchoServer;
use tokio::time::{Instant, sleep};

type AnyError = Box<dyn Error + Send + Sync>;

const REPLICAS: usize = 4;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many connections opened in each second since the start.
#[derive(Default)]
struct Opened(BTreeMap<u64, u64>);

impl Opened {
    /// The first of the seconds in which most opened, leaving out the start
    /// itself.
    fn worst(&self) -> (u64, u64) {
        let later = self.0.iter().rev().filter(|(second, _)| **second > 0);
        later
            .max_by_key(|(_, count)| **count)
            .map_or((0, 0), |(second, count)| (*second, *count))
    }

    fn total(&self) -> u64 {
        self.0
            .iter()
            .filter(|(second, _)| **second > 0)
            .map(|(_, count)| count)
            .sum()
    }
}

/// The replicas of a service start in one moment, as after a deploy, and live a
/// day.
async fn day(
    name: &'static str,
    config: &PoolConfig,
    spread: Option<Duration>,
) -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    let start = Instant::now();
    let opened = Arc::new(Mutex::new(Opened::default()));
    let mut pools = Vec::new();
    for _ in 0..REPLICAS {
        let (connector, opened) = (server.connector(), Arc::clone(&opened));
        let dial = move || {
            let connector = connector.clone();
            async move { connector.connect().await }
        };
        // ANCHOR: listen
        let listener = move |event: &Event<'_>| {
            if let Event::Created { .. } = event {
                let second = start.elapsed().as_secs();
                *opened
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
                    .entry(second)
                    .or_default() += 1;
            }
        };
        // ANCHOR_END: listen
        let pool = Pool::builder(PacketManager::new(dial))
            .config(config.clone())
            .listener(listener)
            .build()?;
        pool.warm_up().await?;
        pools.push(pool);
    }
    if let Some(spread) = spread {
        for pool in &pools {
            // ANCHOR: spread
            pool.invalidate_all_over(spread);
            // ANCHOR_END: spread
        }
    }
    sleep(DAY).await;

    let opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
    trace::part(name);
    trace::points(
        opened
            .0
            .iter()
            .filter(|(second, _)| **second > 0)
            .map(|(second, count)| (*second, *count as usize)),
    );
    let (second, worst) = opened.worst();
    println!("opened in a day: {}", opened.total());
    println!("most in one second: {worst}");
    println!("it came after: {} min {} s", second / 60, second % 60);
    println!("most open at once: {}", server.counts().peak_open);
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    // The jitter is drawn at random. A seed makes every run the same.
    fastrand::seed(1);
    println!("== the symptom");
    // ANCHOR: symptom
    let config = PoolConfig {
        min_connections: 20,
        max_connections: 25,
        max_lifetime: Duration::from_secs(60 * 60),
        lifetime_jitter: 0.0,
        // Nothing is wrong with the server here, and a day of checks would take
        // the program long.
        health_check_interval: Duration::MAX,
        ..PoolConfig::default()
    };
    // ANCHOR_END: symptom
    day("before the cure", &config, None).await?;
    let without_jitter = config.clone();

    println!("== after the cure");
    // ANCHOR: cure
    let config = PoolConfig { lifetime_jitter: 0.1, ..config };
    // ANCHOR_END: cure
    day("after the cure", &config, None).await?;

    println!("== spread by hand, and still no jitter");
    day(
        "spread by hand, still no jitter",
        &without_jitter,
        Some(Duration::from_secs(30 * 60)),
    )
    .await
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
