//! The programs of the pages "Coming from ..": each runs before and after its move, and the move is short.

use std::collections::HashMap;
use std::fs;

use test_servers::{Postgres, Redis, start_or_skip};

/// The most lines that a move adds.
const SHORT: usize = 15;

macro_rules! programs {
    ($($name:ident $path:literal;)*) => {
        $(
            #[allow(dead_code, unreachable_pub, reason = "its `main`")]
            #[path = $path]
            mod $name;
        )*
    };
}

programs! {
    bb8_redis_before "../../examples/bb8_redis_before.rs";
    bb8_redis_after "../../examples/bb8_redis_after.rs";
    deadpool_postgres_before "../../examples/deadpool_postgres_before.rs";
    deadpool_postgres_after "../../examples/deadpool_postgres_after.rs";
    diesel_async_before "../../examples/diesel_async_before.rs";
    diesel_async_after "../../examples/diesel_async_after.rs";
    r2d2_postgres_before "../../examples/r2d2_postgres_before.rs";
    r2d2_postgres_after "../../examples/r2d2_postgres_after.rs";
    sqlx_postgres_before "../../examples/sqlx_postgres_before.rs";
    sqlx_postgres_after "../../examples/sqlx_postgres_after.rs";
}

fn postgres_with(sql: &str) -> Option<Postgres> {
    let server = test_servers::or_skip(Postgres::start())?;
    server.sql(sql).unwrap();
    Some(server)
}

const ACCOUNTS: &str = "CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL); \
                        INSERT INTO accounts VALUES (1, 100), (2, 0)";
const VISITS: &str = "CREATE TABLE visits (page text PRIMARY KEY, count int NOT NULL); INSERT INTO visits VALUES ('home', 0)";

#[tokio::test(flavor = "multi_thread")]
async fn a_bb8_redis_service_moves() {
    let server = start_or_skip!(Redis::start());
    assert_eq!(bb8_redis_before::run(&server.url()).await.unwrap(), 32);
    assert_eq!(bb8_redis_after::run(&server.url()).await.unwrap(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadpool_postgres_service_moves() {
    let Some(server) = postgres_with(ACCOUNTS) else { return };
    assert_eq!(deadpool_postgres_before::run(&server.url()).await.unwrap(), 32);
    assert_eq!(deadpool_postgres_after::run(&server.url()).await.unwrap(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diesel_async_service_moves() {
    let Some(server) = postgres_with(VISITS) else { return };
    assert_eq!(diesel_async_before::run(&server.url()).await.unwrap(), 32);
    assert_eq!(diesel_async_after::run(&server.url()).await.unwrap(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sqlx_service_moves() {
    let Some(server) = postgres_with(ACCOUNTS) else { return };
    assert_eq!(sqlx_postgres_before::run(&server.url()).await.unwrap(), 32);
    assert_eq!(sqlx_postgres_after::run(&server.url()).await.unwrap(), 64);
}

#[test]
fn an_r2d2_postgres_service_moves() {
    let Some(server) = postgres_with(VISITS) else { return };
    assert_eq!(r2d2_postgres_before::run(&server.url()).unwrap(), 32);
    assert_eq!(r2d2_postgres_after::run(&server.url()).unwrap(), 64);
}

#[test]
fn each_move_is_short() {
    for name in [
        "bb8_redis",
        "deadpool_postgres",
        "diesel_async",
        "r2d2_postgres",
        "sqlx_postgres",
    ] {
        let read = |which: &str| {
            let file = format!(
                "{}/examples/{name}_{which}.rs",
                env!("CARGO_MANIFEST_DIR")
            );
            fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let (before, after) = (read("before"), read("after"));
        let mut known: HashMap<&str, usize> = HashMap::new();
        for line in before.lines() {
            *known.entry(line).or_default() += 1;
        }
        let added: Vec<&str> = after
            .lines()
            .filter(|line| match known.get_mut(line) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    false
                }
                _ => true,
            })
            .collect();
        assert!(
            added.len() <= SHORT,
            "{name}: {} lines\n{}",
            added.len(),
            added.join("\n")
        );
    }
}
