//! Two and a half times the load that the pool can carry, and what becomes of it
//! with four kinds of queue.
//!
//! The server is in memory and the clock is paused, so ten seconds of overload
//! take none, and every run is the same.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{AcquireError, Dial, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

type AnyError = Box<dyn Error + Send + Sync>;

/// Four connections, each held for 100 ms: forty requests a second.
const CONNECTIONS: usize = 4;
const WORK: Duration = Duration::from_millis(100);
/// A hundred a second arrive.
const ARRIVAL: Duration = Duration::from_millis(10);
const REQUESTS: usize = 1000;
/// After that the user has gone.
const PATIENCE: Duration = Duration::from_secs(1);

fn new_pool(
    server: &EchoServer,
    max_pending: Option<usize>,
) -> Result<Pool<PacketManager<impl Dial<Stream = DuplexStream> + use<>>>, AnyError>
{
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let config = PoolConfig {
        min_connections: CONNECTIONS,
        max_connections: CONNECTIONS,
        max_pending,
        ..PoolConfig::default()
    };
    Ok(Pool::new(PacketManager::new(dial), config)?)
}

enum Outcome {
    InTime,
    TooLate,
    TimedOut,
    Shed,
}

async fn request<D: Dial>(
    pool: Pool<PacketManager<D>>,
    wait: Duration,
) -> Result<Outcome, AnyError> {
    let begin = Instant::now();
    let mut connection = match pool.acquire_within(wait).await {
        Ok(connection) => connection,
        Err(AcquireError::Timeout(_)) => return Ok(Outcome::TimedOut),
        Err(AcquireError::Overloaded { .. }) => return Ok(Outcome::Shed),
        Err(other) => return Err(other.into()),
    };
    connection.send_packet("work").await?;
    connection.receive().await?;
    Ok(if begin.elapsed() <= PATIENCE { Outcome::InTime } else { Outcome::TooLate })
}

async fn overload(
    name: &str,
    wait: Duration,
    max_pending: Option<usize>,
) -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    server.set_faults(Faults { latency: Some(WORK), ..Faults::default() });
    let pool = new_pool(&server, max_pending)?;
    pool.warm_up().await?;
    let mut arrivals = interval(ARRIVAL);
    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS {
        arrivals.tick().await;
        requests.spawn(request(pool.clone(), wait));
    }
    let (mut in_time, mut too_late, mut timed_out, mut shed) = (0, 0, 0, 0);
    while let Some(outcome) = requests.join_next().await {
        match outcome?? {
            Outcome::InTime => in_time += 1,
            Outcome::TooLate => too_late += 1,
            Outcome::TimedOut => timed_out += 1,
            Outcome::Shed => shed += 1,
        }
    }
    println!("== {name}");
    println!(
        "in time {in_time}, too late {too_late}, timed out {timed_out}, refused at once {shed}"
    );
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    println!(
        "{REQUESTS} requests in 10 s; the pool can do 400 of them; a user waits for 1 s"
    );
    overload("wait for up to 30 s", Duration::from_secs(30), None).await?;
    overload("wait for up to 1 s, as the user does", PATIENCE, None).await?;
    overload(
        "wait for up to 1 s, less the 100 ms that the work takes",
        PATIENCE - WORK,
        None,
    )
    .await?;
    overload("max_pending 20", PATIENCE, Some(20)).await
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
