//! A connection that the pool does not have yet.

use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// A new connection, while it is customized and tested.
///
/// If that panics, the connection is dropped while the panic unwinds. Its drop may panic too: a poisoned mutex of the
/// manager's does both. Two panics at once would end the process (`panic.no_loss`), so the second one ends here.
pub(crate) struct Fresh<C>(Option<C>);

const HOLDS: &str = "a new connection is here until the pool gets it";

impl<C> Fresh<C> {
    pub(crate) fn new(connection: C) -> Self {
        Self(Some(connection))
    }

    pub(crate) fn get(&mut self) -> &mut C {
        self.0.as_mut().expect(HOLDS)
    }

    pub(crate) fn into_inner(mut self) -> C {
        self.0.take().expect(HOLDS)
    }
}

impl<C> Drop for Fresh<C> {
    fn drop(&mut self) {
        if thread::panicking() {
            let connection = self.0.take();
            catch_unwind(AssertUnwindSafe(|| drop(connection))).unwrap_or_else(forget);
        }
    }
}
