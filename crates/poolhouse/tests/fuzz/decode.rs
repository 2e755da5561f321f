//! Fuzz target: any bytes, in pieces of any size, against the reference decoder.
//!
//! The first byte picks the limit of a frame, the next ones the sizes of the pieces, in turn; the rest is what the peer
//! sends. After each piece the connection must have given exactly the packets whose last byte has arrived, and refuse a
//! length as soon as its fourth byte has, no sooner and no later. No step may allocate more than a bound, whatever length
//! was announced.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use poolhouse::{PacketConnection, PacketError, PacketOptions};

use crate::input::{Input, poll};
use crate::peer::{End, Peer, Stream};
use crate::reference::{self, Next};

const LIMITS: [usize; 8] = [0, 1, 4, 5, 255, 256, 4096, 1 << 20];

/// Longer inputs are cut, so that no sum of small frames comes near the bound.
const LONGEST_INPUT: usize = 4096;

/// What a step may allocate: twice the first size of the buffer, which no input fills.
const BOUND: usize = 2 * 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    Packet,
    EmptyPacket,
    /// A packet whose frame came in several pieces.
    SplitPacket,
    TooLong,
    EndBetweenFrames,
    EndInsideFrame,
    /// A frame that was allowed, longer than the bound, and never came whole.
    LargeAnnounced,
}

/// # Panics
///
/// The connection and the reference disagree.
pub(crate) fn run(data: &[u8]) -> BTreeSet<Seen> {
    let mut input = Input(&data[..data.len().min(LONGEST_INPUT)]);
    let limit = LIMITS[input.below(LIMITS.len())];
    let count = input.below(8);
    let sizes = input.take(count);
    let stream = input.0;

    let options =
        PacketOptions { max_frame_length: limit, io_timeout: Duration::MAX, ..PacketOptions::default() };
    let peer = Peer::default();
    let mut connection = PacketConnection::new(peer.stream(), "the fuzzer", &options);
    let mut seen = BTreeSet::new();
    // What has arrived, and what of it has been received.
    let (mut arrived, mut received) = (0, 0);
    let mut sizes = sizes.iter().cycle();
    while arrived < stream.len() {
        let size = sizes.next().map_or(stream.len(), |size| usize::from(*size).max(1));
        let before = arrived;
        arrived = stream.len().min(arrived + size);
        peer.send(&stream[before..arrived]);
        loop {
            let next = reference::next(&stream[received..arrived], limit);
            let result = receive(&mut connection);
            match (next, result) {
                (Next::Packet(expected), Poll::Ready(Ok(packet))) => {
                    assert_eq!(packet, expected);
                    seen.insert(if expected.is_empty() { Seen::EmptyPacket } else { Seen::Packet });
                    if received < before {
                        seen.insert(Seen::SplitPacket);
                    }
                    received += 4 + expected.len();
                }
                (
                    Next::TooLong(expected),
                    Poll::Ready(Err(PacketError::FrameTooLong { length, max, sending: false, .. })),
                ) => {
                    assert_eq!((length, max), (expected as u64, limit));
                    assert_broken(&mut connection);
                    seen.insert(Seen::TooLong);
                    return seen;
                }
                (Next::Part(length), Poll::Pending) => {
                    if length.is_some_and(|length| length > BOUND) {
                        seen.insert(Seen::LargeAnnounced);
                    }
                    break;
                }
                (Next::Nothing, Poll::Pending) => break,
                (expected, result) => panic!("at byte {arrived}: expected {expected:?}, got {result:?}"),
            }
        }
    }
    peer.end(End::Closed);
    let inside = received < arrived;
    match receive(&mut connection) {
        Poll::Ready(Err(PacketError::Disconnected { mid_frame, .. })) => assert_eq!(mid_frame, inside),
        result => panic!("at the end of the stream: {result:?}"),
    }
    assert_broken(&mut connection);
    seen.insert(if inside { Seen::EndInsideFrame } else { Seen::EndBetweenFrames });
    seen
}

/// Polls one `receive`, and counts what it allocates.
fn receive(connection: &mut PacketConnection<Stream>) -> Poll<Result<Vec<u8>, PacketError>> {
    let mut result = Poll::Pending;
    let allocated = allocation_counter::measure(|| result = poll(pin!(connection.receive())));
    assert!(allocated.bytes_max <= BOUND as u64, "{} bytes for one step", allocated.bytes_max);
    result.map_ok(|packet| packet.to_vec())
}

fn assert_broken(connection: &mut PacketConnection<Stream>) {
    let result = receive(connection);
    assert!(matches!(result, Poll::Ready(Err(PacketError::Broken { .. }))), "after an error: {result:?}");
}
