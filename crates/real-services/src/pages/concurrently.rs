//! `CREATE INDEX CONCURRENTLY` and those who wait for the migrator's lock.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Error};

use super::{PATIENCE, ask, client, say, server, told, until};
use crate::contestants::AnyError;

const CREATE: &str = "CREATE INDEX CONCURRENTLY orders_state ON orders (state)";
const IF_NOT_EXISTS: &str =
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_state ON orders (state)";
const VALID: &str =
    "SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_state'::regclass";

// ANCHOR: turn
/// Waits for the lock of the migrator, without a statement that waits.
async fn take_turn(client: &Client) -> Result<(), Error> {
    const TRY: &str = "SELECT pg_try_advisory_lock(7)";
    while !client.query_one(TRY, &[]).await?.get::<_, bool>(0) {
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
// ANCHOR_END: turn

async fn fails(client: &Client, sql: &str) -> Result<String, AnyError> {
    match client.batch_execute(sql).await {
        Ok(()) => Err(format!("it did not fail: {sql}").into()),
        Err(error) => Ok(told(&error)),
    }
}

/// The second migrator waits in a statement, so the index of the first waits for
/// it.
async fn deadlock(url: &str) -> Result<String, AnyError> {
    let mut text =
        String::from("== the second migrator waits in pg_advisory_lock\n");
    let (first, second) = (client(url).await?, client(url).await?);
    ask(&first, "SELECT pg_advisory_lock(7)").await?;
    // Only the first looks for deadlocks, so it is the one that ends it: in
    // service it may be either.
    first.batch_execute("SET deadlock_timeout = '10ms'").await?;
    second.batch_execute("SET deadlock_timeout = '1h'").await?;
    let waits = tokio::spawn(async move {
        ask(&second, "SELECT pg_advisory_lock(7)").await?;
        ask(&second, "SELECT pg_advisory_unlock(7)").await
    });
    until(&first, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)").await?;
    text += &format!(
        "the first one's CREATE INDEX CONCURRENTLY: {}\n",
        fails(&first, CREATE).await?
    );
    text += &format!(
        "the index that it leaves is valid: {}\n",
        say(&first, VALID).await?
    );
    first.batch_execute(IF_NOT_EXISTS).await?;
    text += &format!(
        "after CREATE INDEX CONCURRENTLY IF NOT EXISTS: {}\n",
        say(&first, VALID).await?
    );
    first.batch_execute("DROP INDEX orders_state").await?;
    ask(&first, "SELECT pg_advisory_unlock(7)").await?;
    timeout(PATIENCE, waits).await???;
    Ok(text)
}

async fn polled(url: &str) -> Result<String, AnyError> {
    let mut text = String::from("== the second migrator asks again and again\n");
    let (first, second) = (client(url).await?, client(url).await?);
    take_turn(&first).await?;
    let waits = tokio::spawn(async move { take_turn(&second).await });
    first.batch_execute(CREATE).await?;
    text += &format!("the index is valid: {}\n", say(&first, VALID).await?);
    first.batch_execute("DROP INDEX orders_state").await?;
    ask(&first, "SELECT pg_advisory_unlock(7)").await?;
    timeout(PATIENCE, waits).await???;
    Ok(text)
}

/// A transaction that has read something else, and holds a snapshot.
async fn snapshot(url: &str) -> Result<String, AnyError> {
    let mut text = String::from(
        "== with lock_timeout, and an open transaction that has read another table\n",
    );
    let (first, other) = (client(url).await?, client(url).await?);
    other
        .batch_execute(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM elsewhere",
        )
        .await?;
    first.batch_execute("SET lock_timeout = '50ms'").await?;
    text +=
        &format!("CREATE INDEX CONCURRENTLY: {}\n", fails(&first, CREATE).await?);
    text += &format!(
        "the index that it leaves is valid: {}\n",
        say(&first, VALID).await?
    );
    Ok(text)
}

pub(super) async fn play() -> Result<String, AnyError> {
    let server = server()?;
    server.sql("CREATE TABLE elsewhere (id int)")?;
    let url = server.url();
    Ok(deadlock(&url).await? + &polled(&url).await? + &snapshot(&url).await?)
}
