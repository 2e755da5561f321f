//! The end of a service, in four ways: in order, with somebody who holds on, with
//! the pool first, and by dropping it.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{AcquireError, CloseReport, PacketPool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type AnyError = Box<dyn Error + Send + Sync>;

const REQUESTS: usize = 10;

/// Four connections, so that some requests wait for one.
fn new_pool(server: &EchoServer) -> Result<PacketPool, AnyError> {
    let config = PoolConfig { max_connections: 4, ..PoolConfig::default() };
    Ok(PacketPool::new(server.addr(), config)?)
}

async fn slow_server() -> Result<EchoServer, AnyError> {
    let faults =
        Faults { latency: Some(Duration::from_millis(200)), ..Faults::default() };
    Ok(EchoServer::builder().faults(faults).start().await?)
}

#[derive(Debug, PartialEq)]
enum Answer {
    Ok,
    Closed,
}

async fn request(pool: &PacketPool) -> Result<Answer, AnyError> {
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(AcquireError::Closed { .. }) => return Ok(Answer::Closed),
        Err(error) => return Err(error.into()),
    };
    connection.send_packet("work").await?;
    connection.receive().await?;
    Ok(Answer::Ok)
}

/// A service: it takes requests until it is told to stop. `done` hears of each
/// answer.
struct Service {
    stop: CancellationToken,
    requests: TaskTracker,
    pool: PacketPool,
}

impl Service {
    fn start(
        pool: PacketPool,
    ) -> (Self, mpsc::UnboundedReceiver<Result<Answer, AnyError>>) {
        let (done, answers) = mpsc::unbounded_channel();
        let service = Self {
            stop: CancellationToken::new(),
            requests: TaskTracker::new(),
            pool,
        };
        for _ in 0..REQUESTS {
            let (pool, done) = (service.pool.clone(), done.clone());
            service.requests.spawn(async move {
                let _ = done.send(request(&pool).await);
            });
        }
        (service, answers)
    }

    // ANCHOR: in_order
    async fn shut_down(&self) -> CloseReport {
        // 1. Accept nothing new. The loop that accepts listens to this token.
        self.stop.cancel();
        // 2. Let what has been accepted end.
        self.requests.close();
        if timeout(Duration::from_secs(20), self.requests.wait()).await.is_err() {
            eprintln!("{} requests do not end in time", self.requests.len());
        }
        // 3. Close the pool, and say who still holds a connection.
        self.pool.close_within(Duration::from_secs(5)).await
        // 4. Return from main.
    }
    // ANCHOR_END: in_order
}

async fn count(
    mut answers: mpsc::UnboundedReceiver<Result<Answer, AnyError>>,
) -> Result<(usize, usize), AnyError> {
    let (mut answered, mut closed) = (0, 0);
    while let Some(answer) = answers.recv().await {
        match answer? {
            Answer::Ok => answered += 1,
            Answer::Closed => closed += 1,
        }
    }
    Ok((answered, closed))
}

async fn in_order() -> Result<(), AnyError> {
    println!("== stop accepting, drain, close the pool");
    let server = slow_server().await?;
    let (service, answers) = Service::start(new_pool(&server)?);
    server.wait_for(|counts| counts.frames_received == 4).await;
    let report = service.shut_down().await;
    let (answered, closed) = count(answers).await?;
    println!("answered {answered}, failed with `closed` {closed}");
    println!("{report}");
    server.wait_for(|counts| counts.open == 0).await;
    println!("the server has no connection left");
    Ok(())
}

async fn pool_first() -> Result<(), AnyError> {
    println!("== the pool first");
    let server = slow_server().await?;
    let (service, answers) = Service::start(new_pool(&server)?);
    server.wait_for(|counts| counts.frames_received == 4).await;
    let _report = service.pool.close_within(Duration::from_secs(5)).await;
    let (answered, closed) = count(answers).await?;
    println!("answered {answered}, failed with `closed` {closed}");
    Ok(())
}

async fn somebody_holds_on() -> Result<(), AnyError> {
    println!("== somebody holds on");
    let server = EchoServer::start().await?;
    let pool = new_pool(&server)?;
    let forgotten = pool.acquire().await?;
    // ANCHOR: report
    let report = pool.close_within(Duration::from_millis(100)).await;
    if !report.is_complete() {
        println!("{report}");
    }
    // ANCHOR_END: report
    // It closes when it comes back, late or not.
    drop(forgotten);
    pool.close().await;
    println!("after it came back: {} open", pool.stats().total_connections);
    Ok(())
}

async fn without_close() -> Result<(), AnyError> {
    println!("== the last handle is dropped");
    let server = EchoServer::start().await?;
    let pool = new_pool(&server)?;
    let held = pool.acquire().await?;
    drop(pool.acquire().await?);
    println!("before: the server has {} connections", server.counts().open);
    drop(pool);
    let idle_gone = server.wait_for(|counts| counts.open == 1).await;
    println!("the idle one is closed: the server has {}", idle_gone.open);
    drop(held);
    let all_gone = server.wait_for(|counts| counts.open == 0).await;
    println!("the held one came back: the server has {}", all_gone.open);
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    in_order().await?;
    pool_first().await?;
    somebody_holds_on().await?;
    without_close().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match timeout(Duration::from_secs(50), run()).await {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("error: not done in time");
            ExitCode::FAILURE
        }
    }
}
