//! The stream under a client: it tells the watch of each message, and at the end it waits until the server has closed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::watch::Watch;
use crate::wire::Scanner;

/// How long the server may take to close after the goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// Plain or TLS.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

pub(crate) struct WatchedStream {
    inner: Box<dyn Io>,
    watch: Arc<Watch>,
    client: Scanner,
    server: Scanner,
    /// Set once the goodbye has been said.
    leaving: Option<Pin<Box<Sleep>>>,
}

impl WatchedStream {
    pub(crate) fn new(inner: Box<dyn Io>, watch: Arc<Watch>) -> Self {
        Self { inner, watch, client: Scanner::of_client(), server: Scanner::of_server(), leaving: None }
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        this.watch.begin_read();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        this.watch.end_read();
        this.server.feed(&buf.filled()[before..], |tag, body| this.watch.on_received(tag, body));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.watch.on_blocked(written.is_pending());
        let count = ready!(written)?;
        this.client.feed(&buf[..count], |tag, body| this.watch.on_sent(tag, body));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// A backend counts against `max_connections` of the server until its process has ended, and that is when the server's
    /// side of the socket closes.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.leaving.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        let limit = this.leaving.get_or_insert_with(|| Box::pin(sleep(GOODBYE)));
        loop {
            let mut rest = [0; 256];
            let mut buf = ReadBuf::new(&mut rest);
            match Pin::new(&mut this.inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                // An end or an error: both mean that the server has gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        limit.as_mut().poll(cx).map(Ok)
    }
}
