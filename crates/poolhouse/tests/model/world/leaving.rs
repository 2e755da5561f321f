//! Waits that are given up, and waiters that nobody polls until the sequence says so.

use super::*;

impl World<'_> {
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
        if granted {
            // What it was served goes back, whichever it is.
            let now = Instant::now();
            let mut ledger = self.server.ledger();
            for record in ledger.records.iter_mut().filter(|record| !record.held) {
                (record.idle_since, record.proven, record.unsure) = (now, now, true);
            }
        }
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
