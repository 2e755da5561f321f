//! What a background task does with a connection that nobody holds: a health check, or a reset between two holders.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::call_out::{Panic, call_out, call_out_within};
use crate::error::{BoxError, Failure, Inner, page};
use crate::events::Event;
use crate::hooks::{Discard, call_hook};
use crate::inner::{PoolInner, log, millis};
use crate::maintenance::ConnectionInfo;
use crate::manager::Manager;
use crate::policy::{Chore, ChoreOutcome};
use crate::state::PoolEntry;

/// A connection in the hands of a background task. It is retired unless the chore passes, whatever ends it.
pub(crate) struct DoingChore<M: Manager> {
    inner: Arc<PoolInner<M>>,
    /// `None` once it has gone back.
    entry: Option<PoolEntry<M>>,
    chore: Chore,
    outcome: ChoreOutcome,
}

impl<M: Manager> DoingChore<M> {
    pub(crate) fn new(inner: &Arc<PoolInner<M>>, (entry, chore): (PoolEntry<M>, Chore)) -> (u64, Self) {
        (
            entry.id,
            Self { inner: Arc::clone(inner), entry: Some(entry), chore, outcome: ChoreOutcome::Dropped },
        )
    }

    /// The pool's owner looks at a connection. It stays, unless the owner says otherwise.
    pub(crate) fn inspecting(inner: &Arc<PoolInner<M>>, entry: PoolEntry<M>) -> Self {
        Self {
            inner: Arc::clone(inner),
            entry: Some(entry),
            chore: Chore::Inspect,
            outcome: ChoreOutcome::Passed,
        }
    }

    pub(crate) fn inspect(&mut self, keep: impl FnOnce(&mut PoolEntry<M>) -> bool) -> Result<bool, Panic> {
        let Some(entry) = self.entry.as_mut() else { return Ok(true) };
        let kept = call_out(|| keep(entry));
        self.outcome = match kept {
            Ok(true) => ChoreOutcome::Passed,
            Ok(false) => ChoreOutcome::Failed,
            Err(_) => ChoreOutcome::Panicked,
        };
        kept
    }
}

impl<M: Manager> Drop for DoingChore<M> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.inner.apply(|policy, now, fx| policy.chore_ended(entry, self.outcome, now, fx));
        }
    }
}

pub(crate) async fn do_chore<M: Manager>(mut this: DoingChore<M>) {
    let inner = Arc::clone(&this.inner);
    let Some(entry) = this.entry.as_mut() else { return };
    let (chore, connection, began) = (this.chore, entry.id, inner.now());
    let (limit, option) = time_limit(&inner, chore);
    let result = call_out_within(limit, || run(&inner, chore, entry)).await;
    let elapsed_ms = millis(inner.now().since(began));
    let (outcome, error) = match result {
        // A manager without a check of its own would never notice what costs no round trip to see.
        Ok(Some(Ok(()))) => match call_out(|| inner.manager.is_connected(&mut entry.connection)) {
            Ok(true) => (ChoreOutcome::Passed, None),
            Ok(false) => (ChoreOutcome::PeerClosed, None),
            Err(_) => panicked(&inner, chore, connection),
        },
        Ok(Some(Err((_, error)))) if error.is::<Discard>() => (ChoreOutcome::Discarded, None),
        Ok(Some(Err((outcome, error)))) => {
            log_failed(&inner, chore, (connection, elapsed_ms), &Inner(&*error));
            (outcome, Some(error))
        }
        Ok(None) => {
            let silence = format_args!("no answer after {limit:?} ({option})");
            log_failed(&inner, chore, (connection, elapsed_ms), &silence);
            (ChoreOutcome::Failed, None)
        }
        Err(_) => panicked(&inner, chore, connection),
    };
    this.outcome = outcome;
    match outcome {
        ChoreOutcome::Passed => log_passed(&inner, chore, (connection, elapsed_ms)),
        ChoreOutcome::Failed | ChoreOutcome::Refused | ChoreOutcome::Panicked => {
            let error = error.as_deref().map(|error| error as &(dyn Error + 'static));
            inner.tell(|pool| match chore {
                Chore::Reset => Event::ResetFailed { pool, connection, error },
                _ => Event::CheckFailed { pool, connection, error },
            });
        }
        ChoreOutcome::Discarded | ChoreOutcome::PeerClosed | ChoreOutcome::Dropped => {}
    }
    inner.shield("the error of a health check", || drop(error));
}

/// An error says with what outcome the chore ends.
async fn run<M: Manager>(
    inner: &PoolInner<M>,
    chore: Chore,
    entry: &mut PoolEntry<M>,
) -> Result<(), (ChoreOutcome, BoxError)> {
    let failed = |error: BoxError| (ChoreOutcome::Failed, Failure::unwrap(error).0);
    let info = ConnectionInfo::of(entry, inner.now());
    let (manager, hooks, connection) = (&inner.manager, &inner.hooks, &mut entry.connection);
    match chore {
        Chore::Check => manager.check(connection).await.map_err(Into::into).map_err(failed),
        Chore::Reset => {
            if entry.manager_resets {
                manager.reset(connection).await.map_err(Into::into).map_err(failed)?;
            }
            call_hook(hooks.on_return.as_ref(), connection, info).await.map_err(failed)
        }
        Chore::Prepare { check } => {
            if check {
                manager.check(connection).await.map_err(Into::into).map_err(failed)?;
            }
            let refused = |error| (ChoreOutcome::Refused, Failure::unwrap(error).0);
            call_hook(hooks.before_reuse.as_ref(), connection, info).await.map_err(refused)
        }
        Chore::Inspect => Ok(()),
    }
}

/// How long it may take, and the name of the option that says so.
fn time_limit<M: Manager>(inner: &PoolInner<M>, chore: Chore) -> (Duration, &'static str) {
    let config = inner.config();
    match chore {
        Chore::Reset => (config.reset_timeout, "reset_timeout"),
        _ => (config.health_check_timeout, "health_check_timeout"),
    }
}

fn panicked<M: Manager>(
    inner: &PoolInner<M>,
    chore: Chore,
    connection: u64,
) -> (ChoreOutcome, Option<BoxError>) {
    match chore {
        Chore::Reset => log!(inner, warn, "poolhouse::reset"; connection, guide = page::PANICS,
            "the manager panicked while it reset: see the panic's message on stderr"),
        _ => log!(inner, warn, "poolhouse::check"; connection, guide = page::PANICS,
            "the manager panicked while it checked: see the panic's message on stderr"),
    }
    (ChoreOutcome::Panicked, None)
}

fn log_passed<M: Manager>(inner: &PoolInner<M>, chore: Chore, (connection, elapsed_ms): (u64, u64)) {
    match chore {
        Chore::Reset => log!(inner, trace, "poolhouse::reset"; connection, elapsed_ms, "reset"),
        _ => log!(inner, trace, "poolhouse::check"; connection, elapsed_ms, "healthy"),
    }
}

fn log_failed<M: Manager>(
    inner: &PoolInner<M>,
    chore: Chore,
    (connection, elapsed_ms): (u64, u64),
    error: &dyn fmt::Display,
) {
    match chore {
        Chore::Reset => log!(inner, warn, "poolhouse::reset"; connection, elapsed_ms, %error,
            guide = page::SESSION_STATE, "cannot reset"),
        _ => log!(inner, warn, "poolhouse::check"; connection, elapsed_ms, %error,
            guide = page::STALE_CONNECTIONS, "unhealthy"),
    }
}
