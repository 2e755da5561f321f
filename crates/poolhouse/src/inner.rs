//! What every handle of a pool shares: the policy's decisions are made and carried out here.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Context;
use std::time::Duration;

use crate::builder::PoolBuilder;
use crate::call_out::{Panic, call_out, shielded};
use crate::clock::Clock;
use crate::config::PoolConfig;
use crate::error::{AcquireError, ConnectError, ConnectFailed, page};
use crate::events::{Event, Listener};
use crate::hooks::Hooks;
use crate::manager::{FailureKind, Manager};
use crate::policy::{Caller, ClosedAtOnce, Diagnosis, Refusal, Site, Tick};
use crate::state::{PoolEffects, PoolPolicy, State, StateLock};
use crate::sync::Notify;

/// Writes a record to the log, with what all records have. A subscriber is the user's code too. The semicolon keeps the
/// formatter from putting each field on a line of its own.
macro_rules! log {
    ($inner:expr, $level:ident, $target:literal; $($record:tt)+) => {
        drop($crate::call_out::call_out(|| tracing::$level!(
            target: $target, target_address = %$inner.target(), pool = $inner.name.as_deref(), $($record)+
        )))
    };
}
pub(crate) use log;

pub(crate) struct PoolInner<M: Manager> {
    /// Itself, for what has to outlive the call that begins it.
    pub(crate) this: Weak<Self>,
    pub(crate) state: StateLock<M>,
    listener: Option<Box<dyn Listener>>,
    pub(crate) hooks: Hooks<M::Connection>,
    pub(crate) name: Option<String>,
    pub(crate) manager: M,
    /// Whether tasks are noticed that wait for a connection while they hold one. Each acquire asks.
    detect_nested_acquires: AtomicBool,
    clock: Clock,
    /// Tells the background tasks to make a new plan.
    pub(crate) plan_wanted: Arc<Notify>,
    /// Tells `warm_up`, `drained` and `close` to look again.
    pub(crate) progress: Notify,
}

