//! Where connections are handed out and come back: the lock, what it guards, and what may be seen without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::Waker;

use crate::config::PoolConfig;
use crate::core::{Core, Effects, Entry, Home, Site, Tick, Ticket};
use crate::manager::Manager;
use crate::shared::Shared;
use crate::sync::{Kept, Mutex, MutexGuard, RuntimeId, lock_soon, try_lock};

pub(crate) type PoolCore<M> = Core<Member<M>, <M as Manager>::Error, Waker>;
pub(crate) type PoolEffects<M> = Effects<Member<M>, Waker>;
pub(crate) type PoolEntry<M> = Box<Entry<Member<M>>>;

/// A connection, with the pool that it is of. While there is one, the pool is in memory: a pool that has closed keeps none.
pub(crate) struct Member<M: Manager> {
    pub(crate) connection: M::Connection,
    pub(crate) shared: Arc<Shared<M>>,
    /// That of the pool, one step nearer.
    pub(crate) desk: Kept<Desk<M>>,
}

impl<M: Manager> Member<M> {
    pub(crate) fn new(connection: M::Connection, shared: &Arc<Shared<M>>) -> Self {
        Self { connection, shared: Arc::clone(shared), desk: shared.desk.clone() }
    }
}

/// What the lock guards.
#[repr(C)]
pub(crate) struct State<M: Manager> {
    pub(crate) core: PoolCore<M>,
    /// Empty whenever nobody has the lock.
    pub(crate) fx: PoolEffects<M>,
    /// The runtimes that run a background task of this pool.
    pub(crate) homes: Vec<(RuntimeId, Home)>,
}

impl<M: Manager> State<M> {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self::with_rng(config, fastrand::Rng::new())
    }

    /// Of no pool. Draws no random number: those of a pool do not depend on how many there have been.
    fn vacant() -> Self {
        Self::with_rng(PoolConfig::default(), fastrand::Rng::with_seed(0))
    }

    fn with_rng(config: PoolConfig, rng: fastrand::Rng) -> Self {
        Self { core: Core::new(config, rng), fx: Effects::default(), homes: Vec::new() }
    }

    /// Whether a runtime has a background task of the pool.
    #[inline]
    pub(crate) fn is_home(&self, runtime: Option<RuntimeId>) -> bool {
        self.homes.iter().any(|(id, _)| Some(*id) == runtime)
    }

    /// Joins the line, if that is all there is to do. Returns the waker if not.
    #[inline]
    pub(crate) fn join_plain(
        &mut self,
        runtime: Option<RuntimeId>,
        site: &Site,
        waker: Waker,
    ) -> Result<(Ticket, Tick), Waker> {
        if self.is_home(runtime) && !self.core.may_hold(site.caller) {
            self.core.join_plain(site.at, waker)
        } else {
            Err(waker)
        }
    }
}

/// In this order in memory: the lock is in a line of the cache with what most calls change, and not with what others look
/// at.
#[repr(C)]
pub(crate) struct Desk<M: Manager> {
    state: OwnLine<Mutex<State<M>>>,
    /// Whether somebody waits. A hint, for it may have changed by the time that it is read: either way it leads to
    /// a call that looks again under the lock.
    line: AtomicBool,
    /// What [`Core::tick_at_hand`] said at the last call that was not plain, for the listener.
    at_hand: AtomicU64,
}

/// Begins a line of the cache.
#[repr(align(64))]
struct OwnLine<T>(T);

impl<M: Manager> Desk<M> {
    /// Of no pool.
    pub(crate) fn vacant() -> Self {
        let state = OwnLine(Mutex::new(State::vacant()));
        Self { state, line: AtomicBool::new(false), at_hand: AtomicU64::new(0) }
    }

    pub(crate) fn open(&self, state: State<M>) {
        *self.state() = state;
    }

    /// Drops what the pool has left, for which no thread can have a use. `false` if it cannot be done: if a panic under the
    /// lock has dropped the last that the pool was kept for, and the lock is not free yet.
    pub(crate) fn vacate(&self) -> bool {
        let Some(mut state) = try_lock(&self.state.0) else { return false };
        let left = std::mem::replace(&mut *state, State::vacant());
        drop(state);
        self.line.store(false, Relaxed);
        self.at_hand.store(0, Relaxed);
        drop(left);
        true
    }

    /// What the lock guards. What changes the core by the short ways leaves it as it is; all else goes through
    /// [`Shared::apply`], or unlocks as that does.
    #[inline]
    pub(crate) fn state(&self) -> MutexGuard<'_, State<M>> {
        lock_soon(&self.state.0, || if self.somebody_waits() { 16 } else { 32 })
    }

    /// Whether somebody waits, or did a moment ago.
    #[inline]
    pub(crate) fn somebody_waits(&self) -> bool {
        self.line.load(Relaxed)
    }

    /// Only where it changes, so that those who look have it in their own cache.
    #[inline]
    pub(crate) fn note_line(&self, core: &PoolCore<M>) {
        let waits = core.somebody_waits();
        if self.line.load(Relaxed) != waits {
            self.line.store(waits, Relaxed);
        }
    }

    pub(crate) fn note_tick(&self, core: &PoolCore<M>) {
        self.at_hand.store(core.tick_at_hand(), Relaxed);
    }

    #[inline]
    pub(crate) fn tick_at_hand(&self) -> Option<Tick> {
        Tick::at_hand(self.at_hand.load(Relaxed))
    }
}
