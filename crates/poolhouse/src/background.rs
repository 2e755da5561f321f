//! The background task: carries out the policy's plans.
//!
//! A pool has one such task in each runtime that waits for its connections. It begins with the first acquire that has
//! to wait, or with `warm_up`, `check_now` or `add`. It ends with its runtime, or when the pool is gone, or closed and
//! empty. All of them ask the same policy for work, so a runtime that nobody drives for a while holds up only what it
//! has begun itself.
//!
//! The task waits in one place. It begins to listen before it plans, and every round plans, so a notification is seen
//! whether it comes before the plan, between the plan and the wait, or during the wait.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::task::coop::consume_budget;

use crate::call_out::call_out_within;
use crate::chores::{DoingChore, do_chore};
use crate::closing::{Unplaced, close_gracefully};
use crate::error::{ConnectError, Failure, Holder, page};
use crate::events::Event;
use crate::inner::{PoolInner, log, millis};
use crate::manager::{FailureKind, Manager};
use crate::policy::{FailedAttempt, Home, Plan};
use crate::state::PoolEffects;
use crate::sync::{AbortHandle, Handle, JoinSet, Notify};
use crate::time::{sleep, within};

/// No background task can begin in a runtime that has ended or is about to.
pub(crate) struct RuntimeEnded;

/// Sees to it that this runtime runs a background task.
///
/// # Panics
///
/// Outside of a runtime.
pub(crate) fn ensure<M: Manager>(inner: &Arc<PoolInner<M>>) -> Result<(), RuntimeEnded> {
    let runtime = Handle::current();
    if inner.state.read(|state| state.home_of(runtime.id()).is_some()) {
        return Ok(());
    }
    // A runtime without a timer has to fail here, where the caller sees it.
    let _timer = sleep(Duration::ZERO);
    let (new_home, _) = inner.decide(|state, _, _| {
        if state.home_of(runtime.id()).is_some() {
            return None;
        }
        let home = state.policy.home_opened();
        state.homes.push((runtime.id(), home));
        Some(home)
    });
    let Some(home) = new_home else { return Ok(()) };
    runtime.spawn(run(Guard::new(inner, home)));
    // A runtime that has ended drops the task at once.
    let lives = inner
        .state
        .read(|state| state.policy.is_closed() || state.homes.iter().any(|(_, other)| *other == home));
    if lives { Ok(()) } else { Err(RuntimeEnded) }
}

/// Reports the end of the task, also when the runtime drops it before its first poll.
struct Guard<M: Manager> {
    inner: Weak<PoolInner<M>>,
    plan_wanted: Arc<Notify>,
    home: Home,
}

impl<M: Manager> Guard<M> {
    fn new(inner: &Arc<PoolInner<M>>, home: Home) -> Self {
        Self { inner: Arc::downgrade(inner), plan_wanted: Arc::clone(&inner.plan_wanted), home }
    }
}

