//! tokio-util's length-delimited frames, with memory that follows what has arrived and is bounded in sum.
//!
//! tokio-util's codec reserves memory for a payload as soon as its length is there, and its buffers never shrink. Here
//! it is asked only when a frame is whole. The buffer grows with what has arrived, and is replaced after a large frame.
//!
//! Small frames cost a connection no more than its buffers do. Large ones, of all connections together, draw on one
//! [`Budget`]: from when they arrive, until the last copy of them is dropped.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// What a connection may keep in each direction without drawing on the budget, in bytes.
pub(crate) const SMALL: usize = 64 * 1024;

/// How much a new buffer holds, as in tokio-util.
const INITIAL: usize = 8 * 1024;

pub(crate) const HEADER: usize = 4;

/// What the large frames of all connections may hold together, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Budget> {
        Arc::new(Budget { left: AtomicUsize::new(bytes) })
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let taken =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        taken.map(drop).map_err(|_| {
            let why = "the large frames of all connections would hold more than max_buffered";
            io::Error::new(io::ErrorKind::QuotaExceeded, why)
        })
    }
}

/// A part of the budget, given back when it is dropped.
struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    fn grow_to(&mut self, bytes: usize) -> io::Result<()> {
        let more = bytes.saturating_sub(self.bytes);
        self.budget.take(more)?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// A large payload with its share.
struct Large {
    payload: BytesMut,
    _share: Share,
}

impl AsRef<[u8]> for Large {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

pub(crate) struct FrameCodec {
    inner: LengthDelimitedCodec,
    /// That of the frame that is arriving.
    share: Share,
}

impl FrameCodec {
    pub(crate) fn new(max_frame_length: usize, budget: Arc<Budget>) -> FrameCodec {
        let inner = LengthDelimitedCodec::builder().max_frame_length(max_frame_length).new_codec();
        FrameCodec { inner, share: Share { budget, bytes: 0 } }
    }

    pub(crate) fn max_frame_length(&self) -> usize {
        self.inner.max_frame_length()
    }

    /// How many bytes the frame at the start of `unread` has, header included, if it is one to wait for.
    fn expected(&self, unread: &BytesMut) -> Option<usize> {
        let length = usize::try_from((&unread[..]).try_get_u32().ok()?).ok()?;
        (length <= self.max_frame_length()).then(|| length.saturating_add(HEADER))
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = io::Error;

    fn decode(&mut self, unread: &mut BytesMut) -> io::Result<Option<Bytes>> {
        if unread.len() < HEADER {
            return Ok(None);
        }
        // A length over the limit is tokio-util's to refuse.
        if let Some(whole) = self.expected(unread).filter(|whole| unread.len() < *whole) {
            if unread.len() == unread.capacity() {
                let capacity = whole.min(2 * unread.len());
                if capacity > SMALL {
                    self.share.grow_to(capacity)?;
                }
                resize(unread, capacity);
            }
            return Ok(None);
        }
        let Some(payload) = self.inner.decode(unread)? else { return Ok(None) };
        if HEADER + payload.len() + unread.capacity() > SMALL {
            // The rest of the buffer is one piece of memory with the payload, and would keep all of it.
            resize(unread, 0);
        }
        if payload.len() <= SMALL {
            self.share = Share { budget: Arc::clone(&self.share.budget), bytes: 0 };
            return Ok(Some(payload.freeze()));
        }
        self.share.grow_to(payload.len())?;
        let next = Share { budget: Arc::clone(&self.share.budget), bytes: 0 };
        let share = std::mem::replace(&mut self.share, next);
        Ok(Some(Bytes::from_owner(Large { payload, _share: share })))
    }
}

/// Moves what is in `buffer` to memory of its own, with room for `capacity` bytes in all.
fn resize(buffer: &mut BytesMut, capacity: usize) {
    let mut other = BytesMut::with_capacity(capacity.max(buffer.len()).max(INITIAL));
    other.extend_from_slice(buffer);
    *buffer = other;
}

/// For small frames. Large ones are written without another copy.
impl Encoder<Bytes> for FrameCodec {
    type Error = io::Error;

    fn encode(&mut self, payload: Bytes, out: &mut BytesMut) -> io::Result<()> {
        self.inner.encode(payload, out)
    }
}
