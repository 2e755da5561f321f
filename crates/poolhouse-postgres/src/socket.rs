//! A socket that its stream and its connection share: one reads and writes, the other looks whether the peer has closed it.
//!
//! tokio's halves share a socket without a lock. The stream owns the half that reads, and writes through it; the connection
//! owns the half that writes. It looks, and closes the socket at the end.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, tcp};
#[cfg(unix)]
use tokio::net::{UnixStream, unix};
use tokio::task::consume_budget;

/// What has arrived and has not been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    Nothing,
    Bytes,
    /// The peer has closed, or the connection is broken.
    End,
}

fn unread(socket: &SockRef<'_>) -> Unread {
    let mut byte = [MaybeUninit::uninit()];
    match socket.peek(&mut byte) {
        Ok(0) => Unread::End,
        Ok(_) => Unread::Bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Unread::Nothing,
        Err(_) => Unread::End,
    }
}

/// Looks at a socket that somebody else reads, and closes it when nobody does any more.
pub(crate) struct Look(Option<WriteHalf>);

enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    #[cfg(unix)]
    Unix(unix::OwnedWriteHalf),
}

impl Look {
    fn socket(&self) -> Option<SockRef<'_>> {
        Some(match self.0.as_ref()? {
            WriteHalf::Tcp(half) => SockRef::from(half.as_ref()),
            #[cfg(unix)]
            WriteHalf::Unix(half) => SockRef::from(half.as_ref()),
        })
    }

    /// What the driver has not read. It asks the operating system, for what the runtime knows is as old as its last turn.
    pub(crate) fn unread(&self) -> Unread {
        self.socket().map_or(Unread::End, |socket| unread(&socket))
    }

    /// Closes this side, and waits until the peer has closed too. For a socket that nobody else reads any more.
    pub(crate) async fn hang_up(&self) {
        let Some(socket) = self.socket() else { return };
        let _ = socket.shutdown(Shutdown::Write);
        let mut rest = [0; 4096];
        loop {
            // A peer that never stops sending must not keep the caller's time limit from being looked at.
            consume_budget().await;
            let read = match &self.0 {
                Some(WriteHalf::Tcp(half)) => {
                    let stream: &TcpStream = half.as_ref();
                    stream.readable().await.and_then(|()| stream.try_read(&mut rest))
                }
                #[cfg(unix)]
                Some(WriteHalf::Unix(half)) => {
                    let stream: &UnixStream = half.as_ref();
                    stream.readable().await.and_then(|()| stream.try_read(&mut rest))
                }
                None => return,
            };
            match read {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => return,
            }
        }
    }
}

/// A half that is dropped would close its direction, and the driver still has a goodbye to say.
impl Drop for Look {
    fn drop(&mut self) {
        match self.0.take() {
            Some(WriteHalf::Tcp(half)) => half.forget(),
            #[cfg(unix)]
            Some(WriteHalf::Unix(half)) => half.forget(),
            None => {}
        }
    }
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").finish_non_exhaustive()
    }
}

/// Reads and writes a socket that somebody else looks at.
#[derive(Debug)]
pub(crate) enum SharedStream {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Unix(unix::OwnedReadHalf),
}

impl SharedStream {
    pub(crate) fn tcp(stream: TcpStream) -> (Self, Look) {
        let (read, write) = stream.into_split();
        (Self::Tcp(read), Look(Some(WriteHalf::Tcp(write))))
    }

    #[cfg(unix)]
    pub(crate) fn unix(stream: UnixStream) -> (Self, Look) {
        let (read, write) = stream.into_split();
        (Self::Unix(read), Look(Some(WriteHalf::Unix(write))))
    }
}

impl AsyncRead for SharedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(half) => Pin::new(half).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let written = match &*self {
                Self::Tcp(half) => {
                    let stream: &TcpStream = half.as_ref();
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_write(buf)
                }
                #[cfg(unix)]
                Self::Unix(half) => {
                    let stream: &UnixStream = half.as_ref();
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
        Poll::Ready(match &*self {
            Self::Tcp(half) => SockRef::from(half.as_ref()).shutdown(Shutdown::Write),
            #[cfg(unix)]
            Self::Unix(half) => SockRef::from(half.as_ref()).shutdown(Shutdown::Write),
        })
    }
}
