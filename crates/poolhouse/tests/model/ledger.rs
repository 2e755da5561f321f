//! What the server knows: each connection, each attempt, and what must hold at every instant.

use std::time::Duration;

use poolhouse::PoolConfig;
use tokio::time::Instant;

use crate::ops::{Mood, WELL};
use crate::pause::{Fresh, Pause};

/// What a background task does with a connection that nobody holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Chore {
    Check,
    Reset,
}

/// How far a graceful close has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goodbye {
    /// The pool has been told that this connection wants one.
    Wanted,
    Begun,
}

/// What the server knows of one connection.
#[derive(Debug)]
pub(crate) struct Record {
    /// When its connect began.
    pub(crate) began: Instant,
    pub(crate) born: Instant,
    pub(crate) alive: bool,
    /// When the pool closed it, or began to.
    pub(crate) closed_at: Option<Instant>,
    /// The pool is done with it and closes it gracefully.
    pub(crate) goodbye: Option<Goodbye>,
    /// In the hands of the test.
    pub(crate) held: bool,
    /// What is done with it, and since when.
    pub(crate) chore: Option<(Chore, Instant)>,
    /// Its last holder has left something behind.
    pub(crate) dirty: bool,
    /// The manager's reset is wanted, and has not begun.
    pub(crate) manager_resets: bool,
    /// The hook after its connect has run.
    pub(crate) greeted: bool,
    /// How many holders it has had.
    pub(crate) uses: u64,
    /// Given back as unfit, or taken out of the pool: not to be seen again.
    pub(crate) spoiled: bool,
    pub(crate) detached: bool,
    pub(crate) idle_since: Instant,
    /// The earliest from which the pool may count it as idle: it may be the successor of one that had been idle for long.
    pub(crate) rests_since: Instant,
    /// When it last proved to work.
    pub(crate) proven: Instant,
    /// How often `invalidate_all` had been called when its connect began.
    pub(crate) epoch: u64,
    /// How many suspensions had begun by then.
    pub(crate) suspension: u64,
    /// When it has to have gone, by `invalidate_all_over`.
    pub(crate) end_by: Option<Instant>,
    /// When it was last looked at before it was handed out.
    pub(crate) looked_at: Option<Instant>,
    /// It has passed a chore that began then, and the background looks at it.
    pub(crate) just_passed: Option<(Chore, Instant)>,
    /// Its drop panics.
    pub(crate) drop_panics: bool,
    /// The peer has closed it.
    pub(crate) dead: bool,
    /// The next look at it panics.
    pub(crate) look_panics: bool,
}

impl Record {
    pub(crate) fn new(began: Instant, era: (u64, u64)) -> Self {
        let now = Instant::now();
        Self {
            began,
            born: now,
            alive: true,
            closed_at: None,
            goodbye: None,
            held: false,
            chore: None,
            dirty: false,
            manager_resets: false,
            greeted: false,
            uses: 0,
            spoiled: false,
            detached: false,
            idle_since: now,
            rests_since: now,
            proven: now,
            epoch: era.0,
            suspension: era.1,
            end_by: None,
            looked_at: None,
            just_passed: None,
            drop_panics: false,
            dead: false,
            look_panics: false,
        }
    }

    /// Whether the pool has it, and is not done with it.
    pub(crate) fn is_open(&self) -> bool {
        self.alive && !self.detached && self.goodbye.is_none()
    }

    /// Whether it is open, in nobody's hands and under no chore: idle, or served to somebody who has not looked.
    pub(crate) fn is_unused(&self) -> bool {
        self.is_open() && !self.held && self.chore.is_none()
    }

    /// Whether `invalidate_all_over` says that it has to have gone.
    pub(crate) fn is_overdue(&self) -> bool {
        self.end_by.is_some_and(|at| at <= Instant::now())
    }

    pub(crate) fn end_by(&mut self, at: Instant) {
        self.end_by = Some(self.end_by.map_or(at, |before| before.min(at)));
    }
}

/// How often something has happened, for the account at the end.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    pub(crate) resets: u64,
    pub(crate) goodbyes: u64,
    /// Goodbyes that went on beyond their time.
    pub(crate) cut_goodbyes: u64,
    pub(crate) busy: u64,
    pub(crate) permanent: u64,
    /// Resets by a hook, and those of them that the manager's reset came before.
    pub(crate) hooks: u64,
    pub(crate) both: u64,
    /// Checks and resets that passed, after which a look showed that the peer had closed the connection.
    pub(crate) closed_after_check: u64,
    pub(crate) closed_after_reset: u64,
    pub(crate) drop_panics: u64,
}

