//! A stream in memory whose far end is the fuzzer: it decides how many bytes are read at a time, and how many written.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The far end. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Peer(Arc<Mutex<State>>);

/// The near end, which a connection reads and writes.
pub(crate) struct Stream(Peer);

#[derive(Default)]
struct State {
    /// What the connection will read, at most one piece a read.
    pieces: VecDeque<Vec<u8>>,
    end: Option<End>,
    written: Vec<u8>,
    /// How many bytes the connection may write yet.
    room: usize,
}

/// How a peer goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Closed,
    Reset,
}

impl Peer {
    pub(crate) fn stream(&self) -> Stream {
        Stream(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics inside")
    }

    /// Whether the peer is still there to send.
    pub(crate) fn send(&self, piece: &[u8]) -> bool {
        let mut state = self.state();
        if !piece.is_empty() && state.end.is_none() {
            state.pieces.push_back(piece.to_vec());
        }
        state.end.is_none()
    }

    /// Sends nothing more. A reset also refuses what is written.
    pub(crate) fn end(&self, end: End) {
        self.state().end.get_or_insert(end);
    }

    pub(crate) fn ended(&self) -> Option<End> {
        self.state().end
    }

    pub(crate) fn make_room(&self, bytes: usize) {
        self.state().room += bytes;
    }

    pub(crate) fn room(&self) -> usize {
        self.state().room
    }

    pub(crate) fn written(&self) -> Vec<u8> {
        self.state().written.clone()
    }
}

impl Stream {
    /// Whether a read would find nothing, not even an end.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.0.state();
        state.pieces.is_empty() && state.end.is_none()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        let Some(mut piece) = state.pieces.pop_front() else {
            return match state.end {
                None => Poll::Pending,
                Some(End::Closed) => Poll::Ready(Ok(())),
                Some(End::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            };
        };
        let rest = piece.split_off(piece.len().min(buffer.remaining()));
        buffer.put_slice(&piece);
        if !rest.is_empty() {
            state.pieces.push_front(rest);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.state();
        if state.end == Some(End::Reset) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let count = bytes.len().min(state.room);
        if count == 0 {
            return Poll::Pending;
        }
        state.room -= count;
        state.written.extend(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
