//! A manager of r2d2's that does as it is told, blocks at a gate, and notes what it is asked and on which thread.

use std::collections::HashSet;
use std::io;
use std::panic::catch_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use poolhouse::{Pool, PoolConfig};
use poolhouse_r2d2::R2d2;
use r2d2::ManageConnection;
use tokio::runtime::Builder;

/// So that a test that would hang fails. No test that passes waits for it.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Opens numbered connections, from 1.
#[derive(Clone, Default)]
pub(crate) struct Mock(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
pub(crate) struct State {
    /// What was called, and on which thread.
    pub(crate) calls: Vec<(&'static str, ThreadId)>,
    pub(crate) connects: u32,
    pub(crate) open: u32,
    /// What blocks until it is told to go on.
    pub(crate) blocks: Option<&'static str>,
    /// How many calls block now.
    pub(crate) blocked: u32,
    pub(crate) panics: Option<&'static str>,
    pub(crate) dropped_where_it_must_not_block: u32,
    /// Those for which `has_broken` answers `true`.
    pub(crate) broken: HashSet<u32>,
    /// Those for which `is_valid` fails.
    pub(crate) invalid: HashSet<u32>,
}

pub(crate) struct Connection {
    pub(crate) id: u32,
    mock: Mock,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // What `postgres::Client` does. It panics on a thread that must not block.
        let may_block = catch_unwind(|| Builder::new_current_thread().build().unwrap().block_on(async {}));
        self.mock.state().dropped_where_it_must_not_block += u32::from(may_block.is_err());
        self.mock.call("drop").open -= 1;
    }
}

impl Mock {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on `what` blocks, or nothing does: what blocks goes on.
    pub(crate) fn block(&self, what: Option<&'static str>) {
        self.state().blocks = what;
        self.0.1.notify_all();
    }

    pub(crate) fn call(&self, what: &'static str) -> MutexGuard<'_, State> {
        let began = Instant::now();
        let mut state = self.state();
        state.calls.push((what, thread::current().id()));
        let panics = state.panics == Some(what);
        if panics {
            drop(state);
            panic!("told to panic in {what}");
        }
        state.blocked += 1;
        while state.blocks == Some(what) && began.elapsed() < TOO_LONG {
            (state, _) = self.0.1.wait_timeout(state, TOO_LONG).unwrap_or_else(PoisonError::into_inner);
        }
        state.blocked -= 1;
        state
    }

    /// The threads on which `what` was called.
    pub(crate) fn threads(&self, what: &str) -> Vec<ThreadId> {
        self.state().calls.iter().filter(|(call, _)| *call == what).map(|(_, thread)| *thread).collect()
    }

    /// How often `what` was called.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.threads(what).len()
    }
}

impl ManageConnection for Mock {
    type Connection = Connection;
    type Error = io::Error;

    fn connect(&self) -> io::Result<Connection> {
        let mut state = self.call("connect");
        state.connects += 1;
        state.open += 1;
        Ok(Connection { id: state.connects, mock: self.clone() })
    }

    fn is_valid(&self, connection: &mut Connection) -> io::Result<()> {
        let invalid = self.call("is_valid").invalid.contains(&connection.id);
        if invalid { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        self.call("has_broken").broken.contains(&connection.id)
    }
}

pub(crate) type MockPool = Pool<R2d2<Mock>>;

pub(crate) fn config(max_connections: usize) -> PoolConfig {
    PoolConfig { min_connections: 0, max_connections, ..PoolConfig::default() }
}

pub(crate) fn pool(bridge: R2d2<Mock>, max_connections: usize) -> MockPool {
    Pool::new(bridge, config(max_connections)).expect("the options are good")
}

/// Lets tasks and threads run until it is so. The clock stands still meanwhile.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < TOO_LONG, "not so: {what}");
        tokio::task::yield_now().await;
    }
}

/// Lets every task run that can.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The pool hands out exactly `max` connections.
pub(crate) async fn assert_hands_out_exactly(pool: &MockPool, max: usize) {
    let mut held = Vec::new();
    for _ in 0..max {
        held.push(pool.acquire().await.unwrap());
    }
    assert!(pool.acquire_within(Duration::from_secs(1)).await.is_err_and(|error| error.is_timeout()));
}