pub(crate) struct Ledger {
    pub(crate) config: PoolConfig,
    /// The pool has hooks.
    pub(crate) hooked: bool,
    pub(crate) connects: Mood,
    pub(crate) checks: Mood,
    pub(crate) resets: Mood,
    /// `None` if connections are dropped.
    pub(crate) closes: Option<Mood>,
    pub(crate) records: Vec<Record>,
    pub(crate) connecting: usize,
    /// Of these, the ones whose connections will be dead.
    pub(crate) stillborn: usize,
    pub(crate) checking: usize,
    pub(crate) resetting: usize,
    pub(crate) begun: u64,
    pub(crate) failed_connects: u64,
    /// Attempts that went away without an answer before their time was up.
    pub(crate) abandoned: u64,
    pub(crate) failed_checks: u64,
    pub(crate) failed_resets: u64,
    /// Checks and resets that went away before they had an answer.
    pub(crate) cut_checks: u64,
    pub(crate) cut_resets: u64,
    pub(crate) happened: Happened,
    /// The checks that failed: when each began, and when it ended.
    pub(crate) doubts: Vec<(Instant, Instant)>,
    /// The most that a connect has taken.
    pub(crate) slowest_connect: Duration,
    /// Somebody has waited since the test last had control.
    pub(crate) waited: bool,
    /// How many connections acquires have found unfit since the background last ran. It closes them.
    pub(crate) left_to_close: usize,
    pub(crate) pause: Pause,
    /// The maximum in force.
    pub(crate) max: usize,
    pub(crate) closed: bool,
    pub(crate) suspended: bool,
    pub(crate) runtime_gone: bool,
    pub(crate) epoch: u64,
    pub(crate) suspensions: u64,
    /// What began before this number has to have gone by then, by `invalidate_all_over`.
    pub(crate) spreads: Vec<(u64, Instant)>,
    /// How often a look has shown that a connection is dead.
    pub(crate) dead_looks: u64,
    pub(crate) fresh: Fresh,
    /// Acquires so far, and how many there had been at the last permanent failure.
    pub(crate) joined: u64,
    pub(crate) refused_up_to: u64,
    /// The same, if no other attempt can have been on its way at the failure.
    pub(crate) surely_refused_up_to: u64,
    /// How many acquires there had been when acquires last failed fast.
    pub(crate) failed_fast_up_to: u64,
    /// The same, if that was since the last time at which nothing was left to run.
    pub(crate) failing_fast_up_to: u64,
    /// How many attempts had begun when the test last had control.
    begun_before: u64,
    pub(crate) violations: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self {
            max: config.max_connections,
            config,
            hooked: false,
            connects: WELL,
            checks: WELL,
            resets: WELL,
            closes: None,
            records: Vec::new(),
            connecting: 0,
            stillborn: 0,
            checking: 0,
            resetting: 0,
            begun: 0,
            failed_connects: 0,
            abandoned: 0,
            failed_checks: 0,
            failed_resets: 0,
            cut_checks: 0,
            cut_resets: 0,
            happened: Happened::default(),
            doubts: Vec::new(),
            slowest_connect: Duration::from_millis(1),
            waited: false,
            left_to_close: 0,
            pause: Pause::default(),
            closed: false,
            suspended: false,
            runtime_gone: false,
            epoch: 0,
            suspensions: 0,
            spreads: Vec::new(),
            dead_looks: 0,
            fresh: Fresh::default(),
            joined: 0,
            refused_up_to: 0,
            surely_refused_up_to: 0,
            failed_fast_up_to: 0,
            failing_fast_up_to: 0,
            begun_before: 0,
            violations: Vec::new(),
        }
    }

    /// Connections that the pool answers for.
    pub(crate) fn live(&self) -> usize {
        self.records.iter().filter(|record| record.alive && !record.detached).count()
    }

    /// Of these, the ones that it closes gracefully.
    pub(crate) fn closing(&self) -> usize {
        self.records.iter().filter(|record| record.alive && record.goodbye.is_some()).count()
    }

    pub(crate) fn open_records(&mut self) -> impl Iterator<Item = &mut Record> {
        self.records.iter_mut().filter(|record| record.is_open())
    }

    /// How many chores of this kind are so young that the pool may begin no connect beside them: by now a connect would
    /// have ended.
    pub(crate) fn young(&self, kind: Chore) -> usize {
        let chores = self.records.iter().filter_map(|record| record.chore);
        let young = chores.filter(|(chore, began)| *chore == kind && began.elapsed() < self.slowest_connect);
        young.count()
    }

    pub(crate) fn expect(&mut self, holds: bool, promise: impl FnOnce(&Self) -> String) {
        if !holds {
            let promise = promise(self);
            self.violations.push(promise);
        }
    }

    /// Returns the number of the attempt.
    pub(crate) fn connect_begins(&mut self) -> u64 {
        self.note_outage();
        self.connecting += 1;
        self.begun += 1;
        let exist = self.live() + self.connecting;
        self.expect(!self.closed, |_| "close.complete: a connect begins on a closed pool".into());
        self.expect(exist <= self.max, |ledger| {
            format!("size.max: {exist} open, opening or closing, the maximum is {}", ledger.max)
        });
        self.expect(self.connecting <= self.config.max_connecting, |ledger| {
            format!("connect.backoff: {} attempts at once", ledger.connecting)
        });
        self.expect(!self.suspended, |_| {
            "suspend.nothing_moves: a connect begins on a suspended pool".into()
        });
        // What begins at the instant of the failure was asked for before it: the shortest pause is longer than nothing.
        self.look_for_idle();
        if self.pause.drawn.is_some_and(|drawn| Instant::now() > drawn) {
            let early = self.pause.earliest.is_some_and(|earliest| Instant::now() < earliest);
            self.expect(!early, |_| "connect.backoff: an attempt begins in the pause after a failure".into());
            self.expect(self.connecting == 1, |ledger| {
                format!("connect.backoff: {} attempts at once after a failure", ledger.connecting)
            });
        }
        self.begun
    }

    /// A connection is open. `number` is that of its attempt.
    pub(crate) fn opened(&mut self, number: u64, mut record: Record) -> usize {
        self.note_outage();
        self.look_for_idle();
        self.slowest_connect = self.slowest_connect.max(record.began.elapsed());
        let spreads = self.spreads.iter().filter(|(begun, _)| number <= *begun);
        spreads.for_each(|(_, ends)| record.end_by(*ends));
        let before =
            self.records.iter().filter(|before| before.closed_at.is_none_or(|at| at >= record.began));
        record.rests_since =
            before.map(|before| before.rests_since).min().map_or(record.born, |at| at.min(record.born));
        self.records.push(record);
        let id = self.records.len() - 1;
        self.fresh.opened(id);
        id
    }

    pub(crate) fn next_round(&mut self) {
        self.begun_before = self.begun;
        self.waited = self.somebody_waits();
    }

    /// How many attempts and how many chores have gone away without an answer.
    pub(crate) fn given_up(&self) -> (u64, u64) {
        (self.abandoned, self.cut_checks + self.cut_resets)
    }

    pub(crate) fn somebody_waits(&self) -> bool {
        self.fresh.pool.as_ref().is_some_and(|pool| pool.stats().pending_requests > 0)
    }

    /// Whether the pool connects again and again at one instant. Then nobody answers any more, so that it stops and
    /// the test goes on.
    pub(crate) fn spins(&mut self) -> bool {
        let spins = self.begun - self.begun_before > 1000;
        self.expect(!spins, |_| {
            "connect.backoff: connects follow each other without end, at one instant".into()
        });
        spins
    }

    /// A number for a waiter that joins the line, or comes back to it.
    pub(crate) fn join(&mut self) -> u64 {
        self.joined += 1;
        self.waited = true;
        self.joined - 1
    }

    /// From when acquires fail fast, if nothing opens: connecting has failed since, and nothing is open.
    fn outage_from(&self) -> Option<Instant> {
        let after = self.config.fail_fast_after;
        let pool = self.fresh.pool.as_ref().filter(|_| after != Duration::MAX)?;
        let in_service = !self.closed && !self.suspended && pool.stats().total_connections == 0;
        self.pause.down_since.filter(|_| in_service).map(|since| since + after)
    }

    /// Whether an attempt has to be under way, or to come, whether or not anybody waits: to learn that the server is back.
    pub(crate) fn probes(&self) -> bool {
        self.outage_from().is_some()
    }

    /// Whether acquires fail fast now.
    pub(crate) fn is_outage(&self) -> bool {
        self.outage_from().is_some_and(|from| from <= Instant::now())
    }

    /// How many connections the pool counts.
    pub(crate) fn total(&self) -> usize {
        self.fresh.pool.as_ref().map_or(0, |pool| pool.stats().total_connections)
    }

    /// What happens next may end an outage that has refused those who waited.
    pub(crate) fn note_outage(&mut self) {
        if self.total() == 0 {
            self.pause.nothing_open();
        }
        if self.is_outage() {
            (self.failed_fast_up_to, self.failing_fast_up_to) = (self.joined, self.joined);
        }
    }
}
