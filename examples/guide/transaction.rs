//! A transaction on a pooled connection: what goes wrong without a guard, and a
//! guard.
//!
//! `cargo run --example transaction` starts its own server.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use poolhouse::{
    PacketConnection, PacketManager, PacketPool, PoolConfig, PooledConnection,
};
use tokio::time::timeout;

mod ledger;

use ledger::Ledger;

type AnyError = Box<dyn Error + Send + Sync>;

/// Sends one command and reads its whole answer.
async fn command(
    connection: &mut PacketConnection,
    command: String,
) -> Result<(), AnyError> {
    connection.send_packet(command).await?;
    let answer = connection.receive().await?;
    if answer == "ok" {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&answer).into())
    }
}

// ANCHOR: without
async fn without_a_guard(
    pool: &PacketPool,
    amounts: &[&str],
) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    command(&mut connection, "begin".into()).await?;
    for amount in amounts {
        // Returns early when the server says no. The transaction is still open.
        command(&mut connection, format!("add {amount}")).await?;
    }
    command(&mut connection, "commit".into()).await
}
// ANCHOR_END: without

// ANCHOR: guard
/// An open transaction. Dropped without `commit`, it closes its connection, and
/// the server rolls back.
struct Transaction {
    /// `None` once the transaction has ended well.
    connection: Option<PooledConnection<PacketManager>>,
}

impl Transaction {
    async fn begin(pool: &PacketPool) -> Result<Self, AnyError> {
        let mut transaction = Self { connection: Some(pool.acquire().await?) };
        transaction.run("begin").await?;
        Ok(transaction)
    }

    async fn run(&mut self, text: impl Into<String>) -> Result<(), AnyError> {
        let connection =
            self.connection.as_mut().ok_or("the transaction has ended")?;
        command(connection, text.into()).await
    }

    async fn commit(mut self) -> Result<(), AnyError> {
        self.run("commit").await?;
        // Sound, and out of the transaction: it may go back.
        self.connection = None;
        Ok(())
    }

    async fn rollback(mut self) -> Result<(), AnyError> {
        self.run("rollback").await?;
        self.connection = None;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.invalidate();
        }
    }
}
// ANCHOR_END: guard

// ANCHOR: with
async fn with_a_guard(pool: &PacketPool, amounts: &[&str]) -> Result<(), AnyError> {
    let mut transaction = Transaction::begin(pool).await?;
    for amount in amounts {
        transaction.run(format!("add {amount}")).await?;
    }
    transaction.commit().await
}
// ANCHOR_END: with

fn report(
    what: &str,
    result: Result<(), AnyError>,
    ledger: &Ledger,
    pool: &PacketPool,
) {
    let result =
        result.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
    let (total, closed) = (ledger.total(), pool.stats().connections_destroyed);
    println!("{what}: {result}; total {total}, connections closed {closed}");
}

async fn run() -> Result<(), AnyError> {
    let (ledger, address) = Ledger::start().await?;
    let config = PoolConfig {
        max_connections: 1,
        min_connections: 0,
        ..PoolConfig::default()
    };

    println!("== without a guard");
    let pool = PacketPool::new(address, config.clone())?;
    report(
        "add 100, and an error",
        without_a_guard(&pool, &["100", "oops"]).await,
        &ledger,
        &pool,
    );
    report(
        "somebody else adds 1",
        without_a_guard(&pool, &["1"]).await,
        &ledger,
        &pool,
    );
    pool.close().await;

    println!("== with a guard");
    let pool = PacketPool::new(address, config)?;
    report(
        "add 100, and an error",
        with_a_guard(&pool, &["100", "oops"]).await,
        &ledger,
        &pool,
    );
    report(
        "somebody else adds 1",
        with_a_guard(&pool, &["1"]).await,
        &ledger,
        &pool,
    );

    let mut transaction = Transaction::begin(&pool).await?;
    transaction.run("add 100").await?;
    report(
        "a rollback that is awaited",
        transaction.rollback().await,
        &ledger,
        &pool,
    );

    let mut transaction = Transaction::begin(&pool).await?;
    let task = tokio::spawn(async move {
        transaction.run("add 100").await?;
        transaction.run("stall").await
    });
    timeout(Duration::from_secs(10), ledger.stalled.notified()).await?;
    task.abort();
    let cancelled = task.await.unwrap_or_else(|_| Err("cancelled".into()));
    report("given up in the middle", cancelled, &ledger, &pool);

    println!("== the connection dies at the commit");
    ledger.die_at_commit.store(true, Ordering::SeqCst);
    report("add 5", with_a_guard(&pool, &["5"]).await, &ledger, &pool);
    Ok(())
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
