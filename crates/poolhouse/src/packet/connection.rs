//! One packet connection over any byte stream.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::unconstrained;
use tokio_util::codec::{Framed, LengthDelimitedCodecError};

use super::codec::{EndedInFrame, FrameCodec, give_back};
use super::{PacketError, PacketOptions};
use crate::time::within;

#[cfg(feature = "net")]
type DefaultStream = tokio::net::TcpStream;
#[cfg(not(feature = "net"))]
type DefaultStream = std::convert::Infallible;

/// A connection that sends and receives packets: a 4-byte big-endian length, then that many bytes.
///
/// It keeps count of what it has sent and not had an answer to. The pool closes a connection that comes back with an
/// answer outstanding, so that the next caller cannot read it. If your protocol has packets without answers, say so
/// with [`exchange_complete`](PacketConnection::exchange_complete).
///
/// Its buffers grow with the bytes that arrive, not with the length that is announced. After an exchange they keep at
/// most about 64 KiB in each direction.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use poolhouse::{PacketConnection, PacketOptions};
/// use poolhouse_echo::EchoServer;
///
/// let server = EchoServer::in_memory();
/// let mut connection = PacketConnection::new(server.connect().await?, "in memory", &PacketOptions::default());
/// connection.send_packet("hello").await?;
/// assert_eq!(connection.receive().await?, "hello");
/// # Ok(())
/// # }
/// ```
pub struct PacketConnection<S = DefaultStream> {
    framed: Framed<S, FrameCodec>,
    target: Arc<str>,
    io_timeout: Duration,
    max_frame_length: usize,
    /// Packets sent that have had no answer.
    unanswered: u64,
    /// A packet that arrived while nobody was receiving.
    early: Option<BytesMut>,
    /// No call has failed or been dropped half-way. False also while a packet is being sent.
    sound: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> PacketConnection<S> {
    /// Speaks packets over `stream`. `target` names the peer in errors.
    ///
    /// ```
    /// use poolhouse::{PacketConnection, PacketOptions};
    ///
    /// let (here, _there) = tokio::io::duplex(64);
    /// let connection = PacketConnection::new(here, "there", &PacketOptions::default());
    /// assert_eq!(connection.target(), "there");
    /// ```
    pub fn new(stream: S, target: impl Into<Arc<str>>, options: &PacketOptions) -> Self {
        Self {
            framed: Framed::new(stream, FrameCodec::new(options.longest_frame())),
            target: target.into(),
            io_timeout: options.io_timeout,
            max_frame_length: options.longest_frame(),
            unanswered: 0,
            early: None,
            sound: true,
        }
    }

    /// Sends one packet, and returns when the operating system has taken it.
    ///
    /// # Errors
    ///
    /// [`FrameTooLong`](PacketError::FrameTooLong) before a byte is written, after which the connection is as good as
    /// before. [`TimedOut`](PacketError::TimedOut) after `io_timeout` and [`Io`](PacketError::Io) break it.
    /// [`Broken`](PacketError::Broken) if it is broken already.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its timer enabled, unless `io_timeout` is [`Duration::MAX`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: part of the packet may have been written. A call that is dropped half-way breaks the
    /// connection, and the pool closes it (`cancel.tainted`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let mut connection = pool.acquire().await?;
    /// connection.send_packet(vec![1, 2, 3]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_packet(&mut self, payload: impl Into<Bytes>) -> Result<(), PacketError> {
        let payload = payload.into();
        if payload.len() > self.max_frame_length {
            return Err(self.too_long(payload.len() as u64, true));
        }
        self.ensure_sound()?;
        // Until it is sent: a call that is dropped half-way leaves it so.
        self.sound = false;
        self.unanswered += 1;
        let (limit, length) = (self.io_timeout, payload.len());
        match within(limit, feed(Pin::new(&mut self.framed), payload)).await {
            Some(Ok(())) => {
                give_back(self.framed.write_buffer_mut(), length);
                self.sound = true;
                Ok(())
            }
            Some(Err(error)) => Err(PacketError::Io { target: self.target(), error }),
            None => Err(PacketError::TimedOut { target: self.target(), limit, sending: true }),
        }
    }

