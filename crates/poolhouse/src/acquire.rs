//! The future of one acquire.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::task::coop::poll_proceed;
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;

use crate::background;
use crate::call_out::{Shielded, call_out};
use crate::error::{AcquireError, ConnectError, Holder, page};
use crate::events::Event;
use crate::inner::{PoolInner, log};
use crate::manager::Manager;
use crate::policy::{self, Enqueued, Polled, Refusal, Tick, Wait};
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
}

enum State {
    New,
    Waiting { wait: Wait, span: Span },
    Ended,
}

/// The span of the acquire, if somebody listens to spans of this level. Boxed to keep the future small. Its subscriber is the
/// user's code: a panic there must not take along a connection that is on its way to the caller.
type Span = Shielded<Box<tracing::Span>>;

fn enter(span: &Span) -> Shielded<EnteredSpan> {
    Shielded(span.0.as_ref().and_then(|span| call_out(|| span.as_ref().clone().entered()).ok()))
}

impl<M: Manager> Drop for Acquire<'_, M> {
    fn drop(&mut self) {
        if let State::Waiting { wait, .. } = self.state {
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
        let polled = match &self.state {
            State::New => self.begin(cx),
            State::Waiting { span, .. } => {
                let _entered = enter(span);
                self.poll_waiting(cx)
            }
            State::Ended => panic!("polled after it ended: await an acquire once"),
        };
        if polled.is_ready() {
            budget.made_progress();
        }
        polled
    }
}

