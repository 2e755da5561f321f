//! Behind PgBouncer in transaction mode.

use std::path::Path;
use std::time::Duration;

use poolhouse::{AcquireErrorKind, Pool, RetireReason};
use poolhouse_postgres::{PostgresManager, ResetPolicy};
use test_servers::{PgBouncer, start_or_skip};
use tokio::time::timeout;
use tokio_postgres::types::Type;

use crate::common::{PATIENCE, Result, admin, config, eventually, rows, table, url};
use crate::shared_or_skip;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_behind_a_pooler_in_transaction_mode_works() -> Result {
    const CLIENTS: usize = 6;
    let server = shared_or_skip!();
    let settings = [("default_pool_size", "2")];
    let proxy = start_or_skip!(PgBouncer::start(server, &[("app", "secret")], &settings), Ok(()));
    let admin = admin(server).await?;
    table(&admin, "behind_bouncer").await?;
    let manager = PostgresManager::from_url(&url(proxy.port(), "bounced"))?
        .reset_policy(ResetPolicy::DiscardAll)
        .behind_transaction_pooler();
    let pool = Pool::new(manager, config(CLIENTS))?;

    let workers = (0..CLIENTS).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            for round in 0..20 {
                let mut connection = pool.acquire().await?;
                let row = connection.query_typed_one("SELECT $1", &[(&round, Type::INT4)]).await?;
                assert_eq!(row.get::<_, i32>(0), round);
                let transaction = connection.transaction().await?;
                let statement = transaction.prepare_cached("INSERT INTO behind_bouncer VALUES ($1)").await?;
                transaction.execute(&statement, &[&round]).await?;
                transaction.commit().await?;
                assert_eq!(connection.cached_statements(), 0);
            }
            Result::Ok(())
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await??;
    }
    assert_eq!(rows(&admin, "behind_bouncer").await?, 20 * CLIENTS as i64);

    // What is left open, and what is left running.
    let connection = pool.acquire().await?;
    connection.batch_execute("BEGIN; INSERT INTO behind_bouncer VALUES (-1)").await?;
    drop(connection);
    let failed_resets = || pool.stats().closed.get(RetireReason::ResetFailed);
    let before = failed_resets();
    for _ in 0..CLIENTS {
        let connection = pool.acquire().await?;
        assert!(!connection.is_in_transaction());
        let sleeps =
            connection.batch_execute("BEGIN; INSERT INTO behind_bouncer VALUES (-1); SELECT pg_sleep(60)");
        assert!(timeout(Duration::from_millis(50), sleeps).await.is_err());
    }
    // The proxy may pass a cancel request on late, so none of them is used again.
    eventually("each is closed", async || Ok(failed_resets() >= before + CLIENTS as u64)).await?;
    eventually("the statements are cancelled", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity \
                   WHERE query LIKE 'BEGIN%behind_bouncer%sleep%' AND state = 'active'";
        Ok(admin.query_one(sql, &[]).await?.get::<_, i64>(0) == 0)
    })
    .await?;
    pool.acquire().await?.check_connection().await?;
    assert_eq!(rows(&admin, "behind_bouncer").await?, 20 * CLIENTS as i64);
    pool.close().await;
    Ok(())
}

/// PgBouncer has one SQLSTATE for everything, so the kind comes from its words.
#[tokio::test]
async fn a_wrong_password_behind_a_pooler_fails_at_once() -> Result {
    let server = shared_or_skip!();
    let hba = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgbouncer-hba");
    for method in ["md5", "scram-sha-256"] {
        std::fs::write(
            &hba,
            format!("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 {method}\n"),
        )?;
        let settings = [("auth_type", "hba"), ("auth_hba_file", hba.to_str().expect("UTF-8"))];
        let proxy = start_or_skip!(PgBouncer::start(server, &[("app", "secret")], &settings), Ok(()));
        let right = url(proxy.port(), "bounced");
        drop(Pool::new(PostgresManager::from_url(&right)?, config(1))?.acquire().await?);
        for wrong in [right.replace("secret", "old"), right.replace("app:secret", "nobody:secret")] {
            let pool = Pool::new(PostgresManager::from_url(&wrong)?, config(1))?;
            let error = timeout(PATIENCE / 4, pool.acquire()).await?.expect_err("a wrong password");
            assert_eq!(error.kind(), AcquireErrorKind::Connect, "{error}");
            let text = error.to_string();
            assert!(text.contains("08P01") && text.contains("check the"), "{method}: {text}");
        }
    }
    Ok(())
}
