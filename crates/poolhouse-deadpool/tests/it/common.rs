//! A manager of deadpool's that does as it is told and notes what it is asked.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use poolhouse::{Pool, PoolConfig};
use poolhouse_deadpool::Deadpool;

/// Opens numbered sessions, from 1.
#[derive(Clone, Default)]
pub(crate) struct Mock(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) created: u32,
    /// Sessions that `recycle` was called for, in order, with how often they had been recycled before.
    pub(crate) recycled: Vec<(u32, usize)>,
    pub(crate) detached: Vec<u32>,
    /// Sessions that are not dropped.
    pub(crate) open: u32,
    /// What fails, as a message or with the manager's error.
    pub(crate) fails: Option<Failing>,
    /// What panics.
    pub(crate) panics: Option<&'static str>,
    /// Whether the drop of a session panics.
    pub(crate) drop_panics: bool,
    pub(crate) recycle_takes: Duration,
    /// Sessions whose server has closed them.
    pub(crate) closed: HashSet<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    RecycleMessage,
    RecycleBackend,
}

/// What a session is: its number, and what a holder has left in it.
pub(crate) struct Session {
    pub(crate) id: u32,
    pub(crate) application_name: String,
    mock: Mock,
}

impl Session {
    pub(crate) fn is_closed(&self) -> bool {
        self.mock.state().closed.contains(&self.id)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let panics = {
            let mut state = self.mock.state();
            state.open -= 1;
            state.drop_panics
        };
        assert!(!panics, "told to panic in a drop");
    }
}

impl Mock {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn panics_in(&self, what: &'static str) {
        let panics = self.state().panics;
        assert_ne!(panics, Some(what), "told to panic in {what}");
    }

    /// How often `recycle` was called.
    pub(crate) fn recycles(&self) -> usize {
        self.state().recycled.len()
    }
}

impl Manager for Mock {
    type Type = Session;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Session> {
        self.panics_in("create");
        let mut state = self.state();
        state.created += 1;
        state.open += 1;
        Ok(Session { id: state.created, application_name: String::new(), mock: self.clone() })
    }

    async fn recycle(&self, session: &mut Session, metrics: &Metrics) -> RecycleResult<io::Error> {
        self.state().recycled.push((session.id, metrics.recycle_count));
        self.panics_in("recycle");
        let (takes, fails) = {
            let state = self.state();
            (state.recycle_takes, state.fails)
        };
        tokio::time::sleep(takes).await;
        match fails {
            Some(Failing::RecycleMessage) => return Err(RecycleError::message("Invalid PING response")),
            Some(Failing::RecycleBackend) => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            None => {}
        }
        session.application_name.clear();
        Ok(())
    }

    fn detach(&self, session: &mut Session) {
        self.state().detached.push(session.id);
        self.panics_in("detach");
    }
}

pub(crate) type MockPool = Pool<Deadpool<Mock>>;

pub(crate) fn pool(mock: &Mock, max_connections: usize) -> MockPool {
    let config = PoolConfig { min_connections: 0, max_connections, ..PoolConfig::default() };
    Pool::new(Deadpool::new(mock.clone()), config).expect("the options are good")
}

/// The pool hands out exactly `max` connections.
pub(crate) async fn assert_hands_out_exactly(pool: &MockPool, max: usize) {
    let mut held = Vec::new();
    for _ in 0..max {
        held.push(pool.acquire().await.unwrap());
    }
    assert!(pool.acquire_within(Duration::from_secs(1)).await.is_err_and(|error| error.is_timeout()));
}

/// Lets every task run that can.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
