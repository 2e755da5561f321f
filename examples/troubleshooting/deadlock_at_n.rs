//! It deadlocks at exactly N: tasks that hold a connection and acquire a second
//! one from the same pool.
//!
//! `cargo run --example deadlock_at_n`. The clock is tokio's, paused: the timeouts
//! take no time, and every run is the same.

mod trace;

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use poolhouse::{
    AcquireError, Dial, PacketConnection, PacketManager, Pool, PoolConfig,
};
use poolhouse_echo::{Connector, EchoServer};
use tokio::io::DuplexStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;

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
type Outcome = Result<(), AcquireError>;

fn pool_of(
    max_connections: usize,
    server: &EchoServer,
) -> Result<BackendPool, Box<dyn Error>> {
    // ANCHOR: detect
    let config = PoolConfig {
        max_connections,
        connection_timeout: Duration::from_secs(5),
        // Costs a little at each acquire, so it is off by default.
        detect_nested_acquires: true,
        ..PoolConfig::default()
    };
    // ANCHOR_END: detect
    Ok(Pool::new(PacketManager::new(Backend(server.connector())), config)?)
}

async fn query(connection: &mut Connection) {
    // The connection knows when it is broken, and the pool asks it.
    if connection.send_packet("insert").await.is_ok() {
        let _ = connection.receive().await;
    }
}

// ANCHOR: nested
/// Holds one connection for the transaction, and calls a helper that acquires its
/// own.
async fn transfer(pool: BackendPool, all_hold_one: Arc<Barrier>) -> Outcome {
    let mut transaction = pool.acquire().await?;
    query(&mut transaction).await;
    // Under load this moment comes by itself: everybody has the first, nobody the
    // second.
    all_hold_one.wait().await;
    write_audit_log(&pool).await
}

async fn write_audit_log(pool: &BackendPool) -> Outcome {
    let mut second = pool.acquire().await?;
    query(&mut second).await;
    Ok(())
}
// ANCHOR_END: nested

// ANCHOR: passed_on
/// Acquires once, and passes the connection on.
async fn transfer_with_one(
    pool: BackendPool,
    all_hold_one: Arc<Barrier>,
) -> Outcome {
    let mut transaction = pool.acquire().await?;
    query(&mut transaction).await;
    all_hold_one.wait().await;
    write_audit_log_on(&mut transaction).await;
    Ok(())
}

async fn write_audit_log_on(connection: &mut Connection) {
    query(connection).await;
}
// ANCHOR_END: passed_on

/// Runs so many tasks at once, prints what became of them, and returns what one of
/// them said.
async fn run_tasks<F>(
    max_connections: usize,
    tasks: usize,
    task: fn(BackendPool, Arc<Barrier>) -> F,
) -> Result<Option<String>, Box<dyn Error>>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let server = EchoServer::in_memory();
    let pool = pool_of(max_connections, &server)?;
    let all_hold_one = Arc::new(Barrier::new(tasks));
    let watched = pool.clone();
    let _watch = trace::watch(Duration::from_millis(100), move || {
        watched.stats().pending_requests
    });
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        running.spawn(task(pool.clone(), Arc::clone(&all_hold_one)));
    }
    let (mut stuck, mut timed_out, mut message) = (0, 0, None);
    while let Some(outcome) = running.join_next().await {
        stuck += usize::from(began.elapsed() >= Duration::from_secs(5));
        if let Err(error) = outcome? {
            timed_out += usize::from(error.is_timeout());
            message.get_or_insert(error.to_string());
        }
    }
    println!("pool of {max_connections}, {tasks} tasks, stuck for 5 s: {stuck}");
    println!("pool of {max_connections}, {tasks} tasks, timed out: {timed_out}");
    Ok(message)
}

async fn run() -> Result<(), Box<dyn Error>> {
    println!("== the symptom");
    trace::part("3 tasks, pool of 4");
    run_tasks(4, 3, transfer).await?;
    trace::part("4 tasks, pool of 4");
    let message = run_tasks(4, 4, transfer).await?;
    println!("log: {}", message.ok_or("nobody timed out")?);

    println!("== after the cure");
    trace::part("after the cure, 3 tasks");
    run_tasks(4, 3, transfer_with_one).await?;
    trace::part("after the cure, 4 tasks");
    run_tasks(4, 4, transfer_with_one).await?;

    println!("== a larger pool instead");
    trace::part("4 tasks, pool of 5");
    run_tasks(5, 4, transfer).await?;
    trace::part("5 tasks, pool of 5");
    run_tasks(5, 5, transfer).await?;
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