impl<M: Manager> PoolInner<M> {
    pub(crate) fn new(builder: PoolBuilder<M>) -> Arc<Self> {
        let PoolBuilder { manager, config, name, listener, hooks } = builder;
        let detect_nested_acquires = AtomicBool::new(config.detect_nested_acquires);
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            state: StateLock::new(config, hooks.before_reuse.is_some()),
            listener,
            hooks,
            name,
            manager,
            detect_nested_acquires,
            clock: Clock::new(),
            plan_wanted: Arc::default(),
            progress: Notify::new(),
        })
    }

    /// Reads the clock, lets the policy decide, unlocks, and carries out what it decided. The clock is read before the lock
    /// is taken: the lock is held for less time so. Cannot panic once the decision is made. Returns what `carry_out` does
    /// too.
    pub(crate) fn decide<T>(
        &self,
        decide: impl FnOnce(&mut State<M>, Tick, &mut PoolEffects<M>) -> T,
    ) -> (T, Option<Vec<(u64, Panic)>>) {
        let (now, mut fx) = (self.now(), PoolEffects::<M>::default());
        let value = self.state.decide(&mut fx, |state, fx| decide(state, now, fx));
        (value, self.carry_out(fx))
    }

    /// The same where only the policy is asked.
    pub(crate) fn apply<T>(
        &self,
        decide: impl FnOnce(&mut PoolPolicy<M>, Tick, &mut PoolEffects<M>) -> T,
    ) -> T {
        self.decide(|state, now, fx| decide(&mut state.policy, now, fx)).0
    }

    /// The same for an acquire, which must not wait for the drop of a connection: a background task closes what is
    /// retired, if there is one. Returns the reading of the clock too, or a later one if the user's code has run since.
    #[inline]
    pub(crate) fn apply_for_acquire<T>(
        &self,
        decide: impl FnOnce(&mut State<M>, Tick, &mut PoolEffects<M>) -> T,
    ) -> (T, Tick) {
        let (now, mut fx) = (self.now(), PoolEffects::<M>::default());
        let value = self.state.decide(&mut fx, |state, fx| {
            let value = decide(state, now, fx);
            if !fx.retired.is_empty() && !state.homes.is_empty() {
                state.to_retire.extend(std::mem::take(&mut fx.retired));
                fx.plan = true;
            }
            value
        });
        match self.carry_out(fx) {
            None => (value, now),
            Some(_) => (value, self.now()),
        }
    }

    /// Does what a decision has left to do. `None` if that is nothing, so none of the user's code has run. Else the
    /// panics of connections that were closed, by number: they have been logged, and only the holder of such a
    /// connection has a use for its own.
    #[inline]
    pub(crate) fn carry_out(&self, fx: PoolEffects<M>) -> Option<Vec<(u64, Panic)>> {
        if fx.is_empty() {
            // An empty list has nothing to drop: to skip that saves 5 % of the instructions of a use.
            std::mem::forget(fx);
            return None;
        }
        Some(self.carry_out_each(fx))
    }

    fn carry_out_each(&self, fx: PoolEffects<M>) -> Vec<(u64, Panic)> {
        let PoolEffects::<M> { wake, spent_waker, spent_errors, retired, failed_connect, plan, progress } =
            fx;
        for waker in wake {
            self.shield("a waker", || waker.wake());
        }
        self.shield("a waker", || drop(spent_waker));
        for error in spent_errors {
            self.shield("a connect error", || drop(error));
        }
        if plan {
            self.shield("a waker", || self.plan_wanted.notify_waiters());
        }
        if progress {
            self.shield("a waker", || self.progress.notify_waiters());
        }
        if let Some(failed) = failed_connect {
            self.report_failed_connect(&failed.error, failed.took, FailureKind::Transient);
        }
        self.retire(retired)
    }

    /// Runs the user's code. A panic is logged.
    pub(crate) fn shield(&self, what: &str, code: impl FnOnce()) -> Option<Panic> {
        let panic = call_out(code).err();
        if panic.is_some() {
            log!(self, error, "poolhouse::panic"; guide = page::PANICS,
                "{what} panicked: see the panic's message on stderr");
        }
        panic
    }

    /// Where the pool's connections go, as the manager says. A record asks only if somebody reads it.
    pub(crate) fn target(&self) -> Cow<'_, str> {
        call_out(|| self.manager.target()).unwrap_or(Cow::Borrowed("(unknown: Manager::target panicked)"))
    }

    /// Tells the listener, if there is one.
    pub(crate) fn tell<'a>(&'a self, event: impl FnOnce(Option<&'a str>) -> Event<'a>) {
        let Some(listener) = &self.listener else { return };
        let event = event(self.name.as_deref());
        if call_out(|| listener.on_event(&event)).is_err() {
            log!(self, error, "poolhouse::listener"; guide = page::MONITORING,
                "the listener panicked: see the panic's message on stderr");
        }
    }

    pub(crate) fn listens(&self) -> bool {
        self.listener.is_some()
    }

    /// Tells the log and the listener of a connect that has failed.
    pub(crate) fn report_failed_connect(&self, error: &ConnectError, took: Duration, kind: FailureKind) {
        let (elapsed_ms, permanent) = (millis(took), kind == FailureKind::Permanent);
        log!(self, warn, "poolhouse::connect"; elapsed_ms, permanent, %error, "cannot connect");
        self.tell(|pool| Event::ConnectFailed { pool, error, took, kind });
    }

    /// A reading of the clock. No reading outlives the call that took it (`time.fresh`).
    #[inline]
    pub(crate) fn now(&self) -> Tick {
        let reading = self.clock.read();
        if reading.woke {
            // The timer of the background is late.
            self.shield("a waker", || self.plan_wanted.notify_waiters());
        }
        reading.now
    }

    /// The current task, if nested-acquire detection is on.
    pub(crate) fn caller(&self) -> Option<Caller> {
        self.detect_nested_acquires.load(Ordering::Relaxed).then(Caller::current)
    }

    /// Closes the pool, unless it is closed, and tells of it.
    pub(crate) fn close(&self) {
        let ((was_open, held), _) = self.decide(|state, now, fx| {
            // What an acquire has left to a background task, which may find nothing here any more.
            fx.retired.extend(std::mem::take(&mut state.to_retire));
            (state.policy.close(now, fx), state.policy.held())
        });
        if !was_open {
            return;
        }
        log!(self, debug, "poolhouse::close"; held, "closing the pool");
        self.tell(|pool| Event::Closed { pool, held });
    }

    /// Waits until there is something to tell: looks now, and again whenever something has happened.
    pub(crate) async fn until<T>(&self, look: impl Fn(&PoolPolicy<M>) -> Option<T>) -> T {
        loop {
            let mut progress = pin!(self.progress.notified());
            // From here on a notification is kept.
            progress.as_mut().enable();
            if let Some(seen) = self.state.read(|state| look(&state.policy)) {
                return seen;
            }
            poll_fn(|cx| progress.as_mut().poll(&mut Context::from_waker(&shielded(cx.waker())))).await;
        }
    }

    /// The options in force.
    pub(crate) fn config(&self) -> PoolConfig {
        self.state.read(|state| state.policy.config().clone())
    }

    pub(crate) fn reconfigure(&self, config: PoolConfig) {
        self.apply(|policy, now, fx| {
            // Under the lock, so that of two calls at once the same one has the last word here and there.
            self.detect_nested_acquires.store(config.detect_nested_acquires, Ordering::Relaxed);
            policy.reconfigure(config, now, fx);
        });
    }

    pub(crate) fn site(&self, at: &'static Location<'static>) -> Site {
        Site { at, caller: self.caller() }
    }

    pub(crate) fn refused(&self, refusal: Refusal<ConnectError>) -> AcquireError {
        let (target, pool) = (self.target().into_owned(), self.name.clone());
        match refusal {
            Refusal::Closed => AcquireError::Closed { target, pool },
            Refusal::Overloaded { waiting, max_pending } => {
                AcquireError::Overloaded { target, pool, waiting, max_pending }
            }
            Refusal::Connect { error, attempts, retry } => {
                AcquireError::Connect(ConnectFailed { target, pool, attempts, retry, error })
            }
        }
    }

    /// A diagnosis of the policy, with the target and the error that the policy does not know.
    pub(crate) fn timed_out(&self, diagnosis: Diagnosis<ConnectError>) -> AcquireError {
        let Diagnosis { mut timeout, last_connect_error } = diagnosis;
        timeout.target = self.target().into_owned();
        timeout.pool.clone_from(&self.name);
        timeout.last_connect_error = last_connect_error;
        AcquireError::Timeout(timeout)
    }

    pub(crate) fn runtime_ended(&self) -> AcquireError {
        AcquireError::RuntimeEnded { target: self.target().into_owned(), pool: self.name.clone() }
    }
}

impl From<ClosedAtOnce> for ConnectError {
    fn from(_: ClosedAtOnce) -> Self {
        Self::ClosedAtOnce
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
