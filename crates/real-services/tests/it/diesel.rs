//! Both asynchronous bridges with diesel-async, whose manager implements the traits of both pools.

use diesel::IntoSql;
use diesel::sql_types::Integer;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, PoolableConnection};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use poolhouse::Pool;
use poolhouse_bb8::Bb8;
use poolhouse_deadpool::Deadpool;
use test_servers::{Postgres, start_or_skip};

use crate::common::{config, recovers};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn manager(server: &Postgres) -> AsyncDieselConnectionManager<AsyncPgConnection> {
    AsyncDieselConnectionManager::new(server.url())
}

/// A query, in a transaction.
async fn ask<C: AsyncConnection<Backend = diesel::pg::Pg>>(mut connection: C) -> Result<(), AnyError> {
    let answer = connection
        .transaction::<_, diesel::result::Error, _>(async |connection| {
            diesel::select(42.into_sql::<Integer>()).get_result::<i32>(connection).await
        })
        .await?;
    assert_eq!(answer, 42);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn diesel_async_runs_over_the_bridge_from_bb8() {
    let mut server = start_or_skip!(Postgres::start());
    let pool = Pool::new(Bb8::new(manager(&server)), config(2)).unwrap();
    ask(pool.acquire().await.unwrap()).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let answer = diesel::select(7.into_sql::<Integer>()).get_result::<i32>(&mut connection).await.unwrap();
    assert_eq!(answer, 7);
    drop(connection);

    server.restart().unwrap();
    recovers(2, async || ask(pool.acquire().await?).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diesel_async_runs_over_the_bridge_from_deadpool() {
    let mut server = start_or_skip!(Postgres::start());
    let bridge = Deadpool::new(manager(&server)).with_is_connected(|connection| !connection.is_broken());
    let pool = Pool::new(bridge, config(2)).unwrap();
    ask(pool.acquire().await.unwrap()).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let answer = diesel::select(7.into_sql::<Integer>()).get_result::<i32>(&mut connection).await.unwrap();
    assert_eq!(answer, 7);
    drop(connection);

    server.restart().unwrap();
    recovers(2, async || ask(pool.acquire().await?).await).await;
}
