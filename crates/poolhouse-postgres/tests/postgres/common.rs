//! Servers and pools for the tests.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use poolhouse::{Pool, PoolConfig};
use poolhouse_postgres::{PooledPostgres, PostgresManager, PostgresPool};
use test_servers::{Postgres, or_skip};
use tokio_postgres::{Client, NoTls};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const SET_UP: &str = "
CREATE ROLE app LOGIN PASSWORD 'secret';
GRANT ALL ON SCHEMA public TO app;
";

/// A server with the role `app`.
pub(crate) fn with_app(server: Postgres) -> Postgres {
    server.sql(SET_UP).expect("the superuser may do this");
    server
}

/// One server for all tests that do not stop it. It ends with the process.
pub(crate) fn shared() -> Option<&'static Postgres> {
    static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Postgres::start().ok().map(with_app)).as_ref();
    if shared.is_none() {
        // Tells why, and counts the test.
        or_skip(Postgres::start());
    }
    shared
}

/// Returns from the test if there is no PostgreSQL.
#[macro_export]
macro_rules! shared_or_skip {
    () => {
        match $crate::common::shared() {
            Some(server) => server,
            None => return Ok(()),
        }
    };
}

/// For the role `app`. The name tells the test's backends from others.
pub(crate) fn url(port: u16, name: &str) -> String {
    format!("postgres://app:secret@127.0.0.1:{port}/postgres?application_name={name}")
}

pub(crate) fn manager(server: &Postgres, name: &str) -> PostgresManager {
    PostgresManager::from_url(&url(server.port(), name)).expect("the URL is right")
}

pub(crate) fn config(max_connections: usize) -> PoolConfig {
    PoolConfig { max_connections, min_connections: 0, connection_timeout: PATIENCE, ..PoolConfig::default() }
}

pub(crate) fn pool(server: &Postgres, name: &str, max_connections: usize) -> PostgresPool {
    Pool::new(manager(server, name), config(max_connections)).expect("the options are right")
}

/// A client of the superuser's, outside of any pool.
pub(crate) async fn admin(server: &Postgres) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// How many processes the server has for connections of that name.
pub(crate) async fn backends(admin: &Client, name: &str) -> Result<i64> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    Ok(admin.query_one(sql, &[&name]).await?.get(0))
}

pub(crate) async fn pid(connection: &PooledPostgres) -> Result<i32> {
    Ok(connection.query_one("SELECT pg_backend_pid()", &[]).await?.get(0))
}

/// `psql` for a server that others use at the same time: a table of the test's own, empty.
pub(crate) async fn table(admin: &Client, name: &str) -> Result {
    let sql =
        format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int); GRANT ALL ON {name} TO app");
    Ok(admin.batch_execute(&sql).await?)
}

pub(crate) async fn rows(admin: &Client, table: &str) -> Result<i64> {
    Ok(admin.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?.get(0))
}

/// Waits for a condition.
pub(crate) async fn eventually<F: Future<Output = Result<bool>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> Result {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await? {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
