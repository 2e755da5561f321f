//! A migration waits for a lock, and everybody else for the migration.

use std::time::Duration;

use poolhouse::AcquireError;
use poolhouse_postgres::PostgresPool;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::{PATIENCE, ask, client, pool, server, until};
use crate::contestants::AnyError;

const READERS: usize = 3;

/// As `pg_locks` shows it.
const ALTER_WAITS: &str = "SELECT EXISTS (SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted)";
const READERS_WAIT: &str = "SELECT count(*) = 3 FROM pg_locks \
                            WHERE mode = 'AccessShareLock' AND relation = 'orders'::regclass AND NOT granted";

const ATTEMPTS: u32 = 50;

fn is_locked(error: &Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

// ANCHOR: migrate
/// Changes the schema. If the lock does not come soon, it gives up, so that the
/// queue behind it can pass, and tries again.
async fn migrate(client: &mut Client, change: &str) -> Result<u32, Error> {
    let mut attempt = 1;
    loop {
        let transaction = client.transaction().await?;
        transaction.batch_execute("SET LOCAL lock_timeout = '200ms'").await?;
        match transaction.batch_execute(change).await {
            Ok(()) => {
                transaction.commit().await?;
                return Ok(attempt);
            }
            Err(error) if is_locked(&error) && attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
        // By now the transaction has been rolled back, and waits for nothing.
        // Longer each time: most of the time belongs to the others.
        sleep(Duration::from_millis(100) * attempt).await;
        attempt += 1;
    }
}
// ANCHOR_END: migrate

fn readers(pool: &PostgresPool) -> Vec<JoinHandle<Result<(), AnyError>>> {
    let read = |pool: PostgresPool| async move {
        pool.acquire().await?.batch_execute("SELECT count(*) FROM orders").await?;
        Ok(())
    };
    (0..READERS).map(|_| tokio::spawn(read(pool.clone()))).collect()
}

async fn answered(
    readers: Vec<JoinHandle<Result<(), AnyError>>>,
) -> Result<usize, AnyError> {
    let count = readers.len();
    for reader in readers {
        timeout(PATIENCE, reader).await???;
    }
    Ok(count)
}

pub(super) async fn play() -> Result<String, AnyError> {
    let server = server()?;
    let watcher = client(&server.url()).await?;
    let pool = pool(&server, 1 + READERS)?;
    let mut text = String::from("== without lock_timeout\n");

    let report = pool.acquire().await?;
    report.batch_execute("BEGIN; SELECT count(*) FROM orders").await?;
    let owner = client(&server.url()).await?;
    let change = tokio::spawn(async move {
        owner.batch_execute("ALTER TABLE orders ADD COLUMN note text").await
    });
    until(&watcher, ALTER_WAITS).await?;
    text += "a report has read the table, and its transaction is open: ALTER TABLE waits\n";
    let waiting = readers(&pool);
    until(&watcher, READERS_WAIT).await?;
    text += &format!("readers that wait behind the ALTER TABLE: {READERS}\n");
    let refused = match pool.acquire_within(Duration::from_millis(200)).await {
        Err(AcquireError::Timeout(timeout)) => {
            format!("timed out while {}", timeout.phase)
        }
        other => return Err(format!("expected a timeout, not {other:?}").into()),
    };
    text += &format!(
        "the next acquire, with {} of {} held: {refused}\n",
        1 + READERS,
        1 + READERS
    );
    drop(report);
    text += &format!(
        "the report ends; readers that answer: {}\n",
        answered(waiting).await?
    );
    timeout(PATIENCE, change).await???;

    text += "== with lock_timeout\n";
    let report = pool.acquire().await?;
    report.batch_execute("BEGIN; SELECT count(*) FROM orders").await?;
    let mut owner = client(&server.url()).await?;
    let change = tokio::spawn(async move {
        migrate(&mut owner, "ALTER TABLE orders ADD COLUMN size int").await
    });
    until(&watcher, ALTER_WAITS).await?;
    let count = answered(readers(&pool)).await?;
    let open = ask(&report, "SELECT 'the report is still open'")
        .await?
        .unwrap_or_default();
    text += &format!("{open}; readers that answer: {count}\n");
    drop(report);
    let attempts = timeout(PATIENCE, change).await???;
    text += &format!(
        "the report ends, and the change is made; it took more than one attempt: {}\n",
        attempts > 1
    );
    Ok(text)
}
