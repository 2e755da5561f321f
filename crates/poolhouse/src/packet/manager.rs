//! Opens, checks and judges packet connections.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{PacketConnection, PacketError};
use crate::config::ConfigError;
use crate::error::Counted;
use crate::manager::{FailureKind, Manager};

#[cfg(feature = "net")]
type DefaultDial = super::TcpDialer;
#[cfg(not(feature = "net"))]
type DefaultDial = std::convert::Infallible;

/// What every packet connection of a manager has in common.
///
/// ```
/// use std::time::Duration;
/// use poolhouse::PacketOptions;
///
/// let options = PacketOptions { io_timeout: Duration::from_secs(2), ..PacketOptions::default() };
/// assert_eq!(options.max_frame_length, 16 * 1024 * 1024);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PacketOptions {
    /// The longest payload, in bytes, that is sent or accepted. 16 MiB by default. The header holds 4 bytes: more than
    /// [`u32::MAX`] counts as that.
    pub max_frame_length: usize,
    /// How long one `send_packet` or `receive` may take. Above zero, 30 s by default; [`Duration::MAX`] sets no limit.
    pub io_timeout: Duration,
    /// The packet that a health check sends. The check passes when any packet comes back. Empty by default, and not longer
    /// than `max_frame_length`. It is never printed, for a protocol may log in with it.
    pub check_packet: Bytes,
}

impl Default for PacketOptions {
    fn default() -> Self {
        Self {
            max_frame_length: 16 * 1024 * 1024,
            io_timeout: Duration::from_secs(30),
            check_packet: Bytes::new(),
        }
    }
}

impl PacketOptions {
    /// Checks every option against its bounds and against the others.
    ///
    /// No pool is made of a [`PacketManager`] with options that are out of bounds. If another manager wraps
    /// it and does not pass on [`Manager::validate`], each connect fails with [`PacketError::Options`]. The
    /// failure is permanent if that manager passes on [`Manager::classify`].
    ///
    /// # Errors
    ///
    /// The first option that is out of bounds, by its name.
    ///
    /// ```
    /// use std::time::Duration;
    /// use poolhouse::PacketOptions;
    ///
    /// let options = PacketOptions { io_timeout: Duration::ZERO, ..PacketOptions::default() };
    /// assert_eq!(options.validate().unwrap_err().field(), "io_timeout");
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.io_timeout.is_zero() {
            return Err(ConfigError::NoTime { field: "io_timeout" });
        }
        let (length, max) = (self.check_packet.len(), self.longest_frame());
        if length > max {
            return Err(ConfigError::CheckPacketTooLong { length, max });
        }
        Ok(())
    }

    /// What the header can say, at most.
    pub(super) fn longest_frame(&self) -> usize {
        self.max_frame_length.min(usize::try_from(u32::MAX).unwrap_or(usize::MAX))
    }
}

impl fmt::Debug for PacketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacketOptions")
            .field("max_frame_length", &self.max_frame_length)
            .field("io_timeout", &self.io_timeout)
            .field("check_packet", &format_args!("{}", Counted(self.check_packet.len(), "byte")))
            .finish()
    }
}

/// Opens the byte stream under a packet connection.
///
/// A function that returns a future of a stream is one. Use that for an in-memory transport:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use poolhouse::{PacketManager, Pool, PoolConfig};
/// use poolhouse_echo::EchoServer;
///
/// let server = EchoServer::in_memory();
/// let connector = server.connector();
/// let dial = move || {
///     let connector = connector.clone();
///     async move { connector.connect().await }
/// };
/// let pool = Pool::new(PacketManager::new(dial), PoolConfig::default())?;
/// pool.warm_up().await?;
/// assert_eq!(server.counts().accepted, 1);
/// # Ok(())
/// # }
/// ```
pub trait Dial: Send + Sync + 'static {
    /// The stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens one stream.
    fn dial(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Where it goes, for messages.
    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed("the dial function")
    }

    /// Whether nothing has arrived on a stream that should be quiet: no byte, no end, no error. It must not wait.
    ///
    /// The pool asks before it hands a connection out. `None` says that a look at the stream cannot tell, and the
    /// pool tries to read instead. That is exact for streams in memory; for a socket it is as fresh as the last
    /// time that the runtime looked. [`TcpDialer`](super::TcpDialer) asks the operating system.
    fn is_quiet(&self, stream: &Self::Stream) -> Option<bool> {
        let _ = stream;
        None
    }
}

