//! The pools that are compared, each as its documentation sets it up, behind one face.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::bb8;
use deadpool_postgres::{ManagerConfig, RecyclingMethod};
use poolhouse::{Pool, PoolConfig};
use poolhouse_postgres::{PostgresManager, PostgresPool};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

/// Whatever went wrong.
pub type AnyError = Box<dyn Error + Send + Sync>;

/// Which pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// poolhouse-postgres.
    Poolhouse,
    /// poolhouse-postgres with two options for a server that dies often: see its setup. Not among the four.
    PoolhouseWary,
    /// deadpool-postgres with `RecyclingMethod::Fast`, its default.
    Deadpool,
    /// deadpool-postgres with `RecyclingMethod::Verified`. Not among the four.
    DeadpoolVerified,
    /// bb8-postgres.
    Bb8,
    /// sqlx.
    Sqlx,
}

impl Contestant {
    /// The four.
    pub const ALL: [Self; 4] =
        [Self::Poolhouse, Self::Deadpool, Self::Bb8, Self::Sqlx];

    /// How tables and the command line call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poolhouse => "poolhouse-postgres",
            Self::PoolhouseWary => "poolhouse-postgres (wary)",
            Self::Deadpool => "deadpool-postgres",
            Self::DeadpoolVerified => "deadpool-postgres (Verified)",
            Self::Bb8 => "bb8-postgres",
            Self::Sqlx => "sqlx",
        }
    }

    /// Whether it is ours, however it is set up.
    pub fn is_poolhouse(self) -> bool {
        matches!(self, Self::Poolhouse | Self::PoolhouseWary)
    }

    /// By the beginning of its name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "poolhouse-wary" => Some(Self::PoolhouseWary),
            "deadpool-verified" => Some(Self::DeadpoolVerified),
            name => Self::ALL.into_iter().find(|one| one.name().starts_with(name)),
        }
    }

    /// How it is set up, in words.
    pub fn setup(self) -> &'static str {
        match self {
            Self::Poolhouse => {
                "default options, but connection_timeout 2 s, connect_attempt_timeout 1 s, fail_fast_after 1 s; prepare_cached"
            }
            Self::PoolhouseWary => {
                "the same, and check_after_idle 0, max_connect_backoff 500 ms"
            }
            Self::Deadpool => {
                "RecyclingMethod::Fast; wait, create and recycle timeouts 2 s each; prepare_cached"
            }
            Self::DeadpoolVerified => {
                "RecyclingMethod::Verified; wait, create and recycle timeouts 2 s each; prepare_cached"
            }
            Self::Bb8 => {
                "connection_timeout 2 s; test_on_check_out, its default; no statement cache"
            }
            Self::Sqlx => {
                "acquire_timeout 2 s; test_before_acquire, its default; its own statement cache"
            }
        }
    }
}

/// A password that changes while the program runs, as a file or a vault would give it.
#[derive(Debug, Clone)]
pub struct Secret(Arc<RwLock<String>>);

impl Secret {
    /// It begins as this.
    pub fn new(password: &str) -> Self {
        Self(Arc::new(RwLock::new(password.to_owned())))
    }

    /// From now on it is this.
    pub fn set(&self, password: &str) {
        password.clone_into(&mut self.0.write().expect("nobody panics with it"));
    }

    fn get(&self) -> String {
        self.0.read().expect("nobody panics with it").clone()
    }
}

/// Where to connect, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The role.
    pub role: String,
    /// Its password.
    pub secret: Secret,
}

impl Target {
    /// What tokio-postgres needs, with the password of now.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(&self.role)
            .dbname("postgres");
        config.password(self.secret.get());
        config
    }

    fn sqlx(&self) -> PgConnectOptions {
        PgConnectOptions::new()
            .host("127.0.0.1")
            .port(self.port)
            .username(&self.role)
            .password(&self.secret.get())
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
    }
}

/// Asks for the password before each connect: what deadpool-postgres has the trait for.
struct AskForPassword(Target);

impl deadpool_postgres::Connect for AskForPassword {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<Connected, PgError>> + Send + '_>> {
        let config = self.0.config();
        Box::pin(async move {
            let (client, connection) = config.connect(NoTls).await?;
            Ok((client, tokio::spawn(async move { drop(connection.await) })))
        })
    }
}

type Connected = (Client, JoinHandle<()>);
type PgError = tokio_postgres::Error;

