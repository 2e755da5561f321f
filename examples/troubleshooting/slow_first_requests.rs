//! Slow first requests: the first ones after a start, and after a lull, pay for
//! the connect.
//!
//! `cargo run --example slow_first_requests`. The clock is tokio's, paused: the
//! lull takes no time, and every run is the same.

mod trace;

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{AcquireError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{Connector, EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// The echo server in memory, as far away as a database in another zone.
struct Backend(Connector);

impl Dial for Backend {
    type Stream = DuplexStream;

    // ANCHOR: dial
    async fn dial(&self) -> io::Result<DuplexStream> {
        sleep(Duration::from_millis(40)).await; // the name is resolved
        sleep(Duration::from_millis(10)).await; // TCP: one round trip
        sleep(Duration::from_millis(30)).await; // TLS: one round trip, and arithmetic
        // The login, and a new process on the server.
        sleep(Duration::from_millis(120)).await;
        self.0.connect().await
    }
    // ANCHOR_END: dial

    fn target(&self) -> Cow<'_, str> {
        "db.example:5432".into()
    }
}

type BackendPool = Pool<PacketManager<Backend>>;

async fn request(
    pool: BackendPool,
) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let began = Instant::now();
    let mut connection = pool.acquire().await?;
    connection.send_packet("select").await?;
    connection.receive().await?;
    Ok(began.elapsed())
}

/// Four requests at once. Prints how many of them were slow.
async fn four_requests(
    pool: &BackendPool,
    first: u64,
    when: &str,
) -> Result<(), Box<dyn Error>> {
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        tasks.spawn(request(pool.clone()));
    }
    let mut took = Vec::new();
    while let Some(task) = tasks.join_next().await {
        took.push(task?.map_err(|error| error.to_string())?);
    }
    let slow =
        took.iter().filter(|took| **took > Duration::from_millis(50)).count();
    let slowest = took.iter().max().copied().unwrap_or_default();
    trace::points(
        took.iter()
            .zip(first..)
            .map(|(took, number)| (number, took.as_millis() as usize)),
    );
    println!("{when}, slow requests: {slow} of 4");
    println!("{when}, the slowest, in ms: {}", slowest.as_millis());
    Ok(())
}

async fn start_lull_and_go_on(pool: &BackendPool) -> Result<(), Box<dyn Error>> {
    four_requests(pool, 0, "after the start").await?;
    four_requests(pool, 5, "once it is warm").await?;
    sleep(Duration::from_secs(10 * 60)).await;
    four_requests(pool, 10, "after a lull").await
}

// ANCHOR: ready
/// Opens the minimum before the first request comes. Report ready when it returns,
/// and not before.
async fn ready(pool: &BackendPool) -> Result<(), AcquireError> {
    pool.warm_up().await
}
// ANCHOR_END: ready

async fn run() -> Result<(), Box<dyn Error>> {
    let slow =
        Faults { latency: Some(Duration::from_millis(20)), ..Faults::default() };
    let server = EchoServer::builder().faults(slow).in_memory();
    let manager = || PacketManager::new(Backend(server.connector()));

    println!("== the symptom");
    trace::part("before the cure");
    let lazy = Pool::new(manager(), PoolConfig::default())?;
    start_lull_and_go_on(&lazy).await?;

    println!("== after the cure");
    trace::part("after the cure");
    // ANCHOR: warm
    // As many as are used at once at a quiet hour: they stay open through a lull.
    let config = PoolConfig { min_connections: 4, ..PoolConfig::default() };
    let warm = Pool::new(manager(), config)?;
    ready(&warm).await?;
    // ANCHOR_END: warm
    start_lull_and_go_on(&warm).await
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
