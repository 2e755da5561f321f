//! A transaction that knows the connection's cache of statements.

use std::fmt;
use std::ops::Deref;

use tokio_postgres::types::Type;
use tokio_postgres::{Error, IsolationLevel, Statement};

use crate::statements::StatementCache;

/// A transaction, or a savepoint in one. It is rolled back when it is dropped.
///
/// It derefs to [`tokio_postgres::Transaction`], so it has all of its methods.
///
/// ```no_run
/// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
/// let mut connection = pool.acquire().await?;
/// let transaction = connection.transaction().await?;
/// let statement = transaction.prepare_cached("INSERT INTO users (name) VALUES ($1)").await?;
/// transaction.execute(&statement, &[&"Ada"]).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
pub struct Transaction<'c> {
    inner: tokio_postgres::Transaction<'c>,
    statements: &'c StatementCache,
}

impl Transaction<'_> {
    /// Like [`PostgresConnection::prepare_cached`](crate::PostgresConnection::prepare_cached).
    ///
    /// # Errors, cancel safety
    ///
    /// Those of it. An error of the server's leaves the transaction one that can only be rolled back.
    ///
    /// ```no_run
    /// # async fn a(transaction: poolhouse_postgres::Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    /// let statement = transaction.prepare_cached("SELECT 1").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn prepare_cached(&self, query: &str) -> Result<Statement, Error> {
        self.statements.prepare(self.inner.client(), query, &[]).await
    }

    /// Like [`PostgresConnection::prepare_typed_cached`](crate::PostgresConnection::prepare_typed_cached).
    ///
    /// # Errors, cancel safety
    ///
    /// As for [`prepare_cached`](Transaction::prepare_cached).
    ///
    /// ```no_run
    /// # async fn a(transaction: poolhouse_postgres::Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    /// use tokio_postgres::types::Type;
    ///
    /// let statement = transaction.prepare_typed_cached("SELECT $1", &[Type::INT8]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn prepare_typed_cached(&self, query: &str, types: &[Type]) -> Result<Statement, Error> {
        self.statements.prepare(self.inner.client(), query, types).await
    }

    /// Makes all changes for good.
    ///
    /// # Errors
    ///
    /// The server's: a deferred constraint, or a conflict of serializable transactions. If the connection ended, you cannot
    /// know whether the transaction has been committed.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the transaction may have been committed or not.
    ///
    /// ```no_run
    /// # async fn a(transaction: poolhouse_postgres::Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn commit(self) -> Result<(), Error> {
        self.inner.commit().await
    }

    /// Undoes all changes, and waits until that is done. Dropping the transaction undoes them without a wait.
    ///
    /// # Errors
    ///
    /// The end of the connection. The changes are undone then too.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// ```no_run
    /// # async fn a(transaction: poolhouse_postgres::Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    /// transaction.rollback().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn rollback(self) -> Result<(), Error> {
        self.inner.rollback().await
    }

    /// Sets a savepoint: a transaction inside this one, which can be rolled back alone.
    ///
    /// # Errors
    ///
    /// The server's, or the end of the connection.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, a savepoint may be left that nobody uses. It goes with the transaction.
    ///
    /// ```no_run
    /// # async fn a(mut transaction: poolhouse_postgres::Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    /// let attempt = transaction.transaction().await?;
    /// attempt.rollback().await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction { inner: self.inner.transaction().await?, statements: self.statements })
    }

    /// Like [`transaction`](Transaction::transaction), with a name. The name goes into SQL as it is.
    ///
    /// # Errors, cancel safety
    ///
    /// As for [`transaction`](Transaction::transaction).
    ///
    /// ```no_run
    /// # async fn a(mut transaction: poolhouse_postgres::Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    /// let attempt = transaction.savepoint("before_the_upsert").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn savepoint(&mut self, name: impl Into<String>) -> Result<Transaction<'_>, Error> {
        Ok(Transaction { inner: self.inner.savepoint(name).await?, statements: self.statements })
    }
}

impl<'c> Deref for Transaction<'c> {
    type Target = tokio_postgres::Transaction<'c>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// What a transaction is to be like. Get it from
/// [`PostgresConnection::build_transaction`](crate::PostgresConnection::build_transaction).
///
/// ```no_run
/// # async fn a(mut connection: poolhouse_postgres::PostgresConnection) -> Result<(), tokio_postgres::Error> {
/// let transaction = connection.build_transaction().read_only(true).start().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it begins nothing until start is called"]
pub struct TransactionBuilder<'c> {
    inner: tokio_postgres::TransactionBuilder<'c>,
    statements: &'c StatementCache,
}

impl<'c> TransactionBuilder<'c> {
    pub(crate) fn new(inner: tokio_postgres::TransactionBuilder<'c>, statements: &'c StatementCache) -> Self {
        Self { inner, statements }
    }

    /// The isolation level.
    ///
    /// ```no_run
    /// # async fn a(mut connection: poolhouse_postgres::PostgresConnection) -> Result<(), tokio_postgres::Error> {
    /// use tokio_postgres::IsolationLevel;
    ///
    /// let builder = connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    /// let transaction = builder.start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn isolation_level(self, level: IsolationLevel) -> Self {
        Self { inner: self.inner.isolation_level(level), ..self }
    }

    /// Whether it may write.
    ///
    /// ```no_run
    /// # async fn a(mut connection: poolhouse_postgres::PostgresConnection) -> Result<(), tokio_postgres::Error> {
    /// let transaction = connection.build_transaction().read_only(true).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn read_only(self, read_only: bool) -> Self {
        Self { inner: self.inner.read_only(read_only), ..self }
    }

    /// Whether it waits at its beginning rather than fail later: for one that is serializable and read-only.
    ///
    /// ```no_run
    /// # async fn a(mut connection: poolhouse_postgres::PostgresConnection) -> Result<(), tokio_postgres::Error> {
    /// use tokio_postgres::IsolationLevel;
    ///
    /// let builder = connection.build_transaction().isolation_level(IsolationLevel::Serializable);
    /// let transaction = builder.read_only(true).deferrable(true).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn deferrable(self, deferrable: bool) -> Self {
        Self { inner: self.inner.deferrable(deferrable), ..self }
    }

    /// Begins the transaction.
    ///
    /// # Errors, cancel safety
    ///
    /// As for [`PostgresConnection::transaction`](crate::PostgresConnection::transaction).
    ///
    /// ```no_run
    /// # async fn a(mut connection: poolhouse_postgres::PostgresConnection) -> Result<(), tokio_postgres::Error> {
    /// let transaction = connection.build_transaction().start().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn start(self) -> Result<Transaction<'c>, Error> {
        Ok(Transaction { inner: self.inner.start().await?, statements: self.statements })
    }
}

impl fmt::Debug for TransactionBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionBuilder").finish_non_exhaustive()
    }
}