/// One of the pools.
#[derive(Clone)]
pub enum AnyPool {
    /// poolhouse-postgres.
    Poolhouse(PostgresPool),
    /// deadpool-postgres.
    Deadpool(deadpool_postgres::Pool),
    /// bb8-postgres.
    Bb8(bb8::Pool<PostgresConnectionManager<NoTls>>),
    /// sqlx.
    Sqlx(sqlx::PgPool),
}

/// Acquires, and does something with the connection within `$limit`.
macro_rules! with_client {
    ($pool:expr, $limit:expr, $client:ident => $use:expr) => {{
        #[allow(unused_mut, reason = "a transaction needs it")]
        let mut $client = $pool.await?;
        within($limit, async { $use }).await
    }};
}

async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, AnyError>>,
) -> Result<T, AnyError> {
    match timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("the query has no answer after {limit:?}").into()),
    }
}

/// Money moves from nowhere to somewhere: a row is read for update, changed, and the change committed.
const READ: &str = "SELECT value FROM accounts WHERE id = $1 FOR UPDATE";
const WRITE: &str = "UPDATE accounts SET value = value + 1 WHERE id = $1";

impl AnyPool {
    /// Opens no connection.
    ///
    /// # Errors
    ///
    /// Options that a pool does not take.
    pub fn open(
        which: Contestant,
        target: &Target,
        size: u32,
        deadline: Duration,
    ) -> Result<Self, AnyError> {
        let deadpool = |recycling_method| {
            let connect = AskForPassword(target.clone());
            let config = ManagerConfig { recycling_method };
            let manager = deadpool_postgres::Manager::from_connect(
                target.config(),
                connect,
                config,
            );
            deadpool_postgres::Pool::builder(manager)
                .max_size(size as usize)
                .runtime(deadpool_postgres::Runtime::Tokio1)
                .wait_timeout(Some(deadline))
                .create_timeout(Some(deadline))
                .recycle_timeout(Some(deadline))
                .build()
        };
        Ok(match which {
            Contestant::Poolhouse | Contestant::PoolhouseWary => {
                let secret = target.secret.clone();
                let manager = PostgresManager::new(target.config())
                    .password_provider(move || {
                        let password = secret.get();
                        async move { Ok::<_, AnyError>(password) }
                    });
                let mut config = PoolConfig {
                    min_connections: 0,
                    max_connections: size as usize,
                    connection_timeout: deadline,
                    connect_attempt_timeout: deadline / 2,
                    fail_fast_after: deadline / 2,
                    ..PoolConfig::default()
                };
                if which == Contestant::PoolhouseWary {
                    config.check_after_idle = Duration::ZERO;
                    config.max_connect_backoff = deadline / 4;
                }
                Self::Poolhouse(Pool::new(manager, config)?)
            }
            Contestant::Deadpool => {
                Self::Deadpool(deadpool(RecyclingMethod::Fast)?)
            }
            Contestant::DeadpoolVerified => {
                Self::Deadpool(deadpool(RecyclingMethod::Verified)?)
            }
            Contestant::Bb8 => {
                let manager =
                    PostgresConnectionManager::new(target.config(), NoTls);
                let builder = bb8::Pool::builder()
                    .max_size(size)
                    .connection_timeout(deadline);
                Self::Bb8(builder.build_unchecked(manager))
            }
            Contestant::Sqlx => {
                let options = PgPoolOptions::new()
                    .max_connections(size)
                    .acquire_timeout(deadline);
                Self::Sqlx(options.connect_lazy_with(target.sqlx()))
            }
        })
    }

    /// Tells the pool that the secret has changed, if it has to be told and can be.
    pub fn secret_has_changed(&self, target: &Target) {
        if let Self::Sqlx(pool) = self {
            pool.set_connect_options(target.sqlx());
        }
    }

    /// Sends a prepared statement with one parameter. Returns the first column of its one row.
    ///
    /// # Errors
    ///
    /// The pool's, the server's, or that `limit` is over: it covers the statement, not the wait for a connection.
    pub async fn ask(
        &self,
        sql: &'static str,
        number: i64,
        limit: Duration,
    ) -> Result<i64, AnyError> {
        match self {
            Self::Poolhouse(pool) => {
                with_client!(pool.acquire(), limit, client => {
                    let statement = client.prepare_cached(sql).await?;
                    Ok(client.query_one(&statement, &[&number]).await?.try_get(0)?)
                })
            }
            Self::Deadpool(pool) => with_client!(pool.get(), limit, client => {
                let statement = client.prepare_cached(sql).await?;
                Ok(client.query_one(&statement, &[&number]).await?.try_get(0)?)
            }),
            Self::Bb8(pool) => with_client!(pool.get(), limit, client => {
                Ok(client.query_one(sql, &[&number]).await?.try_get(0)?)
            }),
            Self::Sqlx(pool) => with_client!(pool.acquire(), limit, client => {
                let row = sqlx::query(sql).bind(number).fetch_one(&mut *client).await?;
                Ok(sqlx::Row::try_get(&row, 0)?)
            }),
        }
    }

