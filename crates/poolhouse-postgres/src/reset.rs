//! What happens between two holders of a connection, and at its end.
//!
//! 1. **Settle.** If a statement still runs, because its caller has gone, it may go on for `cancel_after`: most end by then,
//!    and cost nothing. After that the server is asked to cancel it, again every second until it has ended. A cancel request
//!    names a backend, not a statement, so one that comes late would hit the next holder's. So that is waited for: the server
//!    closes the connection that brought the request when it has signalled the backend, and an idle backend ignores a signal.
//!    A stream of rows or the sink of a COPY that the holder has kept may go on for `cancel_after`. After that the connection is
//!    closed, for nobody else can end it.
//! 2. **Undo.** The server's last answer says whether a transaction is open. If so, it is rolled back.
//! 3. **Discard**, with [`ResetPolicy::DiscardAll`], what else a session keeps.
//!
//! The pool bounds all of it, by `reset_timeout` and `close_timeout`, and closes what does not get through.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Error, SimpleQueryMessage};

use crate::connection::PostgresConnection;
use crate::error::PostgresError;

/// What is undone when a connection comes back, before anybody else gets it.
///
/// With each of them a statement that still runs is waited for, and an open transaction is never passed on.
///
/// ```
/// use poolhouse_postgres::{PostgresManager, ResetPolicy};
///
/// let manager = PostgresManager::from_url("postgres://app@db.example/shop")?.reset_policy(ResetPolicy::DiscardAll);
/// # Ok::<(), tokio_postgres::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ResetPolicy {
    /// Sends nothing. A connection that comes back in a transaction, whose statement goes on running, or on which a `COPY` to
    /// the server has failed, is closed.
    Nothing,
    /// Cancels what runs on, and rolls back what was left open. It sends nothing if there is nothing to undo. What else a
    /// session keeps stays: `SET`, temporary tables, advisory locks.
    #[default]
    RollBack,
    /// The same, and all that `DISCARD ALL` does: settings, roles, temporary tables, advisory locks,
    /// `LISTEN`, cursors, sequences, and statements made by SQL's `PREPARE`. It takes one round trip after
    /// each use, and a second one if there are such statements. Those that this crate and tokio-postgres have
    /// prepared stay, and so does the cache: `DISCARD ALL` itself would take away statements that
    /// tokio-postgres keeps for types of yours, and it has no way to know.
    ///
    /// Settings go back to those of the login. So set what is to hold for every session in the URL, such as
    /// `?options=-c%20statement_timeout%3D5s`, or with `ALTER ROLE .. SET`, and not in the hook
    /// [`after_connect`](poolhouse::PoolBuilder::after_connect): what is set there lasts for the first holder.
    DiscardAll,
}

/// The parts of `DISCARD ALL`, but for `DEALLOCATE ALL`. The last one asks what is left to deallocate.
const DISCARD: &str = "\
CLOSE ALL; \
SET SESSION AUTHORIZATION DEFAULT; \
RESET ALL; \
UNLISTEN *; \
SELECT pg_catalog.pg_advisory_unlock_all(); \
DISCARD PLANS; \
DISCARD TEMP; \
DISCARD SEQUENCES; \
SELECT pg_catalog.quote_ident(name) AS prepared FROM pg_catalog.pg_prepared_statements WHERE from_sql";

/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_secs(1);

impl PostgresConnection {
    /// Waits until nothing runs. Cancels what runs for longer, if `cancel` says so.
    pub(crate) async fn settle(&self, cancel_after: Duration, cancel: bool) -> Result<(), PostgresError> {
        let mut wait = cancel_after;
        loop {
            match timeout(wait, self.watch.quiet()).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(PostgresError::Closed),
                Err(_) if self.watch.waits_for_holder() => return Err(PostgresError::StillInUse),
                // A request of the holder's to cancel is under way. It has a time limit of its own.
                Err(_) if self.watch.is_at_rest() => {}
                Err(_) if !cancel => return Err(PostgresError::Unfinished),
                // More than one statement may be queued, and a request cancels one.
                Err(_) => self.cancel_token().cancel_query().await?,
            }
            wait = AGAIN;
        }
    }

    /// After a COPY that failed, an answer may be on its way that nobody is owed. It would be taken for the next one, and each
    /// answer for the next but one. A row that comes back for this question shows that none is.
    pub(crate) async fn prove_in_step(&self) -> Result<(), PostgresError> {
        let answer = self.client.simple_query("SELECT 'in step'").await.map_err(PostgresError::Query)?;
        let is_row = |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(_));
        if !answer.iter().any(is_row) {
            return Err(PostgresError::OutOfStep);
        }
        self.watch.mark_in_step();
        Ok(())
    }

    pub(crate) async fn roll_back(&self) -> Result<(), PostgresError> {
        if self.is_in_transaction() {
            self.client.batch_execute("ROLLBACK").await.map_err(PostgresError::Query)?;
        }
        Ok(())
    }

    pub(crate) async fn discard_all(&mut self) -> Result<(), PostgresError> {
        let left = self.client.simple_query(DISCARD).await.map_err(PostgresError::Query)?;
        let names = left.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get("prepared").ok().flatten(),
            _ => None,
        });
        let deallocate: String = names.map(|name| format!("DEALLOCATE {name};")).collect();
        if !deallocate.is_empty() {
            self.client.batch_execute(&deallocate).await.map_err(PostgresError::Query)?;
        }
        self.clean_at = self.watch.requests();
        Ok(())
    }

    /// Whether this session takes no writes: that of a standby, or one that has been told so.
    pub(crate) async fn is_read_only(&self) -> Result<bool, Error> {
        self.is_on("SHOW transaction_read_only").await
    }

    /// Whether sessions of this server take no writes unless they ask for it: whatever a holder may have set in this one.
    pub(crate) async fn server_is_read_only(&self) -> Result<bool, Error> {
        self.is_on(
            "SELECT pg_catalog.pg_is_in_recovery() OR reset_val = 'on' \
             FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'",
        )
        .await
    }

    async fn is_on(&self, question: &str) -> Result<bool, Error> {
        let answer = self.client.simple_query(question).await?;
        Ok(answer.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => matches!(row.try_get(0), Ok(Some("on" | "t"))),
            _ => false,
        }))
    }

    /// Says goodbye, and waits until the server's process for this connection has ended: only then another one has room.
    pub(crate) async fn part(self, cancel_after: Duration) {
        match self.settle(cancel_after, true).await {
            Ok(()) | Err(PostgresError::Closed) => {}
            Err(error) => {
                // The driver will not end by itself, and the statement may still run.
                if matches!(error, PostgresError::StillInUse) {
                    let _ = self.cancel_token().cancel_query().await;
                }
                self.driver.cut().await;
                return self.look.hang_up().await;
            }
        }
        let Self { driver, client, statements, look, .. } = self;
        // In this order: statements that outlive their client send no message each.
        drop(client);
        drop(statements);
        driver.ended().await;
        // It has waited for the server, unless an answer that it did not expect has ended it.
        look.hang_up().await;
    }
}
