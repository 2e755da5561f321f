//! Pool exhaustion: callers hold connections while they do something else. Shorter
//! holds cure it; a larger pool moves it.
//!
//! `cargo run --example pool_exhaustion`. The clock is tokio's, paused: seconds
//! pass in no time, and every run is the same.

mod trace;

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{
    AcquireError, Dial, PacketConnection, PacketError, PacketManager, Pool,
    PoolConfig,
};
use poolhouse_echo::{Connector, EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The echo server in memory, under the name that errors show.
struct Backend(Connector);

impl Dial for Backend {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        self.0.connect().await
    }

    fn target(&self) -> Cow<'_, str> {
        "db.example:5432".into()
    }
}

type BackendPool = Pool<PacketManager<Backend>>;
type Connection = PacketConnection<DuplexStream>;

fn pool_of(
    max_connections: usize,
    server: &EchoServer,
) -> Result<BackendPool, Box<dyn Error>> {
    let config = PoolConfig {
        max_connections,
        connection_timeout: Duration::from_millis(1500),
        ..PoolConfig::default()
    };
    Ok(Pool::new(PacketManager::new(Backend(server.connector())), config)?)
}

async fn query(connection: &mut Connection) -> Result<(), PacketError> {
    connection.send_packet("select").await?;
    connection.receive().await.map(drop)
}

/// What a handler does besides its query, such as a call to another service.
async fn other_work() {
    sleep(Duration::from_secs(1)).await;
}

// ANCHOR: holds
/// Holds the connection to the end of the function, through work that does not
/// need it.
async fn holds_for_long(pool: BackendPool) -> Result<(), AcquireError> {
    let mut connection = pool.acquire().await?;
    if query(&mut connection).await.is_err() {
        connection.invalidate();
    }
    other_work().await;
    Ok(())
}
// ANCHOR_END: holds

// ANCHOR: releases
/// Gives the connection back as soon as the query is done.
async fn releases_first(pool: BackendPool) -> Result<(), AcquireError> {
    let mut connection = pool.acquire().await?;
    match query(&mut connection).await {
        Ok(()) => connection.release(),
        Err(_) => connection.invalidate(),
    }
    other_work().await;
    Ok(())
}
// ANCHOR_END: releases

/// Runs so many callers at once, and prints what became of them. Returns the error
/// of one that had none.
async fn run_callers<F>(
    pool: &BackendPool,
    callers: u32,
    handler: fn(BackendPool) -> F,
) -> Result<Option<AcquireError>, Box<dyn Error>>
where
    F: Future<Output = Result<(), AcquireError>> + Send + 'static,
{
    pool.warm_up().await?;
    let watched = pool.clone();
    let _watch = trace::watch(Duration::from_millis(20), move || {
        watched.stats().pending_requests
    });
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        tasks.spawn(handler(pool.clone()));
    }
    sleep(Duration::from_millis(500)).await;
    let waiting = pool.stats().pending_requests;
    let (mut timed_out, mut error) = (0, None);
    while let Some(task) = tasks.join_next().await {
        if let Err(failed) = task? {
            timed_out += u32::from(failed.is_timeout());
            error.get_or_insert(failed);
        }
    }
    let stats = pool.stats();
    println!("timed out: {timed_out} of {callers}");
    println!("pending_requests after 500 ms: {waiting}");
    let held = stats.hold_times.quantile(0.5).unwrap_or_default();
    println!("half of them held for at most, in ms: {}", held.as_millis());
    Ok(error)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let slow =
        Faults { latency: Some(Duration::from_millis(20)), ..Faults::default() };
    let server = EchoServer::builder().faults(slow).in_memory();

    println!("== the symptom");
    trace::part("before the cure");
    let error = run_callers(&pool_of(2, &server)?, 8, holds_for_long).await?;
    println!("log: {}", error.ok_or("nobody timed out")?);

    println!("== after the cure");
    trace::part("after the cure");
    run_callers(&pool_of(2, &server)?, 8, releases_first).await?;

    println!("== twice the pool instead, and twice the callers");
    trace::part("twice the pool instead");
    run_callers(&pool_of(4, &server)?, 8, holds_for_long).await?;
    trace::part("twice the pool, twice the callers");
    run_callers(&pool_of(4, &server)?, 16, holds_for_long).await?;

    println!("== the pool of two, cured, and twice the callers");
    trace::part("cured, twice the callers");
    run_callers(&pool_of(2, &server)?, 16, releases_first).await?;
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
