//! What can go wrong on a packet connection.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::config::ConfigError;
use crate::error::{Counted, Inner, page};

/// Why a packet could not be sent or received, or a connection not be opened.
///
/// Its text ends with a page of the guide: see `poolhouse::GUIDE`.
///
/// ```
/// use poolhouse::PacketError;
///
/// fn is_worth_a_retry(error: &PacketError) -> bool {
///     matches!(error, PacketError::Disconnected { .. } | PacketError::Io { .. })
/// }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// An option is out of bounds: see [`PacketOptions::validate`](crate::PacketOptions::validate).
    /// The page of the guide is that of the [`ConfigError`].
    #[error("{0}")]
    Options(ConfigError),
    /// No address of the host accepted a connection.
    ///
    /// Guide: `troubleshooting/server-down`.
    #[error("cannot dial: {}; guide: {}", Inner(error), page::SERVER_DOWN)]
    #[non_exhaustive]
    Dial {
        /// The host and port.
        target: String,
        /// The error of the last address that was tried.
        error: io::Error,
    },
    /// The peer closed the connection.
    ///
    /// Guide: `troubleshooting/stale-connections`.
    #[error(
        "{target} closed the connection{}: invalidate it, and look at the server's limits and its log; guide: {}",
        if *.mid_frame { " in the middle of a frame" } else { "" },
        page::STALE_CONNECTIONS
    )]
    #[non_exhaustive]
    Disconnected {
        /// The peer.
        target: String,
        /// Whether part of a frame had arrived.
        mid_frame: bool,
    },
    /// The frame is longer than `max_frame_length`.
    ///
    /// Guide: `reference/packet-protocol`.
    #[error(
        "a frame of {} {} {target} is over the limit of {} (max_frame_length): \
         send less, raise the limit, or check that the peer speaks this protocol; guide: {}",
        Counted(*.length, "byte"),
        if *.sending { "to" } else { "from" },
        Counted(*.max, "byte"),
        page::PACKET_PROTOCOL
    )]
    #[non_exhaustive]
    FrameTooLong {
        /// The peer.
        target: String,
        /// The frame's length, as announced. It was not allocated.
        length: u64,
        /// The limit.
        max: usize,
        /// Whether it was to be sent; otherwise it was announced by the peer.
        sending: bool,
    },
    /// `io_timeout` passed.
    ///
    /// Guide: `guide/timeouts`.
    #[error(
        "{target} has not {} after {limit:?} (io_timeout): invalidate the connection, and look at the server; guide: {}",
        if *.sending { "taken the packet" } else { "answered" },
        page::TIMEOUTS
    )]
    #[non_exhaustive]
    TimedOut {
        /// The peer.
        target: String,
        /// The limit that passed.
        limit: Duration,
        /// Whether a packet was being sent; otherwise one was awaited.
        sending: bool,
    },
    /// The connection cannot be used any more: an earlier call on it failed or was dropped half-way.
    ///
    /// Guide: `guide/invalidating`.
    #[error(
        "the connection to {target} broke in an earlier call: invalidate it and acquire another; guide: {}",
        page::INVALIDATING
    )]
    #[non_exhaustive]
    Broken {
        /// The peer.
        target: String,
    },
    /// The operating system reported an error.
    ///
    /// Guide: `guide/invalidating`.
    #[error(
        "I/O with {target} failed: {}; invalidate the connection; guide: {}",
        Inner(error),
        page::INVALIDATING
    )]
    #[non_exhaustive]
    Io {
        /// The peer.
        target: String,
        /// What the operating system said.
        error: io::Error,
    },
}

impl PacketError {
    /// What the operating system, or the dial function, said. The text says it too, so [`source`](std::error::Error::source)
    /// does not.
    ///
    /// ```
    /// use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    ///
    /// fn is_reset(error: &poolhouse::PacketError) -> bool {
    ///     error.io_error().is_some_and(|error| matches!(error.kind(), ConnectionReset | BrokenPipe))
    /// }
    /// ```
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Dial { error, .. } | Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<ConfigError> for PacketError {
    fn from(error: ConfigError) -> Self {
        Self::Options(error)
    }
}
