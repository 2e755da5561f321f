//! What a decision leaves to do once the lock is free. Everything in here is the user's code, or leads to it.
//!
//! Every decision fills `fx`, the list of its caller. Most leave it empty or wake one waiter: that allocates nothing.

use std::sync::Arc;
use std::time::Duration;

use super::Entry;
use crate::events::RetireReason;

pub(crate) struct Effects<C, E, W> {
    pub(crate) wake: Wakes<W>,
    /// The waker of an acquire that no longer waits: dropping it may run foreign code.
    pub(crate) spent_waker: Option<W>,
    /// Errors that the policy has forgotten, to be dropped.
    pub(crate) spent_errors: Vec<Arc<E>>,
    /// To be told to the log and the listener, dropped, and then reported with `connections_gone`.
    pub(crate) retired: Vec<(Box<Entry<C>>, RetireReason)>,
    /// To be told to the log and the listener.
    pub(crate) failed_connect: Option<Box<FailedConnect<E>>>,
    /// The background has to make a new plan.
    pub(crate) plan: bool,
    /// Something changed that `warm_up`, `drained` or `close` may wait for.
    pub(crate) progress: bool,
}

/// A connect whose connection turned out to be dead at the first look.
pub(crate) struct FailedConnect<E> {
    pub(crate) error: Arc<E>,
    pub(crate) took: Duration,
}

impl<C, E, W> Effects<C, E, W> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.plan
            && !self.progress
            && self.wake.first.is_none()
            && self.spent_waker.is_none()
            && self.retired.is_empty()
            && self.spent_errors.is_empty()
            && self.failed_connect.is_none()
    }
}

impl<C, E, W> Default for Effects<C, E, W> {
    fn default() -> Self {
        Self {
            wake: Wakes::default(),
            spent_waker: None,
            spent_errors: Vec::new(),
            retired: Vec::new(),
            failed_connect: None,
            plan: false,
            progress: false,
        }
    }
}

/// Wakers, without an allocation for the first: a release wakes one.
pub(crate) struct Wakes<W> {
    first: Option<W>,
    rest: Vec<W>,
}

impl<W> Default for Wakes<W> {
    fn default() -> Self {
        Self { first: None, rest: Vec::new() }
    }
}

impl<W> Wakes<W> {
    pub(crate) fn push(&mut self, waker: W) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.rest.push(waker),
        }
    }
}

impl<W> Extend<W> for Wakes<W> {
    fn extend<T: IntoIterator<Item = W>>(&mut self, wakers: T) {
        wakers.into_iter().for_each(|waker| self.push(waker));
    }
}

impl<W> IntoIterator for Wakes<W> {
    type Item = W;
    type IntoIter = std::iter::Chain<std::option::IntoIter<W>, std::vec::IntoIter<W>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}
