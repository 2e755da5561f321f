//! However a transaction is left, nobody is handed it, and what it did is undone (`reset.between`).

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use poolhouse::Pool;
use poolhouse_postgres::{PooledPostgres, PostgresPool, ResetPolicy};
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::common::{Result, admin, config, manager, pid, pool, rows, table};
use crate::shared_or_skip;

/// The next holder has no transaction, sees nothing of the last one's, and what it writes stays.
async fn next_holder_starts_afresh(pool: &PostgresPool, admin: &Client, table: &str) -> Result<i32> {
    let next = pool.acquire().await?;
    assert!(!next.is_in_transaction());
    starts_afresh(&next, admin, table).await
}

async fn starts_afresh(next: &PooledPostgres, admin: &Client, table: &str) -> Result<i32> {
    let seen: i64 = next.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0);
    assert_eq!(seen, 0, "the last holder's row");
    next.execute(&format!("INSERT INTO {table} VALUES (2)"), &[]).await?;
    assert_eq!(rows(admin, table).await?, 1, "the next holder's row is not in a transaction");
    pid(next).await
}

#[tokio::test]
async fn a_begin_in_plain_sql_is_rolled_back() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "plain_begin", 1));
    table(&admin, "plain_begin").await?;
    let first = pool.acquire().await?;
    let own = pid(&first).await?;
    first.batch_execute("BEGIN; INSERT INTO plain_begin VALUES (1)").await?;
    assert!(first.is_in_transaction());
    drop(first);
    assert_eq!(next_holder_starts_afresh(&pool, &admin, "plain_begin").await?, own, "the connection stays");
    Ok(())
}

#[tokio::test]
async fn a_failed_transaction_is_rolled_back() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "failed", 1));
    table(&admin, "failed").await?;
    let first = pool.acquire().await?;
    assert!(first.batch_execute("BEGIN; INSERT INTO failed VALUES (1); SELECT 1 / 0").await.is_err());
    drop(first);
    next_holder_starts_afresh(&pool, &admin, "failed").await?;
    Ok(())
}

async fn returns_early(connection: &mut PooledPostgres) -> Result {
    let transaction = connection.transaction().await?;
    transaction.execute("INSERT INTO early_return VALUES (1)", &[]).await?;
    Err("something else went wrong".into())
}

#[tokio::test]
async fn an_early_return_rolls_back() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "early_return", 1));
    table(&admin, "early_return").await?;
    let mut first = pool.acquire().await?;
    let own = pid(&first).await?;
    assert!(returns_early(&mut first).await.is_err());
    drop(first);
    assert_eq!(next_holder_starts_afresh(&pool, &admin, "early_return").await?, own);
    Ok(())
}

#[tokio::test]
async fn a_panic_rolls_back() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "panics", 1));
    table(&admin, "panics").await?;
    let holder = pool.acquire_owned();
    let task = tokio::spawn(async move {
        let mut first = holder.await.expect("the server is up");
        let transaction = first.transaction().await.expect("it is its first use");
        transaction.execute("INSERT INTO panics VALUES (1)", &[]).await.expect("the table is there");
        panic!("on purpose");
    });
    assert!(task.await.expect_err("it panics").is_panic());
    next_holder_starts_afresh(&pool, &admin, "panics").await?;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_future_rolls_back() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "cancelled", 1));
    table(&admin, "cancelled").await?;
    let own = pid(&pool.acquire().await?).await?;
    let works = async {
        let mut first = pool.acquire().await?;
        let transaction = first.transaction().await?;
        transaction.execute("INSERT INTO cancelled VALUES (1)", &[]).await?;
        transaction.batch_execute("SELECT pg_sleep(60)").await?;
        Result::Ok(())
    };
    assert!(timeout(Duration::from_millis(200), works).await.is_err());
    assert_eq!(next_holder_starts_afresh(&pool, &admin, "cancelled").await?, own, "cancelled, and kept");
    Ok(())
}

#[tokio::test]
async fn a_waiter_is_handed_no_transaction() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "handed_over", 1));
    table(&admin, "handed_over").await?;
    let first = pool.acquire().await?;
    let own = pid(&first).await?;
    first.batch_execute("BEGIN; INSERT INTO handed_over VALUES (1)").await?;
    let mut waiter = pin!(pool.acquire());
    assert!(waiter.as_mut().now_or_never().is_none());
    drop(first);
    let next = waiter.await?;
    assert!(!next.is_in_transaction());
    assert_eq!(starts_afresh(&next, &admin, "handed_over").await?, own);
    Ok(())
}

/// Gives up after each number of turns: before the BEGIN is sent, after it, in the middle of a statement, in the commit.
#[tokio::test]
async fn a_transaction_given_up_at_any_point_leaves_none_open() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "any_point", 1));
    table(&admin, "any_point").await?;
    let mut completed = 0;
    for turns in 0..60 {
        let mut first = pool.acquire().await?;
        let works = async {
            let transaction = first.transaction().await?;
            transaction.execute("INSERT INTO any_point VALUES (1)", &[]).await?;
            transaction.commit().await
        };
        let done = give_up_after(turns, works).await;
        drop(first);
        let next = pool.acquire().await?;
        assert!(!next.is_in_transaction(), "{turns} turns");
        let state = "SELECT state FROM pg_stat_activity WHERE pid = $1";
        let state: String = admin.query_one(state, &[&pid(&next).await?]).await?.get(0);
        assert_eq!(state, "idle", "{turns} turns");
        if let Some(done) = done {
            done?;
            completed += 1;
        }
    }
    let rows = rows(&admin, "any_point").await?;
    assert!(completed > 0 && rows >= completed, "{rows} rows of {completed} that were completed");
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}

/// Polls a future so many times, each when it is woken, and drops it then.
async fn give_up_after<F: Future>(turns: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = turns;
    std::future::poll_fn(move |cx| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

#[tokio::test]
async fn savepoints_and_isolation_levels_work() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "savepoints", 1));
    table(&admin, "savepoints").await?;
    let mut connection = pool.acquire().await?;
    let mut transaction = connection
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::Serializable)
        .start()
        .await?;
    let level: String = transaction.query_one("SHOW transaction_isolation", &[]).await?.get(0);
    assert_eq!(level, "serializable");
    let insert = transaction.prepare_cached("INSERT INTO savepoints VALUES ($1)").await?;
    transaction.execute(&insert, &[&1]).await?;
    let attempt = transaction.transaction().await?;
    attempt.execute(&insert, &[&2]).await?;
    attempt.rollback().await?;
    let attempt = transaction.savepoint("second").await?;
    attempt.execute(&insert, &[&3]).await?;
    attempt.commit().await?;
    transaction.commit().await?;
    assert_eq!(rows(&admin, "savepoints").await?, 2);
    Ok(())
}

#[tokio::test]
async fn without_a_reset_a_transaction_costs_the_connection() -> Result {
    let server = shared_or_skip!();
    let (admin, manager) =
        (admin(server).await?, manager(server, "no_reset").reset_policy(ResetPolicy::Nothing));
    table(&admin, "no_reset").await?;
    let pool = Pool::new(manager, config(1))?;
    let first = pool.acquire().await?;
    let own = pid(&first).await?;
    drop(first);
    let first = pool.acquire().await?;
    assert_eq!(pid(&first).await?, own, "nothing to undo");
    first.batch_execute("BEGIN; INSERT INTO no_reset VALUES (1)").await?;
    drop(first);
    assert_ne!(next_holder_starts_afresh(&pool, &admin, "no_reset").await?, own);
    Ok(())
}
