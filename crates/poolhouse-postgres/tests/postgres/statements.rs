//! The cache of prepared statements.

use poolhouse::Pool;
use poolhouse_postgres::PrepareCached;
use tokio_postgres::types::Type;

use crate::common::{PATIENCE, Result, admin, config, manager, pool, table};
use crate::shared_or_skip;

async fn prepared(connection: &poolhouse_postgres::PooledPostgres) -> Result<i64> {
    let sql = "SELECT count(*) FROM pg_prepared_statements";
    let messages = connection.simple_query(sql).await?;
    let count = messages.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    count.ok_or_else(|| "a count".into())
}

async fn add(client: &impl PrepareCached, a: i32, b: i32) -> Result<i32> {
    let statement = client.prepare_cached("SELECT $1::int + $2::int").await?;
    Ok(client.client().query_one(&statement, &[&a, &b]).await?.get(0))
}

/// One function serves connections, transactions and savepoints, with one cache.
#[tokio::test]
async fn a_function_takes_a_connection_or_a_transaction() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "either", 1);
    let mut connection = pool.acquire().await?;
    assert_eq!(add(&*connection, 1, 2).await?, 3);
    let mut transaction = connection.transaction().await?;
    assert_eq!(add(&transaction, 3, 4).await?, 7);
    let savepoint = transaction.transaction().await?;
    // As a service does it: in a task.
    assert_eq!(is_send(add(&savepoint, 5, 6)).await?, 11);
    drop(savepoint);
    transaction.commit().await?;
    assert_eq!(connection.cached_statements(), 1);
    Ok(())
}

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

#[tokio::test]
async fn a_statement_is_prepared_once_for_each_connection() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "once", 1);
    for round in 0..5 {
        let mut connection = pool.acquire().await?;
        for _ in 0..3 {
            let statement = connection.prepare_cached("SELECT 1 AS one").await?;
            connection.query_one(&statement, &[]).await?;
        }
        let transaction = connection.transaction().await?;
        let statement = transaction.prepare_cached("SELECT 1 AS one").await?;
        transaction.query_one(&statement, &[]).await?;
        transaction.commit().await?;
        let typed = connection.prepare_typed_cached("SELECT $1 AS two", &[Type::INT8]).await?;
        assert_eq!(connection.query_one(&typed, &[&2_i64]).await?.get::<_, i64>(0), 2);
        let typed = connection.prepare_typed_cached("SELECT $1 AS two", &[Type::TEXT]).await?;
        assert_eq!(connection.query_one(&typed, &[&"two"]).await?.get::<_, &str>(0), "two");
        assert_eq!((connection.cached_statements(), prepared(&connection).await?), (3, 3), "round {round}");
    }
    let connection = pool.acquire().await?;
    connection.clear_statements();
    connection.check_connection().await?;
    assert_eq!((connection.cached_statements(), prepared(&connection).await?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_full_cache_lets_go_of_the_one_unused_for_longest() -> Result {
    let server = shared_or_skip!();
    let pool = Pool::new(manager(server, "full_cache").statement_cache(2), config(1))?;
    let connection = pool.acquire().await?;
    for name in ["a", "b", "a", "c", "a"] {
        connection.prepare_cached(&format!("SELECT 1 AS {name}")).await?;
    }
    connection.check_connection().await?;
    let rows = connection.simple_query("SELECT statement FROM pg_prepared_statements ORDER BY 1").await?;
    let left: Vec<_> = rows
        .iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    assert_eq!(left, ["SELECT 1 AS a", "SELECT 1 AS c"]);
    let none = Pool::new(manager(server, "no_cache").statement_cache(0), config(1))?;
    let connection = none.acquire().await?;
    connection.prepare_cached("SELECT 1").await?;
    assert_eq!(connection.cached_statements(), 0);
    Ok(())
}

/// "cached plan must not change result type": one failure, and not one for each call until the connection ends.
#[tokio::test]
async fn a_change_of_the_schema_fails_once() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "schema", 1));
    table(&admin, "changing").await?;
    let mut failures = Vec::new();
    for round in 0..6 {
        if round == 2 {
            admin.batch_execute("ALTER TABLE changing ADD COLUMN name text").await?;
        }
        if round == 4 {
            let first = "DO $$ BEGIN EXECUTE 'DEALLOCATE ' || quote_ident((SELECT min(name) FROM pg_prepared_statements)); END $$";
            pool.acquire().await?.batch_execute(first).await?;
        }
        let connection = pool.acquire().await?;
        let statement = connection.prepare_cached("SELECT * FROM changing").await?;
        if let Err(error) = connection.query(&statement, &[]).await {
            failures.push((round, error.code().map(|code| code.code().to_owned())));
        }
    }
    assert_eq!(failures, [(2, Some("0A000".to_owned())), (4, Some("26000".to_owned()))]);
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}

