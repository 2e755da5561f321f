//! What the protocol says about a session: whether anything is owed, and whether a transaction is open.
//!
//! tokio-postgres hides both. So the stream under it is watched: each `Query`, `Sync` and `FunctionCall` that is sent is owed
//! one `ReadyForQuery`, and each of these says whether a transaction is open. What callers do with the client, whichever of
//! its methods they call and wherever they drop a future, shows here.
//!
//! One thing does not show in the stream: a request that the client has queued, and that its driver has not yet sent. The
//! client wakes the driver when it queues one. So the driver's waker leaves a mark, and the driver wipes it before it looks
//! at the queue.
//!
//! Nor does it show that a holder has kept a stream of rows, or the sink of a COPY, beyond its hold: neither borrows the client.
//! The driver delivers answers in order, and in a COPY it sends nothing else, so the next holder would wait for the last one.
//! Such a session is not quiet: the driver has read what it has not delivered, or the server waits for data.
//!
//! So a session is quiet when nothing is owed, the mark is off, the driver is not at work and has delivered everything, and no
//! request to cancel is under way.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use crate::wire::{STARTUP, sqlstate};

/// In the queue of what is owed: a COPY FROM STDIN whose data, and the Sync after that, have not all been sent.
const COPY: u8 = b'd';

/// The same, of one that has been begun by a simple query: tokio-postgres sends neither.
const COPY_OF_A_QUERY: u8 = b'q';

/// As the last `ReadyForQuery` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Idle,
    InTransaction,
}

#[derive(Debug)]
struct Seen {
    /// The tags of the requests that have had no `ReadyForQuery`.
    owed: VecDeque<u8>,
    status: Status,
    /// How many requests have been sent.
    requests: u64,
    /// The operating system takes no more bytes, so some may still be in the driver's buffer.
    blocked: bool,
    /// A prepared statement no longer works.
    stale_statements: bool,
    /// A statement with a name has been prepared.
    has_prepared: bool,
    /// All prepared statements are gone, those too that tokio-postgres keeps for itself.
    lost_statements: bool,
    /// The server has refused to write.
    refused_to_write: bool,
    /// The server has asked for the data of a COPY, and has not said how that ended.
    in_copy: bool,
    /// One more `ReadyForQuery` may come than is owed.
    may_be_out_of_step: bool,
}

