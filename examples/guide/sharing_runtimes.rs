//! One static pool, several tokio runtimes: what the pool makes good, and what
//! belongs to the runtime.

use std::error::Error;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
use poolhouse_echo::EchoServer;
use tokio::runtime::{Builder, Runtime};

type AnyError = Box<dyn Error + Send + Sync>;

fn new_pool(server: &EchoServer) -> Result<PacketPool, AnyError> {
    let options = PacketOptions {
        io_timeout: Duration::from_millis(300),
        ..PacketOptions::default()
    };
    let manager =
        PacketManager::new(TcpDialer::from(server.addr())).with_options(options);
    Ok(PacketPool::new(
        manager,
        PoolConfig { max_connections: 2, ..PoolConfig::default() },
    )?)
}

// ANCHOR: static
static POOL: OnceLock<PacketPool> = OnceLock::new();

fn pool() -> Result<&'static PacketPool, AnyError> {
    POOL.get().ok_or_else(|| "main has not made the pool yet".into())
}
// ANCHOR_END: static

fn one_thread() -> Result<Runtime, AnyError> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn exchange(pool: &PacketPool) -> Result<Bytes, AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("ping").await?;
    Ok(connection.receive().await?)
}

// ANCHOR: in_turn
/// What a test binary does: a runtime for each test, and a pool that outlives them
/// all.
fn in_turn(server: &EchoServer) -> Result<(), AnyError> {
    println!("== one runtime after another");
    for _ in 0..3 {
        one_thread()?.block_on(exchange(pool()?))?;
    }
    println!(
        "3 runtimes, {} connections, and every exchange worked",
        server.counts().accepted
    );
    Ok(())
}
// ANCHOR_END: in_turn

// ANCHOR: stands_still
/// A connection belongs to the runtime that opened it, also while another one uses
/// it.
fn stands_still() -> Result<(), AnyError> {
    println!("== a runtime that is there, and that nobody drives");
    let first = one_thread()?;
    first.block_on(exchange(pool()?))?;
    match one_thread()?.block_on(exchange(pool()?)) {
        Ok(_) => Err("a runtime that nobody drives read a reply".into()),
        Err(error) => {
            println!("in the second runtime: {error}");
            Ok(())
        }
    }
}
// ANCHOR_END: stands_still

// ANCHOR: goes_away
fn goes_away() -> Result<(), AnyError> {
    println!("== a runtime that ends while another one uses its connection");
    let first = one_thread()?;
    first.block_on(exchange(pool()?))?;
    let outcome = one_thread()?.block_on(async {
        let mut connection = pool()?.acquire().await?;
        connection.send_packet("ping").await?;
        let ended = thread::spawn(move || drop(first)).join();
        ended.map_err(|_| "the thread panicked")?;
        Ok::<_, AnyError>(connection.receive().await?)
    });
    match outcome {
        Ok(_) => Err("a runtime that has gone read a reply".into()),
        Err(error) => {
            println!("in the second runtime: {error}");
            println!(
                "and the pool is none the worse: {} held",
                pool()?.stats().active_connections
            );
            Ok(())
        }
    }
}
// ANCHOR_END: goes_away

fn one_for_all() -> Result<(), AnyError> {
    println!("== one runtime for all threads");
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let handle = runtime.handle().clone();
            thread::spawn(move || handle.block_on(exchange(pool()?)).map(drop))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    println!("4 threads, and every exchange worked");
    Ok(())
}

fn run() -> Result<(), AnyError> {
    let servers = Runtime::new()?;
    let server = servers.block_on(EchoServer::start())?;
    POOL.set(new_pool(&server)?).map_err(|_| "the pool is made once")?;
    in_turn(&server)?;
    stands_still()?;
    goes_away()?;
    one_for_all()
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
