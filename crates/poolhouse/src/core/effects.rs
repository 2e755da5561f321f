//! What a call of the core leaves to do. Each call that is not plain looks at it, so it is small: what is seldom there takes
//! up one word until it is.

use super::{Entry, RetireReason};

/// What the caller has to do after it has unlocked.
pub(crate) struct Effects<C, W> {
    pub(crate) wake: Wakes<W>,
    /// The waker of somebody who has left. Dropping it may run foreign code, so it is dropped with the rest.
    pub(crate) spent: Option<W>,
    /// To be dropped, then reported with `closed`.
    pub(crate) retired: Few<(Box<Entry<C>>, RetireReason)>,
    /// The background has to make a new plan.
    pub(crate) drive: bool,
    /// Something changed that `warm_up` or `close` may wait for.
    pub(crate) progress: bool,
}

impl<C, W> Effects<C, W> {
    /// The first to wake, if that is the only effect, as it is of most releases.
    #[inline]
    pub(crate) fn take_lone_waker(&mut self) -> Option<W> {
        if self.is_more_than_a_waker() { None } else { self.wake.first.take() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.wake.first.is_none() & !self.is_more_than_a_waker()
    }

    #[inline]
    fn is_more_than_a_waker(&self) -> bool {
        self.wake.rest.0.is_some()
            | self.retired.0.is_some()
            | self.spent.is_some()
            | self.drive
            | self.progress
    }
}

impl<C, W> Default for Effects<C, W> {
    fn default() -> Self {
        Self { wake: Wakes::default(), spent: None, retired: Few::default(), drive: false, progress: false }
    }
}

/// Wakers, without an allocation for the first: one is what a release wakes.
pub(crate) struct Wakes<W> {
    first: Option<W>,
    rest: Few<W>,
}

impl<W> Default for Wakes<W> {
    fn default() -> Self {
        Self { first: None, rest: Few::default() }
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

impl<W> IntoIterator for Wakes<W> {
    type Item = W;
    type IntoIter = std::iter::Chain<std::option::IntoIter<W>, std::vec::IntoIter<W>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

/// A list that is seldom used. Without an element it is one word.
#[expect(clippy::box_collection, reason = "a vector would be three words")]
pub(crate) struct Few<T>(Option<Box<Vec<T>>>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push(item);
    }
}

impl<T> std::ops::Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |items| items.as_slice())
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_or_else(Vec::new, |items| *items).into_iter()
    }
}
