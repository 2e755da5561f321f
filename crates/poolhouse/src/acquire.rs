//! The future of one acquire.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tracing::Span;
use tracing::level_filters::LevelFilter;

use crate::core::{Expired, Joined, PickedUp, Polled, Refusal, Tick, Ticket};
use crate::desk::{Member, PoolEntry};
use crate::error::{AcquireError, Holder, page};
use crate::events::Event;
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::shared::{Arrival, Shared};
use crate::sync::Handle;
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
    /// `None` for that of the pool.
    limit: Option<Duration>,
    state: State,
}

enum State {
    New,
    Waiting(Wait),
    Ended,
}

struct Wait {
    ticket: Ticket,
    since: Tick,
    more: Rare<More>,
}

/// What is seldom there, and so is dropped out of line: its drop is in every poll of every caller.
struct Rare<T>(Option<Box<T>>);

impl<T> Drop for Rare<T> {
    #[inline]
    fn drop(&mut self) {
        #[cold]
        #[inline(never)]
        fn drop_it<T>(it: Box<T>) {
            drop(it);
        }
        if let Some(it) = self.0.take() {
            drop_it(it);
        }
    }
}

/// What only some waits have.
struct More {
    /// If somebody listens to spans of this level.
    span: Span,
    /// If the limit is not that of the pool, for which the background wakes.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<M: Manager> Drop for Acquire<'_, M> {
    #[inline]
    fn drop(&mut self) {
        if let State::Waiting(wait) = &self.state {
            self.shared.cancel(wait.ticket);
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
        match &self.state {
            State::New => self.begin(cx),
            State::Waiting(_) => self.resume(cx),
            State::Ended => panic!("polled after it ended: await an acquire once"),
        }
    }
}

impl<M: Manager> Acquire<'_, M> {
    #[inline]
    pub(crate) fn new<'a>(
        shared: &'a Arc<Shared<M>>,
        at: &'static Location<'static>,
        limit: Option<Duration>,
    ) -> Acquire<'a, M> {
        Acquire { shared, at, limit, state: State::New }
    }

    #[inline]
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        self.state = State::Ended;
        // The macro asks this too, and does more before it.
        if LevelFilter::current() >= LevelFilter::DEBUG {
            return self.begin_in_span(cx);
        }
        match self.take() {
            Some(connection) => Poll::Ready(Ok(connection)),
            None => self.join(None, cx),
        }
    }

    #[cold]
    fn begin_in_span(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let target = self.shared.manager.target();
        let span = tracing::debug_span!(target: "poolhouse::acquire", "acquire", target_address = %target);
        let _entered = span.clone().entered();
        match self.take() {
            Some(connection) => Poll::Ready(Ok(connection)),
            None => self.join((!span.is_disabled()).then_some(span), cx),
        }
    }

    #[inline]
    fn take(&self) -> Option<PooledConnection<M>> {
        // Where somebody waits already, a look would be for nothing.
        if self.shared.somebody_waits() { None } else { self.shared.try_take(self.at) }
    }

    #[inline(never)]
    fn join(&mut self, span: Option<Span>, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let shared = self.shared;
        let site = shared.site(self.at);
        let runtime = Handle::try_current().ok().map(|handle| handle.id());
        // Wakers are cloned and dropped outside of the lock, for either may run foreign code.
        let mut waker = cx.waker().clone();
        let own_deadline = self.keeps_own_deadline();
        let mut state = shared.state();
        if span.is_none() && !own_deadline {
            match state.join_plain(runtime, &site, waker) {
                Ok((ticket, since)) => {
                    shared.desk.note_line(&state.core);
                    self.state = State::Waiting(Wait { ticket, since, more: Rare(None) });
                    return Poll::Pending;
                }
                Err(unused) => waker = unused,
            }
        }
        let arrival = shared.take_or_join(state, runtime, site, (waker, own_deadline));
        self.arrive(arrival, span, cx)
    }

    #[inline(never)]
    fn arrive(&mut self, arrival: Arrival<M>, span: Option<Span>, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let (shared, own_deadline) = (self.shared, self.keeps_own_deadline());
        let Arrival { joined, at_home, nested } = arrival;
        // Whoever has this moment joined with the current waker need not look.
        let look = match joined {
            Ok(Joined::Waiting(ticket, since)) => {
                self.state = State::Waiting(Wait { ticket, since, more: Rare(None) });
                false
            }
            Ok(Joined::Taken(entry, since)) => match shared.verify(entry) {
                Ok(entry) => return Poll::Ready(Ok(shared.hand_out(entry, self.at, None))),
                Err(dead) => match self.rejoin(dead, since, Rare(None)) {
                    Ok(()) => true,
                    Err(refusal) => return self.refused(refusal),
                },
            },
            Err(refusal) => return self.refused(refusal),
        };
        // After the place in the queue, so that a closed pool answers outside of a runtime too.
        if !at_home {
            shared.ensure_driver();
        }
        if !nested.is_empty() {
            warn_of_nesting(shared, &nested);
        }
        if span.is_some() || own_deadline {
            let limit = self.limit.filter(|limit| *limit != Duration::MAX);
            let deadline = limit.map(|limit| Box::pin(sleep(limit)));
            if let State::Waiting(wait) = &mut self.state {
                wait.more = Rare(Some(Box::new(More { span: span.unwrap_or_else(Span::none), deadline })));
            }
        }
        if look || self.is_late(cx) { self.go_on(cx) } else { Poll::Pending }
    }

    #[inline(never)]
    fn resume(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let shared = self.shared;
        let State::Waiting(Wait { ticket, since, more: Rare(None) }) = self.state else {
            return self.resume_with_care(cx);
        };
        let entry = match shared.pick_up(ticket, cx.waker()) {
            PickedUp::Entry(entry) => entry,
            PickedUp::Nothing => return Poll::Pending,
            PickedUp::Unclear => return self.resume_with_care(cx),
        };
        self.state = State::Ended;
        match shared.verify(entry) {
            Ok(entry) => return Poll::Ready(Ok(shared.hand_out(entry, self.at, Some(since)))),
            Err(dead) => {
                if let Err(refusal) = self.rejoin(dead, since, Rare(None)) {
                    return self.refused(refusal);
                }
            }
        }
        self.resume_with_care(cx)
    }

    #[inline(never)]
    fn resume_with_care(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let State::Waiting(Wait { more: Rare(Some(more)), .. }) = &self.state else { return self.go_on(cx) };
        let _entered = more.span.clone().entered();
        self.go_on(cx)
    }

    fn go_on(&mut self, cx: &mut Context<'_>) -> Poll<Acquired<M>> {
        let shared = self.shared;
        loop {
            let State::Waiting(Wait { ticket, since, .. }) = self.state else { return Poll::Pending };
            let reply = match self.look(ticket, cx) {
                Polled::Granted(entry) => Ok(entry),
                Polled::Refused(refusal) => Err(refusal),
                polled => {
                    if matches!(polled, Polled::Waiting { homeless: true }) {
                        // The runtime of the background task ended while this one waited.
                        shared.ensure_driver();
                        shared.drive.notify_waiters();
                    }
                    if !matches!(polled, Polled::Late) && !self.is_late(cx) {
                        return Poll::Pending;
                    }
                    match self.expire(ticket) {
                        Ok(reply) => reply,
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
            };
            let State::Waiting(wait) = std::mem::replace(&mut self.state, State::Ended) else { continue };
            let entry = match reply {
                Ok(entry) => entry,
                Err(refusal) => return self.refused(refusal),
            };
            match shared.verify(entry) {
                Ok(entry) => return Poll::Ready(Ok(shared.hand_out(entry, self.at, Some(since)))),
                Err(dead) => {
                    if let Err(refusal) = self.rejoin(dead, since, wait.more) {
                        return self.refused(refusal);
                    }
                }
            }
        }
    }

    /// What became of the wait; if nothing has, the waker in the queue is the current one.
    fn look(&self, ticket: Ticket, cx: &Context<'_>) -> Polled<Member<M>, M::Error> {
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
        let State::Waiting(Wait { more: Rare(Some(more)), .. }) = &mut self.state else { return false };
        more.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
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

    /// Goes back to its turn in the queue, because the connection is dead. Then it has to look: there may be another
    /// connection already.
    #[cold]
    fn rejoin(&mut self, dead: PoolEntry<M>, since: Tick, more: Rare<More>) -> Result<(), Refusal<M::Error>> {
        let shared = self.shared;
        let site = (shared.site(self.at), self.keeps_own_deadline());
        let ticket = shared.apply(|core, fx| core.rejoin(dead, (since, shared.now()), site, fx))?;
        self.state = State::Waiting(Wait { ticket, since, more });
        Ok(())
    }

    fn keeps_own_deadline(&self) -> bool {
        self.limit.is_some()
    }

    #[cold]
    fn refused(&self, refusal: Refusal<M::Error>) -> Poll<Acquired<M>> {
        Poll::Ready(Err(failed(self.shared, self.shared.refused(refusal), self.at)))
    }
}

#[cold]
fn warn_of_nesting<M: Manager>(shared: &Shared<M>, nested: &[Holder]) {
    for holder in nested {
        tracing::warn!(
            target: "poolhouse::acquire",
            target_address = %shared.manager.target(),
            connection = holder.connection,
            acquired_at = %holder.acquired_at,
            guide = page::DEADLOCK_AT_N,
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
