//! Servers that end connections, restart, freeze, and become standbys.

use std::time::Duration;

use poolhouse::{Pool, PoolConfig};
use poolhouse_postgres::PostgresManager;
use test_servers::{Postgres, start_or_skip};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use crate::common::{Error, Result, admin, backends, config, eventually, manager, pid, pool, url, with_app};
use crate::shared_or_skip;

/// `health.known_dead`, with the runtime at its laziest: one thread, which has not looked since.
#[tokio::test]
async fn idle_connections_that_were_terminated_are_not_handed_out() -> Result {
    const COUNT: usize = 12;
    let server = shared_or_skip!();
    let config = PoolConfig { min_connections: COUNT, ..config(COUNT) };
    let pool = Pool::new(manager(server, "terminated"), config)?;
    pool.warm_up().await?;
    assert_eq!(pool.stats().idle_connections, COUNT);
    // `psql` blocks this thread until the server's processes have gone.
    server.sql(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'terminated'",
    )?;
    let mut held = Vec::new();
    for _ in 0..COUNT {
        let connection = pool.acquire().await?;
        connection.query_one("SELECT 1", &[]).await?;
        held.push(connection);
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_terminated_in_use_fails_its_holder_alone() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "in_use", 1));
    let connection = pool.acquire().await?;
    let own = pid(&connection).await?;
    connection.batch_execute("BEGIN").await?;
    admin.execute("SELECT pg_terminate_backend($1, 10000)", &[&own]).await?;
    assert!(connection.batch_execute("COMMIT").await.is_err());
    drop(connection);
    assert_ne!(pid(&pool.acquire().await?).await?, own);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_waited_for() -> Result {
    let mut server = with_app(start_or_skip!(Postgres::start(), Ok(())));
    let pool = pool(&server, "restarted", 2);
    drop(pool.acquire().await?);
    server.stop()?;
    let waits = tokio::spawn(pool.acquire_owned());
    eventually("a connect fails", async || Ok(pool.stats().failed_connects > 0)).await?;
    assert!(!waits.is_finished());
    server.resume()?;
    waits.await??.check_connection().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_holds_nobody_beyond_the_deadline() -> Result {
    let mut server = with_app(start_or_skip!(Postgres::start(), Ok(())));
    let limits = PoolConfig {
        reset_timeout: Duration::from_millis(300),
        close_timeout: Duration::from_millis(300),
        connect_attempt_timeout: Duration::from_millis(500),
        ..config(1)
    };
    let pool = Pool::new(manager(&server, "frozen"), limits)?;
    let connection = pool.acquire().await?;
    server.freeze()?;
    assert!(timeout(Duration::from_millis(50), connection.batch_execute("SELECT 1")).await.is_err());
    drop(connection);
    let refused = pool.acquire_within(Duration::from_secs(2)).await;
    assert!(refused.is_err(), "it is frozen");
    server.thaw()?;
    pool.acquire().await?.check_connection().await?;
    Ok(())
}

/// A server that has vanished takes its share of the time, and the next one is tried.
#[tokio::test]
async fn a_server_that_never_answers_does_not_hide_the_next() -> Result {
    let server = shared_or_skip!();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname=postgres connect_timeout=1",
        silent.local_addr()?.port(),
        server.port()
    );
    let pool = Pool::new(PostgresManager::from_url(&url)?, config(1))?;
    pool.acquire().await?.check_connection().await?;
    Ok(())
}

#[tokio::test]
async fn a_write_refused_in_a_read_only_transaction_costs_nothing() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "read_only", 1);
    let mut connection = pool.acquire().await?;
    let own = pid(&connection).await?;
    let transaction = connection.build_transaction().read_only(true).start().await?;
    let error = transaction.batch_execute("CREATE TABLE never (id int)").await.expect_err("it is read-only");
    assert_eq!(error.code().map(SqlState::code), Some("25006"));
    drop(transaction);
    drop(connection);
    assert_eq!(pid(&pool.acquire().await?).await?, own);
    Ok(())
}

