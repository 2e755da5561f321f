//! The pool's lock, and what it guards.
//!
//! The lock is taken in this file only, for the time of one closure. The closure gets the policy and a list of effects,
//! and the caller of [`StateLock::decide`], whose list it is, has to carry out the effects when the lock is free again.
//!
//! The policy takes errors of any type, so that it cannot look at them: their code is the user's. Here that is
//! [`ConnectError`], with the manager's error in a box.

use std::task::Waker;

use crate::call_out::watch;
use crate::closing::Closing;
use crate::config::PoolConfig;
use crate::error::ConnectError;
use crate::events::RetireReason;
use crate::manager::Manager;
use crate::policy::{Effects, Entry, Home, Policy};
use crate::sync::{Mutex, RuntimeId, lock};

pub(crate) type PoolPolicy<M> = Policy<<M as Manager>::Connection, ConnectError, Waker>;
pub(crate) type PoolEffects<M> = Effects<<M as Manager>::Connection, ConnectError, Waker>;
pub(crate) type PoolEntry<M> = Box<Entry<<M as Manager>::Connection>>;

/// What the lock guards.
pub(crate) struct State<M: Manager> {
    pub(crate) policy: PoolPolicy<M>,
    /// The runtimes that run a background task of this pool.
    pub(crate) homes: Vec<(RuntimeId, Home)>,
    /// Retired connections that a background task lets go of, because an acquire must not wait for their drop.
    pub(crate) to_retire: Vec<(PoolEntry<M>, RetireReason)>,
    /// Connections that a background task closes gracefully. They have been announced. Each keeps the pool's state alive, so
    /// there are some only while a background task runs.
    pub(crate) to_close: Vec<Closing<M>>,
}

impl<M: Manager> State<M> {
    pub(crate) fn home_of(&self, runtime: RuntimeId) -> Option<Home> {
        self.homes.iter().find(|(id, _)| *id == runtime).map(|(_, home)| *home)
    }
}

pub(crate) struct StateLock<M: Manager>(Mutex<State<M>>);

impl<M: Manager> StateLock<M> {
    pub(crate) fn new(config: PoolConfig, prepares: bool) -> Self {
        let mut policy = Policy::new(config, fastrand::Rng::new());
        if prepares {
            policy.prepare_before_reuse();
        }
        Self(Mutex::new(State { policy, homes: Vec::new(), to_retire: Vec::new(), to_close: Vec::new() }))
    }

    /// Lets the policy decide under the lock, and adds to `fx` what it leaves to do. The caller owns `fx`, so it is
    /// dropped outside of the lock even if the policy should panic, and has to carry it out.
    #[inline]
    pub(crate) fn decide<T>(
        &self,
        fx: &mut PoolEffects<M>,
        decide: impl FnOnce(&mut State<M>, &mut PoolEffects<M>) -> T,
    ) -> T {
        self.with(|state| decide(state, fx))
    }

    /// Reads under the lock.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&State<M>) -> T) -> T {
        self.with(|state| read(state))
    }

    #[inline]
    fn with<T>(&self, act: impl FnOnce(&mut State<M>) -> T) -> T {
        let mut state = lock(&self.0);
        let locked = watch::Locked::new();
        let value = act(&mut state);
        drop((locked, state));
        value
    }
}
