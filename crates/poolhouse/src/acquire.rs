//! The future of one acquire.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tracing::Span;

use crate::core::{Caller, Expired, Joined, Polled, Refusal, Site, Tick, Ticket};
use crate::error::AcquireError;
use crate::events::Event;
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::shared::{PoolEntry, Shared};
use crate::time::{Sleep, sleep};

type Reply<M> = Result<PoolEntry<M>, Refusal<<M as Manager>::Error>>;
type Acquired<M> = Result<PooledConnection<M>, AcquireError<<M as Manager>::Error>>;

/// The future that [`Pool::acquire`](crate::Pool::acquire) and [`acquire_within`](crate::Pool::acquire_within)
/// return. It joins the queue when it is first polled.
///
/// Dropping it at any point loses neither capacity nor a connection (`cancel.no_loss`).
///
/// ```
/// use poolhouse::{Acquire, PacketManager, PacketPool};
///
/// fn patient(pool: &PacketPool) -> Acquire<'_, PacketManager> {
///     pool.acquire()
/// }
/// ```
// What only some need is boxed: a task keeps the future in itself, and as many tasks as there are callers may wait.
#[must_use = "an acquire does nothing until it is awaited"]
pub struct Acquire<'a, M: Manager> {
    shared: &'a Arc<Shared<M>>,
    at: &'static Location<'static>,
    limit: Duration,
    state: State,
    /// While it waits, if somebody listens to spans of this level.
    span: Option<Box<Span>>,
    /// While it waits, if its limit is not that of the pool, for which the background wakes.
    deadline: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy)]
enum State {
    New,
    Waiting(Ticket, Tick),
    Ended,
}

impl<M: Manager> Drop for Acquire<'_, M> {
    fn drop(&mut self) {
        if let State::Waiting(ticket, _) = self.state {
            self.shared.apply(|core, fx| core.cancel(ticket, self.shared.clock(), fx));
        }
    }
}

impl<M: Manager> Future for Acquire<'_, M> {
    type Output = Acquired<M>;

    /// # Panics
    ///
    /// When it has to wait outside of a tokio runtime, or after it has ended.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.state {
            State::New => self.begin(cx),
            State::Waiting(ticket, since) => self.resume(ticket, since, cx),
            State::Ended => panic!("polled after it ended: await an acquire once"),
        }
    }
}

