//! What every handle of a pool shares, and how the core's decisions are carried out.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::config::PoolConfig;
use crate::core::{Caller, Core, Effects, Entry, Fate, Home, Refusal, Site};
use crate::driver;
use crate::error::{AcquireError, ConnectFailed};
use crate::events::{Event, Listener, RetireReason};
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::sync::{Handle, Mutex, MutexGuard, Notify, RuntimeId};
use crate::time::{now, sleep};

pub(crate) type PoolCore<M> = Core<<M as Manager>::Connection, <M as Manager>::Error, Waker>;
pub(crate) type PoolEffects<M> = Effects<<M as Manager>::Connection, Waker>;
pub(crate) type PoolEntry<M> = Box<Entry<<M as Manager>::Connection>>;

pub(crate) struct Shared<M: Manager> {
    pub(crate) manager: M,
    pub(crate) config: PoolConfig,
    listener: Option<Box<dyn Listener>>,
    core: Mutex<PoolCore<M>>,
    /// The runtimes that run a background task of this pool.
    homes: Mutex<Vec<(RuntimeId, Home)>>,
    /// Tells the background tasks to make a new plan.
    pub(crate) drive: Arc<Notify>,
    /// Tells `warm_up` and `close` to look again.
    pub(crate) progress: Notify,
}

impl<M: Manager> Shared<M> {
    pub(crate) fn new(manager: M, config: PoolConfig, listener: Option<Box<dyn Listener>>) -> Self {
        Self {
            manager,
            listener,
            core: Mutex::new(Core::new(config.clone(), fastrand::Rng::new())),
            config,
            homes: Mutex::default(),
            drive: Arc::default(),
            progress: Notify::new(),
        }
    }

    /// The core, to look at. What changes it goes through [`Shared::apply`].
    pub(crate) fn core(&self) -> MutexGuard<'_, PoolCore<M>> {
        // Nothing that may panic by design runs under the lock, and every call leaves the counts right.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the core decide, unlocks, and carries out what it decided.
    pub(crate) fn apply<T>(&self, decide: impl FnOnce(&mut PoolCore<M>, &mut PoolEffects<M>) -> T) -> T {
        let mut fx = Effects::default();
        let value = decide(&mut self.core(), &mut fx);
        self.carry_out(fx);
        value
    }

    fn carry_out(&self, fx: PoolEffects<M>) {
        drop(fx.spent);
        for waker in fx.wake {
            waker.wake();
        }
        if fx.drive {
            self.drive.notify_waiters();
        }
        if fx.progress {
            self.progress.notify_waiters();
        }
        if !fx.retired.is_empty() {
            // On drop, so that a connection whose own drop panics costs no capacity.
            let _closed = Closed { shared: self, count: fx.retired.len() };
            for (entry, reason) in fx.retired {
                tracing::debug!(
                    target: "poolhouse::retire",
                    target_address = %self.manager.target(),
                    connection = entry.id,
                    reason = reason.as_str(),
                    "closing a connection"
                );
                self.tell(|| {
                    let age = now().saturating_duration_since(entry.opened_at);
                    Event::Retired { connection: entry.id, reason, age }
                });
                drop(entry);
            }
        }
    }

