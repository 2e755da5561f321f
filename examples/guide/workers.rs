//! Four workers on two connections: one connection for each worker, and one for
//! each job.
//!
//! `cargo run --example workers` starts its own echo server.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use poolhouse::{PacketPool, PoolConfig};
use poolhouse_echo::EchoServer;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

type AnyError = Box<dyn Error + Send + Sync>;

const WORKERS: usize = 4;
const JOBS: usize = 20;

type Queue = Arc<Mutex<mpsc::UnboundedReceiver<usize>>>;

// ANCHOR: worker
async fn worker(
    pool: PacketPool,
    queue: Queue,
    stop: CancellationToken,
    done: mpsc::UnboundedSender<usize>,
) {
    loop {
        // It holds nothing while it waits for a job. Only here may it be stopped.
        let job = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            job = async { queue.lock().await.recv().await } => job,
        };
        let Some(job) = job else { return };
        match process(&pool, job).await {
            Ok(()) => {
                let _ = done.send(job);
            }
            // Back into the queue, in a real one: the job is not done.
            Err(error) => eprintln!("job {job}: {error}"),
        }
    }
}

async fn process(pool: &PacketPool, job: usize) -> Result<(), AnyError> {
    // Nobody waits for the answer, so it may wait for longer than a request.
    let mut connection = pool.acquire_within(Duration::from_secs(60)).await?;
    connection.send_packet(format!("job {job}")).await?;
    connection.receive().await?;
    Ok(())
}
// ANCHOR_END: worker

async fn for_each_worker(pool: &PacketPool) -> Result<(), AnyError> {
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let pool = pool.clone();
        workers.spawn(async move {
            pool.acquire_within(Duration::from_secs(1)).await.ok()
        });
    }
    // Each keeps what it got.
    let got: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    println!(
        "a connection for each worker: {} of {WORKERS} workers have one",
        got.len()
    );
    println!(
        "work for them: none; connections held: {}",
        pool.stats().active_connections
    );
    Ok(())
}

async fn for_each_job(pool: &PacketPool) -> Result<(), AnyError> {
    let (jobs, queue) = mpsc::unbounded_channel();
    let (done, mut finished) = mpsc::unbounded_channel();
    let queue = Arc::new(Mutex::new(queue));
    let stop = CancellationToken::new();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(worker(
            pool.clone(),
            Arc::clone(&queue),
            stop.clone(),
            done.clone(),
        ));
    }
    for job in 0..JOBS {
        jobs.send(job)?;
    }
    let mut count = 0;
    while count < JOBS
        && timeout(Duration::from_secs(10), finished.recv()).await?.is_some()
    {
        count += 1;
    }
    println!(
        "a connection for each job: {count} of {JOBS} jobs done by {WORKERS} workers"
    );
    println!(
        "work for them: none; connections held: {}",
        pool.stats().active_connections
    );

    // ANCHOR: stop
    stop.cancel();
    timeout(Duration::from_secs(10), workers.join_all()).await?;
    let report = pool.close_within(Duration::from_secs(5)).await;
    println!("workers stopped, pool closed in time: {}", report.is_complete());
    // ANCHOR_END: stop
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    let config = PoolConfig { max_connections: 2, ..PoolConfig::default() };
    let pool = PacketPool::new((server.host(), server.port()), config)?;
    for_each_worker(&pool).await?;
    for_each_job(&pool).await
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
