//! Opens, checks, resets and closes connections for the pool.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolhouse::{FailureKind, Manager, RetireReason};
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};

use crate::connection::PostgresConnection;
use crate::dial::{Dialer, Route};
use crate::driver::Driver;
use crate::error::PostgresError;
use crate::reset::ResetPolicy;
use crate::socket::Unread;
use crate::statements::StatementCache;
use crate::stream::WatchedStream;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::watch::Watch;

type BoxError = Box<dyn Error + Send + Sync>;
type PasswordFuture = Pin<Box<dyn Future<Output = Result<Vec<u8>, BoxError>> + Send>>;
type PasswordProvider = Arc<dyn Fn() -> PasswordFuture + Send + Sync>;

/// How long a statement that was left running may go on, unless you say otherwise.
const CANCEL_AFTER: Duration = Duration::from_millis(100);

/// How many statements a connection keeps, unless you say otherwise.
const STATEMENTS: usize = 256;

/// The [`Manager`] of PostgreSQL connections.
///
/// ```no_run
/// use poolhouse::{Pool, PoolConfig};
/// use poolhouse_postgres::PostgresManager;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = PostgresManager::from_url("postgres://app:secret@localhost/shop")?;
/// let pool = Pool::new(manager, PoolConfig::default())?;
///
/// let connection = pool.acquire().await?;
/// let row = connection.query_one("SELECT 1 + 1", &[]).await?;
/// assert_eq!(row.get::<_, i32>(0), 2);
/// # Ok(())
/// # }
/// ```
///
/// # Several servers
///
/// `host=db1,db2&target_session_attrs=read-write` tries the servers in turn until one takes writes. Each address gets
/// `connect_timeout`, or three seconds if there is more than one, so a server that has vanished does not hide the next. With
/// `read-write` the health check asks too whether the server still takes writes, and a write that is refused because the
/// server has become a standby, or read-only by `default_transaction_read_only`, retires every connection to it at its next use.
pub struct PostgresManager {
    dialer: Dialer,
    password: Option<PasswordProvider>,
    reset: ResetPolicy,
    behind_pooler: bool,
    statements: usize,
    cancel_after: Duration,
    target: String,
    /// It counts the times at which a server was found to take writes no longer. Connections of an earlier count lead there.
    generation: AtomicU64,
}

impl PostgresManager {
    /// Connects as `config` says.
    ///
    /// ```
    /// let mut config = tokio_postgres::Config::new();
    /// config.host("db.example").user("app").dbname("shop");
    /// let manager = poolhouse_postgres::PostgresManager::new(config);
    /// ```
    pub fn new(config: Config) -> Self {
        let target = target_of(&config);
        let dialer = Dialer {
            config: Arc::new(config),
            #[cfg(feature = "tls")]
            tls: None,
        };
        Self {
            dialer,
            password: None,
            reset: ResetPolicy::default(),
            behind_pooler: false,
            statements: STATEMENTS,
            cancel_after: CANCEL_AFTER,
            target,
            generation: AtomicU64::new(0),
        }
    }

    /// Connects as a connection string says: a URL, or `key=value` pairs. See [`Config`] for the keys.
    ///
    /// # Errors
    ///
    /// A string that cannot be read.
    ///
    /// ```
    /// use poolhouse_postgres::PostgresManager;
    ///
    /// let manager = PostgresManager::from_url("postgres://app:secret@db.example:5433/shop")?;
    /// assert_eq!(poolhouse::Manager::target(&manager), "db.example:5433/shop");
    /// # Ok::<(), tokio_postgres::Error>(())
    /// ```
    pub fn from_url(url: &str) -> Result<Self, tokio_postgres::Error> {
        Ok(Self::new(url.parse()?))
    }

