//! What every handle of a pool shares, and how the core's decisions are carried out.

use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::config::PoolConfig;
use crate::core::{Caller, Entry, Fate, Home, Joined, PickedUp, Refusal, Site, Tick, Ticket, Time};
use crate::desk::{Desk, Member, PoolCore, PoolEffects, PoolEntry, State};
use crate::driver;
use crate::error::{AcquireError, ConnectFailed, Holder, page};
use crate::events::{Event, RetireReason, Told};
use crate::guard::PooledConnection;
use crate::manager::Manager;
use crate::sync::{Handle, Kept, MutexGuard, Notify, RuntimeId};
use crate::time::{now, sleep};

pub(crate) struct Shared<M: Manager> {
    pub(crate) desk: Kept<Desk<M>>,
    listener: Option<Box<dyn Told>>,
    notes_callers: bool,
    pub(crate) manager: M,
    pub(crate) config: PoolConfig,
    /// What is [`Tick::START`] to the core.
    origin: Instant,
    /// Tells the background tasks to make a new plan.
    pub(crate) drive: Arc<Notify>,
    /// Tells `warm_up` and `close` to look again.
    pub(crate) progress: Notify,
}

/// What becomes of somebody who joins the line.
pub(crate) struct Arrival<M: Manager> {
    pub(crate) joined: Result<Joined<Member<M>>, Refusal<M::Error>>,
    /// Whether this runtime has a background task of the pool.
    pub(crate) at_home: bool,
    /// What of the pool's connections the caller holds, if the pool notes that.
    pub(crate) nested: Vec<Holder>,
}

impl<M: Manager> Shared<M> {
    pub(crate) fn new(manager: M, config: PoolConfig, listener: Option<Box<dyn Told>>) -> Self {
        let desk = Kept::new(Desk::vacant);
        desk.open(State::new(config.clone()));
        Self {
            desk,
            manager,
            listener,
            notes_callers: config.detect_nested_acquires,
            origin: now(),
            config,
            drive: Arc::default(),
            progress: Notify::new(),
        }
    }

