//! What happens inside a pool, told by its events. The clock is paused: a wait
//! takes no time, and every run is the same.
//!
//! `cargo run --example inside`

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolhouse::{AcquireError, Dial, Event, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{Connector, EchoServer, Faults, Reply};
use tokio::io::DuplexStream;
use tokio::time::{Instant, sleep};

type AnyError = Box<dyn Error>;
type EchoPool = Pool<PacketManager<InMemory>>;

/// The way to a server in memory. A connect takes as many milliseconds as `delay`
/// says.
struct InMemory {
    connector: Connector,
    delay: Arc<AtomicU64>,
}

impl Dial for InMemory {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        sleep(ms(self.delay.load(Ordering::Relaxed))).await;
        self.connector.connect().await
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// ANCHOR: listener
/// Prints each event with the time since the start.
fn teller() -> impl Fn(&Event<'_>) + Send + Sync + 'static {
    let start = Instant::now();
    move |event| {
        let what = match event {
            Event::Created { connection, took, .. } => {
                format!("{connection} created, connect took {took:?}")
            }
            Event::Acquired { connection, waited, .. } => {
                format!("{connection} acquired after {waited:?}")
            }
            Event::Released { connection, held_for, .. } => {
                format!("{connection} released after {held_for:?}")
            }
            Event::Retired { connection, reason, age, .. } => {
                format!("{connection} retired at the age of {age:?}: {reason}")
            }
            Event::ConnectFailed { error, .. } => {
                format!("connect failed: {error}")
            }
            Event::CheckFailed { connection, .. } => {
                format!("{connection} failed its check")
            }
            Event::AcquireFailed { .. } => "an acquire failed".to_owned(),
            _ => return,
        };
        println!("{:>9} ms  {what}", start.elapsed().as_millis());
    }
}
// ANCHOR_END: listener

fn stats(pool: &EchoPool, when: &str) {
    let stats = pool.stats();
    println!(
        "    stats, {when}: {} open, {} idle, {} held, {} connecting, {} waiting",
        stats.total_connections,
        stats.idle_connections,
        stats.active_connections,
        stats.connecting,
        stats.pending_requests
    );
}

// ANCHOR: warm
async fn warm(pool: &EchoPool) -> Result<(), AnyError> {
    stats(pool, "new");
    pool.warm_up().await?;
    stats(pool, "warm");
    Ok(())
}
// ANCHOR_END: warm

// ANCHOR: in_service
async fn in_service(pool: &EchoPool) -> Result<(), AnyError> {
    let mut first = pool.acquire().await?;
    first.send_packet("hello").await?;
    first.receive().await?;
    let second = pool.acquire().await?;
    // Nothing is idle, and there is room for one more.
    let third = pool.acquire().await?;
    stats(pool, "three held");

    // The pool is full: a new caller waits, and is handed the first one that comes
    // back.
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    sleep(ms(30)).await;
    stats(pool, "one waits");
    drop(second);
    waiting.await??;

    drop((first, third));
    stats(pool, "all back");
    Ok(())
}
// ANCHOR_END: in_service

// ANCHOR: ageing
async fn ageing(pool: &EchoPool, server: &EchoServer) -> Result<(), AnyError> {
    let before = server.counts().frames_received;
    sleep(Duration::from_secs(70)).await;
    println!(
        "    the server has answered {} checks",
        server.counts().frames_received - before
    );
    stats(pool, "after 70 s without use");

    server.disconnect_all();
    server.wait_for(|counts| counts.open == 0).await;
    drop(pool.acquire().await?);
    sleep(ms(100)).await;
    stats(pool, "after a restart of the server");

    sleep(Duration::from_secs(600)).await;
    stats(pool, "after ten minutes more");
    Ok(())
}
// ANCHOR_END: ageing

// ANCHOR: race
async fn race(pool: &EchoPool) -> Result<(), AnyError> {
    let first = pool.acquire().await?;
    let _second = pool.acquire().await?;
    // The third one makes the pool begin a connect. A connection that comes back
    // is quicker.
    tokio::spawn(async move {
        sleep(ms(5)).await;
        drop(first);
    });
    let _third = pool.acquire().await?;
    sleep(ms(50)).await;
    stats(pool, "the connect has ended");
    Ok(())
}
// ANCHOR_END: race

// ANCHOR: too_late
async fn too_late(pool: &EchoPool) -> Result<(), AnyError> {
    match pool.acquire().await {
        Err(AcquireError::Timeout(timeout)) => {
            println!(
                "    it waited {:?}, and was {} at the end",
                timeout.waited, timeout.phase
            );
            println!(
                "    place in the queue: {} of {}",
                timeout.position, timeout.waiting
            );
            println!("    failed connects: {}", timeout.failed_connects);
            Ok(())
        }
        other => Err(format!("expected a timeout, not {other:?}").into()),
    }
}
// ANCHOR_END: too_late

// ANCHOR: suspended
async fn suspended(pool: &EchoPool) -> Result<(), AnyError> {
    pool.suspend();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    sleep(ms(500)).await;
    stats(pool, "suspended");
    pool.resume();
    waiting.await??;
    Ok(())
}
// ANCHOR_END: suspended

// ANCHOR: closing
async fn closing(pool: &EchoPool) -> Result<(), AnyError> {
    let held = pool.acquire().await?;
    tokio::spawn(async move {
        sleep(ms(100)).await;
        drop(held);
    });
    pool.close().await;
    stats(pool, "closed");
    match pool.acquire().await {
        Err(error) if error.is_closed() => Ok(()),
        other => Err(format!("expected a closed pool, not {other:?}").into()),
    }
}
// ANCHOR_END: closing

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    let delay = Arc::new(AtomicU64::new(20));
    // ANCHOR: pool
    let config = PoolConfig {
        min_connections: 2,
        max_connections: 3,
        connection_timeout: Duration::from_secs(3),
        connect_attempt_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(60),
        health_check_interval: Duration::from_secs(30),
        check_after_idle: Duration::from_secs(20),
        max_lifetime: Duration::from_secs(600),
        // So that the ages in this example are round. Keep the default in service.
        lifetime_jitter: 0.0,
        ..PoolConfig::default()
    };
    let way = InMemory { connector: server.connector(), delay: Arc::clone(&delay) };
    let pool = Pool::builder(PacketManager::new(way))
        .config(config)
        .listener(teller())
        .build()?;
    // ANCHOR_END: pool

    println!("== new, warm");
    warm(&pool).await?;
    println!("== in service");
    in_service(&pool).await?;
    println!("== age");
    ageing(&pool, &server).await?;
    println!("== an acquire, served by what comes first");
    race(&pool).await?;
    println!("== an acquire that gets nothing");
    sleep(Duration::from_secs(25)).await;
    // The server hangs up after half a second, and nobody else gets through to it.
    server.set_faults(Faults {
        latency: Some(ms(500)),
        reply: Reply::HalfThenClose,
        ..Faults::default()
    });
    delay.store(3_600_000, Ordering::Relaxed);
    too_late(&pool).await?;
    server.set_faults(Faults::default());
    delay.store(20, Ordering::Relaxed);
    println!("== suspended, resumed");
    suspended(&pool).await?;
    println!("== closing, closed");
    closing(&pool).await
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