/// The old primary is told to take no more writes, as in a planned failover. Its sessions stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_one_failed_write_is_enough() -> Result {
    const COUNT: usize = 4;
    let old = with_app(start_or_skip!(Postgres::start(), Ok(())));
    let new = with_app(start_or_skip!(Postgres::start(), Ok(())));
    for server in [&old, &new] {
        server.sql("CREATE TABLE kept (id int); GRANT ALL ON kept TO app")?;
    }
    let url = format!(
        "postgres://app:secret@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        old.port(),
        new.port()
    );
    let config = PoolConfig { min_connections: COUNT, ..config(COUNT) };
    let pool = Pool::new(PostgresManager::from_url(&url)?, config)?;
    pool.warm_up().await?;
    old.sql("ALTER SYSTEM SET default_transaction_read_only = on")?;
    old.sql("SELECT pg_reload_conf()")?;
    let write =
        async || pool.acquire().await?.execute("INSERT INTO kept VALUES (1)", &[]).await.map_err(Into::into);
    eventually("a write fails", async || Ok::<_, Error>(Result::<u64>::is_err(&write().await))).await?;
    eventually("its connection goes", async || Ok(pool.stats().connections_destroyed > 0)).await?;
    let before: i64 = new.sql("SELECT count(*) FROM kept")?.parse()?;
    for _ in 0..4 * COUNT {
        write().await?;
    }
    let after: i64 = new.sql("SELECT count(*) FROM kept")?.parse()?;
    assert_eq!(after - before, 4 * COUNT as i64);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_takes_over() -> Result {
    let mut primary = with_app(start_or_skip!(Postgres::start(), Ok(())));
    primary.sql("CREATE TABLE kept (id int); GRANT ALL ON kept TO app")?;
    let standby = primary.standby()?;
    let url = format!(
        "postgres://app:secret@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        standby.port(),
        primary.port()
    );
    let pool = Pool::new(PostgresManager::from_url(&url)?, config(2))?;
    pool.acquire().await?.execute("INSERT INTO kept VALUES (1)", &[]).await?;
    eventually("the standby has the row", async || Ok(standby.sql("SELECT count(*) FROM kept")? == "1"))
        .await?;
    primary.stop()?;
    let waits = tokio::spawn(pool.acquire_owned());
    eventually("a connect fails", async || Ok(pool.stats().failed_connects > 0)).await?;
    standby.sql("SELECT pg_promote()")?;
    waits.await??.execute("INSERT INTO kept VALUES (2)", &[]).await?;
    assert_eq!(standby.sql("SELECT count(*) FROM kept")?, "2");
    Ok(())
}

/// A name or an address that still leads to a standby: the next connect may find the primary there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_refused_by_a_standby_costs_the_connection() -> Result {
    let primary = with_app(start_or_skip!(Postgres::start(), Ok(())));
    primary.sql("CREATE TABLE kept (id int); GRANT ALL ON kept TO app")?;
    let standby = primary.standby()?;
    let pool = pool(&standby, "refused", 1);
    let connection = pool.acquire().await?;
    let own = pid(&connection).await?;
    assert!(connection.execute("INSERT INTO kept VALUES (1)", &[]).await.is_err());
    drop(connection);
    assert_ne!(pid(&pool.acquire().await?).await?, own);
    Ok(())
}

#[tokio::test]
async fn a_session_that_timed_out_is_not_handed_out() -> Result {
    let server = shared_or_skip!();
    let admin = admin(server).await?;
    let url = format!("{}&options=-c%20idle_session_timeout%3D100", url(server.port(), "timed_out"));
    let pool = Pool::new(PostgresManager::from_url(&url)?, config(1))?;
    for _ in 0..3 {
        pool.acquire().await?.query_one("SELECT 1", &[]).await?;
        eventually("the server ends it", async || Ok(backends(&admin, "timed_out").await? == 0)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_statement_that_timed_out_costs_nothing() -> Result {
    let server = shared_or_skip!();
    let url = format!("{}&options=-c%20statement_timeout%3D50", url(server.port(), "slow"));
    let pool = Pool::new(PostgresManager::from_url(&url)?, config(1))?;
    for _ in 0..3 {
        let error = pool.acquire().await?.batch_execute("SELECT pg_sleep(60)").await.expect_err("it is slow");
        assert_eq!(error.code().map(SqlState::code), Some("57014"));
    }
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}
