//! MariaDB and MySQL over mysql_async: a worked manager. The chapter of the guide
//! shows it.

use std::borrow::Cow;
use std::ops::AsyncFnOnce;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, Result};
use poolhouse::{FailureKind, Manager, RetireReason};

// ANCHOR: session
/// A connection on which one exchange runs at a time, from its beginning to its
/// end.
///
/// mysql_async sends the next query even if the answer to the last one is still
/// owed, and takes that for the answer. So an exchange that was dropped half-way
/// has to be noticed.
pub struct Session {
    conn: Conn,
    /// An exchange has begun and has not ended.
    busy: bool,
    /// An error has left the connection of no use.
    broken: bool,
}

impl Session {
    /// Runs one exchange. A dropped future costs the connection, and nobody gets
    /// its answer.
    ///
    /// # Errors
    ///
    /// What the exchange returns.
    pub async fn run<T, F>(&mut self, exchange: F) -> Result<T>
    where
        F: AsyncFnOnce(&mut Conn) -> Result<T>,
    {
        self.busy = true;
        let answer = exchange(&mut self.conn).await;
        self.busy = false;
        let ends_it = |error: &Error| !matches!(error, Error::Server(_));
        self.broken |= answer.as_ref().is_err_and(ends_it);
        answer
    }

    /// What the server calls this session.
    pub fn id(&self) -> u32 {
        self.conn.id()
    }
}
// ANCHOR_END: session

// ANCHOR: manager
/// One server, and as whom to log in.
pub struct MariaDb {
    opts: Opts,
}

impl MariaDb {
    /// Connects to this server. The options of mysql_async's own pool are not
    /// used.
    pub fn new(opts: impl Into<Opts>) -> Self {
        Self { opts: opts.into() }
    }
}

impl Manager for MariaDb {
    type Connection = Session;
    type Error = Error;

    async fn connect(&self) -> Result<Session> {
        let conn = Conn::new(self.opts.clone()).await?;
        Ok(Session { conn, busy: false, broken: false })
    }

    async fn check(&self, session: &mut Session) -> Result<()> {
        session.run(async |conn| conn.ping().await).await
    }

    fn is_reusable(&self, session: &mut Session) -> bool {
        !session.busy && !session.broken
    }

    // Nothing tells whether the holder has changed the session.
    fn needs_reset(&self, _: &mut Session) -> bool {
        true
    }

    // `COM_RESET_CONNECTION` rolls back, drops temporary tables and locks, and
    // sets variables to their defaults. The database that `USE` has chosen stays.
    async fn reset(&self, session: &mut Session) -> Result<()> {
        let known = session.run(async |conn| conn.reset().await).await?;
        if !known {
            let missing = "the server has no COM_RESET_CONNECTION";
            return Err(Error::Other(missing.into()));
        }
        let Some(database) = self.opts.db_name() else { return Ok(()) };
        let choose = format!("USE `{}`", database.replace('`', "``"));
        session.run(async |conn| conn.query_drop(choose).await).await
    }

    fn needs_close(&self, session: &mut Session, reason: RetireReason) -> bool {
        !session.broken && reason != RetireReason::PeerClosed
    }

    async fn close(&self, session: Session) {
        if !session.busy {
            let _ = session.conn.disconnect().await;
        } else if let Ok(mut other) = Conn::new(self.opts.clone()).await {
            // The statement of a caller that went away runs on: its session has to
            // be ended from another one.
            let _ = other.query_drop(format!("KILL {}", session.id())).await;
            let _ = other.disconnect().await;
        }
    }

    fn classify(&self, error: &Error) -> FailureKind {
        let Error::Server(error) = error else { return FailureKind::Transient };
        match error.code {
            // Too many connections, of all users or of this one.
            1040 | 1203 | 1226 => FailureKind::Busy,
            // Access denied, to the server or to the database; no such database.
            1044 | 1045 | 1049 | 1698 => FailureKind::Permanent,
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        format!("{}:{}", self.opts.ip_or_hostname(), self.opts.tcp_port()).into()
    }
}
// ANCHOR_END: manager
