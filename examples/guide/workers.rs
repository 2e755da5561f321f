//! Four workers on two connections: one connection for each worker, and one for
//! each job.
//!
//! `cargo run --example workers` starts its own echo server.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use poolhouse::{PacketPool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults, Reply};
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

fn start(
    pool: &PacketPool,
    queue: mpsc::UnboundedReceiver<usize>,
    stop: &CancellationToken,
    done: &mpsc::UnboundedSender<usize>,
) -> JoinSet<()> {
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(worker(
            pool.clone(),
            Arc::clone(&queue),
            stop.clone(),
            done.clone(),
        ));
    }
    workers
}

async fn for_each_job(pool: &PacketPool) -> Result<(), AnyError> {
    let (jobs, queue) = mpsc::unbounded_channel();
    let (done, mut finished) = mpsc::unbounded_channel();
    let stop_token = CancellationToken::new();
    let workers = start(pool, queue, &stop_token, &done);
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

    stop(pool, workers, &stop_token, Duration::from_secs(10)).await;
    Ok(())
}

// ANCHOR: stop
async fn stop(
    pool: &PacketPool,
    mut workers: JoinSet<()>,
    stop: &CancellationToken,
    patience: Duration,
) {
    stop.cancel();
    let ended = async { while workers.join_next().await.is_some() {} };
    let in_time = timeout(patience, ended).await.is_ok();
    // The workers that hang are still alive, so the report names their lines.
    let report = pool.close_within(patience).await;
    println!("workers stopped in time: {in_time}; pool: {report}");
    // Only now are they aborted.
    workers.shutdown().await;
}
// ANCHOR_END: stop

async fn hanging_worker(
    server: &EchoServer,
    pool: &PacketPool,
) -> Result<(), AnyError> {
    server.set_faults(Faults { reply: Reply::Never, ..Faults::default() });
    let (jobs, queue) = mpsc::unbounded_channel();
    let (done, _finished) = mpsc::unbounded_channel();
    let stop_token = CancellationToken::new();
    let workers = start(pool, queue, &stop_token, &done);
    let before = server.counts().frames_received;
    jobs.send(1)?;
    server.wait_for(|counts| counts.frames_received > before).await;
    println!("== the server does not answer a job");
    stop(pool, workers, &stop_token, Duration::from_millis(100)).await;
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    let config = PoolConfig { max_connections: 2, ..PoolConfig::default() };
    let pool = PacketPool::new((server.host(), server.port()), config.clone())?;
    for_each_worker(&pool).await?;
    for_each_job(&pool).await?;
    // The one before is closed.
    let pool = PacketPool::new((server.host(), server.port()), config)?;
    hanging_worker(&server, &pool).await
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
