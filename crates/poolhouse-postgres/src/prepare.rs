//! What a connection and a transaction have in common.

use std::future::Future;

use tokio_postgres::types::Type;
use tokio_postgres::{Error, GenericClient, Statement};

use crate::connection::PostgresConnection;
use crate::transaction::Transaction;

/// A connection or a transaction, for a function that takes either and prepares its statements by the cache.
///
/// tokio-postgres' [`GenericClient`] knows no cache. Here [`generic`](PrepareCached::generic) gives one.
///
/// ```no_run
/// use poolhouse_postgres::{PostgresPool, PrepareCached};
/// use tokio_postgres::{Error, GenericClient};
///
/// async fn name(client: &impl PrepareCached, id: i32) -> Result<Option<String>, Error> {
///     let select = client.prepare_cached("SELECT name FROM users WHERE id = $1").await?;
///     Ok(client.generic().query_opt(&select, &[&id]).await?.map(|row| row.get(0)))
/// }
///
/// # async fn a(pool: PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
/// let mut connection = pool.acquire().await?;
/// name(&*connection, 1).await?;
/// let transaction = connection.transaction().await?;
/// name(&transaction, 2).await?;
/// # Ok(())
/// # }
/// ```
pub trait PrepareCached: Sync {
    /// tokio-postgres' client or transaction.
    type Generic: GenericClient + Sync;

    /// What runs the statements.
    fn generic(&self) -> &Self::Generic;

    /// [`PostgresConnection::prepare_cached`].
    fn prepare_cached(&self, query: &str) -> impl Future<Output = Result<Statement, Error>> + Send {
        self.prepare_typed_cached(query, &[])
    }

    /// [`PostgresConnection::prepare_typed_cached`].
    fn prepare_typed_cached(
        &self,
        query: &str,
        types: &[Type],
    ) -> impl Future<Output = Result<Statement, Error>> + Send;
}

impl PrepareCached for PostgresConnection {
    type Generic = tokio_postgres::Client;

    fn generic(&self) -> &Self::Generic {
        self.client()
    }

    fn prepare_typed_cached(
        &self,
        query: &str,
        types: &[Type],
    ) -> impl Future<Output = Result<Statement, Error>> + Send {
        self.prepare_typed_cached(query, types)
    }
}

impl<'c> PrepareCached for Transaction<'c> {
    type Generic = tokio_postgres::Transaction<'c>;

    fn generic(&self) -> &Self::Generic {
        self
    }

    fn prepare_typed_cached(
        &self,
        query: &str,
        types: &[Type],
    ) -> impl Future<Output = Result<Statement, Error>> + Send {
        self.prepare_typed_cached(query, types)
    }
}
