//! The background task: carries out the core's plans.
//!
//! A pool has one such task in each runtime that waits for its connections. It begins with the first acquire that finds
//! nothing idle, and ends with the pool's last handle, with `close`, or with its runtime. All of them ask the same core
//! for work, so a runtime that nobody drives for a while holds up only what it has begun itself.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::core::{Checked, Failure, Home, Plan};
use crate::desk::{Member, PoolEntry};
use crate::error::{ConnectError, Holder, Inner, page};
use crate::events::Event;
use crate::manager::{FailureKind, Manager};
use crate::shared::Shared;
use crate::sync::{AbortHandle, JoinSet, Notify};
use crate::time::{now, sleep_until, within};

/// Reports the end of the task, also when the runtime drops it before its first poll.
pub(crate) struct Guard<M: Manager> {
    shared: Weak<Shared<M>>,
    drive: Arc<Notify>,
    home: Home,
}

impl<M: Manager> Guard<M> {
    pub(crate) fn new(shared: &Arc<Shared<M>>, home: Home) -> Self {
        Self { shared: Arc::downgrade(shared), drive: Arc::clone(&shared.drive), home }
    }
}

impl<M: Manager> Drop for Guard<M> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.driver_ended(self.home);
        }
    }
}

/// What the task has begun.
#[derive(Default)]
struct Begun {
    tasks: JoinSet<()>,
    /// The connects among them, by the key of the attempt. A key may be used again once its attempt has ended.
    connects: HashMap<usize, AbortHandle>,
    checks: Vec<AbortHandle>,
}

pub(crate) async fn run<M: Manager>(guard: Guard<M>) {
    // Dropped before the guard: what is under way ends first.
    let mut begun = Begun::default();
    let mut on_time = false;
    loop {
        let mut notified = pin!(guard.drive.notified());
        // From here on a notification is kept, so none falls between the plan and the wait.
        notified.as_mut().enable();
        let visited = if on_time { visit(&guard) } else { None };
        let Some(wake_at) = visited.or_else(|| begin(&guard, &mut begun)) else { break };
        let mut time = pin!(sleep_or_never(wake_at));
        // All three lead to a new plan, so the order is free. This one lets go of ended tasks first. A panic has already
        // been counted by the task's own guard.
        on_time = poll_fn(|cx| {
            let ended = matches!(pin!(begun.tasks.join_next()).poll(cx), Poll::Ready(Some(_)));
            if ended || notified.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            time.as_mut().poll(cx).map(|()| true)
        })
        .await;
    }
    begun.tasks.shutdown().await;
}

/// Comes by at the time that was set. `None` when there is more to do than that; otherwise when to come by next.
fn visit<M: Manager>(guard: &Guard<M>) -> Option<Option<Instant>> {
    let shared = guard.shared.upgrade()?;
    let next = shared.apply(|core, _| core.visit(shared.now()))?;
    Some(next.and_then(|at| shared.instant(at)))
}

/// Begins what the plan says. `None` once the pool is closed or gone; the inner value is when to plan again.
fn begin<M: Manager>(guard: &Guard<M>, begun: &mut Begun) -> Option<Option<Instant>> {
    let shared = guard.shared.upgrade()?;
    let (closed, plan) = shared.apply(|core, fx| (core.is_closed(), core.plan(shared.now(), guard.home, fx)));
    if closed {
        return None;
    }
    let Plan { connects, abandoned, cut_checks, checks, leaks, wake_at } = plan;
    for key in abandoned {
        if let Some(task) = begun.connects.remove(&key) {
            task.abort();
        }
    }
    if cut_checks {
        begun.checks.drain(..).for_each(|task| task.abort());
    }
    begun.connects.retain(|_, task| !task.is_finished());
    begun.checks.retain(|task| !task.is_finished());
    for key in connects {
        let attempt = Connecting { shared: Arc::clone(&shared), key: Some(key) };
        begun.connects.insert(key, begun.tasks.spawn(connect(attempt)));
    }
    for entry in checks {
        let checking = Checking { shared: Arc::clone(&shared), entry: Some(entry), outcome: Checked::Cut };
        begun.checks.push(begun.tasks.spawn(check(checking)));
    }
    for holder in leaks {
        report_leak(&shared, holder);
    }
    Some(wake_at.and_then(|at| shared.instant(at)))
}

