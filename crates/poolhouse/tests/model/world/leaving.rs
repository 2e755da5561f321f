//! Waits that are given up, and waiters that nobody polls until the sequence says so.

use super::*;

impl World<'_> {
    /// An acquire that waited has ended by itself.
    pub(super) fn ended(&mut self, key: u64, acquired: Acquired) -> Verdict {
        let outcome = match &acquired {
            Ok(_) => Outcome::Got,
            Err(AcquireError::Timeout(timeout)) => {
                self.seen.saw(match timeout.phase {
                    Phase::Connecting => "acquire: timed out while connecting",
                    Phase::Checking => "acquire: timed out while checking",
                    Phase::Resetting => "acquire: timed out while resetting",
                    Phase::Suspended => "acquire: timed out while suspended",
                    _ => "acquire: timed out while queueing",
                });
                Outcome::TimedOut
            }
            Err(AcquireError::Connect(failed)) => {
                let ledger = self.server.ledger();
                if failed.retry.is_some() {
                    let down = key < ledger.failed_fast_up_to;
                    ensure!(down, "fail_fast_after: acquire {key} fails fast by {failed:?}");
                    self.seen.saw("acquire: fails fast after a wait");
                } else {
                    let permanent = matches!(failed.error.manager_error(), Some(Refused(End::Permanent, _)));
                    let after = key < ledger.refused_up_to;
                    ensure!(permanent && after, "connect.permanent: acquire {key} is refused by {failed:?}");
                    self.seen.saw("acquire: a permanent failure");
                }
                Outcome::Refused
            }
            Err(AcquireError::Overloaded { max_pending, .. }) => {
                let known = self.bounds.contains(max_pending);
                ensure!(known, "acquire.shed: the bound is said to be {max_pending}");
                Outcome::Overloaded
            }
            Err(AcquireError::Closed { .. }) => {
                self.seen.saw("acquire: closed while it waited");
                Outcome::Closed
            }
            Err(other) => return Err(format!("acquire {key} waited, and then: {other:?}")),
        };
        let since = self.model.ended(key, outcome, Instant::now())?;
        self.waiters.retain(|waiter| waiter.key != key);
        if let Ok(guard) = acquired {
            self.seen.saw("acquire: served after a wait");
            self.hold(guard, since, false)?;
        }
        Ok(())
    }

    pub(crate) async fn cancel(&mut self, which: u8) -> Verdict {
        let Some(index) = pick(which, self.waiters.len()) else { return Ok(()) };
        let key = self.waiters[index].key;
        if self.waiters[index].how == How::Task {
            self.settle().await?;
        }
        self.sync(false)?;
        let Some(index) = self.waiters.iter().position(|waiter| waiter.key == key) else { return Ok(()) };
        let granted = self.model.is_granted(key);
        if self.model.position(key).is_some() {
            self.seen.saw("cancel: in the line");
        } else if granted {
            self.seen.saw("cancel: already served");
        }
        self.model.cancels(key);
        match self.waiters.remove(index).wait {
            Wait::Future(future) => drop(future),
            Wait::Task(task) => {
                self.seen.saw("acquire_async: cancelled");
                task.abort();
                self.quiet.settle().await;
                self.server.ledger().next_round();
                self.sync(true)?;
            }
        }
        // What it was served may be idle now, and is handed out again before the ledger hears of it.
        self.server.ledger().look_for_idle();
        Ok(())
    }

    pub(crate) fn poll_lazy(&mut self, which: u8) -> Verdict {
        let lazy = self.waiters.iter().filter(|waiter| waiter.is_lazy()).map(|waiter| waiter.key);
        let lazy: Vec<_> = lazy.collect();
        pick(which, lazy.len()).map_or(Ok(()), |index| self.poll(lazy[index]))
    }
}
