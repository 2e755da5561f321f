//! The programs behind three chapters of the guide, "Schema changes", "Security" and "Testing": what they print is what the chapters
//! show. Each scene starts the servers that it needs, and prints the same each time.

mod concurrently;
mod drop_database;
mod lock_queue;
mod migrator;
mod own_sql;
mod reset_others;
mod reset_postgres;
mod row_security;
mod secrets;
mod sslmode;
mod statements;
mod types;

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use poolhouse::{Pool, PoolConfig};
use poolhouse_postgres::{PostgresManager, PostgresPool};
use test_servers::Postgres;
use tokio::time::sleep;
use tokio_postgres::{Client, Error, NoTls, SimpleQueryMessage};

use crate::contestants::AnyError;

/// How long a scene waits for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it looks.
const GLANCE: Duration = Duration::from_millis(5);

type Printed = Pin<Box<dyn Future<Output = Result<String, AnyError>> + Send>>;

/// One program.
pub struct Scene {
    /// The file in the folder `output` that holds what it prints.
    pub file: &'static str,
    play: fn() -> Printed,
}

impl Scene {
    /// Starts the servers, and returns what there is to print. It wants a runtime of more than one thread.
    ///
    /// # Errors
    ///
    /// A server is not installed, or says something that the scene does not expect.
    pub async fn play(&self) -> Result<String, AnyError> {
        (self.play)().await
    }
}

/// All of them.
pub const SCENES: [Scene; 18] = [
    Scene { file: "lock_queue.txt", play: || Box::pin(lock_queue::play()) },
    Scene { file: "concurrently.txt", play: || Box::pin(concurrently::play()) },
    Scene { file: "migrator.txt", play: || Box::pin(migrator::play()) },
    Scene { file: "plans.txt", play: || Box::pin(types::plans()) },
    Scene { file: "types.txt", play: || Box::pin(types::types()) },
    Scene { file: "statements.txt", play: || Box::pin(statements::play()) },
    Scene { file: "reset_postgres.md", play: || Box::pin(reset_postgres::table()) },
    Scene { file: "reset_proof.txt", play: || Box::pin(reset_postgres::proof()) },
    Scene { file: "reset_mariadb.md", play: || Box::pin(reset_others::mariadb()) },
    Scene { file: "reset_redis.md", play: || Box::pin(reset_others::redis()) },
    Scene { file: "row_security.txt", play: || Box::pin(row_security::whom()) },
    Scene { file: "tenant.txt", play: || Box::pin(row_security::tenant()) },
    Scene { file: "unbound.txt", play: || Box::pin(row_security::unbound()) },
    Scene { file: "set_role.txt", play: || Box::pin(row_security::set_role()) },
    Scene { file: "own_sql.md", play: || Box::pin(own_sql::play()) },
    Scene { file: "sslmode.md", play: || Box::pin(sslmode::play()) },
    Scene { file: "drop_database.txt", play: || Box::pin(drop_database::play()) },
    Scene { file: "secrets.txt", play: || Box::pin(secrets::play()) },
];

/// A server with what the scenes share: the role `app`, and a table.
fn server() -> Result<Postgres, AnyError> {
    let server = Postgres::start()?;
    server.sql(
        "CREATE ROLE app LOGIN PASSWORD 'secret'; \
         CREATE TABLE orders (id int PRIMARY KEY, state text); \
         INSERT INTO orders VALUES (1, 'new'), (2, 'paid'); \
         GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app",
    )?;
    Ok(server)
}

/// How `app` logs in, here or at a proxy.
fn url(port: u16) -> String {
    format!("postgres://app:secret@127.0.0.1:{port}/postgres")
}

fn pool_with(
    manager: PostgresManager,
    max_connections: usize,
) -> Result<PostgresPool, AnyError> {
    let config = PoolConfig {
        max_connections,
        min_connections: 0,
        connection_timeout: PATIENCE,
        ..PoolConfig::default()
    };
    Ok(Pool::new(manager, config)?)
}

fn pool(
    server: &Postgres,
    max_connections: usize,
) -> Result<PostgresPool, AnyError> {
    pool_with(PostgresManager::from_url(&url(server.port()))?, max_connections)
}

/// A connection outside of any pool.
async fn client(url: &str) -> Result<Client, AnyError> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The first column of the first row, as text. `NULL` and no row at all are `None`. Nothing is prepared.
async fn ask(client: &Client, sql: &str) -> Result<Option<String>, Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// The same, of something that has an answer: `t` and `f` as words.
async fn say(client: &Client, sql: &str) -> Result<String, Error> {
    Ok(match ask(client, sql).await?.as_deref() {
        Some("t") => "true".to_owned(),
        Some("f") => "false".to_owned(),
        Some(other) => other.to_owned(),
        None => "NULL".to_owned(),
    })
}

/// The server's sentence, with its code. "db error" alone says nothing.
fn told(error: &Error) -> String {
    error.as_db_error().map_or_else(
        || error.to_string(),
        |error| format!("{} ({})", error.message(), error.code().code()),
    )
}

/// Waits until the answer is `true`.
async fn until(client: &Client, sql: &str) -> Result<(), AnyError> {
    let began = Instant::now();
    while ask(client, sql).await?.as_deref() != Some("t") {
        if began.elapsed() > PATIENCE {
            return Err(format!("not so within {PATIENCE:?}: {sql}").into());
        }
        sleep(GLANCE).await;
    }
    Ok(())
}
