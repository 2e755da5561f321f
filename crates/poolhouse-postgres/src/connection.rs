//! A connection: tokio-postgres' client, a cache of statements, and what the pool has to know of the session.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

use crate::cancel::CancelToken;
use crate::dial::{Dialer, Route};
use crate::driver::Driver;
use crate::socket::{Look, Unread};
use crate::statements::StatementCache;
use crate::transaction::{Transaction, TransactionBuilder};
use crate::watch::{Status, Watch};

/// A connection to PostgreSQL. It derefs to [`tokio_postgres::Client`], so it has all of its methods.
///
/// Whatever a caller leaves behind is dealt with by the pool, off the caller's path and before anybody else gets the
/// connection: an open transaction, also one begun with `BEGIN` in plain SQL; a statement that still runs because its future
/// was dropped; a `COPY` given up half-way. See [`ResetPolicy`](crate::ResetPolicy).
///
/// `LISTEN` wants a connection of its own, outside of the pool: notifications are not passed on.
///
/// ```no_run
/// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
/// let connection = pool.acquire().await?;
/// let statement = connection.prepare_cached("SELECT name FROM users WHERE id = $1").await?;
/// let row = connection.query_one(&statement, &[&7_i32]).await?;
/// let name: String = row.get(0);
/// # Ok(())
/// # }
/// ```
pub struct PostgresConnection {
    // First: it looks at the session as the holder has left it, before dropping the client changes that.
    pub(crate) driver: Driver,
    pub(crate) client: Client,
    pub(crate) statements: StatementCache,
    pub(crate) watch: Arc<Watch>,
    pub(crate) look: Look,
    pub(crate) dialer: Dialer,
    pub(crate) route: Route,
    /// That of the manager when this was opened: see `PostgresManager::generation`.
    pub(crate) generation: u64,
    /// How many requests had been sent when the session was last as good as new.
    pub(crate) clean_at: u64,
}

