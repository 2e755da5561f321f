//! tokio-util's length-delimited frames, with memory that follows what has arrived.
//!
//! tokio-util's codec takes the length out of the buffer and reserves memory for the payload at once, on the word of
//! four bytes. Here it is asked only when a frame is whole. Until then the buffer grows with what is in it, and the
//! length stays there: a buffer with anything in it is a connection inside a frame.
//!
//! tokio-util's buffers never shrink either. A connection that has carried one large frame would keep its memory for
//! as long as it idles, so the buffers of a large frame are replaced after it.

use std::error::Error;
use std::fmt;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

/// The most that an idle connection keeps in each direction, in bytes.
pub(super) const KEPT: usize = 64 * 1024;

/// How much a new buffer holds, as in tokio-util.
const INITIAL: usize = 8 * 1024;

const HEADER: usize = 4;

/// What the codec says of a stream that ends inside a frame: a type of its own, for a stream's errors may be of any kind.
#[derive(Debug)]
pub(super) struct EndedInFrame;

impl fmt::Display for EndedInFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stream ended inside a frame")
    }
}

impl Error for EndedInFrame {}

pub(super) struct FrameCodec {
    inner: LengthDelimitedCodec,
}

impl FrameCodec {
    pub(super) fn new(max_frame_length: usize) -> Self {
        Self { inner: LengthDelimitedCodec::builder().max_frame_length(max_frame_length).new_codec() }
    }

    /// How many bytes the frame at the start of `unread` has, header included, if it is one to wait for.
    fn expected(&self, unread: &BytesMut) -> Option<usize> {
        let length = usize::try_from((&unread[..]).try_get_u32().ok()?).ok()?;
        (length <= self.inner.max_frame_length()).then(|| length.saturating_add(HEADER))
    }
}

impl Decoder for FrameCodec {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, unread: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        if unread.len() < HEADER {
            return Ok(None);
        }
        // A length over the limit is tokio-util's to refuse.
        if let Some(whole) = self.expected(unread).filter(|whole| unread.len() < *whole) {
            if unread.len() == unread.capacity() {
                resize(unread, whole.min(2 * unread.len()));
            }
            return Ok(None);
        }
        let frame = self.inner.decode(unread)?;
        if let Some(frame) = &frame
            && HEADER + frame.len() + unread.capacity() > KEPT
        {
            // The rest of the buffer is one piece of memory with the frame, and would keep all of it.
            resize(unread, 0);
        }
        Ok(frame)
    }

    fn decode_eof(&mut self, unread: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        match self.decode(unread)? {
            None if !unread.is_empty() => Err(io::Error::other(EndedInFrame)),
            frame => Ok(frame),
        }
    }
}

/// Moves what is in `buffer` to memory of its own, with room for `capacity` bytes in all.
fn resize(buffer: &mut BytesMut, capacity: usize) {
    let mut other = BytesMut::with_capacity(capacity.max(buffer.len()).max(INITIAL));
    other.extend_from_slice(buffer);
    *buffer = other;
}

/// Replaces a buffer that everything has been written from, if `sent` bytes have made it large.
pub(super) fn give_back(written: &mut BytesMut, sent: usize) {
    if sent > KEPT {
        resize(written, 0);
    }
}

impl Encoder<Bytes> for FrameCodec {
    type Error = io::Error;

    fn encode(&mut self, payload: Bytes, out: &mut BytesMut) -> io::Result<()> {
        self.inner.encode(payload, out)
    }
}
