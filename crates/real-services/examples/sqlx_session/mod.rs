//! sqlx's connections in poolhouse.

use std::borrow::Cow;

use poolhouse::{FailureKind, Manager};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgTransaction};

pub(crate) struct SqlxPostgres(pub(crate) PgConnectOptions);

pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    /// `BEGIN` was sent, and nobody has seen its answer.
    beginning: bool,
}

impl Session {
    pub(crate) async fn begin(
        &mut self,
    ) -> Result<PgTransaction<'_>, sqlx::Error> {
        self.beginning = true;
        let transaction = self.connection.begin().await?;
        // Not reached when the caller drops this future.
        self.beginning = false;
        Ok(transaction)
    }
}

impl Manager for SqlxPostgres {
    type Connection = Session;
    type Error = sqlx::Error;

    async fn connect(&self) -> Result<Session, sqlx::Error> {
        let connection = PgConnection::connect_with(&self.0).await?;
        Ok(Session { connection, beginning: false })
    }

    async fn check(&self, session: &mut Session) -> Result<(), sqlx::Error> {
        session.connection.ping().await
    }

    fn is_reusable(&self, session: &mut Session) -> bool {
        // A transaction that was dropped has its rollback in the buffer, unsent.
        let Session { connection, beginning } = session;
        !*beginning
            && !connection.is_in_transaction()
            && !connection.should_flush()
    }

    fn classify(&self, error: &sqlx::Error) -> FailureKind {
        // A wrong password, and a database that does not exist.
        match error.as_database_error().and_then(DatabaseError::code).as_deref() {
            Some("28P01" | "28000" | "3D000") => FailureKind::Permanent,
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        format!("{}:{}", self.0.get_host(), self.0.get_port()).into()
    }
}
