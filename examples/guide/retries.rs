//! What may be tried again: a failure is either before the request was out, or its
//! outcome is unknown.

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use poolhouse::{AcquireError, PacketPool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::time::{Instant, sleep};

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: failure
enum Failure {
    /// No attempt can succeed before somebody acts: a wrong password, or a closed
    /// pool.
    Final(AnyError),
    /// The server cannot have seen the whole request.
    NotDone(AnyError),
    /// The request was out. The server has done it, or has not, or is about to.
    Unknown(AnyError),
}

async fn attempt(pool: &PacketPool, request: Bytes) -> Result<Bytes, Failure> {
    let mut connection = pool.acquire().await.map_err(|error| match error {
        AcquireError::Timeout(_) | AcquireError::Overloaded { .. } => {
            Failure::NotDone(error.into())
        }
        // With `fail_fast_after`: the server is down, and may be back later.
        AcquireError::Connect(ref failed) if failed.retry.is_some() => {
            Failure::NotDone(error.into())
        }
        _ => Failure::Final(error.into()),
    })?;
    connection
        .send_packet(request)
        .await
        .map_err(|error| Failure::NotDone(error.into()))?;
    connection.receive().await.map_err(|error| Failure::Unknown(error.into()))
}
// ANCHOR_END: failure

// ANCHOR: budget
/// Pays for retries: each request earns a tenth of one.
struct Budget {
    tenths: Mutex<u32>,
}

impl Budget {
    const MOST: u32 = 100;

    fn new() -> Self {
        Self { tenths: Mutex::new(Self::MOST) }
    }

    fn earn(&self) {
        let mut tenths = self.tenths.lock().unwrap_or_else(PoisonError::into_inner);
        *tenths = (*tenths + 1).min(Self::MOST);
    }

    /// Whether there is enough for one retry, which is then spent.
    fn spend(&self) -> bool {
        let mut tenths = self.tenths.lock().unwrap_or_else(PoisonError::into_inner);
        let left = tenths.checked_sub(10);
        *tenths = left.unwrap_or(*tenths);
        left.is_some()
    }
}
// ANCHOR_END: budget

// ANCHOR: retry
struct Request {
    body: Bytes,
    /// Whether doing it twice is the same as doing it once.
    idempotent: bool,
    deadline: Instant,
}

const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

async fn ask(
    pool: &PacketPool,
    budget: &Budget,
    request: &Request,
) -> Result<Bytes, AnyError> {
    budget.earn();
    let mut number = 1;
    loop {
        let error = match attempt(pool, request.body.clone()).await {
            Ok(reply) => return Ok(reply),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Unknown(error)) if !request.idempotent => {
                return Err(error);
            }
            Err(Failure::Unknown(error) | Failure::NotDone(error)) => error,
        };
        // Full jitter: any time from nothing to the exponential limit.
        let limit = LONGEST_PAUSE.min(FIRST_PAUSE * 2_u32.pow(number));
        let pause = limit.mul_f64(fastrand::f64());
        if number == ATTEMPTS
            || Instant::now() + pause >= request.deadline
            || !budget.spend()
        {
            return Err(error);
        }
        // No connection is held here.
        sleep(pause).await;
        number += 1;
    }
}
// ANCHOR_END: retry

fn request(body: &'static str, idempotent: bool) -> Request {
    let deadline = Instant::now() + Duration::from_secs(10);
    Request { body: Bytes::from_static(body.as_bytes()), idempotent, deadline }
}

fn new_pool(server: &EchoServer) -> Result<PacketPool, AnyError> {
    let config = PoolConfig {
        connection_timeout: Duration::from_secs(5),
        ..PoolConfig::default()
    };
    Ok(PacketPool::new(server.addr(), config)?)
}

/// The server takes every request, and its replies are lost on the way.
async fn server_that_loses_replies() -> Result<EchoServer, AnyError> {
    let faults = Faults { reply: Reply::HalfThenClose, ..Faults::default() };
    Ok(EchoServer::builder().faults(faults).start().await?)
}

async fn lost_reply() -> Result<(), AnyError> {
    println!("== the reply is lost");
    for (body, idempotent) in [("read the balance", true), ("pay 10", false)] {
        let server = server_that_loses_replies().await?;
        let pool = new_pool(&server)?;
        let answer = ask(&pool, &Budget::new(), &request(body, idempotent)).await;
        let received = server.counts().frames_received;
        println!(
            "`{body}`: answered: {}; the server got it {received} times",
            answer.is_ok()
        );
    }
    Ok(())
}

async fn stale() -> Result<(), AnyError> {
    println!("== the server closes all connections, then serves as before");
    let server = EchoServer::start().await?;
    let pool = new_pool(&server)?;
    let (budget, read) = (Budget::new(), request("read the balance", true));
    ask(&pool, &budget, &read).await?;
    server.disconnect_all();
    server.wait_for(|counts| counts.open == 0).await;
    // The pool looks at a connection at most once a millisecond.
    sleep(Duration::from_millis(2)).await;
    // The idle one is known to be dead, and passed over.
    ask(&pool, &budget, &read).await?;
    println!(
        "asked again: answered, with {} requests at the server",
        server.counts().frames_received
    );
    Ok(())
}

async fn storm() -> Result<(), AnyError> {
    println!("== 100 requests, and no reply arrives");
    for pay in [false, true] {
        let server = server_that_loses_replies().await?;
        let pool = new_pool(&server)?;
        let shared = Budget::new();
        let mut answered = 0;
        for _ in 0..100 {
            let own = Budget::new();
            let budget = if pay { &shared } else { &own };
            answered +=
                u32::from(ask(&pool, budget, &request("read", true)).await.is_ok());
        }
        let name = if pay { "with one budget for all" } else { "without a budget" };
        println!(
            "{name}: {answered} answered, {} at the server",
            server.counts().frames_received
        );
    }
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    lost_reply().await?;
    stale().await?;
    storm().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