    /// Sends a short transaction of two statements.
    ///
    /// # Errors
    ///
    /// As for [`ask`](AnyPool::ask).
    pub async fn transact(
        &self,
        number: i64,
        limit: Duration,
    ) -> Result<(), AnyError> {
        match self {
            Self::Poolhouse(pool) => {
                with_client!(pool.acquire(), limit, client => {
                    let transaction = client.transaction().await?;
                    let read = transaction.prepare_cached(READ).await?;
                    transaction.query_one(&read, &[&number]).await?;
                    let write = transaction.prepare_cached(WRITE).await?;
                    transaction.execute(&write, &[&number]).await?;
                    Ok(transaction.commit().await?)
                })
            }
            Self::Deadpool(pool) => with_client!(pool.get(), limit, client => {
                let transaction = client.transaction().await?;
                let read = transaction.prepare_cached(READ).await?;
                transaction.query_one(&read, &[&number]).await?;
                let write = transaction.prepare_cached(WRITE).await?;
                transaction.execute(&write, &[&number]).await?;
                Ok(transaction.commit().await?)
            }),
            Self::Bb8(pool) => with_client!(pool.get(), limit, client => {
                let transaction = client.transaction().await?;
                transaction.query_one(READ, &[&number]).await?;
                transaction.execute(WRITE, &[&number]).await?;
                Ok(transaction.commit().await?)
            }),
            Self::Sqlx(pool) => {
                let mut transaction = pool.begin().await?;
                within(limit, async move {
                    sqlx::query(READ)
                        .bind(number)
                        .fetch_one(&mut *transaction)
                        .await?;
                    sqlx::query(WRITE)
                        .bind(number)
                        .execute(&mut *transaction)
                        .await?;
                    Ok(transaction.commit().await?)
                })
                .await
            }
        }
    }

    /// Closes it, as far as it goes within a while.
    pub async fn close(self) {
        const WHILE: Duration = Duration::from_secs(3);
        match self {
            Self::Poolhouse(pool) => drop(pool.close_within(WHILE).await),
            Self::Deadpool(pool) => pool.close(),
            Self::Bb8(pool) => drop(pool),
            Self::Sqlx(pool) => drop(timeout(WHILE, pool.close()).await),
        }
    }
}

/// The same on a connection of one's own.
pub struct Own {
    client: Client,
    ask: tokio_postgres::Statement,
    read: tokio_postgres::Statement,
    write: tokio_postgres::Statement,
}

impl Own {
    /// Connects, and prepares what it will send.
    ///
    /// # Errors
    ///
    /// The server's.
    pub async fn connect(target: &Target, sql: &str) -> Result<Self, AnyError> {
        let client = connect(&target.config()).await?;
        let ask = client.prepare(sql).await?;
        let (read, write) =
            (client.prepare(READ).await?, client.prepare(WRITE).await?);
        Ok(Self { client, ask, read, write })
    }

    /// As [`AnyPool::ask`].
    ///
    /// # Errors
    ///
    /// The server's.
    pub async fn ask(&self, number: i64) -> Result<i64, AnyError> {
        Ok(self.client.query_one(&self.ask, &[&number]).await?.try_get(0)?)
    }

    /// As [`AnyPool::transact`].
    ///
    /// # Errors
    ///
    /// The server's.
    pub async fn transact(&mut self, number: i64) -> Result<(), AnyError> {
        let transaction = self.client.transaction().await?;
        transaction.query_one(&self.read, &[&number]).await?;
        transaction.execute(&self.write, &[&number]).await?;
        Ok(transaction.commit().await?)
    }
}

/// A client without a pool.
pub(crate) async fn connect(config: &Config) -> Result<Client, PgError> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// An error and its causes, on one line.
pub fn chain(error: &AnyError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some repeat their cause.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    // The data is the same wherever the guide is.
    let text = text.replace(poolhouse::GUIDE, "<guide>");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
