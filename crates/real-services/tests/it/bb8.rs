//! poolhouse-bb8 with bb8-postgres and bb8-redis.

use std::time::Instant;

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::tokio_postgres::error::SqlState;
use bb8_postgres::tokio_postgres::{self, NoTls};
use bb8_redis::RedisConnectionManager;
use bb8_redis::redis::{self, AsyncCommands};
use poolhouse::{FailureKind, Pool, PoolConfig, RetireReason};
use poolhouse_bb8::Bb8;
use test_servers::{Postgres, Redis, start_or_skip};

use crate::common::{TOO_LONG, config, hand_over, recovers, settle};

type PostgresBridge = Bb8<PostgresConnectionManager<NoTls>>;

fn postgres(url: &str) -> PostgresBridge {
    Bb8::new(
        PostgresConnectionManager::new_from_stringlike(url, NoTls)
            .expect("a good address"),
    )
}

async fn ask(
    pool: &Pool<PostgresBridge>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let connection = pool.acquire().await?;
    let row = connection.query_one("SELECT 1 + $1::int4", &[&41]).await?;
    assert_eq!(row.get::<_, i32>(0), 42);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bb8_postgres_runs_a_query() {
    let server = start_or_skip!(Postgres::start());
    let pool = Pool::new(postgres(&server.url()), config(2)).unwrap();
    ask(&pool).await.unwrap();

    // What wants `&mut Client`.
    let mut connection = pool.acquire().await.unwrap();
    let transaction = connection.transaction().await.unwrap();
    transaction.batch_execute("CREATE TABLE t (); DROP TABLE t").await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_bb8_postgres_the_pool_recovers_from_a_restart() {
    let mut server = start_or_skip!(Postgres::start());
    for test_on_return in [true, false] {
        let bridge = postgres(&server.url()).test_on_return(test_on_return);
        let pool = Pool::new(bridge, config(4)).unwrap();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pool.acquire().await.unwrap());
        }
        drop(held);
        server.restart().unwrap();
        let failures = recovers(4, || ask(&pool)).await;
        println!(
            "test_on_return({test_on_return}): {failures} failed after the restart"
        );
        for _ in 0..10 {
            ask(&pool).await.unwrap();
        }
    }
}

/// `connect.permanent`
#[tokio::test(flavor = "multi_thread")]
async fn with_bb8_postgres_a_wrong_password_is_told_at_once() {
    let server = start_or_skip!(Postgres::start());
    server.sql("CREATE ROLE app LOGIN PASSWORD 'right'").unwrap();
    let url = format!("postgres://app:wrong@127.0.0.1:{}/postgres", server.port());
    let bridge =
        postgres(&url).with_target("127.0.0.1").classify_with(|error| match error
            .code()
        {
            Some(&SqlState::INVALID_PASSWORD) => FailureKind::Permanent,
            _ => FailureKind::Transient,
        });
    let pool = Pool::new(bridge, config(1)).unwrap();
    let began = Instant::now();
    let error = pool.acquire().await.unwrap_err();
    assert!(began.elapsed() < TOO_LONG / 2);
    assert!(
        error
            .to_string()
            .contains("password authentication failed for user \"app\""),
        "{error}"
    );
    assert!(!error.to_string().contains("wrong"), "{error}");
    assert!(error.manager_error::<tokio_postgres::Error>().is_some());
}

fn redis(server: &Redis) -> Bb8<RedisConnectionManager> {
    Bb8::new(RedisConnectionManager::new(server.url()).expect("a good address"))
}

#[tokio::test(flavor = "multi_thread")]
async fn bb8_redis_runs_a_command() {
    let server = start_or_skip!(Redis::start());
    let pool = Pool::new(redis(&server), config(2)).unwrap();
    let mut connection = pool.acquire().await.unwrap();
    connection.set::<_, _, ()>("key", 42).await.unwrap();
    let answer: i64 =
        redis::cmd("GET").arg("key").query_async(&mut *connection).await.unwrap();
    assert_eq!(answer, 42);
}

/// Its `has_broken` is always `false`: `is_valid` has to find what was killed in use, before the next holder does.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_connection_that_was_killed_in_use_is_not_handed_on() {
    let server = start_or_skip!(Redis::start());
    let pool = Pool::new(redis(&server), config(1)).unwrap();
    let mut held = pool.acquire().await.unwrap();
    held.set::<_, _, ()>("key", 42).await.unwrap();
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    let mut next = hand_over(&pool, held).await;
    assert_eq!(next.get::<_, i64>("key").await.unwrap(), 42);
    assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1);
}

/// With `check_after_idle`, one that was killed idle is not handed out.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_connection_that_was_killed_idle_is_not_handed_out() {
    let server = start_or_skip!(Redis::start());
    let config =
        PoolConfig { check_after_idle: std::time::Duration::ZERO, ..config(10) };
    let pool = Pool::new(redis(&server), config).unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    settle(&pool).await;
    assert_eq!(pool.stats().idle_connections, 10);
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    for _ in 0..20 {
        let mut connection = pool.acquire().await.unwrap();
        connection
            .set::<_, _, ()>("key", 42)
            .await
            .expect("no dead connection is handed out");
    }
}
