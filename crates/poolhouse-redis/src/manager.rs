//! Opens, checks and resets connections for the pool.

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use poolhouse::{FailureKind, Manager};
use redis::{Client, IntoConnectionInfo, Pipeline, RedisError};

use crate::connection::RedisConnection;
use crate::dial::dial;
use crate::error::ConnectionError;

/// How long replies that nobody waits for are waited for, unless you say otherwise.
const DRAIN_WITHIN: Duration = Duration::from_millis(100);

/// How many of them, unless you say otherwise.
const DRAIN_AT_MOST: usize = 1000;

/// The [`Manager`] of Redis connections.
///
/// ```no_run
/// use poolhouse::{Pool, PoolConfig};
/// use poolhouse_redis::RedisManager;
/// use redis::AsyncCommands;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(RedisManager::from_url("redis://localhost/")?, PoolConfig::default())?;
///
/// let mut connection = pool.acquire().await?;
/// let () = connection.set("greeting", "hello").await?;
/// let greeting: String = connection.get("greeting").await?;
/// # Ok(())
/// # }
/// ```
///
/// # A command that is given up
///
/// Redis answers it all the same. The reply is drained when the connection comes back, in the pool's `reset`: off the
/// caller's path, and before anybody else gets the connection. The connection is closed instead if the replies do not come
/// within [`drain_within`](RedisManager::drain_within), if there are more than
/// [`drain_at_most`](RedisManager::drain_at_most), and at once if the command blocks (`BLPOP`, `XREAD BLOCK`, `WAIT`).
///
/// A reset ends with `ECHO`. So a user of an ACL needs `+echo`: without it, each connection that has something to undo or to
/// drain is closed.
///
/// # TLS
///
/// `rediss://` works if redis-rs has TLS: depend on `redis` yourself with the feature `tokio-rustls-comp` or
/// `tokio-native-tls-comp`. That the peer has closed is then noticed by the next check or command, and not before. This crate's
/// tests do not cover TLS.
///
/// Of redis-rs' `TcpSettings`, `linger_time` is not used: it cannot be read.
///
/// # Cluster and Sentinel
///
/// Not here. redis-rs' cluster connection keeps connections to all nodes and hides them, so there is none to lend. With
/// Sentinel, ask redis-rs' `SentinelClient` for the primary's `Client`, and give it to
/// [`replace_client`](RedisManager::replace_client) when the primary changes.
pub struct RedisManager {
    client: RwLock<Client>,
    on_connect: Pipeline,
    response_timeout: Option<Duration>,
    drain_within: Duration,
    drain_at_most: usize,
}

impl RedisManager {
    /// Connects as `client` says.
    ///
    /// ```
    /// let client = redis::Client::open("redis://db.example/")?;
    /// let manager = poolhouse_redis::RedisManager::new(client);
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    pub fn new(client: Client) -> Self {
        Self {
            client: RwLock::new(client),
            on_connect: Pipeline::new(),
            response_timeout: None,
            drain_within: DRAIN_WITHIN,
            drain_at_most: DRAIN_AT_MOST,
        }
    }

    /// Connects as a URL, or anything else that [`Client::open`] takes, says.
    ///
    /// # Errors
    ///
    /// A URL that cannot be read.
    ///
    /// ```
    /// use poolhouse_redis::RedisManager;
    ///
    /// let manager = RedisManager::from_url("redis://:secret@db.example:6380/2?protocol=resp3")?;
    /// assert_eq!(poolhouse::Manager::target(&manager), "db.example:6380");
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    pub fn from_url(url: impl IntoConnectionInfo) -> Result<Self, RedisError> {
        Ok(Self::new(Client::open(url)?))
    }

    /// What each session begins with, after the login: `CLIENT SETNAME`, `CLIENT NO-EVICT ON`. A command that is refused is a
    /// failed connect. They are sent again after a reset that has undone them. `SELECT` is one of them: it wins over the
    /// database in the URL.
    ///
    /// Do not send such commands in the pool's hook [`after_connect`](poolhouse::PoolBuilder::after_connect). There they
    /// count as those of the first holder: they are undone when he returns the connection, or cost the connection.
    ///
    /// ```
    /// # use poolhouse_redis::RedisManager;
    /// let mut commands = redis::pipe();
    /// commands.cmd("CLIENT").arg("SETNAME").arg("orders");
    /// let manager = RedisManager::from_url("redis://db.example/")?.on_connect(commands);
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    #[must_use]
    pub fn on_connect(self, commands: Pipeline) -> Self {
        Self { on_connect: commands, ..self }
    }

