//! The worked manager for MariaDB, against a real one.

use std::time::Duration;

use mysql_async::OptsBuilder;
use mysql_async::prelude::Queryable;
use poolhouse::{AcquireError, Pool, PoolConfig, RetireReason};
use real_services::mariadb::{MariaDb, Session};
use test_servers::start_or_skip;
use tokio::time::timeout;

use crate::common::{TOO_LONG, config, hand_over, recovers, settle, until};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn opts(server: &test_servers::MariaDb) -> OptsBuilder {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(server.port())
        .user(Some("root"))
        .db_name(Some("test"))
        .prefer_socket(Some(false))
}

fn pool(server: &test_servers::MariaDb, max_connections: usize) -> Pool<MariaDb> {
    Pool::new(MariaDb::new(opts(server)), config(max_connections)).unwrap()
}

async fn number(
    session: &mut Session,
    query: &str,
) -> mysql_async::Result<Option<i64>> {
    session.run(async |conn| conn.query_first(query).await).await
}

async fn ask(pool: &Pool<MariaDb>) -> Result<(), AnyError> {
    assert_eq!(number(&mut *pool.acquire().await?, "SELECT 42").await?, Some(42));
    Ok(())
}

/// `reset.between`: the next holder finds nothing of what a holder leaves in a session.
#[tokio::test]
async fn nothing_leaks_from_a_holder_to_a_waiter() {
    let server = start_or_skip!(test_servers::MariaDb::start());
    server.sql("CREATE TABLE kept (n int) ENGINE=InnoDB").unwrap();
    let pool = pool(&server, 1);
    let mut held = pool.acquire().await.unwrap();
    let id = held.id();
    held.run(async |conn| {
        conn.query_drop("SET @left = 7, time_zone = '+05:00'").await?;
        conn.query_drop("CREATE TEMPORARY TABLE gone (n int)").await?;
        conn.query_drop("START TRANSACTION").await?;
        conn.query_drop("USE mysql").await?;
        conn.query_drop("INSERT INTO test.kept VALUES (1)").await
    })
    .await
    .unwrap();
    let mut held = hand_over(&pool, held).await;
    assert_eq!(held.id(), id, "it is the same session");
    assert_eq!(number(&mut held, "SELECT @left IS NULL").await.unwrap(), Some(1));
    assert_eq!(
        number(&mut held, "SELECT @@time_zone = 'SYSTEM'").await.unwrap(),
        Some(1)
    );
    assert_eq!(
        number(&mut held, "SELECT DATABASE() = 'test'").await.unwrap(),
        Some(1)
    );
    assert_eq!(
        number(&mut held, "SELECT count(*) FROM kept").await.unwrap(),
        Some(0)
    );
    assert!(number(&mut held, "SELECT count(*) FROM gone").await.is_err());
}

/// `cancel.tainted`: the answer to a query whose future was dropped goes to nobody, and the server stops the query.
#[tokio::test]
async fn a_cancelled_query_is_nobodys_answer() {
    let server = start_or_skip!(test_servers::MariaDb::start());
    let pool = pool(&server, 1);
    let mut held = pool.acquire().await.unwrap();
    let id = held.id();
    let query = number(&mut held, "SELECT SLEEP(600) + 7");
    assert!(timeout(Duration::from_millis(100), query).await.is_err());
    drop(held);
    let mut next = pool.acquire().await.unwrap();
    assert_eq!(number(&mut next, "SELECT 42").await.unwrap(), Some(42));
    assert_ne!(next.id(), id);
    let left = format!(
        "SELECT count(*) FROM information_schema.processlist WHERE id = {id}"
    );
    let ends =
        async { while number(&mut next, &left).await.unwrap() != Some(0) {} };
    timeout(TOO_LONG, ends).await.expect("the server stops the query");
    assert_eq!(pool.stats().closed.get(RetireReason::NotReusable), 1);
}

/// What has been idle for the server's `wait_timeout` is closed. A check before the hand-out notices.
#[tokio::test]
async fn wait_timeout_costs_nobody_an_error() {
    let server =
        start_or_skip!(test_servers::MariaDb::start_with(&[("wait_timeout", "1")]));
    let config =
        PoolConfig { check_after_idle: Duration::from_millis(500), ..config(1) };
    let pool = Pool::new(MariaDb::new(opts(&server)), config).unwrap();
    let held = pool.acquire().await.unwrap();
    let sessions = format!(
        "SELECT count(*) FROM information_schema.processlist WHERE id = {}",
        held.id()
    );
    drop(held);
    until("the server has closed it", || server.sql(&sessions).unwrap() == "0")
        .await;
    ask(&pool).await.unwrap();
    assert_eq!(pool.stats().closed.get(RetireReason::CheckFailed), 1);
}

/// `reset.between`: a reset that fails costs one connection.
#[tokio::test]
async fn a_session_that_was_killed_is_not_handed_out() {
    let server = start_or_skip!(test_servers::MariaDb::start());
    let pool = pool(&server, 2);
    let held = pool.acquire().await.unwrap();
    server.sql(&format!("KILL {}", held.id())).unwrap();
    drop(held);
    settle(&pool).await;
    ask(&pool).await.unwrap();
    assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1);
}

/// `connect.permanent`: a wrong password is told at once.
#[tokio::test]
async fn a_wrong_password_is_told_at_once() {
    let server = start_or_skip!(test_servers::MariaDb::start());
    let pool =
        Pool::new(MariaDb::new(opts(&server).pass(Some("wrong"))), config(1))
            .unwrap();
    let Err(AcquireError::Connect(failed)) = pool.acquire().await else {
        panic!("the password is wrong")
    };
    let error: &mysql_async::Error =
        failed.error.manager_error().expect("the server's error");
    assert!(
        matches!(error, mysql_async::Error::Server(error) if error.code == 1045),
        "{error}"
    );
}

/// A full server costs nobody an error while the pool has a connection.
#[tokio::test]
async fn a_full_server_is_lived_with() {
    let server = start_or_skip!(test_servers::MariaDb::start());
    server.sql("SET GLOBAL max_connections = 10").unwrap();
    let config = PoolConfig { max_connecting: 20, ..config(20) };
    let pool = Pool::new(MariaDb::new(opts(&server)), config).unwrap();
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let mut held = pool.acquire().await?;
                number(&mut held, "SELECT 1 + 0 * SLEEP(0.01)").await?;
                Ok::<_, AnyError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // One more than the maximum may log in, if it is a superuser.
    assert!(pool.stats().total_connections <= 11, "{:?}", pool.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_costs_each_connection_one_error_at_most() {
    let mut server = start_or_skip!(test_servers::MariaDb::start());
    let pool = pool(&server, 2);
    ask(&pool).await.unwrap();
    server.restart().unwrap();
    recovers(2, || ask(&pool)).await;
}

/// `close.complete`: no session is left at the server.
#[tokio::test]
async fn a_close_leaves_no_session() {
    let server = start_or_skip!(test_servers::MariaDb::start());
    let pool = pool(&server, 3);
    let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    drop(held);
    pool.close().await;
    let sessions = || {
        server.sql("SELECT count(*) FROM information_schema.processlist WHERE command <> 'Daemon'")
    };
    until("only the one that asks is left", || sessions().unwrap() == "1").await;
}
