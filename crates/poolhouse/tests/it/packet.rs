//! The packet protocol: `cancel.tainted`, and what a broken peer can do.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use poolhouse::{Dial, PacketConnection, PacketError, PacketManager, PacketOptions, Pool};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::common::{config, ms, poll_once, secs, settle};

/// A pool over the bundled server, in memory.
fn echo_pool(server: &EchoServer, max: usize) -> Pool<PacketManager<impl Dial<Stream = DuplexStream>>> {
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    Pool::new(PacketManager::new(dial), config(max)).unwrap()
}

/// A pool of one whose peer is the test: each connect sends the far end.
fn bare_pool(
    pipe: usize,
) -> (Pool<PacketManager<impl Dial<Stream = DuplexStream>>>, UnboundedReceiver<DuplexStream>) {
    let (send, peers) = unbounded_channel();
    let dial = move || {
        let (here, there) = tokio::io::duplex(pipe);
        send.send(there).unwrap();
        async { io::Result::Ok(here) }
    };
    (Pool::new(PacketManager::new(dial), config(1)).unwrap(), peers)
}

fn connection(options: &PacketOptions) -> (PacketConnection<DuplexStream>, DuplexStream) {
    let (here, there) = tokio::io::duplex(1024);
    (PacketConnection::new(here, "there", options), there)
}

/// cancel.tainted: a send that was dropped half-way.
#[tokio::test(start_paused = true)]
async fn a_half_sent_packet_is_not_passed_on() {
    let (pool, mut peers) = bare_pool(16);
    let mut held = pool.acquire().await.unwrap();
    assert!(poll_once(pin!(held.send_packet(vec![7; 100]))).await.is_pending());
    assert!(matches!(held.send_packet("more").await, Err(PacketError::Broken { .. })));
    assert!(matches!(held.receive().await, Err(PacketError::Broken { .. })));
    drop(held);
    let mut clean = pool.acquire().await.unwrap();
    clean.send_packet("clean").await.unwrap();
    let (_tainted, mut peer) = (peers.recv().await.unwrap(), peers.recv().await.unwrap());
    let mut frame = [0; 9];
    peer.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\0\0\0\x05clean");
}

/// cancel.tainted: a request whose reply was never received, or whose receive was dropped. In
/// <https://github.com/deadpool-rs/deadpool/issues/102> the next caller read it.
#[tokio::test(start_paused = true)]
async fn an_outstanding_reply_is_not_passed_on() {
    for polls in 0..3 {
        let faults = Faults { latency: Some(ms(50)), ..Faults::default() };
        let server = EchoServer::builder().faults(faults).in_memory();
        let pool = echo_pool(&server, 1);
        let mut held = pool.acquire().await.unwrap();
        held.send_packet("mine").await.unwrap();
        {
            let mut receive = pin!(held.receive());
            for _ in 0..polls {
                assert!(poll_once(receive.as_mut()).await.is_pending());
                settle().await;
            }
        }
        drop(held);
        let mut next = pool.acquire().await.unwrap();
        next.send_packet("yours").await.unwrap();
        assert_eq!(next.receive().await.unwrap(), "yours", "{polls} polls");
        assert_eq!((server.counts().accepted, pool.stats().connections_destroyed), (2, 1), "{polls} polls");
    }
}

/// cancel.tainted: a dropped receive costs nothing to a holder that holds on and asks again.
#[tokio::test(start_paused = true)]
async fn a_receive_may_be_dropped_and_repeated() {
    let server =
        EchoServer::builder().faults(Faults { latency: Some(ms(50)), ..Faults::default() }).in_memory();
    let pool = echo_pool(&server, 1);
    let mut held = pool.acquire().await.unwrap();
    held.send_packet("mine").await.unwrap();
    assert!(tokio::time::timeout(ms(10), held.receive()).await.is_err());
    assert_eq!(held.receive().await.unwrap(), "mine");
    drop(held);
    drop(pool.acquire().await.unwrap());
    assert_eq!(server.counts().accepted, 1, "a complete exchange is passed on");
}

