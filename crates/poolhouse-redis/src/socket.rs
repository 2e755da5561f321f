//! A socket that its stream and its connection share: one reads and writes, the other looks whether the peer has closed it.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

/// How much of a server's first line is kept.
const FIRST_LINE: usize = 256;

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    /// The first bytes that the server has sent. A full server says why, closes, and redis-rs reports the closing alone.
    first: Mutex<Vec<u8>>,
}

impl Socket {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, first: Mutex::new(Vec::new()) }
    }

    fn os(&self) -> SockRef<'_> {
        match &self.stream {
            Stream::Tcp(stream) => SockRef::from(stream),
            #[cfg(unix)]
            Stream::Unix(stream) => SockRef::from(stream),
        }
    }

    /// Whether the peer has closed, or the connection is broken. It asks the operating system, for what the driver knows is as
    /// old as its last turn. Bytes that wait to be read are no end: a push comes when nobody has asked for anything.
    pub(crate) fn has_ended(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match self.os().peek(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        match &self.stream {
            Stream::Tcp(stream) => stream.try_read(room),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.try_read(room),
        }
    }

    /// The error with which the server has answered the connect itself, if it has.
    pub(crate) fn refusal(&self) -> Option<String> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            // A write may have failed before anybody read.
            let mut room = [0; FIRST_LINE];
            let count = self.try_read(&mut room).unwrap_or(0);
            first.extend_from_slice(&room[..count]);
        }
        let text = String::from_utf8_lossy(first.strip_prefix(b"-")?).into_owned();
        text.lines().next().map(str::to_owned)
    }
}

/// Reads and writes a socket that somebody else looks at.
#[derive(Debug)]
pub(crate) struct SharedStream {
    socket: Arc<Socket>,
    keeps_first: bool,
}

impl SharedStream {
    pub(crate) fn new(socket: Arc<Socket>) -> Self {
        Self { socket, keeps_first: true }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let mut first = self.socket.first.lock().unwrap_or_else(PoisonError::into_inner);
        let room = FIRST_LINE.saturating_sub(first.len());
        first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.keeps_first =
            first.len() < FIRST_LINE && first.first() == Some(&b'-') && !first.contains(&b'\n');
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match &self.socket.stream {
                Stream::Tcp(stream) => ready!(stream.poll_read_ready(cx))?,
                #[cfg(unix)]
                Stream::Unix(stream) => ready!(stream.poll_read_ready(cx))?,
            }
            let room = buf.initialize_unfilled();
            match self.socket.try_read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    if self.keeps_first {
                        self.keep(&room[..count]);
                    }
                    buf.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let written = match &self.socket.stream {
                Stream::Tcp(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_write(buf)
                }
                #[cfg(unix)]
                Stream::Unix(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_write(buf)
                }
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.os().shutdown(Shutdown::Write))
    }
}
