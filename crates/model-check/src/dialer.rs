//! A manager that opens connections to nowhere, and counts them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use crate::planned::panic_as_planned;
use crate::{FailureKind, HookFuture, Manager, RetireReason};

/// What an attempt to connect comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    Opens,
    /// It may work later.
    Fails,
    /// It never will.
    Refused,
    /// The manager panics.
    Panics,
}

#[derive(Debug, thiserror::Error)]
#[error("the dialer says {0:?}")]
pub struct Refused(Dial);

/// Its attempts follow a script, then open. Clones share everything.
#[derive(Clone, Default)]
pub struct Dialer(Arc<State>);

/// The counts are std's: to look at them is no step of the model. To open and to close a connection is one, so that
/// what happens between them can differ.
#[derive(Default)]
struct State {
    step: loom::sync::Mutex<()>,
    script: Mutex<VecDeque<Dial>>,
    live: AtomicUsize,
    peak: AtomicUsize,
    attempts: AtomicUsize,
    /// The peer has closed every connection up to this attempt.
    closed_by_peer: AtomicUsize,
    /// Every holder leaves something behind.
    holders_leave_something: AtomicBool,
    /// A hook of the pool does the resets, and not the manager.
    hook_resets: AtomicBool,
    /// Connections are closed gracefully.
    closes_gracefully: AtomicBool,
    /// A connection panics as it is dropped.
    drops_panic: AtomicBool,
    /// How many goodbyes have been wanted, and how many have been said to their end.
    goodbyes_wanted: AtomicUsize,
    goodbyes: AtomicUsize,
}

impl Dialer {
    pub fn script(&self, dials: impl IntoIterator<Item = Dial>) {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner).extend(dials);
    }

    /// Lets every attempt from now on open.
    pub(crate) fn forget_script(&self) {
        self.0.script.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Connections that are opening or open, detached ones included.
    pub fn live(&self) -> usize {
        self.0.live.load(SeqCst)
    }

    /// The most that `live` has been.
    pub fn peak(&self) -> usize {
        self.0.peak.load(SeqCst)
    }

    /// The peer closes every connection that is open now.
    pub fn hang_up(&self) {
        self.0.closed_by_peer.store(self.attempts(), SeqCst);
    }

    /// From here on every connection that comes back has to be reset.
    pub fn wants_resets(&self) {
        self.0.holders_leave_something.store(true, SeqCst);
        crate::world::expect_unfit_idle();
    }

    /// Leaves the resets to [`Connection::reset_by_hook`].
    pub(crate) fn leaves_resets_to_a_hook(&self) {
        self.0.hook_resets.store(true, SeqCst);
    }

    /// From here on connections are closed gracefully.
    pub fn wants_goodbyes(&self) {
        self.0.closes_gracefully.store(true, SeqCst);
    }

    /// Whether a connection panics as it is dropped, from here on.
    pub fn panics_at_each_drop(&self, panics: bool) {
        self.0.drops_panic.store(panics, SeqCst);
    }

    /// How many goodbyes have been wanted, and how many have been said to their end.
    pub fn goodbyes(&self) -> (usize, usize) {
        (self.0.goodbyes_wanted.load(SeqCst), self.0.goodbyes.load(SeqCst))
    }

    /// How many connects have begun.
    pub fn attempts(&self) -> usize {
        self.0.attempts.load(SeqCst)
    }
}

/// Counts as live from the beginning of its connect until it is dropped.
pub struct Connection {
    state: Arc<State>,
    /// The number of its connect, from 1.
    attempt: usize,
    /// Its last holder has left something behind.
    dirty: bool,
}

impl Connection {
    fn new(state: &Arc<State>) -> Self {
        let _step = state.step.lock();
        let attempt = state.attempts.fetch_add(1, SeqCst) + 1;
        state.peak.fetch_max(state.live.fetch_add(1, SeqCst) + 1, SeqCst);
        Self { state: Arc::clone(state), attempt, dirty: false }
    }

    /// `reset.between`: whether no holder before has left anything in it.
    pub fn is_clean(&self) -> bool {
        !self.dirty
    }

    /// The hook on return, in pools that have one.
    pub(crate) fn reset_by_hook(&mut self) -> HookFuture<'_> {
        Box::pin(async {
            pause().await;
            self.dirty = false;
            Ok(())
        })
    }

    /// The hook before reuse and the one before close: they take a while.
    pub(crate) fn pause_by_hook(&mut self) -> HookFuture<'_> {
        Box::pin(async {
            pause().await;
            Ok(())
        })
    }

    fn is_open(&self) -> bool {
        self.attempt > self.state.closed_by_peer.load(SeqCst)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A run that has failed takes no more steps.
        if std::thread::panicking() {
            self.state.live.fetch_sub(1, SeqCst);
            return;
        }
        let step = self.state.step.lock();
        self.state.live.fetch_sub(1, SeqCst);
        drop(step);
        if self.state.drops_panic.load(SeqCst) {
            panic_as_planned();
        }
    }
}

impl Manager for Dialer {
    type Connection = Connection;
    type Error = Refused;

    async fn connect(&self) -> Result<Connection, Refused> {
        let connection = Connection::new(&self.0);
        let dial = self.0.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        pause().await;
        match dial.unwrap_or(Dial::Opens) {
            Dial::Opens => Ok(connection),
            Dial::Panics => panic_as_planned(),
            dial => Err(Refused(dial)),
        }
    }

    async fn check(&self, connection: &mut Connection) -> Result<(), Refused> {
        pause().await;
        if connection.is_open() { Ok(()) } else { Err(Refused(Dial::Fails)) }
    }

    fn needs_reset(&self, connection: &mut Connection) -> bool {
        connection.dirty = self.0.holders_leave_something.load(SeqCst);
        connection.dirty && !self.0.hook_resets.load(SeqCst)
    }

    async fn reset(&self, connection: &mut Connection) -> Result<(), Refused> {
        pause().await;
        connection.dirty = false;
        if connection.is_open() { Ok(()) } else { Err(Refused(Dial::Fails)) }
    }

    fn needs_close(&self, _: &mut Connection, _: RetireReason) -> bool {
        let gracefully = self.0.closes_gracefully.load(SeqCst);
        self.0.goodbyes_wanted.fetch_add(usize::from(gracefully), SeqCst);
        gracefully
    }

    async fn close(&self, connection: Connection) {
        pause().await;
        self.0.goodbyes.fetch_add(1, SeqCst);
        drop(connection);
    }

    fn is_connected(&self, connection: &mut Connection) -> bool {
        connection.is_open()
    }

    fn classify(&self, error: &Refused) -> FailureKind {
        if error.0 == Dial::Refused { FailureKind::Permanent } else { FailureKind::Transient }
    }

    fn target(&self) -> Cow<'_, str> {
        "nowhere".into()
    }
}

/// Lets the background make another plan before it goes on.
fn pause() -> impl Future<Output = ()> {
    let mut paused = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
