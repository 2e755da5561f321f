//! What the server has counted: one plain snapshot.

use std::fmt;

/// What an [`EchoServer`](crate::EchoServer) has seen since it started: one consistent snapshot.
///
/// All fields are totals over the life of the server, except `open`, which is the number right now. Bytes are bytes
/// of payload: the four bytes of length before each payload are not counted.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let server = poolhouse_echo::EchoServer::in_memory();
/// let client = server.connect().await?;
/// assert_eq!((server.counts().accepted, server.counts().open), (1, 1));
///
/// drop(client);
/// let counts = server.wait_for(|counts| counts.open == 0).await;
/// assert_eq!((counts.accepted, counts.peak_open), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections accepted. A refused connection is not among them.
    pub accepted: u64,
    /// Connections open right now. One leaves this count after the server has let go of it, so a client may know of
    /// the close a moment earlier.
    pub open: u64,
    /// The most connections that have been open at the same time.
    pub peak_open: u64,
    /// Connections turned away because [`Faults::max_connections`](crate::Faults::max_connections) were open.
    pub refused: u64,
    /// Whole frames received, answered or not. A frame that is cut short or too long is not counted.
    pub frames_received: u64,
    /// Whole, valid frames sent. Each is counted just before it is written, so a client that has read a reply
    /// finds it counted. Halves of frames and garbage are not counted.
    pub frames_sent: u64,
    /// Bytes of payload in the frames received.
    pub bytes_received: u64,
    /// Bytes of payload in the frames sent.
    pub bytes_sent: u64,
}

/// One line for a log.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted {}, refused {}, open {}, peak open {}, received {} frames ({} bytes), sent {} frames ({} bytes)",
            self.accepted,
            self.refused,
            self.open,
            self.peak_open,
            self.frames_received,
            self.bytes_received,
            self.frames_sent,
            self.bytes_sent
        )
    }
}
