//! Locks, notifications and tasks of the model checker, in place of the pool's `sync`.
//!
//! - `Mutex` is loom's. Each time one is unlocked, in every interleaving, what it guards is [`Checked`].
//! - `Notify` is tokio's behind a lock of loom's: to notify is a step, and to begin to listen is one, for from then on
//!   no notification is missed. A poll sees no more than what these two steps have settled. That tokio keeps this
//!   promise is for tokio's own models to check.
//! - There is one runtime. A task spawned on it is a thread of the model. A task of a [`JoinSet`] runs within the task
//!   that owns the set.

use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
// Not steps of the model: only the owner of a set uses these.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll};

use loom::sync::{Mutex as LoomMutex, MutexGuard as LoomGuard};
use pin_project_lite::pin_project;

use crate::desk::State;
use crate::manager::Manager;

/// What must hold whenever nobody has the lock.
pub(crate) trait Checked {
    fn check(&self);
}

impl<M: Manager> Checked for State<M> {
    fn check(&self) {
        crate::world::check(&self.core.stats());
        assert!(self.homes.len() <= 1, "{} background tasks in one runtime", self.homes.len());
    }
}

#[derive(Default)]
pub(crate) struct Mutex<T>(LoomMutex<T>);

/// How long to wait before asking again is no matter of order.
pub(crate) fn lock_soon<T: Checked>(mutex: &Mutex<T>, _pauses: impl FnOnce() -> u32) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// Where this is called, nobody else has the lock.
pub(crate) fn try_lock<T: Checked>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    Some(mutex.lock())
}

/// Is freed with its last user: the next run has locks of its own.
pub(crate) struct Kept<T>(Arc<T>);

impl<T> Kept<T> {
    pub(crate) fn new(make: impl FnOnce() -> T) -> Self {
        Self(Arc::new(make()))
    }

    pub(crate) fn set_aside(self, _clear: impl FnOnce(&T) -> bool) {}
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Checked> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(LoomMutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(self.0.lock().expect("a run ends with its first panic"))
    }
}

pub(crate) struct MutexGuard<'a, T: Checked>(LoomGuard<'a, T>);

impl<T: Checked> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.check();
        }
    }
}

impl<T: Checked> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Checked> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

pub(crate) struct Notify {
    step: LoomMutex<()>,
    inner: tokio::sync::Notify,
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self { step: LoomMutex::new(()), inner: tokio::sync::Notify::new() }
    }

    pub(crate) fn notify_waiters(&self) {
        let _step = self.step.lock();
        self.inner.notify_waiters();
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        let _step = self.step.lock();
        Notified { inner: self.inner.notified() }
    }
}

pin_project! {
    pub(crate) struct Notified<'a> {
        #[pin]
        inner: tokio::sync::futures::Notified<'a>,
    }
}

impl Notified<'_> {
    pub(crate) fn enable(self: Pin<&mut Self>) -> bool {
        self.project().inner.enable()
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().inner.poll(cx)
    }
}

/// The one runtime.
pub(crate) struct Handle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RuntimeId;

impl Handle {
    pub(crate) fn current() -> Self {
        Self
    }

    pub(crate) fn try_current() -> Result<Self, std::convert::Infallible> {
        Ok(Self)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        RuntimeId
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        loom::thread::spawn(|| crate::executor::block_on(task));
    }
}

/// A task of a set: what it does, and whether it has been told to stop.
struct Task<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    handle: AbortHandle,
}

/// Stops a task of a set. Only the owner of the set does, so nobody has to be woken for it.
#[derive(Clone, Default)]
pub(crate) struct AbortHandle {
    aborted: Arc<AtomicBool>,
    finished: Arc<AtomicBool>,
}

impl AbortHandle {
    pub(crate) fn abort(&self) {
        self.aborted.store(true, SeqCst);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(SeqCst)
    }
}

pub(crate) struct JoinSet<T> {
    tasks: Vec<Task<T>>,
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self { tasks: Vec::new() }
    }
}

impl<T> JoinSet<T> {
    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) -> AbortHandle {
        let handle = AbortHandle::default();
        self.tasks.push(Task { future: Box::pin(task), handle: handle.clone() });
        handle
    }

    /// Gives every task a step, in order, until one ends. `None` in it stands for one that was aborted.
    pub(crate) async fn join_next(&mut self) -> Option<Option<T>> {
        poll_fn(|cx| {
            for index in 0..self.tasks.len() {
                let task = &mut self.tasks[index];
                let ended = if task.handle.aborted.load(SeqCst) {
                    Poll::Ready(None)
                } else {
                    task.future.as_mut().poll(cx).map(Some)
                };
                if let Poll::Ready(value) = ended {
                    let task = self.tasks.remove(index);
                    task.handle.finished.store(true, SeqCst);
                    drop(task);
                    return Poll::Ready(Some(value));
                }
            }
            if self.tasks.is_empty() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }

    pub(crate) async fn shutdown(&mut self) {
        self.tasks.clear();
    }
}