    /// Receives one packet.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](PacketError::Disconnected), [`FrameTooLong`](PacketError::FrameTooLong) (nothing of
    /// the announced length is allocated), [`TimedOut`](PacketError::TimedOut) after `io_timeout`,
    /// [`Io`](PacketError::Io). Each of them breaks the connection. [`Broken`](PacketError::Broken) if it is
    /// broken already.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its timer enabled, unless `io_timeout` is [`Duration::MAX`].
    ///
    /// # Cancel safety
    ///
    /// No byte is lost, but the answer is still to come: the pool closes a connection that comes back like that
    /// (`cancel.tainted`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let mut connection = pool.acquire().await?;
    /// connection.send_packet("ping").await?;
    /// let answer = connection.receive().await?;
    /// assert_eq!(&answer[..], b"ping");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn receive(&mut self) -> Result<Bytes, PacketError> {
        self.ensure_sound()?;
        let limit = self.io_timeout;
        let received = within(limit, poll_fn(|cx| self.poll_receive(cx))).await;
        let timed_out = || PacketError::TimedOut { target: self.target(), limit, sending: false };
        let received = received.unwrap_or_else(|| Err(timed_out()));
        match &received {
            Ok(_) => self.unanswered = self.unanswered.saturating_sub(1),
            Err(_) => self.sound = false,
        }
        received.map(BytesMut::freeze)
    }

    /// Whether the connection still works as far as can be told without a round trip: no call on it has failed, and the
    /// peer's end of it has not been seen to close. `true` is no promise: the peer may be gone without having said so.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let mut connection = pool.acquire().await?;
    /// assert!(connection.is_connected());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_connected(&mut self) -> bool {
        if !self.sound || self.early.is_some() {
            return self.sound;
        }
        // A task that has used up its budget gets no answer from tokio's streams, and must not take that for quiet.
        let look = pin!(unconstrained(poll_fn(|cx| self.poll_receive(cx))));
        match look.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => true,
            Poll::Ready(Ok(packet)) => {
                self.early = Some(packet);
                true
            }
            Poll::Ready(Err(_)) => {
                self.sound = false;
                false
            }
        }
    }

    /// Whether nothing is outstanding: no answer, no half a packet, no unread byte. What the pool asks on release.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let mut connection = pool.acquire().await?;
    /// assert!(connection.is_idle());
    /// connection.send_packet("ping").await?;
    /// assert!(!connection.is_idle());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_idle(&mut self) -> bool {
        self.is_connected() && self.is_settled()
    }

    /// The same without a look at the stream.
    pub(super) fn is_settled(&self) -> bool {
        self.unanswered == 0 && self.sound && self.early.is_none() && !self.mid_frame()
    }

    pub(super) fn stream(&self) -> &S {
        self.framed.get_ref()
    }

    /// Says that no answer is outstanding, for protocols in which not every packet has one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (here, _there) = tokio::io::duplex(64);
    /// # let mut connection = poolhouse::PacketConnection::new(here, "there", &Default::default());
    /// connection.send_packet("log line, not answered").await?;
    /// connection.exchange_complete();
    /// assert!(connection.is_idle());
    /// # Ok(())
    /// # }
    /// ```
    pub fn exchange_complete(&mut self) {
        self.unanswered = 0;
    }

    /// The peer, as errors name it.
    ///
    /// ```
    /// # let (here, _there) = tokio::io::duplex(64);
    /// let options = poolhouse::PacketOptions::default();
    /// let connection = poolhouse::PacketConnection::new(here, "db-1:5555", &options);
    /// assert_eq!(connection.target(), "db-1:5555");
    /// ```
    pub fn target(&self) -> String {
        self.target.to_string()
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<BytesMut, PacketError>> {
        if let Some(packet) = self.early.take() {
            return Poll::Ready(Ok(packet));
        }
        Poll::Ready(match ready!(Pin::new(&mut self.framed).poll_next(cx)) {
            Some(Ok(packet)) => Ok(packet),
            None => Err(PacketError::Disconnected { target: self.target(), mid_frame: false }),
            Some(Err(source)) => Err(self.explain(source)),
        })
    }

    /// The codec's errors in this protocol's words.
    fn explain(&self, error: io::Error) -> PacketError {
        let unread = self.framed.read_buffer();
        if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<LengthDelimitedCodecError>)
            && let Some(header) = unread.first_chunk::<4>()
        {
            return self.too_long(u64::from(u32::from_be_bytes(*header)), false);
        }
        if error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<EndedInFrame>) {
            return PacketError::Disconnected { target: self.target(), mid_frame: true };
        }
        PacketError::Io { target: self.target(), error }
    }

    /// Whether part of a frame has arrived.
    fn mid_frame(&self) -> bool {
        !self.framed.read_buffer().is_empty()
    }

    fn too_long(&self, length: u64, sending: bool) -> PacketError {
        PacketError::FrameTooLong { target: self.target(), length, max: self.max_frame_length, sending }
    }

    fn ensure_sound(&self) -> Result<(), PacketError> {
        if self.sound { Ok(()) } else { Err(PacketError::Broken { target: self.target() }) }
    }
}

impl<S> fmt::Debug for PacketConnection<S> {
    /// Without payload: what is in the buffers is the caller's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketConnection")
            .field("target", &self.target)
            .field("sound", &self.sound)
            .field("unanswered", &self.unanswered)
            .finish_non_exhaustive()
    }
}

async fn feed(mut sink: Pin<&mut impl Sink<Bytes, Error = io::Error>>, payload: Bytes) -> io::Result<()> {
    poll_fn(|cx| sink.as_mut().poll_ready(cx)).await?;
    sink.as_mut().start_send(payload)?;
    poll_fn(|cx| sink.as_mut().poll_flush(cx)).await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// An announced length is only believed up to the limit: a hostile one costs no memory.
    #[tokio::test]
    async fn an_announced_length_beyond_the_limit_reserves_nothing() {
        let (here, mut there) = tokio::io::duplex(64);
        let mut connection = PacketConnection::new(here, "there", &PacketOptions::default());
        there.write_all(&[0xff; 4]).await.unwrap();
        assert!(matches!(connection.receive().await, Err(PacketError::FrameTooLong { .. })));
        let reserved = connection.framed.read_buffer().capacity();
        assert!(reserved <= 64 * 1024, "{reserved} bytes for a frame that is refused");
    }
}
