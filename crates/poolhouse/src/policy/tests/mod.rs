//! The policy on its own: plain instants, connections that are numbers, and waiters that are numbers.

mod background;
mod beside;
mod cases;
mod checks;
mod edges;
mod judgement;
mod machines;
mod outages;
mod owner;
mod random;
mod waits;
mod world;

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::{IdleOrder, PoolConfig};
use crate::events::RetireReason;
use crate::manager::FailureKind;

type Fx = Effects<u32, &'static str, u32>;
type TestPolicy = Policy<u32, &'static str, u32>;
type Boxed = Box<Entry<u32>>;
type Answer = Polled<u32, &'static str>;

const SECOND: Duration = Duration::from_secs(1);

impl From<ClosedAtOnce> for &'static str {
    fn from(_: ClosedAtOnce) -> Self {
        "closed at once"
    }
}

fn config(max: usize) -> PoolConfig {
    PoolConfig { min_connections: 0, max_connections: max, lifetime_jitter: 0.0, ..PoolConfig::default() }
}

fn here() -> Site {
    Site { at: Location::caller(), caller: None }
}

fn policy(config: PoolConfig) -> (TestPolicy, Home, Tick) {
    let mut policy = Policy::new(config, fastrand::Rng::with_seed(7));
    let home = policy.home_opened();
    (policy, home, Tick::START)
}

/// Begins an attempt that the plan has not asked for.
fn attempt(policy: &mut TestPolicy, home: Home, now: Tick) -> usize {
    let origin = policy.eviction.origin(home);
    policy.connects.begin(origin, None, now)
}

/// Opens `count` idle connections, numbered from 1.
fn open(policy: &mut TestPolicy, home: Home, count: u32, now: Tick) {
    for number in 1..=count {
        let attempt = attempt(policy, home, now);
        policy.connected(attempt, number, (now, now), &mut Fx::default());
    }
}

/// Takes a connection: one is idle and fit.
fn take(policy: &mut TestPolicy, now: Tick) -> Boxed {
    policy.try_take(now, here(), &mut Fx::default()).expect("idle")
}

/// Joins the queue, for the common time or another: nothing is idle.
fn join_for(
    policy: &mut TestPolicy,
    now: Tick,
    (waiter, own_limit): (u32, Option<Duration>),
    fx: &mut Fx,
) -> Wait {
    let own_limit = own_limit.map(Span::from);
    match policy.take_or_join(now, here(), (&mut Some(waiter), own_limit), fx) {
        Polled::Waiting(wait) => wait,
        _ => panic!("{waiter} does not wait"),
    }
}

/// Joins the queue for the common time.
fn join(policy: &mut TestPolicy, now: Tick, waiter: u32, fx: &mut Fx) -> Wait {
    join_for(policy, now, (waiter, None), fx)
}

/// Asks what became of a waiter, and leaves its waker as it is.
fn ask(policy: &mut TestPolicy, wait: Wait, now: Tick, fx: &mut Fx) -> Answer {
    policy.poll(wait, now, None, &mut None, fx)
}

/// What a waiter has got, if anything.
fn got(policy: &mut TestPolicy, wait: Wait, now: Tick) -> Option<Result<Boxed, Refusal<&'static str>>> {
    match ask(policy, wait, now, &mut Fx::default()) {
        Polled::Granted(entry) => Some(Ok(entry)),
        Polled::Refused(refusal) => Some(Err(refusal)),
        Polled::Waiting(_) | Polled::TimedOut(_) => None,
    }
}

fn refused(kind: FailureKind) -> FailedAttempt<&'static str> {
    FailedAttempt { error: Arc::new("no"), kind }
}

/// Which connections have retired, and why.
fn retired(fx: &Fx) -> Vec<(u32, RetireReason)> {
    fx.retired.iter().map(|(entry, reason)| (entry.connection, *reason)).collect()
}

/// Attempts that nobody wants any more.
fn abandoned(policy: &TestPolicy) -> usize {
    policy.connects.under_way() - policy.connects.coming()
}

/// Carries out what the shell would: closes what was retired, and gives back the waiters that are to be
/// woken.
fn carry_out(policy: &mut TestPolicy, now: Tick, fx: Fx) -> Vec<u32> {
    let mut woken: Vec<u32> = fx.wake.into_iter().collect();
    if !fx.retired.is_empty() {
        let mut after = Fx::default();
        policy.connections_gone(fx.retired.len(), now, &mut after);
        assert!(after.retired.is_empty());
        woken.extend(after.wake);
    }
    woken
}

impl<C> Plan<C> {
    /// The connections that have something to pass.
    fn entries(&mut self) -> Vec<Box<Entry<C>>> {
        std::mem::take(&mut self.chores).into_iter().map(|(entry, _)| entry).collect()
    }
}
