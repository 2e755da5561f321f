//! The client's way to a server in memory.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::DuplexStream;
use tokio::runtime::Handle;

use crate::connection::Connection;
use crate::shared::{Shared, Turned};

/// Bytes that a pipe holds in each direction before its writer has to wait: about what a socket's buffer holds.
const PIPE_CAPACITY: usize = 64 * 1024;

/// Opens connections to an [`EchoServer`](crate::EchoServer) in memory.
///
/// A connector is cheap to clone and may go to any task or thread. It does not keep the server alive: once the server
/// has stopped, connections are refused.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = poolhouse_echo::EchoServer::in_memory();
/// let connector = server.connector();
/// let _client = connector.connect().await?;
///
/// drop(server);
/// let error = connector.connect().await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
    /// Where the server's side of a connection runs. `None` for a server that listens on a socket.
    runtime: Option<Handle>,
}

impl Connector {
    pub(crate) fn new(shared: Arc<Shared>, runtime: Option<Handle>) -> Connector {
        Connector { shared, runtime }
    }

    /// Opens a connection, and returns the client's end of it.
    ///
    /// The connection is counted before this returns. It never waits, so there is nothing to cancel. The server's end
    /// runs on the runtime on which the server was made, whichever runtime you call from.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` if the server has stopped, or has
    /// [`max_connections`](crate::Faults::max_connections) open. `Unsupported` if the server listens on a socket:
    /// connect to its [`addr`](crate::EchoServer::addr) instead.
    pub async fn connect(&self) -> io::Result<DuplexStream> {
        let Some(runtime) = &self.runtime else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this echo server listens on a socket: connect to its addr() with a TcpStream",
            ));
        };
        let admission = self.shared.admit().map_err(|turned| {
            let why = match turned {
                Turned::Full(open) => format!(
                    "the echo server refuses: {open} connections are open, as many as max_connections allows; \
                     close one, or raise the limit"
                ),
                Turned::Stopped => "the echo server has stopped: start another one".to_owned(),
            };
            io::Error::new(io::ErrorKind::ConnectionRefused, why)
        })?;
        let (client, server) = tokio::io::duplex(PIPE_CAPACITY);
        runtime.spawn(Connection::new(server, admission).run());
        Ok(client)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("counts", &self.shared.counts()).finish_non_exhaustive()
    }
}