    /// Uses TLS: as `sslmode` says, if the server has it (`prefer`) or in any case (`require`). Without this call there is none.
    ///
    /// ```
    /// use poolhouse_postgres::{PostgresManager, Tls};
    ///
    /// let url = "postgres://app@db.example/shop?sslmode=require";
    /// let manager = PostgresManager::from_url(url)?.tls(Tls::new());
    /// # Ok::<(), tokio_postgres::Error>(())
    /// ```
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.dialer.tls = Some(tls);
        self
    }

    /// Asks for the password before each connect, for one that changes: a rotated secret, a token that expires.
    ///
    /// Connections that are open stay open, for PostgreSQL asks for a password only at the login. Call
    /// [`Pool::invalidate_all_over`](poolhouse::Pool::invalidate_all_over) after a rotation if they must not.
    ///
    /// ```
    /// use poolhouse_postgres::PostgresManager;
    ///
    /// let manager = PostgresManager::from_url("postgres://app@db.example/shop")?
    ///     .password_provider(async || std::fs::read_to_string("/run/secrets/shop"));
    /// # Ok::<(), tokio_postgres::Error>(())
    /// ```
    #[must_use]
    pub fn password_provider<F, Fut, P, E>(mut self, provider: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P, E>> + Send + 'static,
        P: Into<Vec<u8>>,
        E: Into<BoxError>,
    {
        self.password = Some(Arc::new(move || {
            let password = provider();
            Box::pin(async move { password.await.map(Into::into).map_err(Into::into) })
        }));
        self
    }

    /// What is undone between two holders. [`ResetPolicy::RollBack`] by default.
    ///
    /// ```
    /// use poolhouse_postgres::{PostgresManager, ResetPolicy};
    ///
    /// let manager = PostgresManager::from_url("postgres://app@db.example/shop")?.reset_policy(ResetPolicy::DiscardAll);
    /// # Ok::<(), tokio_postgres::Error>(())
    /// ```
    #[must_use]
    pub fn reset_policy(self, reset: ResetPolicy) -> Self {
        Self { reset, ..self }
    }

    /// How many statements each connection keeps for
    /// [`prepare_cached`](PostgresConnection::prepare_cached). 256 by default; zero keeps none.
    ///
    /// ```
    /// # use poolhouse_postgres::PostgresManager;
    /// let manager = PostgresManager::from_url("postgres://app@db.example/shop")?.statement_cache(32);
    /// # Ok::<(), tokio_postgres::Error>(())
    /// ```
    #[must_use]
    pub fn statement_cache(self, statements: usize) -> Self {
        Self { statements, ..self }
    }

    /// How long a statement may go on whose caller has gone away, before the server is asked to cancel it. 100 ms by default.
    ///
    /// Most statements end by then, and cost nothing but the wait. A cancel request costs a connect. The pool's
    /// `reset_timeout` bounds both together: keep this below it.
    ///
    /// ```
    /// # use poolhouse_postgres::PostgresManager;
    /// use std::time::Duration;
    ///
    /// let manager = PostgresManager::from_url("postgres://app@db.example/shop")?.cancel_after(Duration::from_secs(1));
    /// # Ok::<(), tokio_postgres::Error>(())
    /// ```
    #[must_use]
    pub fn cancel_after(self, cancel_after: Duration) -> Self {
        Self { cancel_after, ..self }
    }

    /// For a PgBouncer in transaction mode, or another proxy that gives each transaction whichever server connection is free.
    ///
    /// It turns off what needs a session that stays:
    ///
    /// - the statement cache: `prepare_cached` prepares each time. Outside of a transaction, a prepared statement may meet a
    ///   server connection that does not know it. In one it works, but it is closed when it and its rows are dropped: after the
    ///   commit, the message that closes it may reach another server connection, and another process then fails with
    ///   `already exists`. Use [`query_typed`](tokio_postgres::Client::query_typed), which prepares nothing by name, for both.
    /// - [`ResetPolicy::DiscardAll`]: it acts as [`RollBack`](ResetPolicy::RollBack). It would reset a session that is
    ///   somebody else's by then.
    /// - the use of a connection after a cancelled statement: it is closed, for the proxy may pass a cancel request on late.
    ///
    /// ```
    /// # use poolhouse_postgres::PostgresManager;
    /// let manager = PostgresManager::from_url("postgres://app@bouncer.example:6432/shop")?.behind_transaction_pooler();
    /// # Ok::<(), tokio_postgres::Error>(())
    /// ```
    #[must_use]
    pub fn behind_transaction_pooler(self) -> Self {
        Self { behind_pooler: true, ..self }
    }

    /// How the login is to be, with the password of now.
    async fn login_config(&self) -> Result<Config, PostgresError> {
        let mut config = Config::clone(&self.dialer.config);
        if let Some(provider) = &self.password {
            config.password(provider().await.map_err(PostgresError::Password)?);
        }
        // The stream that tokio-postgres gets is secure already.
        config.ssl_mode(SslMode::Disable);
        Ok(config)
    }

    async fn log_in(
        &self,
        route: &Route,
        config: &Config,
        generation: u64,
    ) -> Result<PostgresConnection, PostgresError> {
        let (look, stream) = self.dialer.open(route).await?;
        let watch = Arc::new(Watch::new());
        let stream = WatchedStream::new(stream, Arc::clone(&watch));
        let failed = |error| PostgresError::Login { to: route.name(), error };
        let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(failed)?;
        let statements = if self.behind_pooler { 0 } else { self.statements };
        let connection = PostgresConnection {
            driver: Driver::spawn(connection, Arc::clone(&watch)),
            client,
            statements: StatementCache::new(statements, Arc::clone(&watch)),
            clean_at: 0,
            watch,
            look,
            dialer: self.dialer.clone(),
            route: route.clone(),
            generation,
        };
        let writable = match self.dialer.config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => true,
            TargetSessionAttrs::ReadOnly => false,
            _ => return Ok(connection),
        };
        if connection.is_read_only().await.map_err(failed)? == writable {
            return Err(PostgresError::WrongServer { to: route.name(), writable: !writable });
        }
        Ok(connection)
    }

    fn wants_writes(&self) -> bool {
        self.dialer.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite
    }

    fn discards(&self) -> bool {
        self.reset == ResetPolicy::DiscardAll && !self.behind_pooler
    }

    /// A write was refused. If that was because the server takes none, the connection has to go; and, if writes are what the
    /// pool is for, so have all that were opened before.
    async fn look_for_failover(&self, connection: &PostgresConnection) -> Result<(), PostgresError> {
        if !connection.server_is_read_only().await.map_err(PostgresError::Query)? {
            return Ok(());
        }
        if self.wants_writes() {
            let (was, next) = (connection.generation, connection.generation + 1);
            let _ = self.generation.compare_exchange(was, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        Err(PostgresError::TurnedReadOnly)
    }
}

impl Manager for PostgresManager {
    type Connection = PostgresConnection;
    type Error = PostgresError;

    async fn connect(&self) -> Result<PostgresConnection, PostgresError> {
        let generation = self.generation.load(Ordering::Relaxed);
        let config = self.login_config().await?;
        let routes = self.dialer.routes().await?;
        let share = self.dialer.share(routes.len());
        let mut last = PostgresError::Config("no server is named");
        for route in &routes {
            match timeout(share, self.log_in(route, &config, generation)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last = error,
                Err(_) => last = PostgresError::Silent { to: route.name() },
            }
        }
        Err(last)
    }

    async fn check(&self, connection: &mut PostgresConnection) -> Result<(), PostgresError> {
        if !self.wants_writes() {
            return connection.client.check_connection().await.map_err(PostgresError::Query);
        }
        if connection.is_read_only().await.map_err(PostgresError::Query)? {
            return Err(PostgresError::TurnedReadOnly);
        }
        Ok(())
    }

    fn is_reusable(&self, connection: &mut PostgresConnection) -> bool {
        // What else there is to undo, the reset judges.
        let watch = &connection.watch;
        watch.end_hold();
        // tokio-postgres does not know that the statements are gone with which it looks up types.
        !connection.client.is_closed() && !watch.has_stray_cancel() && !watch.has_lost_statements()
    }

    fn needs_reset(&self, connection: &mut PostgresConnection) -> bool {
        !connection.is_settled()
            || connection.watch.may_be_out_of_step()
            || connection.watch.has_stray_cancel()
            || connection.watch.has_refused_to_write()
            || (self.discards() && connection.watch.requests() != connection.clean_at)
    }

    async fn reset(&self, connection: &mut PostgresConnection) -> Result<(), PostgresError> {
        let cancels = self.reset != ResetPolicy::Nothing && !self.behind_pooler;
        connection.settle(self.cancel_after, cancels).await?;
        if connection.watch.has_stray_cancel() {
            return Err(PostgresError::StrayCancel);
        }
        if connection.watch.has_lost_statements() {
            return Err(PostgresError::LostStatements);
        }
        if self.reset == ResetPolicy::Nothing && connection.is_in_transaction() {
            return Err(PostgresError::LeftOpen);
        }
        if self.reset == ResetPolicy::Nothing && connection.watch.may_be_out_of_step() {
            return Err(PostgresError::OutOfStep);
        }
        connection.roll_back().await?;
        if connection.watch.may_be_out_of_step() {
            connection.prove_in_step().await?;
        }
        if connection.watch.take_refused_to_write() {
            self.look_for_failover(connection).await?;
        }
        if self.discards() {
            connection.discard_all().await?;
        }
        Ok(())
    }

    fn needs_close(&self, connection: &mut PostgresConnection, _: RetireReason) -> bool {
        // The client may have ended the conversation alone.
        !connection.client.is_closed() || connection.look.unread() != Unread::End
    }

    async fn close(&self, connection: PostgresConnection) {
        connection.part(self.cancel_after).await;
    }

    fn is_connected(&self, connection: &mut PostgresConnection) -> bool {
        // A hook may have sent `DISCARD ALL` since the reset.
        let is_whole = connection.is_alive() && !connection.watch.has_lost_statements();
        is_whole && connection.generation == self.generation.load(Ordering::Relaxed)
    }

    fn classify(&self, error: &PostgresError) -> FailureKind {
        error.kind()
    }

    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.target)
    }
}

