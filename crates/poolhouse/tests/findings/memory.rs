//! What packet connections keep in memory, and what makes them reserve it.

use std::pin::pin;
use std::task::{Context, Waker};

use poolhouse::{PacketConnection, PacketOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;

const MIB: usize = 1024 * 1024;

/// What a pipe of these tests holds, in bytes.
const PIPE: usize = 8 * 1024;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn connection() -> (PacketConnection<DuplexStream>, DuplexStream) {
    let (here, there) = tokio::io::duplex(PIPE);
    (PacketConnection::new(here, "there", &PacketOptions::default()), there)
}

/// Sends a payload of this length, and receives it again. `behind` comes with the last byte of the answer.
async fn exchange(
    connection: &mut PacketConnection<DuplexStream>,
    peer: &mut DuplexStream,
    length: usize,
    behind: &[u8],
) {
    let echo = async {
        let mut frame = vec![0; 4 + length];
        peer.read_exact(&mut frame).await.unwrap();
        frame.extend_from_slice(behind);
        peer.write_all(&frame).await.unwrap();
    };
    let ask = async {
        connection.send_packet(vec![7; length]).await.unwrap();
        assert_eq!(connection.receive().await.unwrap(), vec![7; length]);
    };
    tokio::join!(echo, ask);
}

/// Framing: what a large frame needed is given back after the exchange, on both ways. A pool of idle connections kept
/// twice the largest frame that each had ever carried.
#[test]
fn an_idle_connection_keeps_nothing_of_a_large_frame() {
    const MOST: i64 = 160 * 1024;
    let runtime = runtime();
    for length in [70_000, MIB, 16 * MIB] {
        let (mut connection, mut peer) = connection();
        let kept = allocation_counter::measure(|| {
            runtime.block_on(exchange(&mut connection, &mut peer, length, b""));
        });
        assert!(kept.bytes_current < MOST, "{} bytes after a frame of {length}", kept.bytes_current);
        assert!(connection.is_idle());
    }
}

/// Framing: the start of the next frame survives the return of the memory, and comes whole.
#[test]
fn what_follows_a_large_frame_is_not_lost() {
    let runtime = runtime();
    let (mut connection, mut peer) = connection();
    runtime.block_on(async {
        exchange(&mut connection, &mut peer, MIB, b"\0\0\0\x05he").await;
        peer.write_all(b"llo").await.unwrap();
        assert_eq!(connection.receive().await.unwrap(), "hello");
    });
}

/// Framing: an announced length reserves nothing. Memory grows with the bytes that arrive.
#[test]
fn memory_is_reserved_as_bytes_arrive() {
    let runtime = runtime();
    let (mut connection, mut peer) = connection();
    let announced = u32::try_from(16 * MIB).unwrap();
    // It never waits, so it must not be told to yield in between.
    runtime.block_on(tokio::task::unconstrained(async {
        peer.write_all(&announced.to_be_bytes()).await.unwrap();
        let mut arrived = 0;
        while arrived < MIB {
            let mut context = Context::from_waker(Waker::noop());
            let measured = allocation_counter::measure(|| {
                assert!(pin!(connection.receive()).poll(&mut context).is_pending(), "the frame is not whole");
            });
            let most = (2 * arrived + 4 * PIPE) as u64;
            assert!(measured.bytes_max <= most, "{} bytes after {arrived}", measured.bytes_max);
            peer.write_all(&[0; PIPE]).await.unwrap();
            arrived += PIPE;
        }
    }));
}
