//! The future of one acquire, and the look at a connection before it is handed out.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::coop::poll_proceed;
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;

use crate::background;
use crate::call_out::{Shielded, call_out};
use crate::error::{AcquireError, Holder, page};
use crate::events::{Event, RetireReason};
use crate::inner::{PoolInner, log};
use crate::manager::Manager;
use crate::policy::{self, Polled, Site, Tick, Wait};
use crate::pooled_connection::PooledConnection;
use crate::state::PoolEntry;
use crate::sync::Handle;

type Acquired<M> = Result<PooledConnection<M>, AcquireError>;

/// The future that [`Pool::acquire`](crate::Pool::acquire) and [`acquire_within`](crate::Pool::acquire_within)
/// return. It joins the queue when it is first polled.
///
/// Dropping the future at any point loses neither capacity nor a connection (`cancel.no_loss`).
///
/// ```
/// use poolhouse::{Acquire, PacketManager, PacketPool};
///
/// fn patient(pool: &PacketPool) -> Acquire<'_, PacketManager> {
///     pool.acquire()
/// }
/// ```
// A task keeps this future in itself, and as many tasks as there are callers may wait: it stays small.
#[must_use = "an acquire does nothing until it is awaited"]
pub struct Acquire<'a, M: Manager> {
    inner: &'a Arc<PoolInner<M>>,
    at: &'static Location<'static>,
    /// `None` for `connection_timeout`.
    own_limit: Option<policy::Span>,
    state: State,
    span: Span,
}

#[derive(Clone, Copy)]
enum State {
    New,
    Waiting(Wait),
    Ended,
}

/// The span of the acquire, if somebody listens to spans of this level. Boxed to keep the future small. Its subscriber is the
/// user's code: a panic there must not take along a connection that is on its way to the caller.
type Span = Shielded<Box<tracing::Span>>;

fn enter(span: &Span) -> Shielded<EnteredSpan> {
    Shielded(span.0.as_ref().and_then(|span| call_out(|| span.as_ref().clone().entered()).ok()))
}

fn new_span<M: Manager>(inner: &PoolInner<M>) -> Span {
    let mut span = Shielded(None);
    // The macro asks this too, and does more before it.
    if LevelFilter::current() >= LevelFilter::DEBUG {
        drop(call_out(|| {
            let new = tracing::debug_span!(target: "poolhouse::acquire", "acquire",
                target_address = %inner.target(), pool = inner.name.as_deref());
            span.0 = (!new.is_disabled()).then(|| Box::new(new));
        }));
    }
    span
}

impl<M: Manager> Drop for Acquire<'_, M> {
    fn drop(&mut self) {
        if let State::Waiting(wait) = self.state {
            self.inner.apply(|policy, now, fx| policy.cancel(wait, now, fx));
        }
    }
}

impl<M: Manager> Future for Acquire<'_, M> {
    type Output = Acquired<M>;

    /// # Panics
    ///
    /// When the future begins to wait outside of a tokio runtime that has its timer enabled, or is polled again
    /// after it has ended. Also if [`Manager::is_connected`] panics.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A loop of acquires that never wait gives way to the other tasks of its thread.
        let budget = ready!(poll_proceed(cx));
        let span = match self.state {
            State::New => new_span(self.inner),
            State::Waiting(_) => Shielded(self.span.0.take()),
            State::Ended => panic!("polled after it ended: await an acquire once"),
        };
        let _entered = enter(&span);
        let polled = self.take_or_wait(cx);
        if polled.is_ready() {
            budget.made_progress();
        } else {
            self.span = span;
        }
        polled
    }
}

impl<M: Manager> fmt::Debug for Acquire<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::New => "not polled yet",
            State::Waiting(_) => "waiting",
            State::Ended => "ended",
        };
        f.debug_struct("Acquire").field("acquired_at", &self.at).field("state", &state).finish()
    }
}