    /// See [`Desk::state`].
    #[inline]
    pub(crate) fn state(&self) -> MutexGuard<'_, State<M>> {
        self.desk.state()
    }

    /// Lets the core decide, unlocks, and carries out what it decided.
    #[inline]
    pub(crate) fn apply<T>(&self, decide: impl FnOnce(&mut PoolCore<M>, &mut PoolEffects<M>) -> T) -> T {
        let mut state = self.state();
        let State { core, fx, .. } = &mut *state;
        let value = decide(core, fx);
        self.unlock(state);
        value
    }

    /// Unlocks, and carries out what has been decided.
    #[inline]
    fn unlock(&self, mut state: MutexGuard<'_, State<M>>) {
        state.core.settle();
        self.desk.note_line(&state.core);
        if self.listener.is_some() {
            self.desk.note_tick(&state.core);
        }
        if !state.fx.is_empty() {
            self.unlock_and_carry_out(state);
        }
    }

    #[inline(never)]
    fn unlock_and_carry_out(&self, mut state: MutexGuard<'_, State<M>>) {
        if let Some(waker) = state.fx.take_lone_waker() {
            drop(state);
            waker.wake();
        } else {
            let fx = std::mem::take(&mut state.fx);
            drop(state);
            self.carry_out(fx);
        }
    }

    /// Joins the line, or takes an idle connection after all.
    pub(crate) fn take_or_join(
        &self,
        mut state: MutexGuard<'_, State<M>>,
        runtime: Option<RuntimeId>,
        site: Site,
        (waker, own_deadline): (Waker, bool),
    ) -> Arrival<M> {
        let at_home = state.is_home(runtime);
        let State { core, fx, .. } = &mut *state;
        let nested = core.nested(site.caller, || self.now());
        let joined = core.take_or_join(self.clock(), site, (waker, own_deadline), fx);
        self.unlock(state);
        Arrival { joined, at_home, nested }
    }

    /// What has become of a waiter, if that is plain.
    #[inline]
    pub(crate) fn pick_up(&self, ticket: Ticket, waker: &Waker) -> PickedUp<Member<M>> {
        let caller = self.caller();
        // It changes nothing that `unlock` looks at.
        self.state().core.pick_up(ticket, caller, |noted| noted.will_wake(waker))
    }

    /// Gives up a wait.
    #[inline(never)]
    pub(crate) fn cancel(&self, ticket: Ticket) {
        let mut state = self.state();
        if let Some(waker) = state.core.cancel_plain(ticket) {
            self.desk.note_line(&state.core);
            drop(state);
            drop(waker);
        } else {
            let State { core, fx, .. } = &mut *state;
            core.cancel(ticket, self.clock(), fx);
            self.unlock(state);
        }
    }

    #[inline]
    pub(crate) fn somebody_waits(&self) -> bool {
        self.desk.somebody_waits()
    }

    /// The time, for a call that is to have it in any case.
    #[inline(never)]
    pub(crate) fn now(&self) -> Tick {
        self.tick(now())
    }

    /// The time, for the core to ask for.
    #[inline]
    pub(crate) fn clock(&self) -> impl Time {
        || self.now()
    }

    /// The time of the core's last reading where that will do, for what the listener is told.
    fn recently(&self) -> Tick {
        self.desk.tick_at_hand().unwrap_or_else(|| self.now())
    }

    fn tick(&self, at: Instant) -> Tick {
        match at.checked_duration_since(self.origin) {
            Some(after) => Tick::START + after,
            None => Tick::START - self.origin.saturating_duration_since(at),
        }
    }

    /// `None` when that is later than an `Instant` can be.
    pub(crate) fn instant(&self, at: Tick) -> Option<Instant> {
        self.origin.checked_add(at.since(Tick::START))
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
                    let age = self.now().since(entry.opened_at);
                    Event::Retired { connection: entry.id, reason, age }
                });
                drop(entry);
            }
        }
    }

    /// Tells the listener, if there is one.
    pub(crate) fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if let Some(listener) = &self.listener
            && !listener.tell(&event())
        {
            self.report_panic();
        }
    }

    #[inline]
    fn tell_of_acquired(
        &self,
        connection: u64,
        acquired_at: &'static Location<'static>,
        since: Option<Tick>,
    ) {
        if let Some(listener) = &self.listener {
            let waited = since.map_or(0, |since| self.recently().nanos_since(since));
            if !listener.acquired(connection, waited, acquired_at) {
                self.report_panic();
            }
        }
    }

    /// Before anybody else can have it, so that the events of one connection come in order.
    #[inline]
    fn tell_of_release(&self, entry: &Entry<Member<M>>) {
        if let Some(listener) = &self.listener
            && !listener.released(entry.id, self.recently().nanos_since(entry.held_since))
        {
            self.report_panic();
        }
    }

    #[cold]
    fn report_panic(&self) {
        tracing::error!(
            target: "poolhouse::listener",
            target_address = %self.manager.target(),
            guide = page::MONITORING,
            "the listener panicked: see the panic's message on stderr"
        );
    }

    #[inline]
    pub(crate) fn site(&self, at: &'static Location<'static>) -> Site {
        Site { at, caller: self.caller() }
    }

    /// Who asks, if the pool notes that.
    #[inline]
    pub(crate) fn caller(&self) -> Option<Caller> {
        if self.notes_callers { Some(Caller::current()) } else { None }
    }

    /// Sees to it that this runtime runs a background task. Panics outside of a runtime.
    pub(crate) fn ensure_driver(self: &Arc<Self>) {
        let handle = Handle::current();
        // A runtime without a timer has to fail here, where the caller sees it.
        let _timer = sleep(Duration::ZERO);
        let mut state = self.state();
        if state.homes.iter().any(|(id, _)| *id == handle.id()) {
            return;
        }
        let home = state.core.home_opened();
        state.homes.push((handle.id(), home));
        drop(state);
        handle.spawn(driver::run(driver::Guard::new(self, home)));
    }

    /// A background task has ended, with its runtime or because the pool closed.
    pub(crate) fn driver_ended(&self, home: Home) {
        let mut state = self.state();
        state.homes.retain(|(_, other)| *other != home);
        let State { core, fx, .. } = &mut *state;
        core.home_lost(home, fx);
        self.unlock(state);
    }

    /// Takes an idle connection if that needs no wait.
    #[inline]
    pub(crate) fn try_take(&self, at: &'static Location<'static>) -> Option<PooledConnection<M>> {
        if self.notes_callers {
            self.try_take_and_note(at)
        } else {
            self.try_take_at(Site { at, caller: None })
        }
    }

    #[inline(never)]
    fn try_take_and_note(&self, at: &'static Location<'static>) -> Option<PooledConnection<M>> {
        self.try_take_at(Site { at, caller: Some(Caller::current()) })
    }

    #[inline]
    fn try_take_at(&self, site: Site) -> Option<PooledConnection<M>> {
        loop {
            let mut state = self.state();
            let verified = match state.core.take_plain(&site) {
                // A plain case changes nothing that `unlock` looks at, and what it takes has been used before.
                Some(entry) => {
                    drop(state);
                    self.is_alive(entry)
                }
                None => self.verify(self.take_with_care(state, site)?),
            };
            match verified {
                Ok(entry) => return Some(self.hand_out(entry, site.at, None)),
                Err(dead) => self.apply(|core, fx| core.found_dead(dead, self.now(), fx)),
            }
        }
    }

    #[inline(never)]
    fn take_with_care(&self, mut state: MutexGuard<'_, State<M>>, site: Site) -> Option<PoolEntry<M>> {
        let State { core, fx, .. } = &mut *state;
        let entry = core.try_take(self.clock(), site, fx);
        self.unlock(state);
        entry
    }

    /// Looks whether the peer has closed a connection that is about to be handed out. An error holds a dead one.
    #[inline]
    pub(crate) fn verify(&self, entry: PoolEntry<M>) -> Result<PoolEntry<M>, PoolEntry<M>> {
        let mut entry = self.is_alive(entry)?;
        if entry.fresh {
            self.prove(&mut entry);
        }
        Ok(entry)
    }

    #[inline]
    fn is_alive(&self, entry: PoolEntry<M>) -> Result<PoolEntry<M>, PoolEntry<M>> {
        let mut asking = Asking { entry: Some(entry) };
        let alive = asking.ask(M::is_connected);
        let entry = asking.answered();
        if alive { Ok(entry) } else { Err(entry) }
    }

    #[inline(never)]
    fn prove(&self, entry: &mut Entry<Member<M>>) {
        self.apply(|core, fx| core.proven(entry, self.now(), fx));
    }

    #[inline]
    pub(crate) fn hand_out(
        &self,
        entry: PoolEntry<M>,
        acquired_at: &'static Location<'static>,
        since: Option<Tick>,
    ) -> PooledConnection<M> {
        self.tell_of_acquired(entry.id, acquired_at, since);
        PooledConnection::new(entry)
    }

    /// A held connection comes back. Needs no runtime, and does not block.
    #[inline]
    pub(crate) fn give_back(entry: PoolEntry<M>) {
        if std::thread::panicking() {
            return Self::retire(entry, RetireReason::Panicked);
        }
        let mut asking = Asking { entry: Some(entry) };
        let reusable = asking.ask(M::is_reusable);
        let entry = asking.answered();
        if !reusable {
            return Self::retire(entry, RetireReason::NotReusable);
        }
        let shared = &*entry.connection.shared;
        shared.tell_of_release(&entry);
        let desk = entry.connection.desk.clone();
        let mut state = desk.state();
        if let Err(entry) = state.core.give_back_plain(entry) {
            Self::pass_on(&desk, state, entry);
        }
    }

    #[inline(never)]
    fn pass_on(desk: &Desk<M>, mut state: MutexGuard<'_, State<M>>, entry: PoolEntry<M>) {
        match state.core.pass_on_plain(entry) {
            Ok(waker) => {
                desk.note_line(&state.core);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Err(entry) => Self::put_back(state, entry, Fate::Reuse),
        }
    }

    /// A held connection comes back that is not to be used again.
    #[cold]
    pub(crate) fn retire(entry: PoolEntry<M>, reason: RetireReason) {
        let shared = &*entry.connection.shared;
        shared.tell_of_release(&entry);
        let desk = entry.connection.desk.clone();
        Self::put_back(desk.state(), entry, Fate::Retire(reason));
    }

    #[inline(never)]
    fn put_back(state: MutexGuard<'_, State<M>>, entry: PoolEntry<M>, fate: Fate) {
        // The pool is to be there until the effects have been carried out, and until a panic has unlocked.
        let shared = Arc::clone(&entry.connection.shared);
        let mut state = state;
        let State { core, fx, .. } = &mut *state;
        core.give_back(entry, fate, shared.clock(), fx);
        shared.unlock(state);
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

impl<M: Manager> Drop for Shared<M> {
    fn drop(&mut self) {
        self.desk.clone().set_aside(Desk::vacate);
    }
}

/// A connection about which the manager is asked. If the manager panics, the connection is retired on the way up.
struct Asking<M: Manager> {
    entry: Option<PoolEntry<M>>,
}

impl<M: Manager> Asking<M> {
    #[inline]
    fn ask(&mut self, question: impl FnOnce(&M, &mut M::Connection) -> bool) -> bool {
        self.entry.as_mut().is_some_and(|entry| {
            let Member { connection, shared, .. } = &mut entry.connection;
            question(&shared.manager, connection)
        })
    }

    #[inline]
    fn answered(mut self) -> PoolEntry<M> {
        let entry = self.entry.take().expect("taken only here and on drop");
        // Nothing is left to do on drop.
        std::mem::forget(self);
        entry
    }
}

impl<M: Manager> Drop for Asking<M> {
    #[cold]
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            Shared::retire(entry, RetireReason::Panicked);
        }
    }
}

struct Closed<'a, M: Manager> {
    shared: &'a Shared<M>,
    count: usize,
}

impl<M: Manager> Drop for Closed<'_, M> {
    fn drop(&mut self) {
        self.shared.apply(|core, fx| core.closed(self.count, self.shared.now(), fx));
    }
}
