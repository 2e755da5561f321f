//! What a connection and a transaction have in common.

use std::future::Future;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

use crate::connection::PostgresConnection;
use crate::transaction::Transaction;

/// A connection or a transaction, for a function that takes either and prepares its statements by the cache.
///
/// tokio-postgres' [`GenericClient`](tokio_postgres::GenericClient) serves for the rest: it knows no cache.
///
/// ```no_run
/// use poolhouse_postgres::{PostgresPool, PrepareCached};
/// use tokio_postgres::Error;
///
/// async fn name(client: &impl PrepareCached, id: i32) -> Result<Option<String>, Error> {
///     let select = client.prepare_cached("SELECT name FROM users WHERE id = $1").await?;
///     Ok(client.client().query_opt(&select, &[&id]).await?.map(|row| row.get(0)))
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
    /// What runs the statements, inside the transaction if this is one.
    fn client(&self) -> &Client;

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
    fn client(&self) -> &Client {
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

impl PrepareCached for Transaction<'_> {
    fn client(&self) -> &Client {
        (**self).client()
    }

    fn prepare_typed_cached(
        &self,
        query: &str,
        types: &[Type],
    ) -> impl Future<Output = Result<Statement, Error>> + Send {
        self.prepare_typed_cached(query, types)
    }
}
