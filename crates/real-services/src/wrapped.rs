//! tokio-postgres by hand: a worked manager around a client crate. The chapter of
//! the guide shows it.

use std::borrow::Cow;
use std::ops::AsyncFnOnce;

use poolhouse::{FailureKind, Manager};
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};

// ANCHOR: session
/// A client, and the task that does its I/O.
pub struct Session {
    client: Client,
    driver: AbortHandle,
    /// Some work has begun and has not ended.
    busy: bool,
}

impl Session {
    /// Runs one piece of work: a query, or a whole transaction.
    ///
    /// # Errors
    ///
    /// What the work returns.
    pub async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.busy = true;
        let answer = work(&mut self.client).await;
        // Not reached when the caller drops this future: the statement still runs
        // on the server.
        self.busy = false;
        answer
    }
}

/// The driver would live on until the server has answered everything: `Drop` has
/// to end it.
impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
// ANCHOR_END: session

// ANCHOR: manager
/// One server, and as whom to log in.
pub struct Postgres(pub Config);

impl Manager for Postgres {
    type Connection = Session;
    type Error = Error;

    async fn connect(&self) -> Result<Session, Error> {
        let (client, connection) = self.0.connect(NoTls).await?;
        // What ends the connection, the next query says.
        let driver = tokio::spawn(async { drop(connection.await) }).abort_handle();
        Ok(Session { client, driver, busy: false })
    }

    async fn check(&self, session: &mut Session) -> Result<(), Error> {
        session.run(async |client| client.simple_query("").await.map(drop)).await
    }

    fn is_reusable(&self, session: &mut Session) -> bool {
        !session.busy && !session.client.is_closed()
    }

    fn is_connected(&self, session: &mut Session) -> bool {
        !session.client.is_closed()
    }

    fn classify(&self, error: &Error) -> FailureKind {
        match error.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_CATALOG_NAME) => {
                FailureKind::Permanent
            }
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        self.0.get_dbname().unwrap_or("postgres").into()
    }
}
// ANCHOR_END: manager
