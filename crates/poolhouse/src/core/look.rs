//! What the core makes of the look at a connection that is about to be handed out.
//!
//! A connect that succeeds proves little: a server at its own limit accepts and closes at once. So the pause after
//! failures ends only when somebody has looked at the new connection and found it alive, or when it has become idle. If it
//! is found dead instead, its connect has failed after all. What is older than the latest news changes nothing.

use super::{Core, Effects, Entry, LastFailure, Refusal, Site, Tick, Ticket, Waiter};
use crate::error::ConnectError;
use crate::events::RetireReason;
use std::sync::Arc;

impl<C, E, W> Core<C, E, W> {
    /// A fresh connection has passed the look before its first use: its connect has succeeded indeed.
    pub(crate) fn proven(&mut self, entry: &mut Entry<C>, now: Tick, fx: &mut Effects<C, W>) {
        self.succeeded(entry);
        self.ask_for_more(now, fx);
    }

    /// Ends the pause after failures, unless a failure came later.
    pub(super) fn succeeded(&mut self, entry: &mut Entry<C>) {
        let fresh = std::mem::take(&mut entry.fresh);
        let latest = self.last_failure.as_ref().is_none_or(|last| last.at <= entry.opened_at);
        if fresh && latest && entry.epoch == self.epoch {
            self.connects_again();
        }
        self.last_success = self.last_success.max(fresh.then_some(entry.opened_at));
    }

    pub(super) fn connects_again(&mut self) {
        self.backoff.succeeded();
        self.last_failure = None;
    }

    /// A connection that was handed out is dead, as a look at it showed before anybody used it. One that is fresh from
    /// its connect counts as a failed attempt: a server that accepts and closes is to be asked less often, not more.
    /// Unless a younger one has proved to work: then it is old news.
    pub(crate) fn found_dead(&mut self, entry: Box<Entry<C>>, now: Tick, fx: &mut Effects<C, W>) {
        self.take_away(&entry);
        let latest = self.last_success.is_none_or(|last| last <= entry.opened_at);
        if entry.fresh && latest && entry.epoch == self.epoch {
            self.failed_to_connect(Arc::new(ConnectError::ClosedAtOnce), entry.began_at, now);
        }
        self.retire(entry, RetireReason::PeerClosed, fx);
        self.ask_for_more(now, fx);
    }

    /// The same, for an acquire that has waited: it goes back to its turn.
    pub(crate) fn rejoin(
        &mut self,
        dead: Box<Entry<C>>,
        (since, now): (Tick, Tick),
        (site, own_deadline): (Site, bool),
        fx: &mut Effects<C, W>,
    ) -> Result<Ticket, Refusal<E>> {
        let turn = dead.turn.with_own_deadline(own_deadline);
        self.found_dead(dead, now, fx);
        if self.closed {
            self.counts.failed += 1;
            return Err(Refusal::Closed);
        }
        let ticket = self.waiters.join_in_turn(Waiter { waker: None, since, at: Some(site.at) }, turn);
        self.serve_idle(now, fx);
        Ok(ticket)
    }

    /// Adds a failed attempt to the record, and draws the pause before the next.
    pub(super) fn failed_to_connect(
        &mut self,
        error: Arc<ConnectError<E>>,
        started: Tick,
        now: Tick,
    ) -> LastFailure<E> {
        self.counts.failed_connects += 1;
        let pauses = (self.config.connect_backoff, self.config.max_connect_backoff);
        self.backoff.failed(started, now, pauses, &mut self.rng);
        let in_a_row = self.last_failure.as_ref().map_or(0, |last| last.in_a_row) + 1;
        let failure = LastFailure { error, at: now, in_a_row };
        self.last_failure = Some(failure.clone());
        failure
    }
}
