//! `ResetPolicy::DiscardAll`: the session is as good as new, and the statements are kept.

use poolhouse::Pool;
use poolhouse_postgres::{PostgresManager, ResetPolicy};

use crate::common::{Result, admin, config, manager, pid, pool, url};
use crate::shared_or_skip;

const LITTER: &str = "
SET statement_timeout = '5s';
SET search_path = elsewhere;
CREATE TEMPORARY TABLE litter (id int);
SELECT pg_advisory_lock(42);
PREPARE \"my statement\" AS SELECT 1;
LISTEN news;
DECLARE litter_cursor CURSOR WITH HOLD FOR SELECT 1;
";

const LEFT: &str = "
SELECT current_setting('statement_timeout') || ' ' || current_setting('search_path') || ' '
    || (SELECT count(*) FROM pg_class WHERE relname = 'litter') || ' '
    || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) || ' '
    || (SELECT count(*) FROM pg_prepared_statements WHERE from_sql) || ' '
    || (SELECT count(*) FROM pg_listening_channels()) || ' '
    || (SELECT count(*) FROM pg_cursors WHERE name = 'litter_cursor')
";

#[tokio::test]
async fn nothing_of_a_session_is_left() -> Result {
    let server = shared_or_skip!();
    let pool = Pool::new(manager(server, "discards").reset_policy(ResetPolicy::DiscardAll), config(1))?;
    let first = pool.acquire().await?;
    let own = pid(&first).await?;
    first.prepare_cached("SELECT 1").await?;
    first.batch_execute(LITTER).await?;
    first.batch_execute("BEGIN").await?;
    drop(first);
    let second = pool.acquire().await?;
    assert_eq!(pid(&second).await?, own);
    let left: String = second.query_one(LEFT, &[]).await?.get(0);
    assert_eq!(left, "0 \"$user\", public 0 0 0 0 0");
    assert_eq!(second.cached_statements(), 1);
    let kept = second.prepare_cached("SELECT 1").await?;
    second.query_one(&kept, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn without_it_a_session_keeps_its_settings() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "keeps", 1);
    pool.acquire().await?.batch_execute("SET statement_timeout = '5s'").await?;
    let timeout: String = pool.acquire().await?.query_one("SHOW statement_timeout", &[]).await?.get(0);
    assert_eq!(timeout, "5s");
    Ok(())
}

/// Settings of the login hold for every session, those of a hook for its first holder.
#[tokio::test]
async fn settings_of_the_login_outlive_a_reset() -> Result {
    let server = shared_or_skip!();
    let url = format!("{}&options=-c%20statement_timeout%3D5s", url(server.port(), "login_settings"));
    let manager = PostgresManager::from_url(&url)?.reset_policy(ResetPolicy::DiscardAll);
    let pool = Pool::builder(manager)
        .config(config(1))
        .after_connect(|connection| {
            Box::pin(async move { Ok(connection.batch_execute("SET lock_timeout = '3s'").await?) })
        })
        .build()?;
    let show = "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')";
    for expected in ["5s 3s", "5s 0", "5s 0"] {
        let settings: String = pool.acquire().await?.query_one(show, &[]).await?.get(0);
        assert_eq!(settings, expected);
    }
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}

/// tokio-postgres keeps a statement of its own to ask for types that it does not know. `DISCARD ALL` would take it away.
#[tokio::test]
async fn types_of_your_own_work_after_a_reset() -> Result {
    let server = shared_or_skip!();
    let admin = admin(server).await?;
    admin.batch_execute("CREATE TYPE mood AS ENUM ('ok'); CREATE TYPE weather AS ENUM ('fair')").await?;
    let pool = Pool::new(manager(server, "types").reset_policy(ResetPolicy::DiscardAll), config(1))?;
    for sql in ["SELECT 'ok'::mood", "SELECT 'fair'::weather"] {
        let connection = pool.acquire().await?;
        let row = connection.query_one(sql, &[]).await?;
        assert!(matches!(row.columns()[0].type_().name(), "mood" | "weather"));
    }
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}