impl<F, Fut, S> Dial for F
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<S>> + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = S;

    fn dial(&self) -> impl Future<Output = io::Result<S>> + Send {
        self()
    }
}

/// The [`Manager`] of the packet protocol.
///
/// A connection is reusable when nothing is outstanding on it. It is handed out when the peer has not closed it and
/// nothing has arrived on it unasked. A health check sends one packet and waits for one. A
/// name that does not resolve, a refused connection, a timeout and a lack of local ports are transient; an address
/// that cannot exist, a missing permission and options out of bounds are permanent.
///
/// ```
/// use std::time::Duration;
/// use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
///
/// let dialer = TcpDialer::new("localhost", 5555).keepalive(Duration::from_secs(60));
/// let options = PacketOptions { max_frame_length: 64 * 1024, ..PacketOptions::default() };
/// let manager = PacketManager::new(dialer).with_options(options);
/// let pool = PacketPool::new(manager, PoolConfig::default())?;
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PacketManager<D = DefaultDial> {
    dial: D,
    options: PacketOptions,
}

impl<D: Dial> PacketManager<D> {
    /// Opens connections with `dial`.
    ///
    /// ```
    /// let manager = poolhouse::PacketManager::new(poolhouse::TcpDialer::new("localhost", 5555));
    /// ```
    pub fn new(dial: D) -> Self {
        Self { dial, options: PacketOptions::default() }
    }

    /// Replaces the options. [`PacketOptions::validate`] says whether they are within bounds; if not, no pool is made.
    ///
    /// ```
    /// use poolhouse::{PacketManager, PacketOptions, TcpDialer};
    ///
    /// let options = PacketOptions { max_frame_length: 1024, ..PacketOptions::default() };
    /// let manager = PacketManager::new(TcpDialer::new("localhost", 5555)).with_options(options);
    /// ```
    #[must_use]
    pub fn with_options(self, options: PacketOptions) -> Self {
        Self { options, ..self }
    }
}

impl<D: Dial> Manager for PacketManager<D> {
    type Connection = PacketConnection<D::Stream>;
    type Error = PacketError;

    async fn connect(&self) -> Result<Self::Connection, PacketError> {
        self.options.validate()?;
        let target = self.dial.target();
        match self.dial.dial().await {
            Ok(stream) => Ok(PacketConnection::new(stream, target.into_owned(), &self.options)),
            Err(error) => Err(PacketError::Dial { target: target.into_owned(), error }),
        }
    }

    async fn check(&self, connection: &mut Self::Connection) -> Result<(), PacketError> {
        connection.send_packet(self.options.check_packet.clone()).await?;
        connection.receive().await.map(drop)
    }

    fn is_reusable(&self, connection: &mut Self::Connection) -> bool {
        connection.is_idle()
    }

    fn is_connected(&self, connection: &mut Self::Connection) -> bool {
        match self.dial.is_quiet(connection.stream()) {
            Some(quiet) => quiet && connection.is_settled(),
            None => connection.is_idle(),
        }
    }

    fn classify(&self, error: &PacketError) -> FailureKind {
        use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
        match error {
            PacketError::Options(_) => FailureKind::Permanent,
            PacketError::Dial { error, .. }
                if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) =>
            {
                FailureKind::Permanent
            }
            _ => FailureKind::Transient,
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.options.validate()
    }

    fn target(&self) -> Cow<'_, str> {
        self.dial.target()
    }
}
