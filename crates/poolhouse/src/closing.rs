//! How a connection that the pool is done with goes: announced, and then dropped in place, or closed gracefully by a
//! background task. Either way it takes up room until it has gone (`size.max`).

use std::sync::Arc;
use std::time::Duration;

use crate::call_out::{Panic, call_out, call_out_within};
use crate::error::{Inner, page};
use crate::events::{Event, RetireReason};
use crate::hooks::call_hook;
use crate::inner::{PoolInner, log, millis};
use crate::maintenance::ConnectionInfo;
use crate::manager::Manager;
use crate::policy::Entry;
use crate::state::PoolEntry;

impl<M: Manager> PoolInner<M> {
    /// Lets go of retired connections. Returns the panics of those that were dropped in place, by number.
    pub(crate) fn retire(&self, retired: Vec<(PoolEntry<M>, RetireReason)>) -> Vec<(u64, Panic)> {
        let (mut to_drop, mut to_close) = (Vec::new(), Vec::new());
        for (mut entry, reason) in retired {
            self.announce(&entry, reason);
            if self.needs_close(&mut entry, reason) { to_close.push(entry) } else { to_drop.push(entry) }
        }
        if !to_close.is_empty() {
            to_drop.extend(self.hand_over(to_close));
        }
        self.drop_retired(to_drop)
    }

    fn announce(&self, entry: &PoolEntry<M>, reason: RetireReason) {
        let connection = entry.id;
        log!(self, debug, "poolhouse::retire"; connection, reason = reason.as_str(), "closing a connection");
        self.tell(|pool| Event::Retired { pool, connection, reason, age: self.now().since(entry.opened_at) });
    }

    fn needs_close(&self, entry: &mut PoolEntry<M>, reason: RetireReason) -> bool {
        match reason {
            // There is nobody to say goodbye to, or no runtime to do it in.
            RetireReason::PeerClosed | RetireReason::RuntimeGone => false,
            _ if !self.state.read(|state| state.policy.has_runtime(entry)) => false,
            _ => {
                let asked = call_out(|| self.manager.needs_close(&mut entry.connection, reason));
                entry.manager_closes = asked.unwrap_or(false);
                entry.manager_closes || self.hooks.before_close.is_some()
            }
        }
    }

    /// Gives connections to a background task to close. Returns them if there is none. Each keeps the pool's state alive
    /// until it has closed: the task finds them though the last handle may be gone by then.
    fn hand_over(&self, to_close: Vec<PoolEntry<M>>) -> Vec<PoolEntry<M>> {
        let Some(this) = self.this.upgrade() else { return to_close };
        let (left, _) = self.decide(|state, _, fx| {
            if state.homes.is_empty() {
                return to_close;
            }
            state.to_close.extend(to_close.into_iter().map(|entry| Closing::new(&this, entry)));
            fx.plan = true;
            Vec::new()
        });
        left
    }

    /// Drops connections that have been announced. Returns their panics.
    fn drop_retired(&self, entries: Vec<PoolEntry<M>>) -> Vec<(u64, Panic)> {
        let (count, mut panics) = (entries.len(), Vec::new());
        if count == 0 {
            return panics;
        }
        for entry in entries {
            let id = entry.id;
            let panic = self.shield("a connection that was closed", || drop(entry));
            panics.extend(panic.map(|panic| (id, panic)));
        }
        self.apply(|policy, now, fx| policy.connections_gone(count, now, fx));
        panics
    }
}

/// A connection that has no place in the pool yet, or any more. It is dropped with the user's code that uses it, also while a
/// panic of that code unwinds: two panics at once would end the process, so that of its drop ends here.
pub(crate) struct Unplaced<'a, M: Manager> {
    pub(crate) inner: &'a PoolInner<M>,
    pub(crate) connection: Option<M::Connection>,
}

impl<M: Manager> Drop for Unplaced<'_, M> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.inner.shield("a connection that was closed", || drop(connection));
        }
    }
}

/// A connection that is being closed gracefully. Its room is free when this is dropped.
pub(crate) struct Closing<M: Manager> {
    inner: Arc<PoolInner<M>>,
    /// `None` once the manager has it.
    entry: Option<PoolEntry<M>>,
}

impl<M: Manager> Closing<M> {
    fn new(inner: &Arc<PoolInner<M>>, entry: PoolEntry<M>) -> Self {
        Self { inner: Arc::clone(inner), entry: Some(entry) }
    }
}

impl<M: Manager> Drop for Closing<M> {
    fn drop(&mut self) {
        let entry = self.entry.take();
        self.inner.shield("a connection that was closed", || drop(entry));
        self.inner.apply(|policy, now, fx| policy.connections_gone(1, now, fx));
    }
}

pub(crate) async fn close_gracefully<M: Manager>(mut this: Closing<M>) {
    let inner = Arc::clone(&this.inner);
    let Some(entry) = this.entry.take() else { return };
    let (limit, began) = (inner.config().close_timeout, inner.now());
    let info = ConnectionInfo::of(&entry, began);
    let Entry { connection, id, manager_closes, .. } = *entry;
    let mut leaving = Unplaced { inner: &inner, connection: Some(connection) };
    let goodbye = async {
        let (hook, lent) = (inner.hooks.before_close.as_ref(), leaving.connection.as_mut());
        // If the hook panics, the manager closes the connection all the same.
        let said = match lent {
            Some(lent) => call_out_within(Duration::MAX, move || call_hook(hook, lent, info)).await,
            None => Ok(None),
        };
        let elapsed_ms = millis(inner.now().since(began));
        let is_well = matches!(said, Ok(None | Some(Ok(()))));
        match &said {
            Ok(Some(Err(error))) => log!(inner, warn, "poolhouse::retire"; connection = id, elapsed_ms,
                error = %Inner(&**error), guide = page::SHUTTING_DOWN, "the hook before close failed"),
            Err(_) => {
                log!(inner, warn, "poolhouse::retire"; connection = id, elapsed_ms, guide = page::PANICS,
                    "the hook before close panicked: see the panic's message on stderr");
            }
            Ok(_) => {}
        }
        // The hook's error is the user's.
        drop(call_out(|| drop(said)));
        if let Some(connection) = leaving.connection.take_if(|_| manager_closes) {
            inner.manager.close(connection).await;
        }
        is_well
    };
    let result = call_out_within(limit, || goodbye).await;
    drop(leaving);
    let elapsed_ms = millis(inner.now().since(began));
    match result {
        Ok(Some(true)) => {
            log!(inner, trace, "poolhouse::retire"; connection = id, elapsed_ms, "closed gracefully");
        }
        Ok(Some(false)) => {}
        Ok(None) => log!(inner, warn, "poolhouse::retire"; connection = id, elapsed_ms,
            guide = page::SHUTTING_DOWN,
            "a graceful close took longer than close_timeout: the connection is dropped"),
        Err(_) => log!(inner, warn, "poolhouse::retire"; connection = id, elapsed_ms, guide = page::PANICS,
            "the manager panicked while it closed a connection: see the panic's message on stderr"),
    }
}
