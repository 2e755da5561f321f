//! Tasks that hold one connection and wait for another: how many it takes to stop
//! everything, and three ways out.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use poolhouse::{AcquireError, PacketConnection, PacketPool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults};
use tokio::sync::{Barrier, Semaphore};
use tokio::time::timeout;

type AnyError = Box<dyn Error + Send + Sync>;

fn pool(
    server: &EchoServer,
    max_connections: usize,
    connection_timeout: Duration,
) -> Result<PacketPool, AnyError> {
    let config = PoolConfig {
        max_connections,
        connection_timeout,
        detect_nested_acquires: true,
        ..PoolConfig::default()
    };
    Ok(PacketPool::new(server.addr(), config)?)
}

// ANCHOR: exchange
async fn exchange(
    connection: &mut PacketConnection,
    request: String,
) -> Result<Bytes, AnyError> {
    connection.send_packet(request).await?;
    Ok(connection.receive().await?)
}
// ANCHOR_END: exchange

// ANCHOR: nested
/// The outer function holds a connection, and the inner one asks the same pool for
/// another.
async fn outer(
    pool: &PacketPool,
    everybody_holds_one: &Barrier,
) -> Result<(), AnyError> {
    let mut first = pool.acquire().await?;
    exchange(&mut first, "begin".into()).await?;
    everybody_holds_one.wait().await;
    inner(pool).await
}

async fn inner(pool: &PacketPool) -> Result<(), AnyError> {
    let mut second = pool.acquire().await?;
    exchange(&mut second, "look up".into()).await?;
    Ok(())
}
// ANCHOR_END: nested

/// How many of `tasks` end well, and the text of the timeout that names the most
/// holders: a task that is told later finds fewer.
async fn nested(
    tasks: usize,
    pool: &PacketPool,
) -> Result<(usize, Option<String>), AnyError> {
    let barrier = Arc::new(Barrier::new(tasks));
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
            tokio::spawn(async move { outer(&pool, &barrier).await })
        })
        .collect();
    let (mut served, mut timed_out) = (0, None::<String>);
    for task in running {
        match task.await? {
            Ok(()) => served += 1,
            Err(error) => {
                let text = error.to_string();
                if timed_out
                    .as_ref()
                    .is_none_or(|longest| longest.len() < text.len())
                {
                    timed_out = Some(text);
                }
            }
        }
    }
    Ok((served, timed_out))
}

async fn show_nested(server: &EchoServer) -> Result<(), AnyError> {
    println!("== every task holds one and asks for a second");
    for (tasks, connections) in [(3, 4), (4, 5), (4, 4)] {
        let patience = if tasks < connections { 20_000 } else { 1_000 };
        let pool = pool(server, connections, Duration::from_millis(patience))?;
        let (served, timed_out) = nested(tasks, &pool).await?;
        println!(
            "{tasks} tasks, {connections} connections: all served: {}",
            served == tasks
        );
        if let Some(text) = timed_out {
            println!("{}", text.replace("; ", ";\n  "));
        }
        pool.close().await;
    }
    Ok(())
}

// ANCHOR: passed_on
/// One connection a task, handed down: it needs no second.
async fn handed_down(pool: &PacketPool) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    exchange(&mut connection, "begin".into()).await?;
    look_up(&mut connection).await
}

async fn look_up(connection: &mut PacketConnection) -> Result<(), AnyError> {
    exchange(connection, "look up".into()).await?;
    Ok(())
}
// ANCHOR_END: passed_on

// ANCHOR: admitted
/// Tasks that do need two at once ask for admission first.
async fn admitted(
    pool: &PacketPool,
    admission: &Semaphore,
) -> Result<(), AnyError> {
    let _admitted = admission.acquire().await?;
    let mut from = pool.acquire().await?;
    let mut to = pool.acquire().await?;
    let read = exchange(&mut from, "read".into()).await?;
    to.send_packet(read).await?;
    to.receive().await?;
    Ok(())
}
// ANCHOR_END: admitted

async fn ways_out(server: &EchoServer) -> Result<(), AnyError> {
    println!("== the ways out, each with 100 tasks on 4 connections");
    let four = pool(server, 4, Duration::from_secs(20))?;
    try_join_all((0..100).map(|_| handed_down(&four))).await?;
    println!("one connection, handed down: 100 served");
    // ANCHOR: permits
    let (connections, each) = (4, 2);
    let admission = Semaphore::new((connections - 1) / (each - 1));
    // ANCHOR_END: permits
    try_join_all((0..100).map(|_| admitted(&four, &admission))).await?;
    println!("two at once, three tasks admitted: 100 served");
    Ok(())
}

// ANCHOR: bounded
/// Asks for every item, on at most `at_a_time` connections.
async fn ask_all(
    pool: &PacketPool,
    items: u32,
    at_a_time: usize,
) -> Result<Vec<Bytes>, AnyError> {
    let requests = stream::iter((0..items).map(|item| async move {
        let mut connection = pool.acquire().await?;
        exchange(&mut connection, format!("item {item}")).await
    }));
    requests.buffer_unordered(at_a_time).try_collect().await
}
// ANCHOR_END: bounded

async fn fan_out(server: &EchoServer) -> Result<(), AnyError> {
    println!("== 100 items, 8 connections");
    server.set_faults(Faults {
        latency: Some(Duration::from_millis(20)),
        ..Faults::default()
    });
    for at_a_time in [100, 4] {
        let pool = pool(server, 8, Duration::from_secs(20))?;
        let all = ask_all(&pool, 100, at_a_time);
        let newcomer = async {
            server.wait_for(|counts| counts.open >= 4).await;
            pool.acquire().await.map(drop)?;
            Ok::<_, AcquireError>(pool.stats().total_acquisitions - 1)
        };
        let (answers, before) = tokio::join!(all, newcomer);
        let (answers, before) = (answers?.len(), before?);
        println!(
            "{at_a_time} at a time: {answers} answers; a newcomer waited for all of them: {}",
            before == 100
        );
        pool.close().await;
    }
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    // A task that fails before the barrier would leave the others there.
    timeout(Duration::from_secs(15), show_nested(&server)).await??;
    ways_out(&server).await?;
    fan_out(&server).await
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