async fn sleep_or_never(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn report_leak<M: Manager>(shared: &Shared<M>, holder: Holder) {
    tracing::warn!(
        target: "poolhouse::leak",
        target_address = %shared.manager.target(),
        connection = holder.connection,
        acquired_at = %holder.acquired_at,
        held_ms = millis(holder.held_for),
        guide = page::LEAKS,
        "a connection is held longer than leak_threshold"
    );
    shared.tell(|| Event::Leaked { holder });
}

/// The share of the maximum that an attempt to connect takes up, given back whatever becomes of it.
struct Connecting<M: Manager> {
    shared: Arc<Shared<M>>,
    /// `None` once the attempt has ended.
    key: Option<usize>,
}

impl<M: Manager> Connecting<M> {
    fn failed(&mut self, error: ConnectError<M::Error>, kind: FailureKind) {
        let Some(key) = self.key.take() else { return };
        let permanent = kind == FailureKind::Permanent;
        let error = Arc::new(error);
        let failure = Failure { error: Arc::clone(&error), kind };
        let took = self.shared.apply(|core, fx| core.connect_failed(key, failure, self.shared.now(), fx));
        tracing::warn!(
            target: "poolhouse::connect",
            target_address = %self.shared.manager.target(),
            elapsed_ms = millis(took),
            permanent,
            %error,
            "cannot connect"
        );
        self.shared.tell(|| Event::ConnectFailed { error: &*error, took, permanent });
    }
}

impl<M: Manager> Drop for Connecting<M> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failed(ConnectError::Panicked, FailureKind::Transient);
        } else if let Some(key) = self.key.take() {
            self.shared.apply(|core, fx| core.connect_lost(key, self.shared.now(), fx));
        }
    }
}

async fn connect<M: Manager>(mut this: Connecting<M>) {
    let shared = Arc::clone(&this.shared);
    let limit = shared.config.connect_timeout;
    match within(limit, shared.manager.connect()).await {
        Some(Ok(connection)) => {
            let Some(key) = this.key.take() else { return };
            let now = shared.now();
            // Told before anybody can have it, so that the events of one connection come in order.
            shared.tell(|| {
                let (connection, took) = shared.state().core.announce(key, now);
                Event::Created { connection, took }
            });
            let member = Member::new(connection, &shared);
            let (connection, took) = shared.apply(|core, fx| core.connected(key, member, now, fx));
            tracing::debug!(
                target: "poolhouse::connect",
                target_address = %shared.manager.target(),
                connection,
                elapsed_ms = millis(took),
                "connected"
            );
        }
        Some(Err(error)) => {
            let kind = shared.manager.classify(&error);
            this.failed(ConnectError::Failed(error), kind);
        }
        None => this.failed(ConnectError::TimedOut(limit), FailureKind::Transient),
    }
}

/// A connection under a health check. It is retired unless the check passes, whatever ends the check.
struct Checking<M: Manager> {
    shared: Arc<Shared<M>>,
    entry: Option<PoolEntry<M>>,
    outcome: Checked,
}

impl<M: Manager> Drop for Checking<M> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            let panicked = std::thread::panicking();
            if panicked {
                tracing::warn!(
                    target: "poolhouse::check",
                    target_address = %self.shared.manager.target(),
                    connection = entry.id,
                    guide = page::PANICS,
                    "the manager panicked while it checked: see the panic's message on stderr"
                );
                self.shared.tell(|| Event::CheckFailed { connection: entry.id, error: None });
            }
            let outcome = if panicked { Checked::Failed } else { self.outcome };
            self.shared.apply(|core, fx| core.checked(entry, outcome, self.shared.now(), fx));
        }
    }
}

async fn check<M: Manager>(mut this: Checking<M>) {
    let shared = Arc::clone(&this.shared);
    let started = now();
    let limit = shared.config.check_timeout;
    let entry = this.entry.as_mut().expect("taken only on drop");
    let result = within(limit, shared.manager.check(&mut entry.connection.connection)).await;
    let connection = entry.id;
    let elapsed_ms = millis(now().saturating_duration_since(started));
    let target = shared.manager.target();
    let error = match result {
        Some(Ok(())) => {
            this.outcome = Checked::Passed;
            tracing::trace!(target: "poolhouse::check", target_address = %target, connection, elapsed_ms, "healthy");
            return;
        }
        Some(Err(error)) => {
            unhealthy(&target, connection, elapsed_ms, &Inner(&error));
            Some(error)
        }
        None => {
            unhealthy(
                &target,
                connection,
                elapsed_ms,
                &format_args!("no answer after {limit:?} (check_timeout)"),
            );
            None
        }
    };
    this.outcome = Checked::Failed;
    shared.tell(|| Event::CheckFailed {
        connection,
        error: error.as_ref().map(|error| error as &(dyn Error + 'static)),
    });
}

fn unhealthy(target: &str, connection: u64, elapsed_ms: u64, error: &dyn fmt::Display) {
    tracing::warn!(
        target: "poolhouse::check",
        target_address = %target,
        connection,
        elapsed_ms,
        %error,
        guide = page::STALE_CONNECTIONS,
        "unhealthy"
    );
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