impl<M: Manager> Acquire<'_, M> {
    #[inline]
    pub(crate) fn new<'a>(
        shared: &'a Arc<Shared<M>>,
        at: &'static Location<'static>,
        limit: Duration,
    ) -> Acquire<'a, M> {
        Acquire { shared, at, limit, state: State::New, span: None, deadline: None }
    }

    #[inline]
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        self.state = State::Ended;
        let span = tracing::debug_span!(
            target: "poolhouse::acquire",
            "acquire",
            target_address = %self.shared.manager.target()
        );
        if span.is_disabled() { self.take_or_wait(cx) } else { self.begin_in(span, cx) }
    }

    #[cold]
    fn begin_in(&mut self, span: Span, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let entered = span.enter();
        let acquired = self.take_or_wait(cx);
        drop(entered);
        self.span = acquired.is_pending().then(|| Box::new(span));
        acquired
    }

    #[inline]
    fn take_or_wait(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let site = self.shared.site(self.at);
        // Where somebody waits already, a look would be for nothing.
        if !self.shared.somebody_waits()
            && let Some(connection) = self.shared.try_take(site)
        {
            return Poll::Ready(Ok(connection));
        }
        self.join(site, cx)
    }

    #[inline(never)]
    fn join(&mut self, site: Site, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let shared = self.shared;
        let own_deadline = self.limit != shared.config.connection_timeout;
        // Wakers are cloned and dropped outside of the lock, for either may run foreign code.
        let waker = cx.waker().clone();
        let joined =
            shared.apply(|core, fx| core.take_or_join(shared.clock(), site, (waker, own_deadline), fx));
        let (ticket, since, woken) = match joined {
            Ok(Joined::Waiting(ticket, since)) => (ticket, since, false),
            Ok(Joined::Taken(entry, since)) => match shared.verify(entry) {
                Ok(entry) => return Poll::Ready(Ok(shared.hand_out(entry, self.at, None))),
                Err(dead) => match self.rejoin(dead, since, site) {
                    Ok(ticket) => (ticket, since, true),
                    Err(refusal) => return self.refused(refusal),
                },
            },
            Err(refusal) => return self.refused(refusal),
        };
        self.state = State::Waiting(ticket, since);
        // After the place in the queue, so that a closed pool answers outside of a runtime too.
        shared.ensure_driver();
        if own_deadline && self.limit != Duration::MAX {
            self.deadline = Some(Box::pin(sleep(self.limit)));
        }
        if shared.config.detect_nested_acquires {
            warn_of_nesting(shared, site.caller);
        }
        // Whoever has this moment joined with the current waker need not look.
        if woken || self.is_late(cx) { self.go_on(ticket, since, cx) } else { Poll::Pending }
    }

    fn resume(&mut self, ticket: Ticket, since: Tick, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let Some(span) = self.span.take() else { return self.go_on(ticket, since, cx) };
        let entered = span.enter();
        let acquired = self.go_on(ticket, since, cx);
        drop(entered);
        self.span = Some(span);
        acquired
    }

    fn go_on(&mut self, mut ticket: Ticket, since: Tick, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let shared = self.shared;
        loop {
            let reply = match self.look(ticket, cx) {
                Polled::Granted(entry) => Ok(entry),
                Polled::Refused(refusal) => Err(refusal),
                Polled::Waiting { homeless } => {
                    if homeless {
                        // The runtime of the background task ended while this one waited.
                        shared.ensure_driver();
                        shared.drive.notify_waiters();
                    }
                    if !self.is_late(cx) {
                        return Poll::Pending;
                    }
                    match self.expire(ticket) {
                        Ok(reply) => reply,
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Polled::Late => match self.expire(ticket) {
                    Ok(reply) => reply,
                    Err(error) => return Poll::Ready(Err(error)),
                },
            };
            self.state = State::Ended;
            let dead = match reply {
                Ok(entry) => match shared.verify(entry) {
                    Ok(entry) => return Poll::Ready(Ok(shared.hand_out(entry, self.at, Some(since)))),
                    Err(dead) => dead,
                },
                Err(refusal) => return self.refused(refusal),
            };
            // Back to its turn in the queue, and look again: there may be another connection already.
            ticket = match self.rejoin(dead, since, shared.site(self.at)) {
                Ok(ticket) => ticket,
                Err(refusal) => return self.refused(refusal),
            };
            self.state = State::Waiting(ticket, since);
        }
    }

    /// What became of the wait; if nothing has, the waker in the queue is the current one.
    fn look(&self, ticket: Ticket, cx: &Context<'_>) -> Polled<M::Connection, M::Error> {
        let shared = self.shared;
        let caller = shared.caller();
        let mut spare = None;
        loop {
            let mut current = true;
            let refresh = |waker: &mut Option<Waker>| {
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    match spare.take() {
                        Some(fresh) => spare = waker.replace(fresh),
                        None => current = false,
                    }
                }
            };
            let polled = shared.apply(|core, fx| core.poll(ticket, shared.clock(), caller, refresh, fx));
            if current || !matches!(polled, Polled::Waiting { .. }) {
                return polled;
            }
            spare = Some(cx.waker().clone());
        }
    }

    /// Whether its own deadline has passed, if it has one.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
    }

    /// Time is up. A reply that came just in time still counts.
    #[cold]
    fn expire(&mut self, ticket: Ticket) -> Result<Reply<M>, AcquireError<M::Error>> {
        let shared = self.shared;
        let caller = shared.caller();
        match shared.apply(|core, fx| core.expire(ticket, shared.now(), caller, fx)) {
            Ok(entry) => Ok(Ok(entry)),
            Err(Expired::Refused(refusal)) => Ok(Err(refusal)),
            Err(Expired::TimedOut(mut diagnosis)) => {
                self.state = State::Ended;
                diagnosis.target = shared.manager.target().into_owned();
                Err(failed(shared, AcquireError::Timeout(diagnosis), self.at))
            }
        }
    }

    /// Goes back to its turn in the queue, because the connection is dead.
    #[cold]
    fn rejoin(&self, dead: PoolEntry<M>, since: Tick, site: Site) -> Result<Ticket, Refusal<M::Error>> {
        let shared = self.shared;
        let own_deadline = self.limit != shared.config.connection_timeout;
        shared.apply(|core, fx| core.rejoin(dead, (since, shared.now()), (site, own_deadline), fx))
    }

    #[cold]
    fn refused(&self, refusal: Refusal<M::Error>) -> Poll<Acquired<M>> {
        Poll::Ready(Err(failed(self.shared, self.shared.refused(refusal), self.at)))
    }
}

fn warn_of_nesting<M: Manager>(shared: &Shared<M>, caller: Option<Caller>) {
    for holder in shared.state().core.nested(caller, shared.now()) {
        tracing::warn!(
            target: "poolhouse::acquire",
            target_address = %shared.manager.target(),
            connection = holder.connection,
            acquired_at = %holder.acquired_at,
            "a task that holds a connection waits for another of the same pool: enough of them wait for each other"
        );
    }
}

fn failed<M: Manager>(
    shared: &Shared<M>,
    error: AcquireError<M::Error>,
    acquired_at: &'static Location<'static>,
) -> AcquireError<M::Error> {
    // The span has the address too, but is off where only warnings are on.
    let target = shared.manager.target();
    if error.is_timeout() {
        tracing::warn!(target: "poolhouse::acquire", target_address = %target, %error, "an acquire timed out");
    } else {
        tracing::debug!(target: "poolhouse::acquire", target_address = %target, %error, "an acquire failed");
    }
    shared.tell(|| Event::AcquireFailed { error: &error, acquired_at });
    error
}
