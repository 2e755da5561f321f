//! Fuzz target: any order of calls, half-finished calls and events of the peer, against a model of what is outstanding.
//!
//! The bytes are a program: send, receive, bytes from the peer, its end, room to write, `exchange_complete`, and what
//! the pool asks. Each poll of a call is a step of its own, so the peer acts between any two of them, and a call may be
//! dropped after any. The model keeps what every party has done, and works out from scratch what that means: a
//! connection may be passed on when no call on it has failed or been dropped half-way through a send, every packet has
//! had its answer, every byte of the peer has been received, and the peer is there. The pool must say the same, always.

use std::collections::BTreeSet;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use poolhouse::{Dial, Manager, PacketConnection, PacketError, PacketManager, PacketOptions};

use crate::input::{Input, poll};
use crate::peer::{End, Peer, Stream};
use crate::reference::{self, Next};

const LIMIT: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    Reusable,
    /// The same, after a packet and its answer.
    ReusedAfterExchange,
    AnswerOutstanding,
    BytesUnread,
    SendDropped,
    SendDroppedUnpolled,
    SendTooLong,
    ReceiveDropped,
    Received,
    /// A frame of the peer that was too long.
    Refused,
    PeerGone,
}

/// Tells whether a stream is quiet without reading from it, as one over sockets does.
struct Peeking;

impl Dial for Peeking {
    type Stream = Stream;

    async fn dial(&self) -> io::Result<Stream> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn is_quiet(&self, stream: &Stream) -> Option<bool> {
        Some(stream.is_quiet())
    }
}

/// What has been done.
struct Model {
    peer: Peer,
    /// All that the peer has sent, and how much of it has been received.
    sent: Vec<u8>,
    received: usize,
    /// All that the connection should have written.
    written: Vec<u8>,
    unanswered: usize,
    exchanges: usize,
    /// A call has failed, or a send was dropped half-way.
    broken: bool,
    /// Somebody has looked at the connection, which may have noticed a fault before a call does.
    looked: bool,
    seen: BTreeSet<Seen>,
}

/// # Panics
///
/// The connection and the model disagree.
pub(crate) fn run(data: &[u8]) -> BTreeSet<Seen> {
    let options =
        PacketOptions { max_frame_length: LIMIT, io_timeout: Duration::MAX, ..PacketOptions::default() };
    let reads = PacketManager::new(|| async { io::Result::<Stream>::Err(io::ErrorKind::Unsupported.into()) });
    let peeks = PacketManager::new(Peeking);
    let peer = Peer::default();
    peer.make_room(64);
    let mut connection = PacketConnection::new(peer.stream(), "the fuzzer", &options);
    let mut model = Model {
        peer,
        sent: Vec::new(),
        received: 0,
        written: Vec::new(),
        unanswered: 0,
        exchanges: 0,
        broken: false,
        looked: false,
        seen: BTreeSet::new(),
    };
    let mut input = Input(data);
    while let Some(step) = input.byte() {
        match step % 10 {
            0 => model.send(&mut connection, &mut input),
            1 => model.receive(&mut connection, &mut input),
            2 => {
                connection.exchange_complete();
                model.unanswered = 0;
            }
            3 => model.is_connected(&mut connection),
            4 => model.is_reusable(&reads, &peeks, &mut connection),
            event => model.event(event, &mut input),
        }
    }
    model.is_reusable(&reads, &peeks, &mut connection);
    model.seen
}

impl Model {
    /// Something that the peer does.
    fn event(&mut self, event: u8, input: &mut Input<'_>) {
        match event {
            5 => {
                // No two of them alike, so that one cannot pass for another.
                let first = self.sent.len();
                let payload: Vec<u8> =
                    (first..first + input.below(LIMIT + 1)).map(|at| (at % 251) as u8).collect();
                self.deliver(&reference::frame(&payload));
            }
            6 => {
                let count = input.below(8);
                self.deliver(input.take(count));
            }
            7 => self.peer.make_room(input.below(32)),
            8 => self.peer.end(End::Closed),
            _ => self.peer.end(End::Reset),
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        if self.peer.send(bytes) {
            self.sent.extend(bytes);
        }
    }

    fn next(&self) -> Next<'_> {
        reference::next(&self.sent[self.received..], LIMIT)
    }

    /// Whether the next receive would fail, if nothing else happened.
    fn fault_is_due(&self) -> bool {
        match self.next() {
            Next::Packet(_) => false,
            Next::TooLong(_) => true,
            Next::Part(_) | Next::Nothing => self.peer.ended().is_some(),
        }
    }

    fn may_say_broken(&self) -> bool {
        self.broken || (self.looked && self.fault_is_due())
    }