/// cancel.tainted: bytes that nobody asked for, whole frames and any part of one.
#[tokio::test(start_paused = true)]
async fn unread_bytes_are_not_passed_on() {
    let frame = b"\0\0\0\x03abc";
    for length in 1..=frame.len() {
        let (pool, mut peers) = bare_pool(64);
        let held = pool.acquire().await.unwrap();
        let mut peer = peers.recv().await.unwrap();
        peer.write_all(&frame[..length]).await.unwrap();
        drop(held);
        assert_eq!(pool.stats().idle_connections, 0, "{length} bytes of an unwanted frame");
    }
}

/// cancel.tainted: a peer that hung up is noticed when its connection comes back.
#[tokio::test(start_paused = true)]
async fn a_closed_peer_is_noticed_on_return() {
    let (pool, mut peers) = bare_pool(64);
    let mut held = pool.acquire().await.unwrap();
    assert!(held.is_connected());
    drop(peers.recv().await);
    assert!(!held.is_connected());
    drop(held);
    assert_eq!(pool.stats().total_connections, 0);
}

/// cancel.tainted: a protocol without replies says so, and is passed on.
#[tokio::test(start_paused = true)]
async fn exchange_complete_makes_a_one_way_send_reusable() {
    let (pool, mut peers) = bare_pool(64);
    let mut held = pool.acquire().await.unwrap();
    let _peer = peers.recv().await;
    held.send_packet("one way").await.unwrap();
    held.exchange_complete();
    drop(held);
    assert_eq!(pool.stats().idle_connections, 1);
}

/// Framing: a length beyond the limit, announced. The error names it and nothing waits for the rest.
#[tokio::test(start_paused = true)]
async fn an_announced_frame_beyond_the_limit() {
    let options = PacketOptions { max_frame_length: 100, ..PacketOptions::default() };
    for announced in [101_u32, u32::MAX] {
        let (mut connection, mut peer) = connection(&options);
        peer.write_all(&announced.to_be_bytes()).await.unwrap();
        let error = connection.receive().await.unwrap_err();
        let PacketError::FrameTooLong { length, max: 100, sending: false, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(length, u64::from(announced));
        assert!(!connection.is_connected() && !connection.is_idle());
    }
}

/// Framing: exactly the limit passes both ways, and so does nothing at all.
#[tokio::test(start_paused = true)]
async fn frames_up_to_the_limit_pass() {
    let options = PacketOptions { max_frame_length: 100, ..PacketOptions::default() };
    let (mut connection, mut peer) = connection(&options);
    for length in [0_usize, 1, 100] {
        connection.send_packet(vec![5; length]).await.unwrap();
        let mut frame = vec![0; 4 + length];
        peer.read_exact(&mut frame).await.unwrap();
        peer.write_all(&frame).await.unwrap();
        assert_eq!(connection.receive().await.unwrap().len(), length);
        assert!(connection.is_idle());
    }
}

/// Framing: too long to send. No byte is written, and the connection is as good as before.
#[tokio::test(start_paused = true)]
async fn a_packet_too_long_to_send_leaves_the_connection_usable() {
    let options = PacketOptions { max_frame_length: 100, ..PacketOptions::default() };
    let (mut connection, mut peer) = connection(&options);
    let error = connection.send_packet(vec![0; 101]).await.unwrap_err();
    assert!(
        matches!(error, PacketError::FrameTooLong { length: 101, max: 100, sending: true, .. }),
        "{error:?}"
    );
    assert!(connection.is_idle());
    connection.send_packet("fits").await.unwrap();
    let mut frame = [0; 8];
    peer.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\0\0\0\x04fits");
}

/// Framing: the end of the stream, between frames and at every place inside one.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_tells_whether_a_frame_was_cut() {
    let frame = b"\0\0\0\x03abc";
    for length in 0..frame.len() {
        let (mut connection, mut peer) = connection(&PacketOptions::default());
        peer.write_all(&frame[..length]).await.unwrap();
        drop(peer);
        let error = connection.receive().await.unwrap_err();
        let PacketError::Disconnected { mid_frame, .. } = error else { panic!("{error:?}") };
        assert_eq!(mid_frame, length > 0, "after {length} bytes");
        assert!(matches!(connection.receive().await, Err(PacketError::Broken { .. })));
    }
}

