//! Opening a connection: the socket, the login, and a first answer.
//!
//! redis-rs can open the socket itself, but then nobody can look at it: whether the peer has closed it is known a turn of the
//! runtime too late, and the words of a server that is full are lost. With TLS it does: the feature that makes it, whichever
//! of redis-rs' it is, is not this crate's to choose.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr};
use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;

use crate::error::ConnectionError;
use crate::socket::{SharedStream, Socket, Stream};

/// A connection's socket and the task that reads and writes it. Dropped, both end at once, whatever is under way.
#[derive(Debug)]
pub(crate) struct Line {
    socket: Arc<Socket>,
    driver: JoinHandle<()>,
}

impl Line {
    pub(crate) fn has_ended(&self) -> bool {
        self.driver.is_finished() || self.socket.has_ended()
    }

    pub(crate) fn refusal(&self) -> Option<String> {
        self.socket.refusal()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens a connection. There is no line with TLS.
pub(crate) async fn dial(
    client: &Client,
    response_timeout: Option<Duration>,
) -> Result<(MultiplexedConnection, Option<Line>), ConnectionError> {
    let info = client.get_connection_info();
    let to = || info.addr().to_string();
    // The pool bounds the connect.
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(response_timeout);
    let unreachable = |error| ConnectionError::Connect { to: to(), error };
    let stream = match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            Stream::Tcp(open_tcp(host, *port, info.tcp_settings()).await.map_err(unreachable)?)
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            Stream::Unix(tokio::net::UnixStream::connect(path).await.map_err(unreachable)?)
        }
        _ => {
            let opened = client.get_multiplexed_async_connection_with_config(&config).await;
            return Ok((opened.map_err(|error| ConnectionError::login(to(), error, None))?, None));
        }
    };
    let socket = Arc::new(Socket::new(stream));
    let stream = SharedStream::new(Arc::clone(&socket));
    match MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await {
        Ok((connection, driver)) => Ok((connection, Some(Line { socket, driver: tokio::spawn(driver) }))),
        Err(error) => Err(ConnectionError::login(to(), error, socket.refusal())),
    }
}

/// All addresses of the name at once, as redis-rs does it: the first that takes the connection serves.
async fn open_tcp(host: &str, port: u16, settings: &TcpSettings) -> io::Result<TcpStream> {
    let connects: Vec<_> =
        lookup_host((host, port)).await?.map(|address| Box::pin(TcpStream::connect(address))).collect();
    if connects.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    let (stream, _) = select_ok(connects).await?;
    stream.set_nodelay(settings.nodelay())?;
    let socket = SockRef::from(&stream);
    if let Some(keepalive) = settings.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(settings.user_timeout())?;
    Ok(stream)
}