impl PostgresConnection {
    /// The client itself, for a function that takes one, or a `GenericClient`.
    ///
    /// ```no_run
    /// async fn count(client: &impl tokio_postgres::GenericClient) -> Result<i64, tokio_postgres::Error> {
    ///     Ok(client.query_one("SELECT count(*) FROM users", &[]).await?.get(0))
    /// }
    /// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = pool.acquire().await?;
    /// let users = count(connection.client()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Prepares a statement, or takes it from this connection's cache.
    ///
    /// A statement that the server no longer accepts, after a change of the schema (`cached plan must not change result
    /// type`), fails once on each connection. The next call prepares anew.
    ///
    /// Behind a pooler in transaction mode nothing is cached: see
    /// [`behind_transaction_pooler`](crate::PostgresManager::behind_transaction_pooler).
    ///
    /// # Errors
    ///
    /// The server's: the text is no statement, or names what is not there.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it may leave one prepared statement with the server that nobody uses.
    ///
    /// ```no_run
    /// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = pool.acquire().await?;
    /// let statement = connection.prepare_cached("SELECT 1").await?;
    /// connection.query_one(&statement, &[]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn prepare_cached(&self, query: &str) -> Result<Statement, Error> {
        self.statements.prepare(&self.client, query, &[]).await
    }

    /// Like [`prepare_cached`](PostgresConnection::prepare_cached), with the types of the parameters.
    ///
    /// # Errors, cancel safety
    ///
    /// As for [`prepare_cached`](PostgresConnection::prepare_cached).
    ///
    /// ```no_run
    /// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio_postgres::types::Type;
    ///
    /// let connection = pool.acquire().await?;
    /// let statement = connection.prepare_typed_cached("SELECT $1", &[Type::INT8]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn prepare_typed_cached(&self, query: &str, types: &[Type]) -> Result<Statement, Error> {
        self.statements.prepare(&self.client, query, types).await
    }

    /// How many statements this connection's cache holds.
    ///
    /// ```no_run
    /// # fn a(connection: poolhouse_postgres::PostgresConnection) {
    /// assert_eq!(connection.cached_statements(), 0);
    /// # }
    /// ```
    pub fn cached_statements(&self) -> usize {
        self.statements.len()
    }

    /// Empties this connection's cache of statements. Statements that somebody still has stay good.
    ///
    /// ```no_run
    /// # fn a(connection: poolhouse_postgres::PostgresConnection) {
    /// connection.clear_statements();
    /// # }
    /// ```
    pub fn clear_statements(&self) {
        self.statements.clear();
    }

    /// Begins a transaction. It is rolled back unless you [`commit`](Transaction::commit) it.
    ///
    /// However you leave it, by a return, a panic or a dropped future, nobody gets the connection before the server has said
    /// that no transaction is open (`reset.between`).
    ///
    /// # Errors
    ///
    /// The server's, or the end of the connection.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a transaction that has begun is rolled back.
    ///
    /// ```no_run
    /// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut connection = pool.acquire().await?;
    /// let transaction = connection.transaction().await?;
    /// transaction.execute("UPDATE accounts SET balance = balance - 5 WHERE id = $1", &[&1_i32]).await?;
    /// transaction.execute("UPDATE accounts SET balance = balance + 5 WHERE id = $1", &[&2_i32]).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        self.build_transaction().start().await
    }

    /// Begins a transaction with an isolation level, read-only, or deferrable.
    ///
    /// ```no_run
    /// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio_postgres::IsolationLevel;
    ///
    /// let mut connection = pool.acquire().await?;
    /// let transaction =
    ///     connection.build_transaction().isolation_level(IsolationLevel::Serializable).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_transaction(&mut self) -> TransactionBuilder<'_> {
        TransactionBuilder::new(self.client.build_transaction(), &self.statements)
    }

    /// Whether a transaction is open, as the server's last answer says.
    ///
    /// ```no_run
    /// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = pool.acquire().await?;
    /// connection.batch_execute("BEGIN").await?;
    /// assert!(connection.is_in_transaction());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_in_transaction(&self) -> bool {
        self.watch.status() == Status::InTransaction
    }

    /// What can cancel the statement that this connection is running, for as long as you hold it. In a hook, or in
    /// [`Pool::retain`](poolhouse::Pool::retain), it is one of the next hold.
    ///
    /// ```no_run
    /// # fn a(connection: poolhouse_postgres::PostgresConnection) {
    /// let token = connection.cancel_token();
    /// # }
    /// ```
    pub fn cancel_token(&self) -> CancelToken {
        CancelToken {
            token: self.client.cancel_token(),
            dialer: self.dialer.clone(),
            route: self.route.clone(),
            hold: self.watch.hold(),
            watch: Arc::clone(&self.watch),
        }
    }

    /// Whether the server has kept the connection, as far as can be told without a round trip.
    pub(crate) fn is_alive(&self) -> bool {
        let asked = self.watch.requests();
        // First, so that an answer that the driver reads meanwhile is no surprise.
        let was_quiet = self.watch.is_quiet();
        let alive = match self.look.unread() {
            Unread::Nothing => true,
            // A row that outlives its connection's hold closes its statement when it is dropped, and that has an answer: also
            // if it is dropped between the two looks. What comes without a question is the server's last word.
            Unread::Bytes => !(was_quiet && self.watch.is_quiet() && self.watch.requests() == asked),
            Unread::End => false,
        };
        alive && !self.client.is_closed()
    }

    /// Whether nothing of what a holder did is left: nothing under way, no transaction.
    pub(crate) fn is_settled(&self) -> bool {
        self.watch.is_quiet() && !self.is_in_transaction()
    }
}

impl Deref for PostgresConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl fmt::Debug for PostgresConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConnection")
            .field("server", &self.route.name())
            .field("in_transaction", &self.is_in_transaction())
            .field("cached_statements", &self.cached_statements())
            .finish_non_exhaustive()
    }
}
