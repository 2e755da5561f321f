//! Both asynchronous bridges with diesel-async, whose manager implements the
//! traits of both pools.

use std::time::Instant;

use diesel::IntoSql;
use diesel::result::ConnectionError::CouldntSetupConfiguration;
use diesel::result::Error::DatabaseError;
use diesel::sql_types::{Integer, Text};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError, PoolableConnection,
    RecyclingMethod,
};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use poolhouse::{AcquireError, FailureKind, Pool};
use poolhouse_bb8::Bb8;
use poolhouse_deadpool::Deadpool;
use test_servers::{Postgres, start_or_skip};

use crate::common::{TOO_LONG, config, hand_over, recovers, until};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn manager(server: &Postgres) -> AsyncDieselConnectionManager<AsyncPgConnection> {
    AsyncDieselConnectionManager::new(server.url())
}

/// A query, in a transaction.
async fn ask<C: AsyncConnection<Backend = diesel::pg::Pg>>(
    mut connection: C,
) -> Result<(), AnyError> {
    let answer = connection
        .transaction::<_, diesel::result::Error, _>(async |connection| {
            diesel::select(42.into_sql::<Integer>())
                .get_result::<i32>(connection)
                .await
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
    let answer = diesel::select(7.into_sql::<Integer>())
        .get_result::<i32>(&mut connection)
        .await
        .unwrap();
    assert_eq!(answer, 7);
    drop(connection);

    server.restart().unwrap();
    recovers(2, async || ask(pool.acquire().await?).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diesel_async_runs_over_the_bridge_from_deadpool() {
    let mut server = start_or_skip!(Postgres::start());
    let manager = manager(&server);
    // ANCHOR: deadpool
    let bridge = Deadpool::new(manager).with_is_connected(|one| !one.is_broken());
    // ANCHOR_END: deadpool
    let pool = Pool::new(bridge, config(2)).unwrap();
    ask(pool.acquire().await.unwrap()).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let answer = diesel::select(7.into_sql::<Integer>())
        .get_result::<i32>(&mut connection)
        .await
        .unwrap();
    assert_eq!(answer, 7);
    drop(connection);

    server.restart().unwrap();
    recovers(2, async || ask(pool.acquire().await?).await).await;
}

/// `connect.permanent`
#[tokio::test(flavor = "multi_thread")]
async fn with_diesel_async_a_wrong_password_is_told_at_once() {
    let server = start_or_skip!(Postgres::start());
    server.sql("CREATE ROLE app LOGIN PASSWORD 'right'").unwrap();
    let url = format!("postgres://app:wrong@127.0.0.1:{}/postgres", server.port());
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    // ANCHOR: password
    let bridge = Bb8::new(manager).classify_with(|error| match error {
        PoolError::ConnectionError(CouldntSetupConfiguration(DatabaseError(
            _,
            answer,
        ))) if answer.message().starts_with("password authentication failed") => {
            FailureKind::Permanent
        }
        _ => FailureKind::Transient,
    });
    // ANCHOR_END: password
    let pool = Pool::new(bridge, config(1)).unwrap();
    let began = Instant::now();
    let error = pool.acquire().await.unwrap_err();
    assert!(began.elapsed() < TOO_LONG / 2);
    assert!(matches!(error, AcquireError::Connect(_)), "{error}");
}

/// A transaction that was dropped half-way costs the connection: nobody else works
/// in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_diesel_async_that_was_dropped_reaches_nobody() {
    let server = start_or_skip!(Postgres::start());
    let pool = Pool::new(Bb8::new(manager(&server)), config(1)).unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let never = connection.transaction::<(), diesel::result::Error, _>(
        async |connection| {
            diesel::sql_query("CREATE TABLE half ()").execute(connection).await?;
            std::future::pending().await
        },
    );
    assert!(
        tokio::time::timeout(std::time::Duration::from_secs(1), never)
            .await
            .is_err()
    );
    drop(connection);
    ask(pool.acquire().await.unwrap()).await.unwrap();
    assert_eq!(pool.stats().connections_created, 2);
    until("the server has rolled back", || {
        server
            .sql("SELECT count(*) FROM pg_class WHERE relname = 'half'")
            .unwrap()
            .contains('0')
    })
    .await;
}

#[derive(diesel::QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    name: String,
}

/// `reset.between`, by the manager's own recycling method. Without it the setting
/// of one holder reaches the next.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_custom_query_diesel_async_leaks_no_setting_to_a_waiter() {
    let server = start_or_skip!(Postgres::start());
    // ANCHOR: reset
    let mut settings = ManagerConfig::default();
    settings.recycling_method = RecyclingMethod::CustomQuery("RESET ALL".into());
    // ANCHOR_END: reset
    for (settings, leaks) in [(settings, false), (ManagerConfig::default(), true)] {
        let manager =
            AsyncDieselConnectionManager::<AsyncPgConnection>::new_with_config(
                server.url(),
                settings,
            );
        let pool = Pool::new(Bb8::new(manager), config(1)).unwrap();
        let mut held = pool.acquire().await.unwrap();
        diesel::sql_query("SET application_name = 'mine'")
            .execute(&mut held)
            .await
            .unwrap();
        let mut next = hand_over(&pool, held).await;
        let query =
            diesel::sql_query("SELECT current_setting('application_name') AS name");
        let found = query.get_result::<Setting>(&mut next).await.unwrap();
        assert_eq!(found.name == "mine", leaks);
    }
}
