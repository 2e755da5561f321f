//! The pause after failures, by the rule that the pool promises (`connect.backoff`).
//!
//! A failed connect draws a pause, twice as long as the one before; attempts that ran together count once. Lower
//! limits hold for the pause that is under way. A connection that proves to work ends it, unless a failure came
//! after it was opened. It proves to work when its first look finds it alive. One that becomes idle before anybody
//! looks ends the pause too, if its connect began after the latest failure. One that its first look finds dead is a
//! failed connect, unless a younger one has proved to work.
//!
//! Everything runs on one thread, so the ledger hears of each connect, each failure and each look in the order in which
//! the pool does. Only where a connection goes is out of its sight: to somebody who looks at it, or to the idle. So it
//! asks the pool for its holders before it hears of anything. What is open, not looked at, and in no hands is idle.

use std::time::Duration;

use poolhouse::{Pool, PoolConfig};
use tokio::time::Instant;

use crate::ledger::{Ledger, Record};
use crate::server::Server;

#[derive(Debug, Default)]
pub(crate) struct Pause {
    in_a_row: u32,
    pub(crate) drawn: Option<Instant>,
    /// When the latest failure was, also if it drew no pause.
    failed: Option<Instant>,
    /// Since when connecting fails with nothing open. `None` if the server has said that it is busy.
    pub(crate) down_since: Option<Instant>,
    /// A connection that proved to work has been open since nothing was.
    worked: bool,
    /// When the youngest connection was opened that a look found alive.
    proved: Option<Instant>,
    /// Its end lies between these two.
    pub(crate) earliest: Option<Instant>,
    pub(crate) latest: Option<Instant>,
}

impl Pause {
    pub(crate) fn failing(&self) -> bool {
        self.in_a_row > 0
    }

    fn failed(
        &mut self,
        began: Instant,
        says: Says,
        now: Instant,
        (first, most, fail_fast): (Duration, Duration, Duration),
    ) {
        self.failed = Some(now);
        self.down_since = match says {
            Says::Busy => None,
            Says::SomethingOpen => self.down_since,
            Says::NothingOpen => self.down_since.or(Some(now)),
        };
        if self.drawn.is_some_and(|drawn| began <= drawn) {
            return;
        }
        let most = self.longest((most, fail_fast), now);
        let longest = (first.min(most) * 2_u32.pow(self.in_a_row.min(16))).min(most);
        self.in_a_row += 1;
        self.drawn = Some(now);
        self.earliest = Some(now + longest / 2);
        self.latest = Some(now + longest);
    }

    /// Until acquires fail fast the server is tried often enough that a restart of half that time stays invisible.
    fn longest(&self, (most, fail_fast): (Duration, Duration), now: Instant) -> Duration {
        let soon = self.down_since.is_some_and(|since| fail_fast != Duration::MAX && now < since + fail_fast);
        if soon { most.min(fail_fast / 4) } else { most }
    }

    /// The limits have changed, and hold for the pause that is under way.
    pub(crate) fn shorten(&mut self, limits: (Duration, Duration), now: Instant) {
        let longest = self.longest(limits, now);
        let end = self.drawn.map(|drawn| drawn + longest);
        for time in [&mut self.earliest, &mut self.latest] {
            *time = time.zip(end).map(|(time, end)| time.min(end));
        }
    }

    fn succeeded(&mut self, born: Instant) {
        if self.failed.is_none_or(|failed| failed <= born) {
            self.ends();
        }
    }

    fn rested(&mut self, began: Instant) {
        if self.failed.is_none_or(|failed| failed < began) {
            self.ends();
        }
    }

    /// One is open that was opened elsewhere.
    pub(crate) fn added(&mut self) {
        self.worked = true;
    }

    pub(crate) fn ends(&mut self) {
        *self = Self { proved: self.proved, worked: self.worked, ..Self::default() };
    }

    /// Nothing is open. What failed while something was is no outage.
    pub(crate) fn nothing_open(&mut self) {
        if std::mem::take(&mut self.worked) {
            self.down_since = None;
        }
    }
}

/// What a failed connect says about an outage.
#[derive(Debug, Clone, Copy)]
enum Says {
    Busy,
    SomethingOpen,
    NothingOpen,
}

/// The connections that nobody has looked at and that have not been idle, and where to ask for their holders.
#[derive(Default)]
pub(crate) struct Fresh {
    ids: Vec<usize>,
    /// Those that went among the idle as soon as they were open, for nobody waited.
    rested: Vec<usize>,
    /// The pool is about to be told of one that was opened elsewhere.
    added: bool,
    /// A handle like any other: to be dropped before the test drops its last.
    pub(crate) pool: Option<Pool<Server>>,
}

