//! A small HTTP/1.1 server that does what servers do to clients that keep
//! connections: it closes idle ones, says
//! `Connection: close`, sends more than the client reads, hangs up on a request,
//! and does not answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// The longest line of a request that it reads.
const LONGEST_LINE: u64 = 8 * 1024;

/// What it sends for `/large`.
const LARGE: usize = 4 * 1024 * 1024;

/// It runs until it is dropped.
pub(crate) struct HttpServer {
    address: SocketAddr,
    idle_timeout: Arc<Notify>,
    task: AbortHandle,
}

impl HttpServer {
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let idle_timeout = Arc::<Notify>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&idle_timeout)))
            .abort_handle();
        Ok(Self { address, idle_timeout, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every connection on which no request is under way has been idle for too
    /// long.
    pub(crate) fn close_idle(&self) {
        self.idle_timeout.notify_waiters();
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    idle_timeout: Arc<Notify>,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let idle_timeout = Arc::clone(&idle_timeout);
        connections.spawn(async move { serve(stream, &idle_timeout).await });
    }
}

async fn serve(stream: TcpStream, idle_timeout: &Notify) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    loop {
        let path = tokio::select! {
            biased;
            path = read_path(&mut stream) => path?,
            () = idle_timeout.notified() => return Ok(()),
        };
        let close = path == "/close";
        let body = match path.as_str() {
            "" | "/hang-up" => return Ok(()),
            "/never" => std::future::pending().await,
            "/large" => vec![b'x'; LARGE],
            _ => b"ok".to_vec(),
        };
        let connection = if close { "close" } else { "keep-alive" };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: {connection}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.flush().await?;
        if close {
            return Ok(());
        }
    }
}

/// Reads the head of a request without a body. Nothing if the client has hung up.
async fn read_path(stream: &mut BufStream<TcpStream>) -> io::Result<String> {
    let request = read_line(stream).await?;
    while !read_line(stream).await?.is_empty() {}
    Ok(request.split(' ').nth(1).unwrap_or_default().to_owned())
}

async fn read_line(stream: &mut BufStream<TcpStream>) -> io::Result<String> {
    use tokio::io::AsyncReadExt;
    let mut line = String::new();
    stream.take(LONGEST_LINE).read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}
