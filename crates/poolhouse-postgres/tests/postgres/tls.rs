//! TLS: the certificate is verified, whatever `sslmode` says.

use std::time::Duration;

use poolhouse::{AcquireError, Pool, PoolConfig};
use poolhouse_postgres::{PostgresManager, Tls};
use test_servers::{Postgres, start_or_skip};
use tokio::time::timeout;

use crate::common::{PATIENCE, Result, config, with_app};

/// A server that speaks TLS, and its own certificate.
fn server_with_tls() -> Result<Option<(Postgres, String)>> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let (certificate, key) = (certified.cert.pem(), certified.signing_key.serialize_pem());
    let Some(server) = test_servers::or_skip(Postgres::start_with_tls(&certificate, &key)) else {
        return Ok(None);
    };
    Ok(Some((with_app(server), certificate)))
}

fn url(server: &Postgres, host: &str, mode: &str) -> String {
    format!("postgres://app:secret@{host}:{}/postgres?hostaddr=127.0.0.1&sslmode={mode}", server.port())
}

async fn speaks_tls(url: &str, tls: Tls) -> Result<bool> {
    let pool = Pool::new(PostgresManager::from_url(url)?.tls(tls), config(1))?;
    let connection = pool.acquire().await?;
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let secure = connection.query_one(sql, &[]).await?.get(0);
    // A cancel request goes the same way.
    assert!(
        timeout(Duration::from_millis(50), connection.batch_execute("SELECT pg_sleep(60)")).await.is_err()
    );
    drop(connection);
    pool.acquire().await?.check_connection().await?;
    assert_eq!(pool.stats().connections_created, 1, "cancelled, and kept");
    let connection = pool.acquire().await?;
    let endless =
        connection.query_raw("SELECT generate_series(1, 100000000)", std::iter::empty::<i32>()).await?;
    drop(connection);
    timeout(PATIENCE / 10, pool.acquire()).await??.check_connection().await?;
    assert_eq!(pool.stats().connections_created, 2, "one that its holder still uses is cut off");
    drop(endless);
    pool.close().await;
    Ok(secure)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_to_prove_who_it_is() -> Result {
    let Some((server, certificate)) = server_with_tls()? else { return Ok(()) };
    let own = || Tls::with_roots(certificate.as_bytes());
    assert!(speaks_tls(&url(&server, "localhost", "require"), own()?).await?);
    assert!(speaks_tls(&url(&server, "localhost", "prefer"), own()?).await?);
    assert!(!speaks_tls(&url(&server, "localhost", "disable"), own()?).await?);

    for (host, mode, tls) in [
        ("localhost", "require", Tls::new()),
        ("localhost", "prefer", Tls::new()),
        ("db.example", "require", own()?),
    ] {
        let manager = PostgresManager::from_url(&url(&server, host, mode))?.tls(tls);
        let error = Pool::new(manager, config(1))?.acquire().await.expect_err("it cannot prove it");
        assert!(matches!(error, AcquireError::Connect(_)), "at once: {error}");
        assert!(error.to_string().contains("root certificate"), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_refused_if_tls_is_required() -> Result {
    let server = with_app(start_or_skip!(Postgres::start(), Ok(())));
    let config = PoolConfig { connection_timeout: Duration::from_secs(5), ..config(1) };
    let manager = PostgresManager::from_url(&url(&server, "localhost", "require"))?.tls(Tls::new());
    let error = Pool::new(manager, config)?.acquire().await.expect_err("it has no TLS");
    assert!(error.to_string().contains("speaks no TLS"), "{error}");
    assert!(!speaks_tls(&url(&server, "localhost", "prefer"), Tls::new()).await?);
    Ok(())
}

#[test]
fn roots_that_are_none_are_told() {
    assert!(Tls::with_roots(b"nothing").is_err());
}
