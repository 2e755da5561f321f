//! The future of one acquire.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::core::{Expired, Joined, Refusal, Ticket};
use crate::error::AcquireError;
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::shared::{PoolEntry, Shared};
use crate::time::{Sleep, now, sleep};

type Reply<M> = Result<PoolEntry<M>, Refusal<<M as Manager>::Error>>;

pin_project! {
    /// The future that [`Pool::acquire`](crate::Pool::acquire) returns. It joins the queue when it is first polled.
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
    pub(crate) fn new<'a>(shared: &'a Arc<Shared<M>>, at: &'static Location<'static>) -> Acquire<'a, M> {
        Acquire { shared, at, started: None, ticket: None, span: None, deadline: None }
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

        let Some(ticket) = *this.ticket else {
            assert!(this.started.is_none(), "polled after it ended: await an acquire once");
            if let Some(connection) = shared.try_take(this.at) {
                *this.started = Some(now());
                return Poll::Ready(Ok(connection));
            }
            let begin = now();
            *this.started = Some(begin);
            let waker = cx.waker().clone();
            let joined = shared.apply(|core, fx| core.take_or_join(begin, this.at, waker, fx));
            match joined {
                Ok(Joined::Taken(entry)) => return Poll::Ready(Ok(PooledConnection::new(shared, entry))),
                Ok(Joined::Waiting(ticket)) => *this.ticket = Some(ticket),
                Err(refusal) => return Poll::Ready(Err(failed(shared, shared.refused(refusal)))),
            }
            // After the place in the queue, so that a closed pool answers outside of a runtime too.
            shared.ensure_driver();
            let limit = shared.config.connection_timeout;
            if limit != Duration::MAX {
                this.deadline.set(Some(sleep(limit)));
            }
            if let Some(deadline) = this.deadline.as_pin_mut()
                && deadline.poll(cx).is_ready()
            {
                // A limit below the timer's resolution: look again at once.
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        };

        let reply = look(shared, ticket, cx);
        if let Some(reply) = reply {
            *this.ticket = None;
            return Poll::Ready(match reply {
                Ok(entry) => Ok(PooledConnection::new(shared, entry)),
                Err(refusal) => Err(failed(shared, shared.refused(refusal))),
            });
        }
        if !shared.core().has_home() {
            // The runtime of the background task ended while this one waited.
            shared.ensure_driver();
            shared.drive.notify_waiters();
        }
        let Some(deadline) = this.deadline.as_pin_mut() else { return Poll::Pending };
        std::task::ready!(deadline.poll(cx));
        *this.ticket = None;
        let expired = shared.apply(|core, fx| core.expire(ticket, now(), fx));
        Poll::Ready(match expired {
            Ok(entry) => Ok(PooledConnection::new(shared, entry)),
            Err(Expired::Refused(refusal)) => Err(failed(shared, shared.refused(refusal))),
            Err(Expired::TimedOut(mut diagnosis)) => {
                diagnosis.target = shared.manager.target().into_owned();
                Err(failed(shared, AcquireError::Timeout(diagnosis)))
            }
        })
    }
}

/// What became of the wait; if nothing has, the waker in the queue is the current one. Wakers are cloned and dropped
/// outside of the lock, for either may run foreign code.
fn look<M: Manager>(shared: &Shared<M>, ticket: Ticket, cx: &Context<'_>) -> Option<Reply<M>> {
    let mut spare = None;
    loop {
        let mut current = true;
        let reply = shared.core().poll(ticket, |waker| {
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                match spare.take() {
                    Some(fresh) => spare = waker.replace(fresh),
                    None => current = false,
                }
            }
        });
        if reply.is_some() || current {
            return reply;
        }
        spare = Some(cx.waker().clone());
    }
}

fn failed<M: Manager>(shared: &Shared<M>, error: AcquireError<M::Error>) -> AcquireError<M::Error> {
    // The span has the address too, but is off where only warnings are on.
    let target = shared.manager.target();
    if error.is_timeout() {
        tracing::warn!(target: "poolhouse::acquire", target_address = %target, %error, "an acquire timed out");
    } else {
        tracing::debug!(target: "poolhouse::acquire", target_address = %target, %error, "an acquire failed");
    }
    error
}
