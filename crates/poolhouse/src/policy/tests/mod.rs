//! The core on its own: plain instants, connections that are numbers, and waiters that are numbers.

mod background;
mod cases;
mod edges;
mod judgement;
mod random;

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::types::AttemptState;
use super::*;
use crate::config::PoolConfig;
use crate::error::ConnectError;
use crate::manager::FailureKind;

type Fx = Effects<u32, u32>;
type TestCore = Core<u32, &'static str, u32>;
type Waiting = (Ticket, u32);
type Boxed = Box<Entry<u32>>;

const SECOND: Duration = Duration::from_secs(1);

fn config(max: usize) -> PoolConfig {
    PoolConfig { min_connections: 0, max_connections: max, lifetime_jitter: 0.0, ..PoolConfig::default() }
}

fn here() -> Site {
    Site { at: Location::caller(), caller: None }
}

fn core(config: PoolConfig) -> (TestCore, Home, Tick) {
    let mut core = Core::new(config, fastrand::Rng::with_seed(7));
    let home = core.home_opened();
    (core, home, Tick::START)
}

/// Begins an attempt that the plan has not asked for.
fn attempt(core: &mut TestCore, home: Home, now: Tick) -> usize {
    core.attempts.insert(Attempt {
        started: now,
        home,
        epoch: core.epoch,
        connection: None,
        replaces: None,
        state: AttemptState::Wanted,
    })
}

/// Opens `count` idle connections, numbered from 1.
fn open(core: &mut TestCore, home: Home, count: u32, now: Tick) {
    for number in 1..=count {
        let attempt = attempt(core, home, now);
        core.connected(attempt, number, now, &mut Fx::default());
    }
}

/// Joins the line: nothing is idle.
fn join(core: &mut TestCore, now: Tick, waiter: u32, fx: &mut Fx) -> Ticket {
    match core.take_or_join(now, here(), (waiter, false), fx) {
        Ok(Joined::Waiting(ticket, _)) => ticket,
        _ => panic!("{waiter} does not wait"),
    }
}

/// What a waiter has got, if anything.
fn got(core: &mut TestCore, ticket: Ticket, now: Tick) -> Option<Result<Boxed, Refusal<&'static str>>> {
    match core.poll(ticket, now, None, |_| (), &mut Fx::default()) {
        Polled::Granted(entry) => Some(Ok(entry)),
        Polled::Refused(refusal) => Some(Err(refusal)),
        Polled::Waiting { .. } | Polled::Late => None,
    }
}

fn refused(kind: FailureKind) -> Failure<&'static str> {
    Failure { error: Arc::new(ConnectError::Failed("no")), kind }
}

/// Carries out what the shell would: closes what was retired, and gives back who is to be woken.
fn carry_out(core: &mut TestCore, now: Tick, fx: Fx) -> Vec<u32> {
    let mut woken: Vec<u32> = fx.wake.into_iter().collect();
    if !fx.retired.is_empty() {
        let mut after = Fx::default();
        core.closed(fx.retired.len(), now, &mut after);
        assert!(after.retired.is_empty());
        woken.extend(after.wake);
    }
    woken
}
