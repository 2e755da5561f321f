//! An echo server with faults on demand, for testing programs that hold connections.
//!
//! The server speaks the simplest protocol that has requests and replies: a frame is a length of four bytes,
//! big-endian, and then that many bytes of payload. Every frame comes back as it went in, until you ask for
//! something worse. [`Faults`] says what: replies that are late, halved, garbled, somebody else's or missing,
//! connections that are refused, closed or reset.
//!
//! # Two transports
//!
//! [`EchoServer::start`] listens on a real socket, on a free port of 127.0.0.1. [`EchoServer::in_memory`] hands out
//! pipes instead. The second needs no network and takes its time from tokio alone, so under
//! `tokio::time::pause` an hour passes in no time and every run is the same. Faults mean the same on both,
//! except where a pipe cannot show the difference; [`Reply::Reset`] is the one such case.
//!
//! ```
//! use poolhouse_echo::EchoServer;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let server = EchoServer::start().await?;
//!
//! let mut client = TcpStream::connect(server.addr()).await?;
//! client.write_all(b"\0\0\0\x05hello").await?;
//! let mut reply = [0; 9];
//! client.read_exact(&mut reply).await?;
//! assert_eq!(&reply, b"\0\0\0\x05hello");
//!
//! assert_eq!(server.counts().frames_sent, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Waiting without sleeping
//!
//! The server counts what it sees ([`Counts`]), and [`EchoServer::wait_for`] resolves as soon as the counts satisfy
//! you. A test that waits for `open == 0` never has to guess how long a close takes.
//!
//! # Life and death
//!
//! The server stops when you drop it. [`EchoServer::stop`] does the same and also waits until the last connection
//! is closed. Nothing it started outlives it.
//!
//! # Features
//!
//! `cli`, on by default, holds the command line: the binary, `ServeArgs` and `serve`. Without it the crate needs
//! no clap, and tests need nothing of it.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(feature = "cli")]
mod cli;
mod codec;
mod connection;
mod connector;
mod counts;
mod faults;
mod server;
mod shared;
mod transport;

#[cfg(feature = "cli")]
pub use cli::{FaultArgs, ServeArgs, interrupted, serve, serve_until};
pub use connector::Connector;
pub use counts::Counts;
pub use faults::{CROSSTALK_MARKER, Faults, Reply};
pub use server::{DEFAULT_MAX_BUFFERED, DEFAULT_MAX_FRAME_LENGTH, EchoServer, EchoServerBuilder};

/// The README's snippets are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