impl<M: Manager> Acquire<'_, M> {
    pub(crate) fn new<'a>(
        inner: &'a Arc<PoolInner<M>>,
        at: &'static Location<'static>,
        limit: Option<Duration>,
    ) -> Acquire<'a, M> {
        Acquire {
            inner,
            at,
            own_limit: limit.map(policy::Span::from),
            state: State::New,
            span: Shielded(None),
        }
    }

    fn take_or_wait(&mut self, cx: &Context<'_>) -> Poll<Acquired<M>> {
        let (inner, site, own_limit) = (self.inner, self.inner.site(self.at), self.own_limit);
        // Also if it is handed a dead connection first.
        let begins = matches!(self.state, State::New);
        loop {
            // Wakers are cloned and dropped outside of the lock: either may run foreign code.
            let mut waker = Some(cx.waker().clone());
            // Whatever panics from here on finds nothing to give up.
            let before = std::mem::replace(&mut self.state, State::Ended);
            let (polled, now) = inner.apply_for_acquire(|state, now, fx| match before {
                State::Waiting(wait) => state.policy.poll(wait, now, site.caller, &mut waker, fx),
                _ => state.policy.take_or_join(now, site, (&mut waker, own_limit), fx),
            });
            inner.shield("a waker", || drop(waker));
            let entry = match polled {
                Polled::Granted(entry) => entry,
                Polled::Waiting(wait) => {
                    self.state = State::Waiting(wait);
                    return self.go_on_waiting(begins, site);
                }
                Polled::Refused(refusal) => return self.failed(inner.refused(refusal)),
                Polled::TimedOut(diagnosis) => return self.failed(inner.timed_out(diagnosis)),
            };
            let (since, waited) = match before {
                State::Waiting(wait) => (wait.since, now.since(wait.since)),
                _ => (entry.held_since, Duration::ZERO),
            };
            let dead = match inner.look_over(entry, now) {
                Ok(entry) => return Poll::Ready(Ok(hand_out(inner, entry, self.at, waited))),
                Err(dead) => dead,
            };
            // Back to its turn in the queue.
            let (rejoined, _) = inner.apply_for_acquire(|state, now, fx| {
                state.policy.rejoin(dead, (since, own_limit), now, site, fx)
            });
            match rejoined {
                Ok(wait) => self.state = State::Waiting(wait),
                Err(refusal) => return self.failed(inner.refused(refusal)),
            }
        }
    }

    /// After it has its place in the queue, so that a closed pool answers outside of a runtime too. The future may have
    /// moved to a runtime without a background task, or the task's runtime may have ended. Outside of any runtime, a
    /// future that has begun to wait relies on whichever background task there is. Where there is none, nobody would keep
    /// its deadline.
    fn go_on_waiting(&mut self, begins: bool, site: Site) -> Poll<Acquired<M>> {
        let inner = self.inner;
        if begins && site.caller.is_some() {
            let now = inner.now();
            self.warn_of_nesting(inner.state.read(|state| state.policy.nested(site.caller, now)));
        }
        let is_driven = if begins || Handle::try_current().is_ok() {
            background::ensure(inner).is_ok()
        } else {
            inner.state.read(|state| !state.homes.is_empty())
        };
        if is_driven {
            return Poll::Pending;
        }
        if let State::Waiting(wait) = std::mem::replace(&mut self.state, State::Ended) {
            inner.apply(|policy, now, fx| policy.fail(wait, now, fx));
        }
        self.failed(inner.runtime_ended())
    }

    /// Warns that the task holds a connection of this pool already: enough of such tasks wait for each other.
    fn warn_of_nesting(&self, held: Vec<Holder>) {
        for holder in held {
            log!(self.inner, warn, "poolhouse::acquire"; connection = holder.connection,
                acquired_at = %holder.acquired_at, guide = page::DEADLOCK_AT_N,
                "a task that holds a connection waits for another of the same pool: enough of them wait for each other");
        }
    }

    fn failed(&self, error: AcquireError) -> Poll<Acquired<M>> {
        // The span has the address too, but is off where only warnings are on.
        if error.is_timeout() {
            log!(self.inner, warn, "poolhouse::acquire"; %error, "an acquire timed out");
        } else {
            log!(self.inner, debug, "poolhouse::acquire"; %error, "an acquire failed");
        }
        self.inner.tell(|pool| Event::AcquireFailed { pool, error: &error, acquired_at: self.at });
        Poll::Ready(Err(error))
    }
}

/// Takes an idle connection if that needs no wait.
pub(crate) fn try_acquire<M: Manager>(
    inner: &Arc<PoolInner<M>>,
    at: &'static Location<'static>,
) -> Option<PooledConnection<M>> {
    let site = inner.site(at);
    loop {
        let (entry, now) = inner.apply(|policy, now, fx| Some((policy.try_take(now, site, fx)?, now)))?;
        match inner.look_over(entry, now) {
            Ok(entry) => return Some(hand_out(inner, entry, at, Duration::ZERO)),
            Err(dead) => {
                inner.apply_for_acquire(|state, now, fx| state.policy.found_dead(dead, now, fx));
            }
        }
    }
}

impl<M: Manager> PoolInner<M> {
    /// Looks whether the peer has closed a connection that is about to be handed out, unless somebody has just looked. An
    /// error holds a dead one.
    ///
    /// # Panics
    ///
    /// If the manager does. The connection is retired first.
    fn look_over(&self, mut entry: PoolEntry<M>, now: Tick) -> Result<PoolEntry<M>, PoolEntry<M>> {
        if !entry.needs_look(now) {
            return Ok(entry);
        }
        entry.looked_at = Some(now);
        match call_out(|| self.manager.is_connected(&mut entry.connection)) {
            Ok(true) => {
                if entry.fresh {
                    self.apply(|policy, now, fx| policy.proven(&mut entry, now, fx));
                }
                Ok(entry)
            }
            Ok(false) => Err(entry),
            Err(panic) => {
                self.apply(|policy, now, fx| policy.discard(entry, RetireReason::Panicked, now, fx));
                panic.resume()
            }
        }
    }
}

fn hand_out<M: Manager>(
    inner: &Arc<PoolInner<M>>,
    entry: PoolEntry<M>,
    acquired_at: &'static Location<'static>,
    waited: Duration,
) -> PooledConnection<M> {
    let connection = entry.id;
    // The guard comes first: it owns the connection whatever the listener does.
    let guard = PooledConnection::new(Arc::clone(inner), entry);
    inner.tell(|pool| Event::Acquired { pool, connection, waited, acquired_at });
    guard
}