/// They take away the statements with which tokio-postgres looks up types, and it does not know.
#[tokio::test]
async fn a_deallocate_all_costs_the_connection() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "deallocates", 1));
    for (connects, sql) in [(1, "DEALLOCATE ALL"), (2, "DISCARD ALL")] {
        admin.batch_execute("DROP TYPE IF EXISTS one, two").await?;
        admin.batch_execute("CREATE TYPE one AS ENUM ('a'); CREATE TYPE two AS ENUM ('b')").await?;
        let connection = pool.acquire().await?;
        connection.prepare_cached("SELECT 'a'::one").await?;
        connection.batch_execute(sql).await?;
        assert_eq!(pool.stats().connections_created, connects);
        drop(connection);
        let connection = pool.acquire().await?;
        for sql in ["SELECT 'a'::one", "SELECT 'b'::two"] {
            let statement = connection.prepare_cached(sql).await?;
            connection.query_one(&statement, &[]).await?;
        }
    }
    // It takes nothing away where nothing has been prepared by name.
    let fresh = crate::common::pool(server, "deallocates", 1);
    for _ in 0..2 {
        let connection = fresh.acquire().await?;
        connection.query_typed_one("SELECT $1", &[(&1, Type::INT4)]).await?;
        connection.batch_execute("DISCARD ALL").await?;
    }
    assert_eq!(fresh.stats().connections_created, 1);
    Ok(())
}

/// Nor does the connection pass to anybody if the answer comes when its caller has gone, or if a hook has asked.
#[tokio::test]
async fn a_discard_all_is_seen_whenever_it_comes() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "discards_late", 1);
    let connection = pool.acquire().await?;
    connection.prepare_cached("SELECT 1").await?;
    let mut discards = Box::pin(connection.batch_execute("DISCARD ALL"));
    // Sent, and its answer not waited for.
    tokio::select! {
        biased;
        _ = &mut discards => panic!("an answer at once"),
        () = std::future::ready(()) => {}
    }
    drop(discards);
    drop(connection);
    drop(pool.acquire().await?);
    assert_eq!(pool.stats().connections_created, 2);

    let hooked = Pool::builder(manager(server, "discards_late"))
        .config(config(1))
        .on_return(|connection, _| {
            Box::pin(async move { Ok(connection.batch_execute("DISCARD ALL").await?) })
        })
        .build()?;
    for connects in 1..=2 {
        hooked.acquire().await?.prepare_cached("SELECT 1").await?;
        drop(hooked.acquire().await?);
        assert_eq!(hooked.stats().connections_created, connects + 1);
    }
    Ok(())
}

/// The statement of a query that is not cached is closed behind the caller's back. That is no reason to wait or to cancel.
#[tokio::test]
async fn statements_that_are_not_kept_cost_nothing_but_their_close() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "not_kept", 1);
    let began = std::time::Instant::now();
    for round in 0..100 {
        let connection = pool.acquire().await?;
        assert_eq!(connection.query_one("SELECT $1::int", &[&round]).await?.get::<_, i32>(0), round);
    }
    assert!(began.elapsed() < PATIENCE / 2);
    assert_eq!((pool.stats().connections_created, prepared(&pool.acquire().await?).await?), (1, 0));
    Ok(())
}

/// A row keeps its statement, so the statement is closed when the row goes: maybe after its connection has come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_may_outlive_the_hold_of_their_connection() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "outlive", 2);
    let callers = (0..6).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            for round in 0..300 {
                let row = pool.acquire().await?.query_one("SELECT $1::int", &[&round]).await?;
                assert_eq!(row.get::<_, i32>(0), round);
            }
            Result::Ok(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    assert_eq!(pool.stats().connections_created, 2);
    Ok(())
}