impl Fresh {
    pub(crate) fn opened(&mut self, id: usize) {
        self.ids.push(id);
    }

    /// The one that was opened last was opened elsewhere: it says nothing about connecting.
    pub(crate) fn added(&mut self) {
        self.ids.pop();
        self.added = true;
    }

    /// The pool is about to find a place for the one that was opened last.
    pub(crate) fn placed(&mut self) {
        if std::mem::take(&mut self.added) {
            return;
        }
        let nobody_waits = self.pool.as_ref().is_some_and(|pool| pool.stats().pending_requests == 0);
        if nobody_waits {
            self.rested.extend(self.ids.pop());
        }
    }

    /// Takes out those that have become idle.
    fn idle(&mut self) -> Vec<usize> {
        let mut idle = std::mem::take(&mut self.rested);
        let Some(pool) = self.pool.as_ref().filter(|_| !self.ids.is_empty()) else { return idle };
        // The pool counts its connections from 1.
        let held: Vec<_> = pool.holders().iter().map(|holder| holder.connection).collect();
        idle.extend(self.ids.extract_if(.., |id| !held.contains(&(*id as u64 + 1))));
        idle
    }
}

/// How often `invalidate_all` had been called when a connect began, and how many suspensions had begun.
pub(crate) type Era = (u64, u64);

impl Record {
    pub(crate) fn era(&self) -> Era {
        (self.epoch, self.suspension)
    }
}

impl Ledger {
    pub(crate) fn era(&self) -> Era {
        (self.epoch, self.suspensions)
    }

    /// Those that have become idle since have proved to work, or are closed.
    pub(crate) fn look_for_idle(&mut self) {
        for id in self.fresh.idle() {
            if self.records[id].is_open() {
                self.rests(id);
            }
        }
    }

    /// A connection was among the idle, and is closed because it was one too many.
    pub(crate) fn was_idle(&mut self, id: usize) {
        let Fresh { ids, rested, .. } = &mut self.fresh;
        let before = ids.len() + rested.len();
        ids.retain(|other| *other != id);
        rested.retain(|other| *other != id);
        if ids.len() + rested.len() < before {
            self.rests(id);
        }
    }

    /// What has just left the acquire that it was decided for has retired, and proves nothing.
    pub(crate) fn forget_unused(&mut self) {
        drop(self.fresh.idle());
    }

    /// A look has found it alive.
    fn proves(&mut self, id: usize) {
        self.pause.worked = true;
        let record = &self.records[id];
        self.pause.proved = self.pause.proved.max(Some(record.born));
        if record.era() == self.era() {
            self.pause.succeeded(record.born);
        }
    }

    /// It is idle, and nobody has looked at it.
    fn rests(&mut self, id: usize) {
        self.pause.worked = true;
        let record = &self.records[id];
        if record.era() == self.era() {
            self.pause.rested(record.began);
        }
    }

    /// Somebody looks at a connection that is about to be handed out.
    pub(crate) fn looked_at(&mut self, id: usize, dead: bool) {
        self.look_for_idle();
        let fresh = self.fresh.ids.iter().position(|other| *other == id);
        let Some(index) = fresh else { return };
        self.fresh.ids.swap_remove(index);
        if !dead {
            return self.proves(id);
        }
        let record = &self.records[id];
        let (began, era) = (record.began, record.era());
        if era == self.era() && self.pause.proved.is_none_or(|proved| proved <= record.born) {
            self.failed(began, era, false, true);
        }
    }

    pub(crate) fn connect_failed(&mut self, began: Instant, era: Era, busy: bool) {
        self.failed(began, era, busy, false);
    }

    /// `looked_at`: it has succeeded, and is found dead.
    fn failed(&mut self, began: Instant, era: Era, busy: bool, looked_at: bool) {
        self.note_outage();
        self.look_for_idle();
        self.failed_connects += 1;
        // The one that its first look found dead is open yet.
        let open = self.total().saturating_sub(usize::from(looked_at));
        let says = match open {
            _ if busy => Says::Busy,
            0 => Says::NothingOpen,
            _ => Says::SomethingOpen,
        };
        // What began before `invalidate_all` or a suspension says nothing about now.
        if era == self.era() {
            let PoolConfig { connect_backoff, max_connect_backoff, fail_fast_after, .. } = self.config;
            let limits = (connect_backoff, max_connect_backoff, fail_fast_after);
            self.pause.failed(began, says, Instant::now(), limits);
        }
        self.note_outage();
    }
}