    /// How long a command may wait for its reply. Without it, forever: redis-rs' own limit of 500 ms is not
    /// used, for it cuts off `BLPOP`. A command that has run into it counts as given up.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use poolhouse_redis::RedisManager;
    /// let manager = RedisManager::from_url("redis://db.example/")?.response_timeout(Duration::from_secs(2));
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    #[must_use]
    pub fn response_timeout(self, response_timeout: Duration) -> Self {
        Self { response_timeout: Some(response_timeout), ..self }
    }

    /// How long to wait, when a connection comes back, for replies to commands that were given up. 100 ms by default. The
    /// pool's `reset_timeout` bounds it too. With zero, such a connection is closed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use poolhouse_redis::RedisManager;
    /// let manager = RedisManager::from_url("redis://db.example/")?.drain_within(Duration::from_millis(20));
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    #[must_use]
    pub fn drain_within(self, drain_within: Duration) -> Self {
        let drain_at_most = if drain_within.is_zero() { 0 } else { self.drain_at_most };
        Self { drain_within, drain_at_most, ..self }
    }

    /// How many commands one holder may give up before its connection is closed. 1000 by default. Those that a later command
    /// has overtaken do not count.
    ///
    /// ```
    /// # use poolhouse_redis::RedisManager;
    /// let manager = RedisManager::from_url("redis://db.example/")?.drain_at_most(10);
    /// # Ok::<(), redis::RedisError>(())
    /// ```
    #[must_use]
    pub fn drain_at_most(self, drain_at_most: usize) -> Self {
        Self { drain_at_most, ..self }
    }

    /// Connects as another client says, from the next connect on: a password that was rotated, a primary that has moved. Open
    /// connections stay; [`Pool::invalidate_all`](poolhouse::Pool::invalidate_all) retires them.
    ///
    /// ```
    /// # use poolhouse_redis::{RedisManager, RedisPool};
    /// let manager = RedisManager::from_url("redis://:old@db.example/")?;
    /// let pool = RedisPool::builder(manager).build()?;
    ///
    /// pool.manager().replace_client(redis::Client::open("redis://:new@db.example/")?);
    /// pool.invalidate_all();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace_client(&self, client: Client) {
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Manager for RedisManager {
    type Connection = RedisConnection;
    type Error = ConnectionError;

    async fn connect(&self) -> Result<RedisConnection, ConnectionError> {
        let client = self.client();
        let info = client.get_connection_info();
        let (inner, line) = dial(&client, self.response_timeout).await?;
        let mut connection = RedisConnection::new(inner, line, info.redis_settings().protocol());
        // A login may succeed where no command does: no password given, data still being read, no room.
        let mut answer = connection.ping().await;
        if answer.is_ok() {
            answer = connection.begin(&self.on_connect).await;
        }
        match answer {
            Err(ConnectionError::Command(error)) => {
                Err(ConnectionError::login(info.addr().to_string(), error, connection.refusal()))
            }
            other => other.map(|()| connection),
        }
    }

    async fn check(&self, connection: &mut RedisConnection) -> Result<(), ConnectionError> {
        connection.ping().await
    }

    fn is_reusable(&self, connection: &mut RedisConnection) -> bool {
        connection.is_reusable(self.drain_at_most)
    }

    fn needs_reset(&self, connection: &mut RedisConnection) -> bool {
        connection.needs_reset()
    }

    async fn reset(&self, connection: &mut RedisConnection) -> Result<(), ConnectionError> {
        let client = self.client();
        connection.restore(&client, &self.on_connect, self.drain_within).await
    }

    fn is_connected(&self, connection: &mut RedisConnection) -> bool {
        !connection.has_ended()
    }

    fn classify(&self, error: &ConnectionError) -> FailureKind {
        error.kind()
    }

    fn target(&self) -> Cow<'_, str> {
        Cow::Owned(self.client().get_connection_info().addr().to_string())
    }
}

impl fmt::Debug for RedisManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisManager")
            .field("target", &self.target())
            .field("response_timeout", &self.response_timeout)
            .field("drain_within", &self.drain_within)
            .field("drain_at_most", &self.drain_at_most)
            .finish_non_exhaustive()
    }
}
