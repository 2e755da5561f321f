//! A client that does not care which transport it talks over.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub(crate) struct Client(Framed<Box<dyn Stream>, LengthDelimitedCodec>);

impl Client {
    pub(crate) async fn connect(server: &EchoServer) -> io::Result<Client> {
        let stream: Box<dyn Stream> = match server.try_addr() {
            Some(addr) => Box::new(TcpStream::connect(addr).await?),
            None => Box::new(server.connect().await?),
        };
        let codec = LengthDelimitedCodec::builder().max_frame_length(64 * 1024 * 1024).new_codec();
        Ok(Client(Framed::new(stream, codec)))
    }

    pub(crate) async fn send(&mut self, payload: &[u8]) {
        self.0.send(Bytes::copy_from_slice(payload)).await.unwrap();
    }

    /// The next reply. `None` at the end of the connection.
    pub(crate) async fn receive(&mut self) -> Option<Vec<u8>> {
        self.0.next().await.map(|reply| reply.unwrap().to_vec())
    }

    pub(crate) async fn ask(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        self.send(payload).await;
        self.receive().await
    }

    /// Sends bytes as they are, framed or not.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes).await
    }

    /// Reads this many bytes as they come.
    pub(crate) async fn receive_raw(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.get_mut().read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn receive_rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.get_mut().read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    /// Waits until the server has closed the connection, by an end or by a reset, with nothing more sent.
    pub(crate) async fn closed(&mut self) {
        match self.receive_rest().await {
            Ok(rest) => assert_eq!(rest, b"", "bytes before the end"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }
}

pub(crate) fn replying(reply: Reply) -> Faults {
    Faults { reply, ..Faults::default() }
}

/// Fails a test that hangs.
pub(crate) async fn in_time<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs")
}

/// Fails a test that hangs while the clock is paused: with nothing left to do, a year passes in no time.
pub(crate) async fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(365 * 24 * 3600), test).await.expect("the test hangs")
}

/// Each body becomes two tests: over pipes with the clock paused, and over real sockets.
macro_rules! on_both_transports {
    ($(fn $name:ident($server:ident = $builder:expr) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn check($server: EchoServer) $body

            #[tokio::test(start_paused = true)]
            async fn in_memory() {
                in_time(check($builder.in_memory())).await;
            }

            #[tokio::test]
            async fn on_a_socket() {
                in_time(check($builder.start().await.unwrap())).await;
            }
        }
    )*};
}
pub(crate) use on_both_transports;
