//! What the reference learns between two steps, from the numbers that the pool tells and the news of the tasks.

use super::*;
use crate::ledger::{Ledger, Record};

/// Beyond this, with `check_after_idle`, what was served and not picked up is looked at again.
const PICK_UP: Duration = Duration::from_millis(100);

impl World<'_> {
    /// The reference learns what has happened since it last looked. `ran`: nothing is left to run.
    ///
    /// A task whose connection turns out dead goes back to its turn by itself, and the rest of the line cannot be told
    /// from the number of those who wait. But if nothing is left to run, every task without news is in the line.
    pub(crate) fn sync(&mut self, ran: bool) -> Verdict {
        let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        let now = Instant::now();
        self.server.ledger().note_outage();
        let dead_looks = self.server.ledger().dead_looks;
        let found_dead = std::mem::replace(&mut self.dead_looks, dead_looks) != dead_looks;
        let told = |key| news.iter().any(|(other, _)| *other == key);
        let (mut waiting, mut panicked) = (Vec::new(), Vec::new());
        for waiter in self.waiters.iter().filter(|waiter| !told(waiter.key)) {
            match &waiter.wait {
                Wait::Task(task) if task.is_finished() => panicked.push(waiter.key),
                Wait::Task(_) => waiting.push(waiter.key),
                Wait::Future(_) => {}
            }
        }
        let in_line = self.model.line.len();
        for key in panicked {
            self.seen.saw("acquire: the look at it panics");
            self.model.panics(key);
            self.waiters.retain(|waiter| waiter.key != key);
        }
        let unfit = self.unfit_at_tasks(ran)?;
        self.model.returned += unfit;
        let back = (found_dead || unfit > 0) && ran;
        if back {
            // One that was served before may have lost that and got another.
            let told = self.model.served.iter_mut().filter(|served| told(served.waiting.key));
            told.for_each(|served| served.since = None);
            for (key, acquired) in &news {
                if acquired.is_ok() {
                    self.model.serve(*key, now);
                }
            }
            for key in &waiting {
                self.model.rejoin(*key, self.server.ledger().join());
            }
        }
        for (key, acquired) in &news {
            if back && acquired.is_err() {
                self.model.rejoin(*key, 0);
            }
            let last = in_line.max(1);
            let answer = match acquired {
                Ok(_) => continue,
                Err(AcquireError::Timeout(_)) => {
                    let max = self.model.max;
                    Answer::TimedOut { first: 1, last, least: 1, most: last, max, or_shed: false }
                }
                Err(AcquireError::Connect(_)) => Answer::Refused,
                Err(AcquireError::Overloaded { .. }) => Answer::Overloaded,
                Err(_) => Answer::Closed,
            };
            self.model.answer(*key, now, answer);
        }
        if let Some(pool) = self.handles.last() {
            let stats = pool.stats();
            // Each task may have been ahead of the others for a moment.
            let Ledger { refused_up_to, failing_fast_up_to, .. } = *self.server.ledger();
            let came_back = if back { news.len() + waiting.len() } else { 0 };
            self.model.sync(&Seen {
                pending: stats.pending_requests,
                active: stats.active_connections,
                refused_up_to,
                failing_fast_up_to,
                known: if back { &waiting } else { &[] },
                back: found_dead || unfit > 0,
                gone: in_line - self.model.line.len().min(in_line) + came_back,
                now,
            })?;
        }
        for (key, acquired) in news {
            match &acquired {
                Ok(_) => self.seen.saw("acquire_async: got one"),
                Err(AcquireError::Timeout(_)) => self.seen.saw("acquire_async: timed out"),
                Err(_) => {}
            }
            self.ended(key, acquired)?;
        }
        Ok(())
    }

    /// How many connections were decided for tasks, and turned out too old or unchecked when the tasks came for them.
    fn unfit_at_tasks(&self, ran: bool) -> Verdict<u64> {
        let Some(pool) = self.handles.last() else { return Ok(0) };
        let known = self.model.returned + self.server.ledger().dead_looks;
        let unfit = pool.stats().total_releases.saturating_sub(known);
        let tasks = self.waiters.iter().filter(|waiter| waiter.how == How::Task);
        let served = tasks.filter_map(|waiter| self.model.served(waiter.key));
        let granted = served.filter(|served| served.answer == Answer::Granted);
        let may_be = granted.filter(|served| self.may_be_unfit(served.since)).count() as u64;
        ensure!(
            unfit == 0 || (ran && unfit <= may_be),
            "cancel.no_loss: tasks lost {unfit} connections that they were served"
        );
        Ok(unfit)
    }

    /// Whether something that was served then may be too old by now, or may have to be checked first.
    pub(super) fn may_be_unfit(&self, since: Option<Instant>) -> bool {
        let late = |limit: Duration| since.is_none_or(|since| limit <= since.elapsed());
        let trust = self.config.check_after_idle.map(crate::ops::ms);
        // It may have been checked since.
        let was_stale = trust.is_some_and(|limit| late(limit.max(PICK_UP)));
        let trust = trust.filter(|_| late(PICK_UP));
        let stale = |record: &Record| trust.is_some_and(|limit| limit <= record.proven.elapsed());
        let shortest =
            self.config.max_lifetime.map(|most| crate::ops::ms(most).mul_f64(1.0 - self.config.jitter));
        let ledger = self.server.ledger();
        // The background may have closed it just now.
        let closed_now = |at: Option<Instant>| at.is_some_and(|at| at == Instant::now());
        let mut unused = ledger
            .records
            .iter()
            .filter(|record| record.is_unused() || (closed_now(record.closed_at) && !record.held));
        let old = |record: &Record| {
            record.end_by.is_some() || shortest.is_some_and(|limit| limit <= record.born.elapsed())
        };
        // It may have been checked since, too.
        let was_in_doubt = ledger.doubts.iter().any(|(_, at)| since.is_none_or(|since| since <= *at));
        was_stale
            || was_in_doubt
            || unused.any(|record| stale(record) || old(record) || ledger.is_in_doubt(record))
    }
}