/// Shared by a connection, its driver and its stream.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Mutex<Seen>,
    /// The driver has something to do.
    woken: AtomicBool,
    /// The driver is at work.
    polling: AtomicBool,
    /// The driver has read something that it has not delivered.
    undelivered: AtomicBool,
    /// The driver has ended.
    ended: AtomicBool,
    /// How often the connection has come back.
    holds: AtomicU64,
    /// Requests to cancel that are under way.
    cancels: AtomicUsize,
    /// One of them was given up, and may be acted on at any time.
    stray_cancel: AtomicBool,
    /// Woken when the driver has been at work: the one task that waits for quiet, the pool's, while it resets or closes.
    worked: AtomicWaker,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let seen = Seen {
            owed: VecDeque::new(),
            status: Status::Idle,
            requests: 0,
            blocked: false,
            stale_statements: false,
            has_prepared: false,
            lost_statements: false,
            refused_to_write: false,
            in_copy: false,
            may_be_out_of_step: false,
        };
        Self {
            seen: Mutex::new(seen),
            // Until the driver has run for the first time.
            woken: AtomicBool::new(true),
            polling: AtomicBool::new(false),
            undelivered: AtomicBool::new(false),
            holds: AtomicU64::new(0),
            cancels: AtomicUsize::new(0),
            stray_cancel: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            worked: AtomicWaker::new(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn on_sent(&self, tag: u8, body: &[u8]) {
        if matches!(tag, STARTUP | b'Q' | b'S' | b'F') {
            let mut seen = self.seen();
            seen.requests += u64::from(tag != STARTUP);
            match seen.owed.front_mut() {
                Some(first) if *first == COPY && tag == b'S' => *first = tag,
                _ => seen.owed.push_back(tag),
            }
        } else if tag == b'P' && !body.starts_with(&[0]) {
            self.seen().has_prepared = true;
        }
    }

    pub(crate) fn on_blocked(&self, blocked: bool) {
        self.seen().blocked = blocked;
    }

    pub(crate) fn on_received(&self, tag: u8, body: &[u8]) {
        match tag {
            b'Z' => {
                let mut seen = self.seen();
                // In a COPY it is the answer to the Sync that the server should have ignored.
                if seen.owed.front() != Some(&COPY) {
                    seen.owed.pop_front();
                }
                seen.in_copy = false;
                seen.status = if body == b"I" { Status::Idle } else { Status::InTransaction };
            }
            // The server ignores the Sync that has followed the Execute of a COPY FROM STDIN. The one after the data counts: it
            // has been sent already if the caller has gone meanwhile.
            b'G' => {
                let mut seen = self.seen();
                match seen.owed.pop_front() {
                    Some(b'S') => {
                        seen.in_copy = true;
                        if seen.owed.is_empty() {
                            seen.owed.push_front(COPY);
                        }
                    }
                    Some(b'Q') => seen.owed.push_front(COPY_OF_A_QUERY),
                    _ => {}
                }
            }
            b'C' => {
                let mut seen = self.seen();
                seen.in_copy = false;
                if seen.has_prepared && matches!(body, b"DEALLOCATE ALL\0" | b"DISCARD ALL\0") {
                    (seen.stale_statements, seen.lost_statements) = (true, true);
                }
            }
            b'E' => {
                let mut seen = self.seen();
                // The server ignores that Sync once it reads data. If the COPY fails before that, as one into a view does, or by
                // a trigger of the statement, the server answers it: then both Syncs have an answer, and nothing tells which of
                // the two this is.
                // See <https://github.com/rust-postgres/rust-postgres/issues/789>.
                seen.may_be_out_of_step |= std::mem::take(&mut seen.in_copy);
                match sqlstate(body) {
                    // "cached plan must not change result type", "prepared statement does not exist", and "cache lookup failed
                    // for type", of one that was made again.
                    Some("0A000" | "26000" | "XX000") => seen.stale_statements = true,
                    // "cannot execute INSERT in a read-only transaction".
                    Some("25006") => seen.refused_to_write = true,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// The driver wants more, so it has delivered all that it had read: it reads no further until a holder has taken its rows.
    pub(crate) fn begin_read(&self) {
        self.undelivered.store(false, Ordering::SeqCst);
    }

    /// The driver has read something. It is told before what that says is entered.
    pub(crate) fn end_read(&self) {
        self.undelivered.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mark_woken(&self) {
        self.woken.store(true, Ordering::SeqCst);
    }

    pub(crate) fn begin_poll(&self) {
        // In this order: between the two stores the session must not look quiet.
        self.polling.store(true, Ordering::SeqCst);
        self.woken.store(false, Ordering::SeqCst);
    }

    pub(crate) fn end_poll(&self, ended: bool) {
        if ended {
            self.ended.store(true, Ordering::SeqCst);
        }
        self.polling.store(false, Ordering::SeqCst);
        self.worked.wake();
    }

    fn driver_rests(&self) -> bool {
        // First the mark, then the work: a request that is queued while the driver is at work sets the mark or is sent.
        !self.woken.load(Ordering::SeqCst) && !self.polling.load(Ordering::SeqCst)
    }

    /// Whether nothing is under way: no request is owed an answer, none waits to be sent, every answer has been delivered, and
    /// the server has not been asked to cancel anything.
    pub(crate) fn is_quiet(&self) -> bool {
        // In this order. What had been queued before the driver rested has been sent, and is owed. The read that has emptied what
        // is owed has left its mark by then.
        self.is_at_rest()
            && !self.undelivered.load(Ordering::SeqCst)
            && self.cancels.load(Ordering::SeqCst) == 0
    }

    /// Whether no statement can be running: if the session is not quiet all the same, nothing is there to be cancelled.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.driver_rests() && {
            let seen = self.seen();
            seen.owed.is_empty() && !seen.blocked
        }
    }

    /// Whether it gets quiet only by what a holder does that has kept a stream of rows or the sink of a COPY.
    pub(crate) fn waits_for_holder(&self) -> bool {
        let in_copy = matches!(self.seen().owed.front(), Some(&(COPY | COPY_OF_A_QUERY)));
        let is_kept = in_copy || self.undelivered.load(Ordering::SeqCst);
        is_kept && self.driver_rests() && !self.ended.load(Ordering::SeqCst)
    }

    pub(crate) fn may_be_out_of_step(&self) -> bool {
        self.seen().may_be_out_of_step
    }

    pub(crate) fn mark_in_step(&self) {
        self.seen().may_be_out_of_step = false;
    }

    /// Tells one hold from the next.
    pub(crate) fn hold(&self) -> u64 {
        self.holds.load(Ordering::SeqCst)
    }

    pub(crate) fn end_hold(&self) {
        self.holds.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn has_stray_cancel(&self) -> bool {
        self.stray_cancel.load(Ordering::SeqCst)
    }

    /// Begins a request to cancel, for one hold. `None` if that is over. The end of the hold comes before the look whether any
    /// is under way, and here it is the other way round. So one that is not seen there is not sent.
    pub(crate) fn begin_cancel(&self, hold: u64) -> Option<Cancelling<'_>> {
        self.cancels.fetch_add(1, Ordering::SeqCst);
        let cancelling = Cancelling { watch: self, sent: false };
        (self.hold() == hold).then_some(cancelling)
    }

    /// Waits until the session is quiet. `false` if the driver has ended instead. One task at a time may wait.
    ///
    /// Cancel safe: it only looks.
    pub(crate) async fn quiet(&self) -> bool {
        poll_fn(|cx| {
            // First, so that no end of the driver's work falls between the look and the wait.
            self.worked.register(cx.waker());
            if self.ended.load(Ordering::SeqCst) {
                Poll::Ready(false)
            } else if self.is_quiet() {
                Poll::Ready(true)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    pub(crate) fn status(&self) -> Status {
        self.seen().status
    }

    pub(crate) fn requests(&self) -> u64 {
        self.seen().requests
    }

    pub(crate) fn take_stale_statements(&self) -> bool {
        std::mem::take(&mut self.seen().stale_statements)
    }

    pub(crate) fn has_lost_statements(&self) -> bool {
        self.seen().lost_statements
    }

    pub(crate) fn has_refused_to_write(&self) -> bool {
        self.seen().refused_to_write
    }

    pub(crate) fn take_refused_to_write(&self) -> bool {
        std::mem::take(&mut self.seen().refused_to_write)
    }
}

/// A request to cancel that is under way.
pub(crate) struct Cancelling<'w> {
    watch: &'w Watch,
    sent: bool,
}

impl Cancelling<'_> {
    /// From here until [`on_acted`](Self::on_acted) the server may act on it at any time.
    pub(crate) fn on_sending(&mut self) {
        self.sent = true;
    }

    /// The server has acted on it.
    pub(crate) fn on_acted(mut self) {
        self.sent = false;
    }
}

impl Drop for Cancelling<'_> {
    fn drop(&mut self) {
        if self.sent {
            self.watch.stray_cancel.store(true, Ordering::SeqCst);
        }
        self.watch.cancels.fetch_sub(1, Ordering::SeqCst);
        self.watch.worked.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rested() -> Watch {
        let watch = Watch::new();
        watch.begin_poll();
        watch.end_poll(false);
        watch
    }

    #[test]
    fn a_session_is_quiet_when_every_request_has_been_answered() {
        let watch = rested();
        assert!(watch.is_quiet());
        watch.on_sent(b'P', b"");
        assert!(watch.is_quiet());
        watch.on_sent(b'S', b"");
        watch.on_sent(b'Q', b"");
        watch.on_received(b'Z', b"T");
        assert!(!watch.is_quiet());
        watch.on_received(b'Z', b"E");
        assert!(watch.is_quiet());
        assert_eq!((watch.status(), watch.requests()), (Status::InTransaction, 2));
        watch.on_blocked(true);
        assert!(!watch.is_quiet());
    }

    #[test]
    fn a_request_that_the_driver_has_not_sent_is_under_way() {
        let watch = rested();
        watch.mark_woken();
        assert!(!watch.is_quiet());
        watch.begin_poll();
        assert!(!watch.is_quiet());
        watch.end_poll(false);
        assert!(watch.is_quiet());
    }

    #[test]
    fn a_copy_owes_one_answer_for_two_syncs() {
        let watch = rested();
        // The second may be sent before the server has asked for data: the caller has gone.
        for order in ["SGSCZ", "SSGCZ", "SGSEZ"] {
            for (at, tag) in order.bytes().enumerate() {
                assert_eq!(watch.is_quiet(), at == 0, "{order}, at {at}");
                match tag {
                    b'S' => watch.on_sent(tag, b""),
                    _ => watch.on_received(tag, b"I"),
                }
            }
            assert!(watch.is_quiet(), "{order}");
            assert_eq!(watch.may_be_out_of_step(), order.contains('E'), "{order}");
        }
    }

    #[test]
    fn a_copy_that_waits_for_data_is_under_way() {
        for begun_by in [b'S', b'Q'] {
            let watch = rested();
            watch.on_sent(begun_by, b"");
            assert!(!watch.waits_for_holder());
            watch.on_received(b'G', b"");
            assert!(!watch.is_quiet() && watch.waits_for_holder());
        }
    }

    /// It fails before it reads: each Sync has an answer.
    #[test]
    fn a_copy_may_owe_two_answers() {
        let watch = rested();
        watch.on_sent(b'S', b"");
        watch.on_received(b'G', b"");
        watch.on_received(b'E', b"SERROR\0C42809\0\0");
        watch.on_received(b'Z', b"I");
        assert!(!watch.is_quiet(), "the Sync after the data is still to come");
        watch.on_sent(b'S', b"");
        assert!(!watch.is_quiet());
        watch.on_received(b'Z', b"I");
        assert!(watch.is_quiet() && watch.may_be_out_of_step());
    }

    #[test]
    fn statements_without_a_name_are_not_lost() {
        for (name, lost) in [(&b"\0SELECT $1\0"[..], false), (b"s1\0SELECT $1\0", true)] {
            let watch = rested();
            watch.on_sent(b'P', name);
            watch.on_received(b'C', b"DISCARD ALL\0");
            assert_eq!(watch.has_lost_statements(), lost);
        }
    }

    #[test]
    fn a_driver_that_has_ended_waits_for_nobody() {
        let watch = rested();
        watch.end_read();
        assert!(watch.waits_for_holder());
        watch.begin_poll();
        watch.end_poll(true);
        assert!(!watch.waits_for_holder());
    }

    #[test]
    fn what_is_not_delivered_is_under_way() {
        let watch = rested();
        watch.end_read();
        assert!(!watch.is_quiet() && watch.waits_for_holder());
        watch.begin_read();
        assert!(watch.is_quiet() && !watch.waits_for_holder());
    }

    #[test]
    fn a_request_to_cancel_is_for_one_hold() {
        let watch = rested();
        let hold = watch.hold();
        let mut cancelling = watch.begin_cancel(hold).expect("the hold goes on");
        cancelling.on_sending();
        assert!(!watch.is_quiet() && watch.is_at_rest(), "no statement is running");
        cancelling.on_acted();
        assert!(watch.is_quiet() && !watch.has_stray_cancel());
        let mut given_up = watch.begin_cancel(hold).expect("the hold goes on");
        given_up.on_sending();
        drop(given_up);
        assert!(watch.is_quiet() && watch.has_stray_cancel());
        watch.end_hold();
        assert!(watch.begin_cancel(hold).is_none());
        assert!(watch.is_quiet());
    }

    #[test]
    fn some_errors_are_noted_once() {
        let watch = rested();
        watch.on_received(b'E', b"SERROR\0CXX000\0\0");
        assert!(watch.take_stale_statements());
        watch.on_received(b'E', b"SERROR\0C0A000\0\0");
        watch.on_received(b'E', b"SERROR\0C25006\0\0");
        watch.on_received(b'E', b"SERROR\0C42601\0\0");
        assert!(watch.take_stale_statements() && watch.take_refused_to_write());
        assert!(!watch.take_stale_statements() && !watch.has_refused_to_write());
    }
}
