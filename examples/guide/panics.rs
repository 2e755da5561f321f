//! Panics: while holding a connection, in the manager, and what the same panic
//! costs in two other pools.

use std::error::Error;
use std::io;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use poolhouse::{
    Event, Manager, PacketConnection, PacketPool, Pool, PoolConfig,
    PooledConnection, RetireReason,
};
use poolhouse_echo::EchoServer;

type AnyError = Box<dyn Error + Send + Sync>;

fn pool_of_one(
    server: &EchoServer,
    reasons: Reasons,
) -> Result<PacketPool, AnyError> {
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let listener = move |event: &Event<'_>| {
        if let Event::Retired { reason, .. } = event {
            reasons.lock().unwrap_or_else(PoisonError::into_inner).push(*reason);
        }
    };
    Ok(PacketPool::builder(server.addr())
        .config(config)
        .listener(listener)
        .build()?)
}

type Reasons = Arc<Mutex<Vec<RetireReason>>>;

fn last(reasons: &Reasons) -> String {
    let reasons = reasons.lock().unwrap_or_else(PoisonError::into_inner);
    reasons.last().map_or_else(|| "none".to_owned(), ToString::to_string)
}

async fn while_holding(server: &EchoServer) -> Result<(), AnyError> {
    println!("== a task panics while it holds the only connection");
    let reasons = Reasons::default();
    let pool = pool_of_one(server, Arc::clone(&reasons))?;
    // ANCHOR: holding
    let holder = pool.clone();
    let task = tokio::spawn(async move {
        let mut connection = holder.acquire().await?;
        connection.send_packet("begin").await?;
        connection.receive().await?;
        if connection.is_idle() {
            panic!("between begin and commit");
        }
        Ok::<_, AnyError>(())
    });
    let panicked = task.await.is_err_and(|error| error.is_panic());
    let next = pool.acquire().await?;
    // ANCHOR_END: holding
    println!(
        "it panicked: {panicked}; its connection was closed: {}",
        last(&reasons)
    );
    println!("the next caller has connection {}", PooledConnection::id(&next));
    Ok(())
}

async fn work(connection: &mut PacketConnection) -> Result<(), AnyError> {
    connection.send_packet("begin").await?;
    connection.receive().await?;
    if connection.is_idle() {
        panic!("between begin and commit");
    }
    Ok(())
}

async fn caught(server: &EchoServer) -> Result<(), AnyError> {
    println!("== a panic that is caught inside of the hold");
    let reasons = Reasons::default();
    let pool = pool_of_one(server, Arc::clone(&reasons))?;
    // ANCHOR: caught
    let mut connection = pool.acquire().await?;
    match AssertUnwindSafe(work(&mut connection)).catch_unwind().await {
        Ok(done) => done?,
        // The pool sees no panic: you caught it. What is half done on the
        // connection, only you know.
        Err(_panic) => connection.invalidate(),
    }
    // ANCHOR_END: caught
    println!("its connection was closed: {}", last(&reasons));
    Ok(())
}

/// Panics in its first connect.
#[derive(Default)]
struct Clumsy {
    has_panicked: AtomicBool,
}

impl Clumsy {
    fn stumble(&self) {
        if !self.has_panicked.swap(true, Ordering::SeqCst) {
            panic!("in connect");
        }
    }
}

impl Manager for Clumsy {
    type Connection = ();
    type Error = io::Error;

    async fn connect(&self) -> Result<(), io::Error> {
        self.stumble();
        Ok(())
    }
}

impl bb8::ManageConnection for Clumsy {
    type Connection = ();
    type Error = io::Error;

    async fn connect(&self) -> Result<(), io::Error> {
        self.stumble();
        Ok(())
    }

    async fn is_valid(&self, _: &mut ()) -> Result<(), io::Error> {
        Ok(())
    }

    fn has_broken(&self, _: &mut ()) -> bool {
        false
    }
}

impl r2d2::ManageConnection for Clumsy {
    type Connection = ();
    type Error = io::Error;

    fn connect(&self) -> Result<(), io::Error> {
        self.stumble();
        Ok(())
    }

    fn is_valid(&self, _: &mut ()) -> Result<(), io::Error> {
        Ok(())
    }

    fn has_broken(&self, _: &mut ()) -> bool {
        false
    }
}

async fn in_the_manager() -> Result<(), AnyError> {
    println!(
        "== the manager panics once, in its first connect; the maximum is one"
    );
    let patience = Duration::from_millis(500);
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let pool = Pool::new(Clumsy::default(), config)?;
    let served = pool.acquire_within(Duration::from_secs(10)).await.is_ok();
    println!(
        "poolhouse: served: {served}, failed connects: {}",
        pool.stats().failed_connects
    );

    let pool = bb8::Pool::builder().max_size(1).connection_timeout(patience);
    let pool = pool.build_unchecked(Clumsy::default());
    let first = pool.get().await.is_ok();
    println!(
        "bb8 0.9: the first get served: {first}, a later one: {}",
        pool.get().await.is_ok()
    );

    let pool = r2d2::Pool::builder().max_size(1).connection_timeout(patience);
    let pool = pool.build_unchecked(Clumsy::default());
    let gets = tokio::task::spawn_blocking(move || {
        (pool.get().is_ok(), pool.get().is_ok())
    })
    .await?;
    println!("r2d2 0.8: the first get served: {}, a later one: {}", gets.0, gets.1);
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = EchoServer::start().await?;
    while_holding(&server).await?;
    caught(&server).await?;
    in_the_manager().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // These panics are meant: say nothing of them on stderr.
    std::panic::set_hook(Box::new(|_| {}));
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
