//! Four tests that work against the development server and hang or fail in the
//! test run, and the same four fixed.
//!
//! `cargo run --example hangs_in_tests` starts its own echo server, in a thread of
//! its own. A test here is a function that gets a runtime of its own, as
//! `#[tokio::test]` gives it.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use poolhouse::{
    Dial, PacketConnection, PacketError, PacketManager, PacketPool, Pool,
    PoolConfig,
};
use poolhouse_echo::{Connector, EchoServer, Faults};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

type AnyError = Box<dyn Error + Send + Sync>;

/// As long as a test may take, in real time.
const PATIENCE: Duration = Duration::from_millis(300);

fn start_server() -> Result<SocketAddr, AnyError> {
    let (sender, receiver) = mpsc::channel();
    let faults =
        Faults { latency: Some(Duration::from_millis(50)), ..Faults::default() };
    let serve = async move {
        let server = EchoServer::builder().faults(faults).start().await;
        let _ = sender.send(
            server.as_ref().map(EchoServer::addr).map_err(ToString::to_string),
        );
        std::future::pending::<()>().await;
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(serve));
    Ok(receiver.recv()??)
}

/// What `#[tokio::test]` makes for each test.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn one(server: SocketAddr) -> Result<PacketPool, AnyError> {
    let config = PoolConfig {
        max_connections: 1,
        detect_nested_acquires: true,
        ..PoolConfig::default()
    };
    Ok(PacketPool::new(server, config)?)
}

async fn exchange<S>(
    connection: &mut PacketConnection<S>,
) -> Result<(), PacketError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    connection.send_packet("hello").await?;
    connection.receive().await.map(drop)
}

// ANCHOR: nested
/// The fixture holds the only connection, and the code under test wants one.
async fn nested(pool: &PacketPool) -> Result<(), AnyError> {
    let fixture = pool.acquire_within(PATIENCE).await?;
    let mut connection = pool.acquire_within(PATIENCE).await?;
    exchange(&mut connection).await?;
    drop(fixture);
    Ok(())
}
// ANCHOR_END: nested

// ANCHOR: passed_on
async fn passed_on(pool: &PacketPool) -> Result<(), AnyError> {
    let mut fixture = pool.acquire_within(PATIENCE).await?;
    exchange(&mut fixture).await?;
    Ok(())
}
// ANCHOR_END: passed_on

// ANCHOR: real_socket
async fn real_socket(server: SocketAddr) -> Result<(), AnyError> {
    let pool = one(server)?;
    let mut connection = pool.acquire().await?;
    tokio::time::pause();
    exchange(&mut connection).await?;
    Ok(())
}
// ANCHOR_END: real_socket

// ANCHOR: in_memory
async fn in_memory() -> Result<(), AnyError> {
    tokio::time::pause();
    let faults =
        Faults { latency: Some(Duration::from_millis(50)), ..Faults::default() };
    let server = EchoServer::builder().faults(faults).in_memory();
    let pool = Pool::new(
        PacketManager::new(InMemory(server.connector())),
        PoolConfig::default(),
    )?;
    let mut connection = pool.acquire().await?;
    exchange(&mut connection).await?;
    Ok(())
}
// ANCHOR_END: in_memory

struct InMemory(Connector);

impl Dial for InMemory {
    type Stream = DuplexStream;

    async fn dial(&self) -> std::io::Result<DuplexStream> {
        self.0.connect().await
    }
}

// ANCHOR: held_at_the_end
async fn held_at_the_end(pool: &PacketPool) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    exchange(&mut connection).await?;
    // The guard lives until the end of the function, and close() waits for it.
    timeout(PATIENCE, pool.close())
        .await
        .map_err(|_| "close() waits for a connection that the test holds")?;
    Ok(())
}
// ANCHOR_END: held_at_the_end

// ANCHOR: given_back
async fn given_back(pool: &PacketPool) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    exchange(&mut connection).await?;
    drop(connection);
    let report = pool.close_within(PATIENCE).await;
    if report.is_complete() { Ok(()) } else { Err(report.to_string().into()) }
}
// ANCHOR_END: given_back

/// A pool in a static, and two tests. The first waits for something else, and does
/// not drive its runtime meanwhile.
fn shared_by_runtimes(server: SocketAddr, cured: bool) -> Result<(), AnyError> {
    let shared = one(server)?;
    let first = runtime()?;
    first.block_on(async {
        let mut connection = shared.acquire().await?;
        exchange(&mut connection).await?;
        Ok::<(), AnyError>(())
    })?;
    runtime()?.block_on(async {
        // ANCHOR: own_pool
        let pool = if cured { one(server)? } else { shared.clone() };
        // ANCHOR_END: own_pool
        let mut connection = pool.acquire_within(PATIENCE).await?;
        let exchanged = timeout(PATIENCE, exchange(&mut connection)).await;
        exchanged.map_err(
            |_| "the connection belongs to a runtime that nobody drives",
        )??;
        Ok(())
    })
}

fn run() -> Result<(), AnyError> {
    let server = start_server()?;
    for (heading, cured) in [("== the symptom", false), ("== after the cure", true)]
    {
        println!("{heading}");
        let outcomes = [
            (
                "nested acquire",
                runtime()?.block_on(async {
                    let pool = one(server)?;
                    if cured { passed_on(&pool).await } else { nested(&pool).await }
                }),
            ),
            (
                "paused clock",
                runtime()?.block_on(async {
                    if cured {
                        in_memory().await
                    } else {
                        real_socket(server).await
                    }
                }),
            ),
            (
                "close at the end",
                runtime()?.block_on(async {
                    let pool = one(server)?;
                    if cured {
                        given_back(&pool).await
                    } else {
                        held_at_the_end(&pool).await
                    }
                }),
            ),
            ("pool in a static", shared_by_runtimes(server, cured)),
        ];
        for (name, outcome) in &outcomes {
            match outcome {
                Ok(()) => println!("{name}: ok"),
                Err(error) => println!("{name}: {error}"),
            }
        }
        println!(
            "tests that failed: {}",
            outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count()
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
