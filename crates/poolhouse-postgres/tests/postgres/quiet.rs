//! What the watch knows about a session, with the manager called as the pool calls it.

use std::time::Duration;

use poolhouse::{Manager, RetireReason};
use poolhouse_postgres::{PostgresConnection, PostgresManager};
use tokio::time::timeout;

use crate::common::{Result, admin, eventually, manager};
use crate::shared_or_skip;

/// Whether a connection could go straight to the next caller.
fn is_as_good_as_new(manager: &PostgresManager, connection: &mut PostgresConnection) -> bool {
    manager.is_reusable(connection) && !manager.needs_reset(connection) && manager.is_connected(connection)
}

#[tokio::test]
async fn a_use_that_leaves_nothing_behind_needs_no_reset() -> Result {
    let server = shared_or_skip!();
    let manager = manager(server, "quiet");
    let mut connection = manager.connect().await?;
    for round in 0..50 {
        let statement = connection.prepare_cached("SELECT $1::int").await?;
        connection.query_one(&statement, &[&round]).await?;
        let transaction = connection.transaction().await?;
        transaction.query_one(&statement, &[&round]).await?;
        transaction.commit().await?;
        connection.batch_execute("SELECT 1; SELECT 2").await?;
        connection.execute(&statement, &[&round]).await?;
        assert!(is_as_good_as_new(&manager, &mut connection), "round {round}");
        manager.check(&mut connection).await?;
        assert!(is_as_good_as_new(&manager, &mut connection), "round {round}, after a check");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_under_way_needs_a_reset() -> Result {
    let server = shared_or_skip!();
    let (admin, manager) = (admin(server).await?, manager(server, "under_way"));
    let mut connection = manager.connect().await?;
    connection.check_connection().await?;
    assert!(!manager.needs_reset(&mut connection));
    // Queued, and not seen by the driver yet: no turn of the runtime has passed.
    let mut sleeps = Box::pin(connection.batch_execute("SELECT pg_sleep(60)"));
    assert!(futures_util::FutureExt::now_or_never(&mut sleeps).is_none());
    drop(sleeps);
    assert!(manager.is_reusable(&mut connection) && manager.needs_reset(&mut connection));
    // Under way.
    eventually("the statement runs", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'under_way' AND query LIKE '%sleep%'";
        Ok(admin.query_one(sql, &[]).await?.get::<_, i64>(0) == 1)
    })
    .await?;
    assert!(manager.needs_reset(&mut connection));
    timeout(Duration::from_secs(20), manager.reset(&mut connection)).await??;
    assert!(is_as_good_as_new(&manager, &mut connection));
    Ok(())
}

#[tokio::test]
async fn a_close_ends_the_servers_process_before_it_returns() -> Result {
    let server = shared_or_skip!();
    let (admin, manager) = (admin(server).await?, manager(server, "closes"));
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'closes'";
    // Dropping its temporary tables keeps a process busy after the goodbye.
    let tables = "DO $$ BEGIN FOR i IN 1..60 LOOP \
                  EXECUTE 'CREATE TEMPORARY TABLE t' || i || ' (id int)'; END LOOP; END $$";
    for _ in 0..3 {
        let mut connection = manager.connect().await?;
        connection.prepare_cached("SELECT 1").await?;
        connection.batch_execute(tables).await?;
        connection.batch_execute("BEGIN").await?;
        assert!(manager.needs_close(&mut connection, RetireReason::Idle));
        manager.close(connection).await;
        assert_eq!(admin.query_one(count, &[]).await?.get::<_, i64>(0), 0);
    }
    Ok(())
}

/// Dropped without a close, as by a runtime that ends: the socket goes, also in the middle of an exchange.
#[tokio::test]
async fn a_drop_ends_the_connection() -> Result {
    let server = shared_or_skip!();
    let (admin, manager) = (admin(server).await?, manager(server, "dropped"));
    let idle = manager.connect().await?;
    let busy = manager.connect().await?;
    let copied = busy.copy_out("COPY (SELECT generate_series(1, 100000000)) TO STDOUT").await?;
    drop(copied);
    drop((idle, busy));
    eventually("both have gone", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dropped'";
        Ok(admin.query_one(sql, &[]).await?.get::<_, i64>(0) == 0)
    })
    .await
}
