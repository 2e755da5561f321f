//! Asking a server to give up what it is doing.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tokio_postgres::NoTls;

use crate::dial::{Dialer, Route};
use crate::error::PostgresError;
use crate::stream::Io;
use crate::watch::Watch;

/// How long the server may take to act. The pool waits for that before it hands the connection on.
const LIMIT: Duration = Duration::from_secs(5);

/// Asks the server to give up the statement that a connection is running. Get it from
/// [`PostgresConnection::cancel_token`](crate::PostgresConnection::cancel_token), and use it while the statement runs.
///
/// You need none to leave a statement behind: the pool's background cancels what a caller has left running. It is for a
/// statement that you still wait for.
///
/// ```no_run
/// # async fn a(pool: poolhouse_postgres::PostgresPool) -> Result<(), Box<dyn std::error::Error>> {
/// let connection = pool.acquire().await?;
/// let token = connection.cancel_token();
/// tokio::spawn(async move { token.cancel_query().await });
/// let error = connection.batch_execute("SELECT pg_sleep(60)").await.expect_err("it is cancelled");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CancelToken {
    pub(crate) token: tokio_postgres::CancelToken,
    pub(crate) dialer: Dialer,
    pub(crate) route: Route,
    pub(crate) watch: Arc<Watch>,
    /// The hold that it is for.
    pub(crate) hold: u64,
}

impl CancelToken {
    /// Sends the request, over a connection of its own, and waits until the server has acted on it. That is no promise that a
    /// statement has ended: it may have ended by itself before, or it may end a little later.
    ///
    /// When this has returned, the request can no longer hit a statement that you send afterwards. Behind a proxy it can.
    ///
    /// It does not hit the next holder, except behind a proxy that passes requests on late. Once the connection has gone back to
    /// the pool, this does nothing. If that happens while the request is under way, the pool waits for its end before it hands
    /// the connection on. The token of tokio-postgres' own client, `connection.client().cancel_token()`, knows nothing of this.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or has not acted within five seconds. If the request has been sent by then, it may still be
    /// acted on later, so the pool closes the connection when it comes back.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the request may still be acted on later, so the pool closes the connection when it comes back.
    ///
    /// ```no_run
    /// # async fn a(connection: poolhouse_postgres::PostgresConnection) -> Result<(), Box<dyn std::error::Error>> {
    /// connection.cancel_token().cancel_query().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn cancel_query(&self) -> Result<(), PostgresError> {
        let silent = |_| PostgresError::Silent { to: self.route.name() };
        timeout(LIMIT, self.request()).await.map_err(silent)?
    }

    async fn request(&self) -> Result<(), PostgresError> {
        let Some(mut cancelling) = self.watch.begin_cancel(self.hold) else { return Ok(()) };
        let (_look, mut stream) = self.dialer.open(&self.route).await?;
        cancelling.on_sending();
        self.token.cancel_query_raw(StaysOpen(&mut *stream), NoTls).await.map_err(PostgresError::Query)?;
        // The server signals the backend first and closes then. An error is an end too.
        let mut rest = [0; 64];
        while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
        cancelling.on_acted();
        Ok(())
    }
}

/// tokio-postgres closes its side once it has sent the request. PgBouncer takes that for a client who has gone, and forgets a
/// request that it has not passed on yet.
struct StaysOpen<'s>(&'s mut dyn Io);

impl AsyncRead for StaysOpen<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for StaysOpen<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("server", &self.route.name()).finish_non_exhaustive()
    }
}
