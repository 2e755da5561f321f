use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

/// The pool that everybody writes first.
#[derive(Debug)]
pub(super) struct Pool<C> {
    semaphore: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<C>>>,
}

#[derive(Debug)]
pub(super) struct Guard<C> {
    idle: Arc<Mutex<Vec<C>>>,
    connection: Option<C>,
    // After the drop below, so that the task that gets the permit finds the connection.
    _permit: OwnedSemaphorePermit,
}

impl<C> Drop for Guard<C> {
    fn drop(&mut self) {
        self.idle.lock().extend(self.connection.take());
    }
}

impl<C: Send + Sync + 'static> Acquire for Pool<C> {
    type Guard = Guard<C>;

    async fn acquire(&self) -> Guard<C> {
        let permit = Arc::clone(&self.semaphore).acquire_owned().await.expect("nobody closes the semaphore");
        let connection = self.idle.lock().pop();
        Guard { idle: Arc::clone(&self.idle), connection, _permit: permit }
    }
}

impl<S: Source> Contender<S> for Pool<S::Connection> {
    fn future_bytes(&self) -> usize {
        size_of_val(&Acquire::acquire(self))
    }

    fn connection(guard: &mut Guard<S::Connection>) -> &mut S::Connection {
        guard.connection.as_mut().expect("as many connections as permits")
    }
}

pub(super) struct SemaphoreVec;

impl Kind for SemaphoreVec {
    type Pool<S: Source> = Pool<S::Connection>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "semaphore-vec",
            label: "Semaphore and Mutex<Vec>",
            version: format!("tokio {}, parking_lot {}", version("tokio"), version("parking_lot")),
            kind: "baseline",
            setup: "A tokio Semaphore and a parking_lot Mutex<Vec> with 'static guards: no deadline, no health look, \
                    no statistics, no limits of age.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<S::Connection> {
        let mut idle = Vec::with_capacity(max);
        for _ in 0..max {
            idle.push(source.open().await.expect("the source opens"));
        }
        Pool { semaphore: Arc::new(Semaphore::new(max)), idle: Arc::new(Mutex::new(idle)) }
    }
}
