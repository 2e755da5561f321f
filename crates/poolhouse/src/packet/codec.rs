//! tokio-util's length-delimited frames, plus the knowledge of being inside one.
//!
//! The codec takes the header out of the buffer before the payload is there. A connection that looked only at the
//! buffer would seem clean then, and the rest of the frame would be the next caller's reply.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder, LengthDelimitedCodec};

pub(super) struct FrameCodec {
    inner: LengthDelimitedCodec,
    in_frame: bool,
}

impl FrameCodec {
    pub(super) fn new(max_frame_length: usize) -> Self {
        let inner = LengthDelimitedCodec::builder().max_frame_length(max_frame_length).new_codec();
        Self { inner, in_frame: false }
    }

    /// Whether a header has been read whose payload has not.
    pub(super) fn in_frame(&self) -> bool {
        self.in_frame
    }
}

impl Decoder for FrameCodec {
    type Item = BytesMut;
    type Error = io::Error;

    fn decode(&mut self, unread: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        let before = unread.len();
        let frame = self.inner.decode(unread)?;
        self.in_frame = frame.is_none() && (self.in_frame || unread.len() < before);
        Ok(frame)
    }

    fn decode_eof(&mut self, unread: &mut BytesMut) -> io::Result<Option<BytesMut>> {
        match self.decode(unread)? {
            None if self.in_frame || !unread.is_empty() => {
                Err(io::Error::other("the stream ended inside a frame"))
            }
            frame => Ok(frame),
        }
    }
}

impl Encoder<Bytes> for FrameCodec {
    type Error = io::Error;

    fn encode(&mut self, payload: Bytes, out: &mut BytesMut) -> io::Result<()> {
        self.inner.encode(payload, out)
    }
}