    /// Tells the listener, if there is one. Its panics end here: they are none of the caller's business, and a second
    /// panic in a drop would abort the program.
    pub(crate) fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        let Some(listener) = &self.listener else { return };
        let event = event();
        if catch_unwind(AssertUnwindSafe(|| listener.on_event(&event))).is_err() {
            tracing::error!(
                target: "poolhouse::listener",
                target_address = %self.manager.target(),
                "the listener panicked: see the panic's message on stderr"
            );
        }
    }

    pub(crate) fn site(&self, at: &'static Location<'static>) -> Site {
        let caller = self.config.detect_nested_acquires.then(|| {
            tokio::task::try_id().map_or_else(|| Caller::Thread(std::thread::current().id()), Caller::Task)
        });
        Site { at, caller }
    }

    /// Sees to it that this runtime runs a background task. Panics outside of a runtime.
    pub(crate) fn ensure_driver(self: &Arc<Self>) {
        let handle = Handle::current();
        let mut homes = self.homes();
        if homes.iter().any(|(id, _)| *id == handle.id()) {
            return;
        }
        // A runtime without a timer has to fail here, where the caller sees it.
        let _timer = sleep(Duration::ZERO);
        let home = self.core().home_opened();
        homes.push((handle.id(), home));
        drop(homes);
        handle.spawn(driver::run(driver::Guard::new(self, home)));
    }

    /// A background task has ended, with its runtime or because the pool closed.
    pub(crate) fn driver_ended(&self, home: Home) {
        self.homes().retain(|(_, other)| *other != home);
        self.apply(|core, fx| core.home_lost(home, fx));
    }

    fn homes(&self) -> MutexGuard<'_, Vec<(RuntimeId, Home)>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an idle connection if that needs no wait.
    pub(crate) fn try_take(self: &Arc<Self>, site: Site) -> Option<PooledConnection<M>> {
        loop {
            let entry = self.apply(|core, fx| core.try_take(now(), site, fx))?;
            match self.verify(entry) {
                Ok(entry) => return Some(self.hand_out(entry, site.at, None)),
                Err(dead) => self.apply(|core, fx| core.found_dead(dead, now(), fx)),
            }
        }
    }

    /// Looks whether the peer has closed a connection that is about to be handed out. An error holds a dead one.
    pub(crate) fn verify(&self, entry: PoolEntry<M>) -> Result<PoolEntry<M>, PoolEntry<M>> {
        // A panic in `is_connected` retires the connection on the way up.
        let mut back = Back { shared: self, entry: Some(entry), fate: Fate::Retire(RetireReason::Panicked) };
        let alive = back.entry.as_mut().is_some_and(|entry| self.manager.is_connected(&mut entry.connection));
        let mut entry = back.entry.take().expect("put there above");
        if alive && entry.fresh {
            self.apply(|core, fx| core.proven(&mut entry, now(), fx));
        }
        if alive { Ok(entry) } else { Err(entry) }
    }

    pub(crate) fn hand_out(
        self: &Arc<Self>,
        entry: PoolEntry<M>,
        acquired_at: &'static Location<'static>,
        started: Option<Instant>,
    ) -> PooledConnection<M> {
        let connection = entry.id;
        let guard = PooledConnection::new(self, entry);
        self.tell(|| {
            let waited = started.map_or(Duration::ZERO, |started| now().saturating_duration_since(started));
            Event::Acquired { connection, waited, acquired_at }
        });
        guard
    }

    /// A held connection comes back. Needs no runtime, and does not block.
    pub(crate) fn give_back(&self, entry: PoolEntry<M>, fate: Option<Fate>) {
        // A panic in `is_reusable` retires the connection on the way up.
        let mut back = Back { shared: self, entry: Some(entry), fate: Fate::Retire(RetireReason::Panicked) };
        back.fate = match fate {
            Some(fate) => fate,
            None if std::thread::panicking() => Fate::Retire(RetireReason::Panicked),
            None => {
                let entry = back.entry.as_mut().expect("taken only on drop");
                if self.manager.is_reusable(&mut entry.connection) {
                    Fate::Reuse
                } else {
                    Fate::Retire(RetireReason::NotReusable)
                }
            }
        };
    }

    pub(crate) fn refused(&self, refusal: Refusal<M::Error>) -> AcquireError<M::Error> {
        let target = self.manager.target().into_owned();
        match refusal {
            Refusal::Closed => AcquireError::Closed { target },
            Refusal::Overloaded { waiting, max_pending } => {
                AcquireError::Overloaded { target, waiting, max_pending }
            }
            Refusal::Connect { error, attempts } => {
                AcquireError::Connect(ConnectFailed { target, attempts, error })
            }
        }
    }
}

struct Back<'a, M: Manager> {
    shared: &'a Shared<M>,
    entry: Option<PoolEntry<M>>,
    fate: Fate,
}

impl<M: Manager> Drop for Back<'_, M> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            let (shared, now) = (self.shared, now());
            // Told before anybody else can have it, so that the events of one connection come in order.
            shared.tell(|| Event::Released {
                connection: entry.id,
                held_for: shared.core().held_for(&entry, now),
            });
            shared.apply(|core, fx| core.give_back(entry, self.fate, now, fx));
        }
    }
}

struct Closed<'a, M: Manager> {
    shared: &'a Shared<M>,
    count: usize,
}

impl<M: Manager> Drop for Closed<'_, M> {
    fn drop(&mut self) {
        self.shared.apply(|core, fx| core.closed(self.count, now(), fx));
    }
}
