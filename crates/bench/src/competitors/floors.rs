//! What no pool can be faster than.

use parking_lot::Mutex;

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

/// One lock to take a connection and one to give it back. It lives forever, so that a 'static guard costs
/// nothing.
#[derive(Debug)]
pub struct Stack<C: 'static>(&'static Mutex<Vec<C>>);

#[derive(Debug)]
pub struct Popped<C: 'static> {
    stack: &'static Mutex<Vec<C>>,
    connection: Option<C>,
}

impl<C> Drop for Popped<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.stack.lock().push(connection);
        }
    }
}

impl<C: Send + Sync + 'static> Acquire for Stack<C> {
    type Guard = Popped<C>;

    async fn acquire(&self) -> Popped<C> {
        let connection = self.0.lock().pop().expect("nobody waits in the scenarios of this floor");
        Popped { stack: self.0, connection: Some(connection) }
    }
}

impl<S: Source> Contender<S> for Stack<S::Connection> {
    fn future_bytes(&self) -> usize {
        0
    }

    fn connection(guard: &mut Popped<S::Connection>) -> &mut S::Connection {
        guard.connection.as_mut().expect("held until the drop")
    }
}

pub struct MutexVec;

impl Kind for MutexVec {
    type Pool<S: Source> = Stack<S::Connection>;
    const WAITING: Waiting = Waiting::Never;

    fn about() -> About {
        About {
            id: "mutex-vec",
            label: "Mutex<Vec>, pop and push",
            version: format!("parking_lot {}", version("parking_lot")),
            kind: "floor",
            setup: "A parking_lot Mutex<Vec>: pop, and push on drop. It cannot wait, and is never freed, so that a 'static guard needs no count.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Stack<S::Connection> {
        let mut idle = Vec::with_capacity(max);
        for _ in 0..max {
            idle.push(source.open().await.expect("the source opens"));
        }
        Stack(Box::leak(Box::new(Mutex::new(idle))))
    }
}

/// No pool: what is left of a scenario is the scheduler.
#[derive(Debug)]
pub struct Yields;

impl Yields {
    pub fn about() -> About {
        About {
            id: "yields",
            label: "the yields alone",
            version: format!("tokio {}", version("tokio")),
            kind: "floor",
            setup: "As many tasks as the pool has connections, which only yield.",
        }
    }
}

impl Acquire for Yields {
    type Guard = ();

    async fn acquire(&self) {}
}