    fn send(&mut self, connection: &mut PacketConnection<Stream>, input: &mut Input<'_>) {
        let payload = vec![b's'; input.below(LIMIT + 4)];
        let frame = reference::frame(&payload);
        let too_long = payload.len() > LIMIT;
        let mut call = pin!(connection.send_packet(payload));
        let mut left = None;
        while let Some(step) = input.byte() {
            match step % 10 {
                0..3 => {}
                event @ 5.. => {
                    self.event(event, input);
                    continue;
                }
                _ => break,
            }
            let (room, reset) = (self.peer.room(), self.peer.ended() == Some(End::Reset));
            match poll(call.as_mut()) {
                Poll::Ready(Err(PacketError::FrameTooLong { sending: true, .. })) => {
                    assert!(too_long, "a packet of {} bytes is refused", frame.len() - 4);
                    self.seen.insert(Seen::SendTooLong);
                    return;
                }
                Poll::Ready(Err(PacketError::Broken { .. })) => {
                    assert!(left.is_none() && self.may_say_broken(), "a sound connection says it is broken");
                    self.broken = true;
                    return;
                }
                result => {
                    assert!(!too_long && !self.broken, "a send that cannot be gives {result:?}");
                    if left.is_none() {
                        self.unanswered += 1;
                        left = Some(frame.len());
                    }
                    let unwritten = left.expect("set by the first poll");
                    let now = if reset { 0 } else { unwritten.min(room) };
                    let start = frame.len() - unwritten;
                    self.written.extend(&frame[start..start + now]);
                    assert_eq!(self.peer.written(), self.written);
                    left = Some(unwritten - now);
                    match result {
                        Poll::Pending => assert!(!reset && now < unwritten, "it waits for nothing"),
                        Poll::Ready(Ok(())) => {
                            assert!(!reset && now == unwritten, "sent, it says");
                            return;
                        }
                        Poll::Ready(Err(PacketError::Io { .. })) if reset => {
                            self.broken = true;
                            return;
                        }
                        Poll::Ready(Err(error)) => panic!("{error:?}"),
                    }
                }
            }
        }
        if left.is_some() {
            self.broken = true;
            self.seen.insert(Seen::SendDropped);
        } else {
            self.seen.insert(Seen::SendDroppedUnpolled);
        }
    }

    fn receive(&mut self, connection: &mut PacketConnection<Stream>, input: &mut Input<'_>) {
        let mut call = pin!(connection.receive());
        let mut polled = false;
        while let Some(step) = input.byte() {
            match step % 10 {
                0..3 => {}
                event @ 5.. => {
                    self.event(event, input);
                    continue;
                }
                _ => break,
            }
            let result = poll(call.as_mut());
            if let Poll::Ready(Err(PacketError::Broken { .. })) = result {
                assert!(!polled && self.may_say_broken(), "a sound connection says it is broken");
                self.broken = true;
                return;
            }
            assert!(!self.broken, "a broken connection gives {result:?}");
            polled = true;
            let ended = self.peer.ended();
            match (self.next(), result) {
                (Next::Packet(expected), Poll::Ready(Ok(packet))) => {
                    assert_eq!(packet, expected);
                    self.received += 4 + packet.len();
                    self.exchanges += usize::from(self.unanswered > 0);
                    self.unanswered = self.unanswered.saturating_sub(1);
                    self.seen.insert(Seen::Received);
                    return;
                }
                (Next::Part(_) | Next::Nothing, Poll::Pending) if ended.is_none() => {}
                (next, Poll::Ready(Err(error))) => {
                    match (&next, &error, ended) {
                        (
                            Next::TooLong(expected),
                            PacketError::FrameTooLong { length, sending: false, .. },
                            _,
                        ) => {
                            assert_eq!(*length, *expected as u64);
                            self.seen.insert(Seen::Refused);
                        }
                        (
                            Next::Part(_) | Next::Nothing,
                            PacketError::Disconnected { mid_frame, .. },
                            Some(End::Closed),
                        ) => assert_eq!(*mid_frame, next != Next::Nothing),
                        (Next::Part(_) | Next::Nothing, PacketError::Io { .. }, Some(End::Reset)) => {}
                        _ => panic!("expected {next:?}, got {error:?}"),
                    }
                    self.broken = true;
                    return;
                }
                (expected, result) => panic!("expected {expected:?}, got {result:?}"),
            }
        }
        if polled {
            self.seen.insert(Seen::ReceiveDropped);
        }
    }

    fn is_connected(&mut self, connection: &mut PacketConnection<Stream>) {
        assert_eq!(connection.is_connected(), !self.broken && !self.fault_is_due());
        self.looked = true;
    }

    /// What the pool asks when the connection comes back, and before it hands it out.
    fn is_reusable<D: Dial<Stream = Stream>>(
        &mut self,
        reads: &PacketManager<D>,
        peeks: &PacketManager<Peeking>,
        connection: &mut PacketConnection<Stream>,
    ) {
        let unread = self.received < self.sent.len();
        let gone = self.peer.ended().is_some();
        let nothing_is_outstanding = !self.broken && self.unanswered == 0 && !unread && !gone;
        // Peeking comes first: it leaves the connection as it is.
        let answers =
            [peeks.is_connected(connection), reads.is_reusable(connection), reads.is_connected(connection)];
        assert_eq!(
            answers, [nothing_is_outstanding; 3],
            "broken {}, unanswered {}, unread {unread}, gone {gone}",
            self.broken, self.unanswered
        );
        self.looked = true;
        let seen = match () {
            () if nothing_is_outstanding && self.exchanges > 0 => Seen::ReusedAfterExchange,
            () if nothing_is_outstanding => Seen::Reusable,
            () if self.broken => return,
            () if self.unanswered > 0 => Seen::AnswerOutstanding,
            () if unread => Seen::BytesUnread,
            () => Seen::PeerGone,
        };
        self.seen.insert(seen);
    }
}
