//! poolhouse-r2d2 with r2d2_postgres. Its client blocks, and panics if it is used or dropped on a runtime's own thread.

use poolhouse::{Pool, RetireReason};
use poolhouse_r2d2::R2d2;
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::postgres::NoTls;
use test_servers::{Postgres, start_or_skip};
use tokio::task::spawn_blocking;

use crate::common::{config, recovers, until};

type Bridge = R2d2<PostgresConnectionManager<NoTls>>;
type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn bridge(server: &Postgres) -> Bridge {
    R2d2::new(PostgresConnectionManager::new(
        server.url().parse().expect("a good address"),
        NoTls,
    ))
}

async fn ask(pool: &Pool<Bridge>) -> Result<(), AnyError> {
    let mut client = pool.acquire().await?;
    let answer: i32 = spawn_blocking(move || {
        Ok::<_, AnyError>(client.query_one("SELECT 42", &[])?.get(0))
    })
    .await??;
    assert_eq!(answer, 42);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r2d2_postgres_runs_a_query_and_recovers_from_a_restart() {
    let mut server = start_or_skip!(Postgres::start());
    let pool = Pool::new(bridge(&server), config(2)).unwrap();
    ask(&pool).await.unwrap();
    server.restart().unwrap();
    recovers(2, || ask(&pool)).await;
}

#[test]
fn r2d2_postgres_runs_a_query_in_threads() {
    let server = start_or_skip!(Postgres::start());
    let pool = poolhouse::blocking::Pool::new(bridge(&server), config(2)).unwrap();
    let ask = || {
        let pool = pool.clone();
        std::thread::spawn(move || {
            pool.acquire()
                .unwrap()
                .query_one("SELECT 42", &[])
                .unwrap()
                .get::<_, i32>(0)
        })
    };
    let threads: Vec<_> = (0..4).map(|_| ask()).collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 42));
    assert!(pool.close_within(crate::common::TOO_LONG).is_complete());
}

/// On a runtime with one thread, from async code: each way in which a connection goes.
#[tokio::test]
async fn a_postgres_client_is_dropped_where_it_may_block() {
    let server = start_or_skip!(Postgres::start());
    let pool = Pool::new(bridge(&server), config(2)).unwrap();
    pool.acquire().await.unwrap().invalidate();
    until("it has gone", || {
        pool.stats().closed.get(RetireReason::Invalidated) == 1
    })
    .await;
    ask(&pool).await.unwrap();
    pool.invalidate_all();
    ask(&pool).await.unwrap();
    pool.close().await;
    let backends = "SELECT count(*) FROM pg_stat_activity \
                    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    // A backend needs a moment to go.
    until("no backend is left", || server.sql(backends).unwrap() == "0").await;
}
