//! Futures that are dropped half-way: in the queue, in a `select!` loop, in the
//! middle of an exchange.
//!
//! The server is in memory and the clock is paused, so a second of waiting takes
//! none.

use std::error::Error;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use poolhouse::{Dial, PacketConnection, PacketManager, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::io::DuplexStream;
use tokio::time::{interval, sleep, timeout};

type AnyError = Box<dyn Error + Send + Sync>;
type Connection = PacketConnection<DuplexStream>;

fn pool_of(
    connections: usize,
    server: &EchoServer,
) -> Result<Pool<PacketManager<impl Dial<Stream = DuplexStream> + use<>>>, AnyError>
{
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let config =
        PoolConfig { max_connections: connections, ..PoolConfig::default() };
    Ok(Pool::new(PacketManager::new(dial), config)?)
}

async fn in_the_queue(server: &EchoServer) -> Result<(), AnyError> {
    println!("== acquires dropped in the queue");
    let pool = pool_of(2, server)?;
    let held = (pool.acquire().await?, pool.acquire().await?);
    // ANCHOR: hurried
    for _ in 0..1000 {
        let hurried = timeout(Duration::from_millis(5), pool.acquire()).await;
        assert!(hurried.is_err(), "both connections are held");
    }
    // ANCHOR_END: hurried
    drop(held);
    let again = (pool.acquire().await?, pool.acquire().await?);
    let stats = pool.stats();
    println!(
        "{} were dropped; then both connections are there",
        stats.cancelled_acquisitions
    );
    println!("connections opened in all: {}", stats.connections_created);
    drop(again);
    Ok(())
}

/// Three tasks that share one connection, each for 25 ms at a time.
fn crowd<D: Dial>(
    pool: &Pool<PacketManager<D>>,
) -> tokio::task::JoinSet<Result<(), AnyError>> {
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let pool = pool.clone();
        crowd.spawn(async move {
            loop {
                let _held = pool.acquire().await?;
                sleep(Duration::from_millis(25)).await;
            }
        });
    }
    crowd
}

async fn in_a_loop(server: &EchoServer) -> Result<(), AnyError> {
    println!("== acquire in a select! loop, beside a tick every 10 ms");
    let pool = pool_of(1, server)?;
    let _crowd = crowd(&pool);
    sleep(Duration::from_millis(1)).await;

    // ANCHOR: anew
    let mut ticks = interval(Duration::from_millis(10));
    let served = timeout(Duration::from_secs(1), async {
        loop {
            tokio::select! {
                // Each tick drops this acquire, and its place in the queue with
                // it.
                acquired = pool.acquire() => return acquired,
                _ = ticks.tick() => {}
            }
        }
    });
    // ANCHOR_END: anew
    println!(
        "a new acquire each time round: served within 1 s: {}",
        served.await.is_ok()
    );

    // ANCHOR: pinned
    let mut ticks = interval(Duration::from_millis(10));
    let mut acquiring = pin!(pool.acquire());
    let served = timeout(Duration::from_secs(1), async {
        loop {
            tokio::select! {
                acquired = &mut acquiring => return acquired,
                _ = ticks.tick() => {}
            }
        }
    });
    // ANCHOR_END: pinned
    println!(
        "one acquire, pinned before the loop: served within 1 s: {}",
        served.await.is_ok()
    );
    Ok(())
}

async fn exchange(
    connection: &mut Connection,
    request: &'static str,
) -> Result<Bytes, AnyError> {
    connection.send_packet(request).await?;
    Ok(connection.receive().await?)
}

async fn in_an_exchange(server: &EchoServer) -> Result<(), AnyError> {
    println!("== an exchange dropped before its reply");
    let pool = pool_of(1, server)?;
    server.set_faults(Faults {
        latency: Some(Duration::from_millis(50)),
        ..Faults::default()
    });
    let mut connection = pool.acquire().await?;
    // ANCHOR: dropped
    let hurried =
        timeout(Duration::from_millis(10), exchange(&mut connection, "mine")).await;
    assert!(hurried.is_err(), "the reply takes 50 ms");
    // The reply to `mine` is still to come on this connection. The pool closes it.
    drop(connection);
    let mut connection = pool.acquire().await?;
    let reply = exchange(&mut connection, "yours").await?;
    // ANCHOR_END: dropped
    println!(
        "the next caller asks for `yours` and reads `{}`",
        String::from_utf8_lossy(&reply)
    );
    println!("connections opened: {}", pool.stats().connections_created);

    println!("== a receive dropped, and called again");
    // ANCHOR: again
    connection.send_packet("one question").await?;
    let mut looks = 0;
    let reply = loop {
        looks += 1;
        match timeout(Duration::from_millis(20), connection.receive()).await {
            Ok(received) => break received?,
            // There is time to look at something else here.
            Err(_) => continue,
        }
    };
    // ANCHOR_END: again
    println!("after {looks} looks: `{}`", String::from_utf8_lossy(&reply));
    drop(connection);
    println!("connections opened: {}", pool.stats().connections_created);
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    in_the_queue(&server).await?;
    in_a_loop(&server).await?;
    in_an_exchange(&server).await
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
