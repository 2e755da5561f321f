//! What the protocol says about a session: whether anything is owed, and whether a transaction is open.
//!
//! tokio-postgres hides both. So the stream under it is watched: each `Query`, `Sync` and `FunctionCall` that is sent is owed
//! one `ReadyForQuery`, and each of these says whether a transaction is open. What callers do with the client, whichever of
//! its methods they call and wherever they drop a future, shows here.
//!
//! One thing does not show in the stream: a request that the client has queued, and that its driver has not yet sent. The
//! client wakes the driver when it queues one. So the driver's waker leaves a mark, and the driver wipes it before it looks
//! at the queue. A session is quiet when nothing is owed, the mark is off, and the driver is not at work.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use crate::wire::{STARTUP, sqlstate};

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
    /// The server has refused to write.
    refused_to_write: bool,
}

/// Shared by a connection, its driver and its stream.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Mutex<Seen>,
    /// The driver has something to do.
    woken: AtomicBool,
    /// The driver is at work.
    polling: AtomicBool,
    /// The driver has ended.
    ended: AtomicBool,
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
            refused_to_write: false,
        };
        Self {
            seen: Mutex::new(seen),
            // Until the driver has run for the first time.
            woken: AtomicBool::new(true),
            polling: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            worked: AtomicWaker::new(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn on_sent(&self, tag: u8) {
        if matches!(tag, STARTUP | b'Q' | b'S' | b'F') {
            let mut seen = self.seen();
            seen.owed.push_back(tag);
            seen.requests += u64::from(tag != STARTUP);
        }
    }

    pub(crate) fn on_blocked(&self, blocked: bool) {
        self.seen().blocked = blocked;
    }

    pub(crate) fn on_received(&self, tag: u8, body: &[u8]) {
        match tag {
            b'Z' => {
                let mut seen = self.seen();
                seen.owed.pop_front();
                seen.status = if body == b"I" { Status::Idle } else { Status::InTransaction };
            }
            // The server ignores the Sync that has followed the Execute of a COPY FROM STDIN. The one after the data counts.
            b'G' => {
                let mut seen = self.seen();
                if seen.owed.front() == Some(&b'S') {
                    seen.owed.pop_front();
                }
            }
            b'E' => match sqlstate(body) {
                // "cached plan must not change result type", "prepared statement does not exist", and "cache lookup failed for
                // type", of one that was made again.
                Some("0A000" | "26000" | "XX000") => self.seen().stale_statements = true,
                // "cannot execute INSERT in a read-only transaction".
                Some("25006") => self.seen().refused_to_write = true,
                _ => {}
            },
            _ => {}
        }
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

    /// Whether nothing is under way: no request is owed an answer, and none waits to be sent.
    pub(crate) fn is_quiet(&self) -> bool {
        // First the mark, then the work: a request that is queued while the driver is at work sets the mark or is sent.
        let driver_rests = !self.woken.load(Ordering::SeqCst) && !self.polling.load(Ordering::SeqCst);
        let seen = self.seen();
        driver_rests && seen.owed.is_empty() && !seen.blocked
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

    pub(crate) fn has_refused_to_write(&self) -> bool {
        self.seen().refused_to_write
    }

    pub(crate) fn take_refused_to_write(&self) -> bool {
        std::mem::take(&mut self.seen().refused_to_write)
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
        watch.on_sent(b'P');
        assert!(watch.is_quiet());
        watch.on_sent(b'S');
        watch.on_sent(b'Q');
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
        watch.on_sent(b'S');
        watch.on_received(b'G', b"");
        watch.on_sent(b'S');
        assert!(!watch.is_quiet());
        watch.on_received(b'Z', b"I");
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