/// `db1:5432,db2:5432/shop`. Neither user nor password.
fn target_of(config: &Config) -> String {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let name = |server: usize| match (hosts.get(server), addresses.get(server)) {
        (Some(Host::Tcp(host)), _) if host.contains(':') => format!("[{host}]"),
        (Some(Host::Tcp(host)), _) => host.clone(),
        #[cfg(unix)]
        (Some(Host::Unix(folder)), _) => folder.display().to_string(),
        (None, Some(address)) if address.is_ipv6() => format!("[{address}]"),
        (None, Some(address)) => address.to_string(),
        (None, None) => "no server".to_owned(),
    };
    let count = hosts.len().max(addresses.len()).max(1);
    let servers: Vec<_> = (0..count)
        .map(|server| {
            let port = ports.get(server).or_else(|| ports.first()).copied().unwrap_or(5432);
            format!("{}:{port}", name(server))
        })
        .collect();
    match config.get_dbname() {
        Some(database) => format!("{}/{database}", servers.join(",")),
        None => servers.join(","),
    }
}

impl fmt::Debug for PostgresManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresManager")
            .field("target", &self.target)
            .field("reset", &self.reset)
            .field("behind_transaction_pooler", &self.behind_pooler)
            .field("statement_cache", &self.statements)
            .field("cancel_after", &self.cancel_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_names_servers_and_database_and_nothing_else() {
        for (url, target) in [
            ("postgres://app:secret@db.example/shop", "db.example:5432/shop"),
            ("postgres://app:secret@db1:1,db2:2/shop", "db1:1,db2:2/shop"),
            ("host=::1 port=7 user=app password=secret", "[::1]:7"),
            ("hostaddr=127.0.0.1 user=app", "127.0.0.1:5432"),
            ("hostaddr=::1 user=app", "[::1]:5432"),
            ("user=app", "no server:5432"),
            #[cfg(unix)]
            ("host=/run/postgresql dbname=shop", "/run/postgresql:5432/shop"),
        ] {
            let manager = PostgresManager::from_url(url).expect("a connection string");
            assert_eq!(manager.target(), target);
            assert!(!format!("{manager:?}").contains("secret"));
        }
    }
}
