//! What a test suite does to code that uses a pool: every fault, an hour in no
//! time, one connection, and a count at the end.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use poolhouse::{
    Dial, Manager, PacketManager, PacketOptions, PacketPool, Pool, PoolConfig,
    TcpDialer,
};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

type AnyError = Box<dyn Error + Send + Sync>;

// ANCHOR: under_test
/// The code under test: asks once, and checks that the reply is its own.
async fn ask<D: Dial>(
    pool: &Pool<PacketManager<D>>,
    request: &'static str,
) -> Result<Bytes, AnyError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet(request).await?;
    let reply = connection.receive().await?;
    if reply != request {
        connection.invalidate();
        return Err("the reply belongs to somebody else".into());
    }
    Ok(reply)
}
// ANCHOR_END: under_test

// ANCHOR: finish
/// The last line of a test: nobody holds a connection, and all of them close.
async fn finish<M: Manager>(pool: Pool<M>) -> Result<(), AnyError> {
    if let Some(holder) = pool.holders().first() {
        return Err(format!("a leak: {holder}").into());
    }
    let report = pool.close_within(Duration::from_secs(5)).await;
    if report.is_complete() { Ok(()) } else { Err(report.to_string().into()) }
}
// ANCHOR_END: finish

/// A pool with little patience: a test should not wait for the limits of
/// production.
fn impatient(server: &EchoServer) -> Result<PacketPool, AnyError> {
    let options = PacketOptions {
        io_timeout: Duration::from_millis(500),
        ..PacketOptions::default()
    };
    let manager =
        PacketManager::new(TcpDialer::from(server.addr())).with_options(options);
    let config = PoolConfig {
        connection_timeout: Duration::from_secs(3),
        ..PoolConfig::default()
    };
    Ok(PacketPool::new(manager, config)?)
}

// ANCHOR: faults
fn faults() -> Vec<(&'static str, Faults)> {
    let reply = |reply| Faults { reply, ..Faults::default() };
    vec![
        (
            "slow",
            Faults { latency: Some(Duration::from_secs(60)), ..Faults::default() },
        ),
        ("silent", reply(Reply::Never)),
        ("half a reply", reply(Reply::HalfThenClose)),
        ("garbage", reply(Reply::Garbage)),
        ("another's reply", reply(Reply::Crosstalk)),
        ("reset", reply(Reply::Reset)),
    ]
}

async fn every_fault() -> Result<(), AnyError> {
    for (name, faults) in faults() {
        let server = EchoServer::builder().faults(faults).start().await?;
        let pool = impatient(&server)?;
        // It may fail. It may not hang.
        match timeout(Duration::from_secs(10), ask(&pool, "hello")).await {
            Ok(Ok(_)) => return Err(format!("{name}: it succeeded").into()),
            Ok(Err(error)) => println!("{name}: {error}"),
            Err(_) => return Err(format!("{name}: it hangs").into()),
        }
        // The server works again. So must the code.
        server.set_faults(Faults::default());
        ask(&pool, "hello again").await?;
        finish(pool).await?;
    }
    Ok(())
}
// ANCHOR_END: faults

// ANCHOR: restart
async fn restart() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    let pool = impatient(&server)?;
    ask(&pool, "before").await?;
    server.disconnect_all();
    server.wait_for(|counts| counts.open == 0).await;
    // The pool looks at a connection at most once a millisecond.
    tokio::time::sleep(Duration::from_millis(2)).await;
    ask(&pool, "after").await?;
    println!("connections opened: {}", pool.stats().connections_created);
    finish(pool).await
}
// ANCHOR_END: restart

// ANCHOR: in_memory
fn in_memory(
    server: &EchoServer,
) -> Result<Pool<PacketManager<impl Dial + use<>>>, AnyError> {
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    Ok(Pool::new(PacketManager::new(dial), PoolConfig::default())?)
}

async fn an_hour() -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    let pool = in_memory(&server)?;
    let (first, second) = (pool.acquire().await?, pool.acquire().await?);
    drop((first, second));
    tokio::time::sleep(Duration::from_secs(6 * 60)).await;
    println!("after 6 minutes: {} open", pool.stats().total_connections);
    tokio::time::sleep(Duration::from_secs(60 * 60)).await;
    println!(
        "after an hour more: {} opened in all",
        pool.stats().connections_created
    );
    finish(pool).await
}
// ANCHOR_END: in_memory

/// Asks a second time while it holds the first connection.
async fn careless(pool: &PacketPool) -> Result<(), AnyError> {
    let _first = pool.acquire().await?;
    ask(pool, "nested").await.map(drop)
}

// ANCHOR: one
async fn with_one_connection(server: &EchoServer) -> Result<(), AnyError> {
    let config = PoolConfig {
        max_connections: 1,
        connection_timeout: Duration::from_millis(300),
        detect_nested_acquires: true,
        ..PoolConfig::default()
    };
    let pool = PacketPool::new(server.addr(), config)?;
    let nested = careless(&pool)
        .await
        .is_err_and(|error| error.to_string().contains("this task itself"));
    println!("with one connection, the nested acquire is found: {nested}");
    finish(pool).await
}
// ANCHOR_END: one

async fn leak(server: &EchoServer) -> Result<(), AnyError> {
    let pool = impatient(server)?;
    let _forgotten = pool.acquire().await?;
    match finish(pool).await {
        Ok(()) => Err("the leak went unnoticed".into()),
        Err(error) => {
            println!("{error}");
            Ok(())
        }
    }
}

async fn real_socket(server: &EchoServer) -> Result<(), AnyError> {
    let pool = PacketPool::new(server.addr(), PoolConfig::default())?;
    match ask(&pool, "hello").await {
        Ok(_) => Err("the paused clock waited for the socket".into()),
        Err(error) => {
            println!("a reply that takes 20 ms: {error}");
            Ok(())
        }
    }
}

fn paused() -> Result<Runtime, AnyError> {
    Ok(Builder::new_current_thread().enable_all().start_paused(true).build()?)
}

fn run() -> Result<(), AnyError> {
    let real =
        Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    println!("== every fault");
    real.block_on(every_fault())?;
    println!("== a restart of the server");
    real.block_on(restart())?;
    println!("== an hour, with the clock paused");
    let begin = Instant::now();
    paused()?.block_on(an_hour())?;
    println!(
        "it took less than ten seconds: {}",
        begin.elapsed() < Duration::from_secs(10)
    );
    println!("== one connection");
    let server = real.block_on(EchoServer::start())?;
    real.block_on(with_one_connection(&server))?;
    println!("== a leak, at the end of a test");
    real.block_on(leak(&server))?;
    println!("== a paused clock, and a real socket");
    server.set_faults(Faults {
        latency: Some(Duration::from_millis(20)),
        ..Faults::default()
    });
    paused()?.block_on(real_socket(&server))
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