impl<M: Manager> fmt::Debug for Acquire<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::New => "not polled yet",
            State::Waiting { .. } => "waiting",
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
        Acquire { inner, at, own_limit: limit.map(policy::Span::from), state: State::New }
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        self.state = State::Ended;
        // The macro asks this too, and does more before it.
        if LevelFilter::current() < LevelFilter::DEBUG {
            return self.take_or_join(Shielded(None), cx);
        }
        let mut span = Shielded(None);
        drop(call_out(|| {
            let inner = self.inner;
            let new = tracing::debug_span!(target: "poolhouse::acquire", "acquire",
                target_address = %inner.target(), pool = inner.name.as_deref());
            span.0 = (!new.is_disabled()).then(|| Box::new(new));
        }));
        let _entered = enter(&span);
        self.take_or_join(span, cx)
    }

    fn take_or_join(&mut self, span: Span, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let (inner, site, own_limit) = (self.inner, self.inner.site(self.at), self.own_limit);
        // Wakers are cloned and dropped outside of the lock: either may run foreign code.
        let mut waker = Some(cx.waker().clone());
        let (mut at_home, mut nested) = (false, Vec::new());
        let ((enqueued, since), now) = inner.apply_for_acquire(|state, since, fx| {
            let enqueued = state.policy.take_or_join(since, site, (&mut waker, own_limit), fx);
            if matches!(enqueued, Enqueued::Waiting(_)) {
                at_home = Handle::try_current().is_ok_and(|handle| state.home_of(handle.id()).is_some());
                nested = state.policy.nested(site.caller, since);
            }
            (enqueued, since)
        });
        inner.shield("a waker", || drop(waker));
        match enqueued {
            Enqueued::Taken(entry) => match inner.look_over(entry, now) {
                Ok(entry) => Poll::Ready(Ok(hand_out(inner, entry, self.at, Duration::ZERO))),
                Err(dead) => match self.rejoin(dead, since, span) {
                    Ok(()) => self.poll_waiting(cx),
                    Err(refusal) => self.refused(refusal),
                },
            },
            Enqueued::Waiting(ticket) => {
                self.state = State::Waiting { wait: Wait { ticket, since, own_limit }, span };
                self.warn_of_nesting(nested);
                // After the place in the queue, so that a closed pool answers outside of a runtime too. The waker is in
                // the queue, so this wait need not ask again.
                self.ensure_background(at_home)
            }
            Enqueued::Refused(refusal) => self.refused(refusal),
        }
    }

    fn ensure_background(&mut self, at_home: bool) -> Poll<Acquired<M>> {
        if !at_home && background::ensure(self.inner).is_err() {
            return self.runtime_ended();
        }
        Poll::Pending
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let inner = self.inner;
        loop {
            let State::Waiting { wait, .. } = self.state else { return Poll::Pending };
            let (polled, now) = self.ask(wait, cx);
            let answer = match polled {
                Polled::Waiting => return self.go_on_waiting(),
                Polled::Granted(entry) => Ok(entry),
                Polled::Refused(refusal) => Err(inner.refused(refusal)),
                Polled::TimedOut(diagnosis) => Err(inner.timed_out(diagnosis)),
            };
            // The ticket has been handed in.
            let span = match std::mem::replace(&mut self.state, State::Ended) {
                State::Waiting { span, .. } => span,
                State::New | State::Ended => Shielded(None),
            };
            let entry = match answer {
                Ok(entry) => entry,
                Err(error) => return self.failed(error),
            };
            match inner.look_over(entry, now) {
                Ok(entry) => return Poll::Ready(Ok(hand_out(inner, entry, self.at, now.since(wait.since)))),
                Err(dead) => {
                    if let Err(refusal) = self.rejoin(dead, wait.since, span) {
                        return self.refused(refusal);
                    }
                }
            }
        }
    }

    /// The result of the wait, and the time of that result. If there is none yet, the waker in the queue is the current
    /// one.
    fn ask(&self, wait: Wait, cx: &Context<'_>) -> (Polled<M::Connection, ConnectError>, Tick) {
        let (inner, caller) = (self.inner, self.inner.caller());
        // Its drop may panic, when the ticket has been handed in.
        let mut spare = Shielded(None);
        loop {
            let mut current = true;
            let refresh = |waker: &mut Option<Waker>| {
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    match spare.0.take() {
                        Some(fresh) => spare.0 = waker.replace(fresh),
                        None => current = false,
                    }
                }
            };
            let (polled, now) =
                inner.apply_for_acquire(|state, now, fx| state.policy.poll(wait, now, caller, refresh, fx));
            if current || !matches!(polled, Polled::Waiting) {
                return (polled, now);
            }
            spare.0 = Some(cx.waker().clone());
        }
    }

    /// The future may have moved to a runtime without a background task, or the task's runtime may have ended. Outside
    /// of any runtime, the future relies on whichever background task there is. Where there is none, nobody would keep its
    /// deadline.
    fn go_on_waiting(&mut self) -> Poll<Acquired<M>> {
        let state = &self.inner.state;
        match Handle::try_current() {
            Ok(handle) => self.ensure_background(state.read(|state| state.home_of(handle.id()).is_some())),
            Err(_) if state.read(|state| state.homes.is_empty()) => self.runtime_ended(),
            Err(_) => Poll::Pending,
        }
    }

    /// Goes back to its turn in the queue, because the connection is dead.
    fn rejoin(&mut self, dead: PoolEntry<M>, since: Tick, span: Span) -> Result<(), Refusal<ConnectError>> {
        let (inner, site, own_limit) = (self.inner, self.inner.site(self.at), self.own_limit);
        let (ticket, _) = inner
            .apply_for_acquire(|state, now, fx| state.policy.rejoin(dead, (since, own_limit), now, site, fx));
        self.state = State::Waiting { wait: Wait { ticket: ticket?, since, own_limit }, span };
        Ok(())
    }

    /// Warns that the task holds a connection of this pool already: enough of such tasks wait for each other.
    fn warn_of_nesting(&self, held: Vec<Holder>) {
        for holder in held {
            log!(self.inner, warn, "poolhouse::acquire"; connection = holder.connection,
                acquired_at = %holder.acquired_at, guide = page::DEADLOCK_AT_N,
                "a task that holds a connection waits for another of the same pool: enough of them wait for each other");
        }
    }

    fn refused(&self, refusal: Refusal<ConnectError>) -> Poll<Acquired<M>> {
        self.failed(self.inner.refused(refusal))
    }

    fn runtime_ended(&mut self) -> Poll<Acquired<M>> {
        let inner = self.inner;
        if let State::Waiting { wait, .. } = std::mem::replace(&mut self.state, State::Ended) {
            inner.apply(|policy, now, fx| policy.fail(wait, now, fx));
        }
        self.failed(inner.runtime_ended())
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
