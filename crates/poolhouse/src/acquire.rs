//! The future of one acquire.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::core::{Expired, Joined, Refusal, Ticket};
use crate::error::AcquireError;
use crate::events::Event;
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::shared::{PoolEntry, Shared};
use crate::time::{Sleep, now, sleep};

type Reply<M> = Result<PoolEntry<M>, Refusal<<M as Manager>::Error>>;

pin_project! {
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
    #[must_use = "an acquire does nothing until it is awaited"]
    pub struct Acquire<'a, M: Manager> {
        shared: &'a Arc<Shared<M>>,
        at: &'static Location<'static>,
        limit: Duration,
        started: Option<Instant>,
        ticket: Option<Ticket>,
        span: Option<tracing::Span>,
        #[pin]
        deadline: Option<Sleep>,
    }

    impl<M: Manager> PinnedDrop for Acquire<'_, M> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(ticket) = this.ticket.take() {
                this.shared.apply(|core, fx| core.cancel(ticket, now(), fx));
            }
        }
    }
}

impl<M: Manager> Acquire<'_, M> {
    pub(crate) fn new<'a>(
        shared: &'a Arc<Shared<M>>,
        at: &'static Location<'static>,
        limit: Duration,
    ) -> Acquire<'a, M> {
        Acquire { shared, at, limit, started: None, ticket: None, span: None, deadline: None }
    }
}

impl<M: Manager> Future for Acquire<'_, M> {
    type Output = Result<PooledConnection<M>, AcquireError<M::Error>>;

    /// # Panics
    ///
    /// When it has to wait outside of a tokio runtime, or after it has ended.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let shared = *this.shared;
        let span = this.span.get_or_insert_with(|| {
            tracing::debug_span!(target: "poolhouse::acquire", "acquire", target_address = %shared.manager.target())
        });
        let _entered = span.enter();

        // Whoever has this moment joined with the current waker need not look.
        let mut joined = false;
        if this.ticket.is_none() {
            assert!(this.started.is_none(), "polled after it ended: await an acquire once");
            let site = shared.site(this.at);
            if let Some(connection) = shared.try_take(site) {
                *this.started = Some(now());
                return Poll::Ready(Ok(connection));
            }
            let begin = now();
            *this.started = Some(begin);
            let waker = cx.waker().clone();
            let ticket = match shared.apply(|core, fx| core.take_or_join(begin, site, waker, fx)) {
                Ok(Joined::Waiting(ticket)) => {
                    joined = true;
                    ticket
                }
                Ok(Joined::Taken(entry)) => match shared.verify(entry) {
                    Ok(entry) => return Poll::Ready(Ok(shared.hand_out(entry, this.at, Some(begin)))),
                    Err(dead) => match shared.apply(|core, fx| core.rejoin(dead, (begin, now()), site, fx)) {
                        Ok(ticket) => ticket,
                        Err(refusal) => return Poll::Ready(Err(refused(shared, refusal, this.at))),
                    },
                },
                Err(refusal) => return Poll::Ready(Err(refused(shared, refusal, this.at))),
            };
            *this.ticket = Some(ticket);
            // After the place in the queue, so that a closed pool answers outside of a runtime too.
            shared.ensure_driver();
            if *this.limit != Duration::MAX {
                this.deadline.set(Some(sleep(*this.limit)));
            }
            if shared.config.detect_nested_acquires {
                warn_of_nesting(shared, ticket);
            }
        }

        let started = this.started.unwrap_or_else(now);
        loop {
            let Some(ticket) = *this.ticket else { return Poll::Pending };
            let mut reply = if joined { None } else { look(shared, ticket, cx) };
            if reply.is_none() {
                if !joined && !shared.core().has_home() {
                    // The runtime of the background task ended while this one waited.
                    shared.ensure_driver();
                    shared.drive.notify_waiters();
                }
                let Some(deadline) = this.deadline.as_mut().as_pin_mut() else { return Poll::Pending };
                std::task::ready!(deadline.poll(cx));
                reply = Some(match shared.apply(|core, fx| core.expire(ticket, now(), fx)) {
                    Ok(entry) => Ok(entry),
                    Err(Expired::Refused(refusal)) => Err(refusal),
                    Err(Expired::TimedOut(mut diagnosis)) => {
                        *this.ticket = None;
                        diagnosis.target = shared.manager.target().into_owned();
                        let error = AcquireError::Timeout(diagnosis);
                        return Poll::Ready(Err(failed(shared, error, this.at)));
                    }
                });
            }
            *this.ticket = None;
            let dead = match reply {
                Some(Ok(entry)) => match shared.verify(entry) {
                    Ok(entry) => return Poll::Ready(Ok(shared.hand_out(entry, this.at, Some(started)))),
                    Err(dead) => dead,
                },
                Some(Err(refusal)) => return Poll::Ready(Err(refused(shared, refusal, this.at))),
                None => return Poll::Pending,
            };
            // Back to its turn in the queue, and look again: there may be another connection already.
            joined = false;
            let site = shared.site(this.at);
            match shared.apply(|core, fx| core.rejoin(dead, (started, now()), site, fx)) {
                Ok(ticket) => *this.ticket = Some(ticket),
                Err(refusal) => return Poll::Ready(Err(refused(shared, refusal, this.at))),
            }
        }
    }
}

/// What became of the wait; if nothing has, the waker in the queue is the current one. Wakers are cloned and dropped
/// outside of the lock, for either may run foreign code.
fn look<M: Manager>(shared: &Shared<M>, ticket: Ticket, cx: &Context<'_>) -> Option<Reply<M>> {
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
        let reply = shared.apply(|core, fx| core.poll(ticket, now, refresh, fx));
        if reply.is_some() || current {
            return reply;
        }
        spare = Some(cx.waker().clone());
    }
}

fn warn_of_nesting<M: Manager>(shared: &Shared<M>, ticket: Ticket) {
    for holder in shared.core().nested(ticket, now()) {
        tracing::warn!(
            target: "poolhouse::acquire",
            target_address = %shared.manager.target(),
            connection = holder.connection,
            acquired_at = %holder.acquired_at,
            "a task that holds a connection waits for another of the same pool: enough of them wait for each other"
        );
    }
}

fn refused<M: Manager>(
    shared: &Shared<M>,
    refusal: Refusal<M::Error>,
    at: &'static Location<'static>,
) -> AcquireError<M::Error> {
    failed(shared, shared.refused(refusal), at)
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
