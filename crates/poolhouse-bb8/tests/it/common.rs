//! A manager of bb8's that does as it is told and notes what it is asked.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bb8::ManageConnection;
use poolhouse::{Pool, PoolConfig};
use poolhouse_bb8::Bb8;

/// Opens numbered connections, from 1.
#[derive(Clone, Default)]
pub(crate) struct Mock(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    /// What was asked, of which connection.
    pub(crate) asked: Vec<(&'static str, u32)>,
    pub(crate) connects: u32,
    pub(crate) open: u32,
    /// Those for which `has_broken` answers `true`.
    pub(crate) broken: HashSet<u32>,
    /// Those for which `is_valid` fails.
    pub(crate) invalid: HashSet<u32>,
    /// What panics.
    pub(crate) panics: Option<&'static str>,
    /// Whether the drop of a connection panics.
    pub(crate) drop_panics: bool,
    pub(crate) valid_takes: Duration,
}

pub(crate) struct Connection {
    pub(crate) id: u32,
    mock: Mock,
}

impl Drop for Connection {
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

    fn asks(&self, what: &'static str, id: u32) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.asked.push((what, id));
        assert_ne!(state.panics, Some(what), "told to panic in {what}");
        state
    }

    /// How often `is_valid` was asked.
    pub(crate) fn tests(&self) -> usize {
        self.state().asked.iter().filter(|(what, _)| *what == "is_valid").count()
    }
}

impl ManageConnection for Mock {
    type Connection = Connection;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Connection> {
        let mut state = self.asks("connect", 0);
        state.connects += 1;
        state.open += 1;
        Ok(Connection { id: state.connects, mock: self.clone() })
    }

    async fn is_valid(&self, connection: &mut Connection) -> io::Result<()> {
        let takes = self.asks("is_valid", connection.id).valid_takes;
        tokio::time::sleep(takes).await;
        let invalid = self.state().invalid.contains(&connection.id);
        if invalid { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        let state = self.state();
        assert_ne!(state.panics, Some("has_broken"), "told to panic in has_broken");
        state.broken.contains(&connection.id)
    }
}

pub(crate) fn pool(bridge: Bb8<Mock>, max_connections: usize) -> Pool<Bb8<Mock>> {
    let config = PoolConfig { min_connections: 0, max_connections, ..PoolConfig::default() };
    Pool::new(bridge, config).expect("the options are good")
}

/// Lets every task run that can.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