impl<M: Manager> Drop for Guard<M> {
    fn drop(&mut self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let (to_close, _) = inner.decide(|state, now, fx| {
            state.homes.retain(|(_, other)| *other != self.home);
            state.policy.home_lost(self.home, now, fx);
            if !state.homes.is_empty() {
                return Vec::new();
            }
            fx.retired.extend(std::mem::take(&mut state.to_retire));
            std::mem::take(&mut state.to_close)
        });
        // Nobody is left to close them gracefully.
        drop(to_close);
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Job {
    /// By the key of the attempt. A key may be used again once its attempt has ended.
    Connect(usize),
    /// By the number of the connection.
    Chore(u64),
}

/// What the task has begun.
#[derive(Default)]
struct InFlight {
    tasks: JoinSet<()>,
    jobs: HashMap<Job, AbortHandle>,
}

impl InFlight {
    /// Drops the connects and the chores. What is closing goes on.
    fn drop_all(&mut self) {
        self.jobs.drain().for_each(|(_, task)| task.abort());
    }
}

async fn run<M: Manager>(guard: Guard<M>) {
    // Dropped before the guard: what is under way ends first.
    let mut in_flight = InFlight::default();
    loop {
        // A runtime that is about to end drops what this task spawns at once, and so calls for the next round. It can
        // drop this task too only if the task yields.
        consume_budget().await;
        let mut plan_wanted = pin!(guard.plan_wanted.notified());
        // From here on a notification is kept.
        plan_wanted.as_mut().enable();
        let Some(time) = carry_out_plan(&guard, &mut in_flight) else { break };
        let something = poll_fn(|cx| {
            // All three lead to a new plan. Ended tasks come first, so that they are let go of, and all of them: a plan looks
            // at every connection, so a plan for each of many connects that end together would take long.
            let mut ended = false;
            while matches!(pin!(in_flight.tasks.join_next()).poll(cx), Poll::Ready(Some(_))) {
                ended = true;
            }
            if ended { Poll::Ready(()) } else { plan_wanted.as_mut().poll(cx) }
        });
        let _: Option<()> = within(time, something).await;
    }
    in_flight.tasks.shutdown().await;
}

/// Begins what the plan says. Returns for how long there is nothing else to do. `None` once the pool is gone, or closed
/// and empty.
fn carry_out_plan<M: Manager>(guard: &Guard<M>, in_flight: &mut InFlight) -> Option<Duration> {
    let inner = guard.inner.upgrade()?;
    let now = inner.now();
    let mut fx = PoolEffects::<M>::default();
    let (plan, (closed, drained), (to_retire, to_close)) = inner.state.decide(&mut fx, |state, fx| {
        let plan = state.policy.plan(now, guard.home, fx);
        let stage = (state.policy.is_closed(), state.policy.is_drained());
        (plan, stage, (std::mem::take(&mut state.to_retire), std::mem::take(&mut state.to_close)))
    });
    let Plan { connects, abandoned_connects, abandoned_chores, chores, leaks, wake_at } = plan;
    // What the plan has begun has an owner before any of the user's code runs.
    let connects: Vec<_> = connects.into_iter().map(|key| Connecting::new(&inner, key)).collect();
    let chores: Vec<_> = chores.into_iter().map(|chore| DoingChore::new(&inner, chore)).collect();
    inner.carry_out(fx);
    drop(inner.retire(to_retire));
    for closing in to_close {
        in_flight.tasks.spawn(close_gracefully(closing));
    }
    if closed {
        in_flight.drop_all();
        // Held connections come back yet, and may have to be closed gracefully.
        return (!drained).then_some(Duration::MAX);
    }
    let unwanted =
        abandoned_connects.into_iter().map(Job::Connect).chain(abandoned_chores.into_iter().map(Job::Chore));
    for task in unwanted.filter_map(|job| in_flight.jobs.remove(&job)) {
        task.abort();
    }
    in_flight.jobs.retain(|_, task| !task.is_finished());
    for (key, attempt) in connects {
        in_flight.jobs.insert(Job::Connect(key), in_flight.tasks.spawn(connect(attempt)));
    }
    for (connection, chore) in chores {
        in_flight.jobs.insert(Job::Chore(connection), in_flight.tasks.spawn(do_chore(chore)));
    }
    for holder in leaks {
        report_leak(&inner, holder);
    }
    Some(wake_at.map_or(Duration::MAX, |at| at.since(inner.now())))
}

fn report_leak<M: Manager>(inner: &PoolInner<M>, holder: Holder) {
    log!(inner, warn, "poolhouse::leak"; connection = holder.connection, acquired_at = %holder.acquired_at,
        held_ms = millis(holder.held_for), guide = page::LEAKS, "a connection is held longer than leak_threshold");
    inner.tell(|pool| Event::Leaked { pool, holder });
}

/// Takes in a connection that was opened elsewhere. Gives it back if there is no room.
///
/// # Panics
///
/// Outside of a runtime.
pub(crate) fn adopt<M: Manager>(
    inner: &Arc<PoolInner<M>>,
    connection: M::Connection,
) -> Result<(), M::Connection> {
    if ensure(inner).is_err() {
        return Err(connection);
    }
    let runtime = Handle::current().id();
    let (key, _) = inner.decide(|state, now, _| state.policy.reserve(state.home_of(runtime)?, now));
    match key {
        Some(key) => {
            Connecting::new(inner, key).1.connected(connection);
            Ok(())
        }
        None => Err(connection),
    }
}

/// The share of the maximum that an attempt to connect takes up, given back whatever becomes of it.
struct Connecting<M: Manager> {
    inner: Arc<PoolInner<M>>,
    /// `None` once the attempt has ended.
    key: Option<usize>,
}

impl<M: Manager> Connecting<M> {
    fn new(inner: &Arc<PoolInner<M>>, key: usize) -> (usize, Self) {
        (key, Self { inner: Arc::clone(inner), key: Some(key) })
    }

    fn failed(&mut self, error: ConnectError, kind: FailureKind) {
        let Some(key) = self.key.take() else { return };
        let error = Arc::new(error);
        let failure = FailedAttempt { error: Arc::clone(&error), kind };
        let took = self.inner.apply(|policy, now, fx| policy.connect_failed(key, failure, now, fx));
        self.inner.report_failed_connect(&error, took, kind);
        // The error may be the last of its kind, and is the user's.
        self.inner.shield("a connect error", || drop(error));
    }

    fn connected(&mut self, connection: M::Connection) {
        let Some(key) = self.key.take() else { return };
        let inner = &self.inner;
        let opened_at = inner.now();
        if inner.listens() {
            // Told before anybody can have it, so that the events of one connection come in order.
            let (number, took) = inner.apply(|policy, _, _| policy.announce(key, opened_at));
            inner.tell(|pool| Event::Created { pool, connection: number, took });
        }
        let (number, took) =
            inner.apply(|policy, now, fx| policy.connected(key, connection, (opened_at, now), fx));
        log!(inner, debug, "poolhouse::connect"; connection = number, elapsed_ms = millis(took), "connected");
    }
}

impl<M: Manager> Drop for Connecting<M> {
    fn drop(&mut self) {
        // Dropped half-way: the attempt was abandoned, the pool closed, or the runtime ended.
        if let Some(key) = self.key.take() {
            self.inner.apply(|policy, now, fx| policy.connect_lost(key, now, fx));
        }
    }
}

async fn connect<M: Manager>(mut this: Connecting<M>) {
    let inner = Arc::clone(&this.inner);
    let limit = inner.config().connect_attempt_timeout;
    // What an error says itself counts more than what the manager says of it.
    let attempt = || async {
        let connection = inner.manager.connect().await.map_err(|error| {
            let mut kind = FailureKind::Transient;
            inner.shield("Manager::classify", || kind = inner.manager.classify(&error));
            Failure::or(kind, error)
        })?;
        let mut opened = Unplaced { inner: &inner, connection: Some(connection) };
        let hook = inner.hooks.after_connect(opened.connection.as_mut().expect("taken only below")).await;
        hook.map_err(|error| Failure::or(FailureKind::Transient, error))?;
        Ok::<_, Failure>(opened.connection.take().expect("taken only here"))
    };
    let (error, kind) = match call_out_within(limit, attempt).await {
        Ok(Some(Ok(connection))) => return this.connected(connection),
        Ok(Some(Err(failure))) => {
            let kind = failure.kind();
            (ConnectError::Failed(failure.into_inner()), kind)
        }
        Ok(None) => (ConnectError::TimedOut(limit), FailureKind::Transient),
        Err(_) => (ConnectError::Panicked, FailureKind::Transient),
    };
    this.failed(error, kind);
}