/// Framing: a server that answers wrongly, in each way it can. The connection is never passed on.
#[tokio::test(start_paused = true)]
async fn wrong_answers_are_told_apart_and_end_the_connection() {
    type Expected = fn(&PacketError) -> bool;
    let cases: [(Reply, Expected); 5] = [
        (Reply::Garbage, |e| {
            matches!(e, PacketError::FrameTooLong { length: 0xffff_ffff, sending: false, .. })
        }),
        (Reply::HalfThenClose, |e| matches!(e, PacketError::Disconnected { mid_frame: true, .. })),
        (Reply::HalfThenStall, |e| matches!(e, PacketError::TimedOut { sending: false, .. })),
        (Reply::Never, |e| matches!(e, PacketError::TimedOut { sending: false, .. })),
        (Reply::Reset, |e| matches!(e, PacketError::Disconnected { mid_frame: false, .. })),
    ];
    for (reply, expected) in cases {
        let server = EchoServer::builder().faults(Faults { reply, ..Faults::default() }).in_memory();
        let pool = echo_pool(&server, 1);
        let mut held = pool.acquire().await.unwrap();
        held.send_packet("ping").await.unwrap();
        let begin = Instant::now();
        let error = held.receive().await.unwrap_err();
        assert!(expected(&error), "{reply:?}: {error:?}");
        assert!(begin.elapsed() <= secs(30) + ms(2), "{reply:?}: beyond io_timeout");
        drop(held);
        assert_eq!(pool.stats().total_connections, 0, "{reply:?}");
    }
}

/// Framing: a peer that stops reading ends a send at `io_timeout`.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_ends_the_send() {
    let options = PacketOptions { io_timeout: secs(2), ..PacketOptions::default() };
    let (mut connection, _peer) = connection(&options);
    let error = connection.send_packet(Bytes::from(vec![0; 5000])).await.unwrap_err();
    assert!(matches!(error, PacketError::TimedOut { sending: true, .. }), "{error:?}");
}

/// health.off_path: the packet check asks the server, and finds the one that is gone.
#[tokio::test(start_paused = true)]
async fn the_check_finds_a_dead_peer() {
    let server = EchoServer::in_memory();
    let pool = echo_pool(&server, 1);
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(31)).await;
    assert_eq!((server.counts().frames_sent, pool.stats().idle_connections), (1, 1), "checked and kept");
    server.disconnect_all();
    tokio::time::sleep(secs(31)).await;
    assert_eq!((pool.stats().failed_checks, pool.stats().total_connections), (1, 0));
}

/// cancel.tainted: over a real socket, a reset is an error and its connection is not passed on.
#[cfg(feature = "net")]
#[tokio::test]
async fn a_reset_socket_is_not_passed_on() {
    let server = EchoServer::builder()
        .faults(Faults { reply: Reply::Reset, ..Faults::default() })
        .start()
        .await
        .unwrap();
    let pool = Pool::new((server.host(), server.port()), config(1)).unwrap();
    let mut held = pool.acquire().await.unwrap();
    held.send_packet("ping").await.unwrap();
    let error = held.receive().await.unwrap_err();
    assert!(matches!(error, PacketError::Io { .. }), "{error:?}");
    drop(held);
    assert_eq!(pool.stats().total_connections, 0);
    server.set_faults(Faults::default());
    let mut next = pool.acquire().await.unwrap();
    next.send_packet("ping").await.unwrap();
    assert_eq!(next.receive().await.unwrap(), "ping");
}

/// acquire.diagnosis: a port that nobody listens on is named by address, and the operating system's error is the source.
#[cfg(feature = "net")]
#[tokio::test]
async fn a_refused_socket_is_named() {
    use poolhouse::PoolConfig;

    let pool = Pool::new(("127.0.0.1", 1), PoolConfig { min_connections: 1, ..config(1) }).unwrap();
    let error = pool.warm_up().await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    let io = error.manager_error().and_then(PacketError::io_error).expect("the operating system's error");
    assert_eq!(io.kind(), io::ErrorKind::ConnectionRefused);
}

/// What a stream says of itself is no hang-up, whatever kind of error it is, and is told.
#[tokio::test]
async fn an_error_in_the_middle_of_a_frame_is_told() {
    struct Fails;
    impl AsyncRead for Fails {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::Error::other("bad record mac")))
        }
    }
    let stream = tokio::io::join([0, 0, 0].as_slice().chain(Fails), tokio::io::sink());
    let mut connection = PacketConnection::new(stream, "db-1", &PacketOptions::default());
    let error = connection.receive().await.unwrap_err();
    assert!(error.io_error().is_some() && error.to_string().contains("bad record mac"), "{error}");
}
