//! What a connection runs over: a socket or a pipe. They differ in one thing only, how they are torn down.

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// A stream of bytes that a connection runs over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the coming drop abrupt, as far as this transport can.
    fn reset_on_drop(&self);
}

impl Transport for TcpStream {
    fn reset_on_drop(&self) {
        // It fails only for a socket that is already dead, and then there is nothing left to reset.
        let _ = self.set_zero_linger();
    }
}

impl Transport for DuplexStream {
    /// A pipe has no reset. Its peer reads an end, and its writes fail.
    fn reset_on_drop(&self) {}
}
