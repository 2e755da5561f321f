//! The worked manager around tokio-postgres, against a real server.

use std::time::Duration;

use poolhouse::{AcquireError, Pool};
use real_services::wrapped::Postgres;
use test_servers::start_or_skip;
use tokio::time::timeout;
use tokio_postgres::Error;

use crate::common::{config, recovers};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn pool(url: &str, max_connections: usize) -> Pool<Postgres> {
    Pool::new(Postgres(url.parse().unwrap()), config(max_connections)).unwrap()
}

// ANCHOR: use
/// Moves one from the first account to the second, in one transaction.
async fn transfer(pool: &Pool<Postgres>) -> Result<i32, AnyError> {
    let mut session = pool.acquire().await?;
    let moved = session.run(async |client| {
        let transaction = client.transaction().await?;
        let take = "UPDATE accounts SET balance = balance - 1 WHERE id = 1";
        let give = "UPDATE accounts SET balance = balance + 1 WHERE id = 2";
        transaction.execute(take, &[]).await?;
        transaction.execute(give, &[]).await?;
        transaction.commit().await?;
        client.query_one("SELECT balance FROM accounts WHERE id = 2", &[]).await
    });
    Ok(moved.await?.get(0))
}
// ANCHOR_END: use

async fn ask(pool: &Pool<Postgres>) -> Result<i32, AnyError> {
    let answer = pool
        .acquire()
        .await?
        .run(async |client| client.query_one("SELECT 42", &[]).await)
        .await?;
    Ok(answer.get(0))
}

/// `cancel.tainted`
#[tokio::test(flavor = "multi_thread")]
async fn a_wrapped_client_that_was_left_in_a_statement_is_not_handed_on() {
    let server = start_or_skip!(test_servers::Postgres::start());
    let tables = "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL); \
                  INSERT INTO accounts VALUES (1, 100), (2, 0)";
    server.sql(tables).unwrap();
    let pool = pool(&server.url(), 1);
    assert_eq!(transfer(&pool).await.unwrap(), 1);
    assert_eq!(transfer(&pool).await.unwrap(), 2);
    assert_eq!(pool.stats().connections_created, 1);

    let mut session = pool.acquire().await.unwrap();
    let never = session
        .run(async |client| client.batch_execute("SELECT pg_sleep(600)").await);
    assert!(timeout(Duration::from_millis(100), never).await.is_err());
    drop(session);
    assert_eq!(pool.stats().idle_connections, 0);
    assert_eq!(ask(&pool).await.unwrap(), 42);
    assert_eq!(pool.stats().connections_created, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_wrapped_clients_recovers_from_a_restart() {
    let mut server = start_or_skip!(test_servers::Postgres::start());
    let pool = pool(&server.url(), 2);
    ask(&pool).await.unwrap();
    server.restart().unwrap();
    recovers(2, async || ask(&pool).await.map(drop)).await;
}

/// `connect.permanent`
#[tokio::test(flavor = "multi_thread")]
async fn with_a_wrapped_client_a_wrong_password_is_told_at_once() {
    let server = start_or_skip!(test_servers::Postgres::start());
    server.sql("CREATE ROLE app LOGIN PASSWORD 'right'").unwrap();
    let url = format!("postgres://app:wrong@127.0.0.1:{}/postgres", server.port());
    let error = pool(&url, 1).acquire().await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{error}");
    assert!(error.manager_error::<Error>().is_some());
}
