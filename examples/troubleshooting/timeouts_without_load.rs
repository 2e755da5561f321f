//! Acquires time out although hardly anybody asks: the runtime is blocked, one
//! connection is lost, or the deadline is shorter than a connect.
//!
//! `cargo run --example timeouts_without_load` starts its own echo server, in a
//! thread of its own.

use std::borrow::Cow;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use poolhouse::{
    AcquireError, IntoManager, Manager, PacketConnection, PacketError,
    PacketManager, PacketPool, Pool, PoolConfig,
};
use poolhouse_echo::{EchoServer, Faults};
use tokio::runtime;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

type AnyError = Box<dyn Error + Send + Sync>;

const CALLERS: usize = 5;

/// Runs the server in a thread of its own, like a server on another machine: what
/// blocks us does not block it.
fn start_server() -> Result<SocketAddr, AnyError> {
    let (sender, receiver) = mpsc::channel();
    let faults =
        Faults { latency: Some(Duration::from_millis(10)), ..Faults::default() };
    let serve = async move {
        let server = EchoServer::builder().faults(faults).start().await;
        let _ = sender.send(
            server.as_ref().map(EchoServer::addr).map_err(ToString::to_string),
        );
        std::future::pending::<()>().await;
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(serve));
    Ok(receiver.recv()??)
}

/// One request. The text of the timeout, if it got no connection in time.
async fn request<M>(pool: Pool<M>) -> Result<Option<String>, AnyError>
where
    M: Manager<Connection = PacketConnection, Error = PacketError>,
{
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(AcquireError::Timeout(timeout)) => {
            return Ok(Some(timeout.to_string()));
        }
        Err(other) => return Err(other.into()),
    };
    connection.send_packet("hello").await?;
    connection.receive().await?;
    Ok(None)
}

fn tell(what: &str, asked: usize, timeouts: &[String]) {
    println!("{what}: {} of {asked}", timeouts.len());
    if let Some(first) = timeouts.first() {
        println!("log: {first}");
    }
}

// ANCHOR: report
/// Keeps a thread busy for 800 ms, and never awaits.
fn report() {
    thread::sleep(Duration::from_millis(800));
}
// ANCHOR_END: report

/// Five callers share a connection. Each needs it for 10 ms, and each has 400 ms
/// to get it.
async fn behind_a_report(server: SocketAddr, cured: bool) -> Result<(), AnyError> {
    let config = PoolConfig {
        max_connections: 1,
        connection_timeout: Duration::from_millis(400),
        ..PoolConfig::default()
    };
    let pool = PacketPool::new(server, config)?;
    pool.warm_up().await?;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(request(pool.clone()));
    }
    while pool.stats().pending_requests + 1 < CALLERS {
        tokio::task::yield_now().await;
    }
    let reported = if cured {
        // ANCHOR: aside
        spawn_blocking(report)
        // ANCHOR_END: aside
    } else {
        // ANCHOR: blocking
        tokio::spawn(async { report() })
        // ANCHOR_END: blocking
    };
    let mut timeouts = Vec::new();
    while let Some(done) = callers.join_next().await {
        timeouts.extend(done??);
    }
    reported.await?;
    tell("timed out behind a report", CALLERS, &timeouts);
    Ok(())
}

/// A pool of one, and a connection that somebody put aside and forgot.
async fn behind_a_leak(server: SocketAddr, cured: bool) -> Result<(), AnyError> {
    let config = PoolConfig {
        max_connections: 1,
        connection_timeout: Duration::from_millis(200),
        ..PoolConfig::default()
    };
    let pool = PacketPool::new(server, config)?;
    let mut put_aside = Vec::new();
    put_aside.push(pool.acquire().await?);
    if cured {
        put_aside.clear();
    }
    let timeouts: Vec<String> = request(pool.clone()).await?.into_iter().collect();
    tell("timed out behind a leak", 1, &timeouts);
    Ok(())
}

/// A connect with a slow name server, a handshake and a login: 250 ms before the
/// first byte of use.
struct SlowLogin(PacketManager);

impl Manager for SlowLogin {
    type Connection = PacketConnection;
    type Error = PacketError;

    async fn connect(&self) -> Result<PacketConnection, PacketError> {
        sleep(Duration::from_millis(250)).await;
        self.0.connect().await
    }

    fn is_reusable(&self, connection: &mut PacketConnection) -> bool {
        self.0.is_reusable(connection)
    }

    fn target(&self) -> Cow<'_, str> {
        self.0.target()
    }
}

/// The first callers after a start, one after another, with less time than a
/// connect takes.
async fn before_the_connect(
    server: SocketAddr,
    cured: bool,
) -> Result<(), AnyError> {
    let config = PoolConfig {
        connection_timeout: Duration::from_millis(100),
        ..PoolConfig::default()
    };
    let config = if cured {
        // ANCHOR: longer
        PoolConfig { connection_timeout: Duration::from_secs(5), ..config }
        // ANCHOR_END: longer
    } else {
        config
    };
    let pool = Pool::new(SlowLogin(server.into_manager()), config)?;
    let mut timeouts = Vec::new();
    for _ in 0..CALLERS {
        timeouts.extend(request(pool.clone()).await?);
    }
    tell("timed out before the connect was done", CALLERS, &timeouts);
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = start_server()?;
    for (heading, cured) in [("== the symptom", false), ("== after the cure", true)]
    {
        println!("{heading}");
        behind_a_report(server, cured).await?;
        behind_a_leak(server, cured).await?;
        before_the_connect(server, cured).await?;
    }
    Ok(())
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
