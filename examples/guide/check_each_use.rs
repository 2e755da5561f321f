//! A check before each use, as in pools that test on check-out: what it takes, and
//! what it costs.
//!
//! `cargo run --example check_each_use`. Virtual time: it takes no time, and every
//! run is the same.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use poolhouse::{Manager, Pool, PoolBuilder, PoolConfig};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A server whose connects and checks take as long as they are told.
struct Server {
    connect: Duration,
    check: Duration,
    checks: AtomicU32,
}

impl Server {
    fn new(connect: u64, check: u64) -> Arc<Self> {
        let [connect, check] = [connect, check].map(Duration::from_millis);
        Arc::new(Self { connect, check, checks: AtomicU32::new(0) })
    }
}

impl Manager for Server {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        sleep(self.connect).await;
        Ok(())
    }

    async fn check(&self, _: &mut ()) -> Result<(), std::io::Error> {
        self.checks.fetch_add(1, Relaxed);
        sleep(self.check).await;
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the rest of it is used")]
fn zero(manager: Arc<Server>, config: PoolConfig) -> PoolBuilder<Arc<Server>> {
    let config = PoolConfig { check_after_idle: Duration::ZERO, ..config };
    Pool::builder(manager).config(config)
}

#[expect(clippy::needless_pass_by_value, reason = "the rest of it is used")]
fn zero_and_hook(
    manager: Arc<Server>,
    config: PoolConfig,
) -> PoolBuilder<Arc<Server>> {
    // ANCHOR: both
    let config = PoolConfig { check_after_idle: Duration::ZERO, ..config };
    Pool::builder(manager)
        .config(config)
        .before_reuse(|_, _| Box::pin(async { Ok(()) }))
    // ANCHOR_END: both
}

/// Eight tasks share two connections.
async fn under_load(pool: &Pool<Arc<Server>>) -> Result<(), Box<dyn Error>> {
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..25 {
                let _connection = pool.acquire().await?;
                sleep(Duration::from_millis(5)).await;
            }
            Ok::<(), poolhouse::AcquireError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    println!("== 200 acquires by 8 tasks on 2 connections");
    for (name, hook) in
        [("check_after_idle at zero", false), ("the same, and an empty hook", true)]
    {
        let server = Server::new(20, 1);
        let config = PoolConfig { max_connections: 2, ..PoolConfig::default() };
        let manager = Arc::clone(&server);
        let builder = if hook {
            zero_and_hook(manager, config)
        } else {
            zero(manager, config)
        };
        let pool = builder.build()?;
        under_load(&pool).await?;
        println!("{name}: {} checks", server.checks.load(Relaxed));
    }

    println!("== 100 acquires by 1 task, with room for 10 connections");
    for (connect, check) in [(20, 1), (20, 10), (20, 25), (5, 8)] {
        let pool =
            zero(Server::new(connect, check), PoolConfig::default()).build()?;
        for _ in 0..100 {
            let _connection = pool.acquire().await?;
            sleep(Duration::from_millis(5)).await;
        }
        let opened = pool.stats().connections_created;
        println!(
            "a connect takes {connect} ms, a check {check} ms: {opened} opened"
        );
    }
    Ok(())
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
