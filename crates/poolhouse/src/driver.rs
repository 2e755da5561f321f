//! The background task: carries out the core's plans.
//!
//! A pool has one such task in each runtime that waits for its connections. It begins with the first acquire that finds
//! nothing idle, and ends with the pool's last handle, with `close`, or with its runtime. All of them ask the same core
//! for work, so a runtime that nobody drives for a while holds up only what it has begun itself.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::core::{Home, Plan};
use crate::error::ConnectError;
use crate::manager::{FailureKind, Manager};
use crate::shared::{PoolEntry, Shared};
use crate::sync::{JoinSet, Notify};
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

pub(crate) async fn run<M: Manager>(guard: Guard<M>) {
    // Dropped before the guard: what is under way ends first.
    let mut tasks = JoinSet::new();
    loop {
        let notified = guard.drive.notified();
        tokio::pin!(notified);
        // From here on a notification is kept, so none falls between the plan and the wait.
        notified.as_mut().enable();
        let Some(wake_at) = begin(&guard, &mut tasks) else { break };
        tokio::select! {
            // All three lead to a new plan, so the order is free. This one lets go of ended tasks first.
            biased;
            // A panic has already been counted by the task's own guard.
            Some(_) = tasks.join_next() => {}
            () = notified => {}
            () = sleep_or_never(wake_at) => {}
        }
    }
    tasks.shutdown().await;
}

/// Begins what the plan says. `None` once the pool is closed or gone; the inner value is when to plan again.
fn begin<M: Manager>(guard: &Guard<M>, tasks: &mut JoinSet<()>) -> Option<Option<Instant>> {
    let shared = guard.shared.upgrade()?;
    let (closed, plan) = shared.apply(|core, fx| (core.is_closed(), core.plan(now(), fx)));
    if closed {
        return None;
    }
    let Plan { connects, checks, wake_at } = plan;
    for _ in 0..connects {
        tasks.spawn(connect(Connecting::new(&shared, guard.home)));
    }
    for entry in checks {
        tasks.spawn(check(Checking { shared: Arc::clone(&shared), entry: Some(entry), passed: false }));
    }
    Some(wake_at)
}

async fn sleep_or_never(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The share of the maximum that an attempt to connect takes up, given back whatever becomes of it.
struct Connecting<M: Manager> {
    shared: Arc<Shared<M>>,
    home: Home,
    started: Instant,
    settled: bool,
}

impl<M: Manager> Connecting<M> {
    fn new(shared: &Arc<Shared<M>>, home: Home) -> Self {
        Self { shared: Arc::clone(shared), home, started: now(), settled: false }
    }

    fn failed(&mut self, error: ConnectError<M::Error>, kind: FailureKind) {
        self.settled = true;
        tracing::warn!(
            target: "poolhouse::connect",
            target_address = %self.shared.manager.target(),
            elapsed_ms = millis(self.started),
            permanent = kind == FailureKind::Permanent,
            %error,
            "cannot connect"
        );
        let times = (self.started, now());
        self.shared.apply(|core, fx| core.connect_failed(error, kind, times, fx));
    }
}

impl<M: Manager> Drop for Connecting<M> {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if std::thread::panicking() {
            self.failed(ConnectError::Panicked, FailureKind::Transient);
        } else {
            self.shared.apply(|core, fx| core.connect_lost(now(), fx));
        }
    }
}

async fn connect<M: Manager>(mut this: Connecting<M>) {
    let shared = Arc::clone(&this.shared);
    let limit = shared.config.connect_timeout;
    match within(limit, shared.manager.connect()).await {
        Some(Ok(connection)) => {
            this.settled = true;
            let home = this.home;
            let id = shared.apply(|core, fx| core.connected(connection, home, now(), fx));
            tracing::debug!(
                target: "poolhouse::connect",
                target_address = %shared.manager.target(),
                connection = id,
                elapsed_ms = millis(this.started),
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
    passed: bool,
}

impl<M: Manager> Drop for Checking<M> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.shared.apply(|core, fx| core.checked(entry, self.passed, now(), fx));
        }
    }
}

async fn check<M: Manager>(mut this: Checking<M>) {
    let shared = Arc::clone(&this.shared);
    let started = now();
    let limit = shared.config.check_timeout;
    let entry = this.entry.as_mut().expect("taken only on drop");
    let result = within(limit, shared.manager.check(&mut entry.connection)).await;
    let target = shared.manager.target();
    let (connection, elapsed_ms) = (entry.id, millis(started));
    match result {
        Some(Ok(())) => {
            this.passed = true;
            tracing::trace!(target: "poolhouse::check", target_address = %target, connection, elapsed_ms, "healthy");
        }
        Some(Err(error)) => {
            tracing::warn!(target: "poolhouse::check", target_address = %target, connection, elapsed_ms, %error, "unhealthy");
        }
        None => {
            let error = format!("no answer after {limit:?} (check_timeout)");
            tracing::warn!(target: "poolhouse::check", target_address = %target, connection, elapsed_ms, %error, "unhealthy");
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(now().saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}
