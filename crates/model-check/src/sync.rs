//! Locks, notifications and tasks of the model checker, in place of the pool's `sync`.
//!
//! - `Mutex` is loom's. Each time one is unlocked, in every interleaving, what it guards is [`Checked`].
//! - `Notify` is tokio's behind a lock of loom's: to notify is a step, and to begin to listen is one, for from then on
//!   no notification is missed. A poll sees no more than what these two steps have settled. That tokio keeps this
//!   promise is for tokio's own models to check.
//! - A task spawned on a runtime is a thread of the model. There is one runtime, unless a scenario makes a [`Runtime`]: that
//!   one can end. A task of a [`JoinSet`] runs within the task that owns the set.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
// Not steps of the model: only the owner of a set uses these.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use loom::sync::{Mutex as LoomMutex, MutexGuard as LoomGuard};
use pin_project_lite::pin_project;

use crate::manager::Manager;
use crate::planned::catch_planned;
use crate::state::State;

/// What must hold whenever nobody has the lock.
pub(crate) trait Checked {
    fn check(&self);
}

impl<M: Manager> Checked for State<M> {
    fn check(&self) {
        crate::world::check(&self.policy.stats());
        for (index, (runtime, _)) in self.homes.iter().enumerate() {
            let others = &self.homes[index + 1..];
            assert!(others.iter().all(|(other, _)| other != runtime), "two background tasks in one runtime");
        }
        assert!(
            self.to_close.is_empty() || !self.homes.is_empty(),
            "nobody closes what has been left to close"
        );
    }
}

#[derive(Default)]
pub(crate) struct Mutex<T>(LoomMutex<T>);

impl<T: Checked> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(LoomMutex::new(value))
    }
}

/// How long to pause before the lock is taken is no matter of order.
pub(crate) fn lock<T: Checked>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Poisoned only while a run unwinds that has failed.
    MutexGuard(Some(mutex.0.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// `None` only while it is dropped.
pub(crate) struct MutexGuard<'a, T: Checked>(Option<LoomGuard<'a, T>>);

impl<T: Checked> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.check();
        self.0 = None;
        // The readings of the clock under the lock may have reached the time of a timer.
        crate::time::fire_due();
    }
}

impl<T: Checked> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the guard has the lock until it is dropped")
    }
}

impl<T: Checked> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("the guard has the lock until it is dropped")
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

/// A runtime that a scenario can end. A thread that enters none is in the main runtime, which lasts as long as the run.
#[derive(Clone)]
pub struct Runtime(Arc<RuntimeState>);

struct RuntimeState {
    id: RuntimeId,
    tasks: LoomMutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    ended: bool,
    /// The wakers of the tasks that run.
    wakers: Vec<Waker>,
}

loom::thread_local! {
    static CURRENT: RefCell<Option<Runtime>> = RefCell::new(None);
}

impl Runtime {
    pub(crate) fn new() -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let id = RuntimeId(LAST.fetch_add(1, SeqCst) + 1);
        Self(Arc::new(RuntimeState { id, tasks: LoomMutex::default() }))
    }

    /// Runs `act` in this runtime.
    pub fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        let before = CURRENT.with(|current| current.replace(Some(self.clone())));
        let value = act();
        CURRENT.with(|current| *current.borrow_mut() = before);
        value
    }

    /// Ends the runtime. A task that is being polled is dropped after the poll, any other one at once, on its own thread. A
    /// task that is spawned from here on is dropped at once.
    pub fn end(&self) {
        let wakers = {
            let mut tasks = self.tasks();
            tasks.ended = true;
            std::mem::take(&mut tasks.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tasks(&self) -> LoomGuard<'_, Tasks> {
        self.0.tasks.lock().expect("a run ends with its first panic")
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.tasks().ended {
            return;
        }
        let this = self.clone();
        loom::thread::spawn(move || {
            let runtime = this.clone();
            let mut registered = false;
            let goes_on = move |waker: &Waker| {
                let mut tasks = this.tasks();
                if !std::mem::replace(&mut registered, true) {
                    tasks.wakers.push(waker.clone());
                }
                !tasks.ended
            };
            runtime.enter(|| crate::executor::run_while(goes_on, task));
        });
    }
}

pub(crate) struct Handle(Option<Runtime>);

/// The main runtime has the number 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RuntimeId(usize);

impl Handle {
    pub(crate) fn current() -> Self {
        Self(CURRENT.with(|current| current.borrow().clone()))
    }

    pub(crate) fn try_current() -> Result<Self, std::convert::Infallible> {
        Ok(Self::current())
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.0.as_ref().map_or(RuntimeId(0), |runtime| runtime.0.id)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            Some(runtime) => runtime.spawn(task),
            None => drop(loom::thread::spawn(|| crate::executor::block_on(task))),
        }
    }
}

/// A task of a set: what it does, and whether it has been told to stop. As in tokio, a panic ends with the task, whether it
/// is polled or dropped.
struct Task<T> {
    /// `None` only while it is dropped.
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    handle: AbortHandle,
}

impl<T> Task<T> {
    /// `None` in it stands for a task that was aborted or panicked.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(future) = self.future.as_mut().filter(|_| !self.handle.aborted.load(SeqCst)) else {
            return Poll::Ready(None);
        };
        match catch_planned(|| future.as_mut().poll(cx)) {
            Some(polled) => polled.map(Some),
            None => Poll::Ready(None),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let future = self.future.take();
        catch_planned(|| drop(future));
    }
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
        self.tasks.push(Task { future: Some(Box::pin(task)), handle: handle.clone() });
        handle
    }

    /// Gives every task a step, in order, until one ends. `None` in it stands for one that was aborted or panicked.
    pub(crate) async fn join_next(&mut self) -> Option<Option<T>> {
        poll_fn(|cx| {
            for index in 0..self.tasks.len() {
                let task = &mut self.tasks[index];
                if let Poll::Ready(value) = task.poll(cx) {
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
