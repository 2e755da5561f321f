//! Logins that fail, what they say, and how the pool takes it.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use poolhouse::{AcquireError, FailureKind, Pool, PoolConfig};
use poolhouse_postgres::{PostgresError, PostgresManager};
use test_servers::{Postgres, start_or_skip};
use tokio::time::timeout;
use tokio_postgres::error::DbError;

use crate::common::{PATIENCE, Result, admin, config, eventually, manager, pid, url, with_app};
use crate::shared_or_skip;

/// What an acquire says of a connection string that no server lets in.
async fn refusal(url: &str) -> Result<AcquireError> {
    let pool = Pool::new(PostgresManager::from_url(url)?, config(2))?;
    let began = Instant::now();
    let error = pool.acquire().await.expect_err("nobody is let in");
    assert!(began.elapsed() < PATIENCE / 2, "a permanent failure is told at once: {error}");
    assert!(matches!(error, AcquireError::Connect(_)), "{error}");
    Ok(error)
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_in_the_servers_words() -> Result {
    let server = shared_or_skip!();
    let error = refusal(&url(server.port(), "wrong").replace("secret", "hunter2")).await?;
    let text = error.to_string();
    assert!(text.contains("28P01") && text.contains("check the password"), "{text}");
    assert_eq!(text.matches("password authentication failed for user").count(), 1, "{text}");
    assert!(!text.contains("hunter2") && !text.contains("db error"), "{text}");
    let login: &PostgresError = error.manager_error().expect("the manager's own error");
    assert_eq!(login.kind(), FailureKind::Permanent);
    assert!(login.source().is_some_and(<dyn Error>::is::<DbError>));
    Ok(())
}

#[tokio::test]
async fn a_database_or_a_password_that_is_not_there_is_told_at_once() -> Result {
    let server = shared_or_skip!();
    let nowhere = url(server.port(), "nowhere").replace("/postgres?", "/nowhere?");
    let text = refusal(&nowhere).await?.to_string();
    assert!(text.contains("3D000") && text.contains("database \"nowhere\" does not exist"), "{text}");
    let text = refusal(&url(server.port(), "none").replace(":secret", "")).await?.to_string();
    assert!(text.contains("password missing"), "{text}");
    let text = refusal(&format!("{}&sslmode=require", url(server.port(), "tls"))).await?.to_string();
    assert!(text.contains("tls"), "{text}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_waited_for() -> Result {
    // Nothing listens on port 1.
    let config = PoolConfig { connection_timeout: Duration::from_millis(300), ..config(1) };
    let pool = Pool::new(PostgresManager::from_url(&url(1, "absent"))?, config)?;
    let error = pool.acquire().await.expect_err("nobody listens");
    assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1 cannot be reached"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_full_is_waited_for() -> Result {
    let settings = [("max_connections", "4"), ("superuser_reserved_connections", "1")];
    let server = with_app(start_or_skip!(Postgres::start_with(&settings), Ok(())));
    let crowd = Pool::new(manager(&server, "crowd"), config(3))?;
    let mut held = vec![crowd.acquire().await?, crowd.acquire().await?, crowd.acquire().await?];
    let pool = Pool::new(manager(&server, "late"), config(1))?;
    let late = tokio::spawn(pool.acquire_owned());
    eventually("the server refuses", async || Ok(server.log().contains("remaining connection slots")))
        .await?;
    assert!(!late.is_finished());
    crowd.resize(2)?;
    held.pop();
    late.await??.check_connection().await?;
    Ok(())
}

#[tokio::test]
async fn each_connect_asks_for_the_password_of_now() -> Result {
    let server = shared_or_skip!();
    let admin = admin(server).await?;
    admin.batch_execute("CREATE ROLE rotating LOGIN PASSWORD 'one'").await?;
    let password = Arc::new(Mutex::new("one".to_owned()));
    let now = Arc::clone(&password);
    let url = format!("postgres://rotating@127.0.0.1:{}/postgres", server.port());
    let manager = PostgresManager::from_url(&url)?.password_provider(move || {
        let password = now.lock().expect("no holder panics").clone();
        async move { Ok::<_, std::convert::Infallible>(password) }
    });
    let pool = Pool::new(manager, config(1))?;
    let first = pid(&pool.acquire().await?).await?;

    admin.batch_execute("ALTER ROLE rotating PASSWORD 'two'").await?;
    assert_eq!(pid(&pool.acquire().await?).await?, first, "who is in stays in");
    pool.invalidate_all();
    let refused = pool.acquire().await.expect_err("the password is the old one");
    assert!(refused.to_string().contains("28P01"), "{refused}");

    "two".clone_into(&mut password.lock().expect("no holder panics"));
    assert_ne!(pid(&pool.acquire().await?).await?, first);
    Ok(())
}

#[tokio::test]
async fn a_password_provider_may_fail() -> Result {
    let server = shared_or_skip!();
    let url = url(server.port(), "provider").replace(":secret", "");
    let manager = PostgresManager::from_url(&url)?
        .password_provider(async || Err::<String, _>(std::io::Error::other("the vault is sealed")));
    let config = PoolConfig { connection_timeout: Duration::from_millis(300), ..config(1) };
    let error = Pool::new(manager, config)?.acquire().await.expect_err("there is no password");
    assert!(error.to_string().contains("the password provider failed: the vault is sealed"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_unix_socket_will_do() -> Result {
    let server = shared_or_skip!();
    let folder = server.folder().display();
    let url = format!("host={folder} port={} user=postgres dbname=postgres", server.port());
    let pool = Pool::new(PostgresManager::from_url(&url)?, config(1))?;
    let row = pool.acquire().await?.query_one("SELECT inet_client_addr() IS NULL", &[]).await?;
    assert!(row.get::<_, bool>(0));
    // One that its holder still uses is cut off.
    let connection = pool.acquire().await?;
    let endless =
        connection.query_raw("SELECT generate_series(1, 100000000)", std::iter::empty::<i32>()).await?;
    drop(connection);
    timeout(PATIENCE / 10, pool.acquire()).await??.check_connection().await?;
    assert_eq!(pool.stats().connections_created, 2);
    drop(endless);
    pool.close().await;
    Ok(())
}

#[tokio::test]
async fn the_next_server_is_tried() -> Result {
    let server = shared_or_skip!();
    let url = format!(
        "host=127.0.0.1,127.0.0.1 port=1,{} user=postgres dbname=postgres target_session_attrs=read-write",
        server.port()
    );
    let pool = Pool::new(PostgresManager::from_url(&url)?, config(1))?;
    pool.acquire().await?.check_connection().await?;
    let url = format!(
        "{} dbname=postgres target_session_attrs=read-only",
        url.replace("target_session_attrs=read-write", "")
    );
    let config = PoolConfig { connection_timeout: Duration::from_millis(300), ..config(1) };
    let error =
        Pool::new(PostgresManager::from_url(&url)?, config)?.acquire().await.expect_err("it takes writes");
    assert!(error.to_string().contains("name a standby too"), "{error}");
    Ok(())
}
