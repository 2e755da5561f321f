//! The server that the pool connects to, and the ledger that it keeps.
//!
//! The manager does as the current [`Mood`] says and writes down each connect, check and close as it happens. What must
//! hold at every instant, between two polls too, is judged here, on the spot: how many connections exist, how many
//! attempts, how soon after a failure. A judgement is only noted, for a panic would end in the pool; the world reads
//! the notes after each step.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolhouse::{FailureKind, Manager, PoolConfig};
use tokio::time::Instant;

use crate::ops::{End, Mood, WELL};
use crate::pause::{Era, Fresh, Pause};

/// How long after a look a connection is handed out without another.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// The payload of a panic that the script asks for.
pub(crate) struct Scripted;

/// The answer to a connect of that era, or to a check.
#[derive(Debug, thiserror::Error)]
#[error("the server says {0:?}")]
pub(crate) struct Refused(pub(crate) End, pub(crate) Era);

/// What the server knows of one connection.
#[derive(Debug)]
pub(crate) struct Record {
    /// When its connect began.
    pub(crate) began: Instant,
    pub(crate) born: Instant,
    pub(crate) alive: bool,
    pub(crate) closed_at: Option<Instant>,
    /// In the hands of the test.
    pub(crate) held: bool,
    pub(crate) checking: bool,
    /// Given back as unfit, or taken out of the pool: not to be seen again.
    pub(crate) spoiled: bool,
    pub(crate) detached: bool,
    pub(crate) idle_since: Instant,
    /// When it last proved to work.
    pub(crate) proven: Instant,
    /// How often `invalidate_all` had been called when its connect began.
    pub(crate) epoch: u64,
    /// How many suspensions had begun by then.
    pub(crate) suspension: u64,
    /// When it was last looked at before it was handed out.
    pub(crate) looked_at: Option<Instant>,
    /// It has passed a check that began then, and the background looks at it.
    just_checked: Option<Instant>,
    /// Its drop panics.
    pub(crate) drop_panics: bool,
    /// The peer has closed it.
    pub(crate) dead: bool,
    /// The next look at it panics.
    pub(crate) look_panics: bool,
    /// Somebody who was served left without a look, and it may have been this one that came back.
    pub(crate) unsure: bool,
}

impl Record {
    /// Whether it is open, in nobody's hands and under no check: idle, or served to somebody who has not looked.
    pub(crate) fn is_unused(&self) -> bool {
        self.alive && !self.held && !self.checking && !self.detached
    }
}

pub(crate) struct Ledger {
    pub(crate) config: PoolConfig,
    pub(crate) connects: Mood,
    pub(crate) checks: Mood,
    pub(crate) records: Vec<Record>,
    pub(crate) connecting: usize,
    pub(crate) checking: usize,
    pub(crate) begun: u64,
    pub(crate) failed_connects: u64,
    /// Attempts that went away without an answer before their time was up.
    pub(crate) abandoned: u64,
    pub(crate) failed_checks: u64,
    /// Checks that went away before they had an answer.
    pub(crate) cut_checks: u64,
    /// Checks that passed, after which a look showed that the peer had closed the connection.
    pub(crate) closed_after_check: u64,
    /// The checks that failed: when each began, and when it ended.
    pub(crate) doubts: Vec<(Instant, Instant)>,
    /// Somebody has waited since the test last had control.
    waited: bool,
    /// How many connections acquires have found unfit since the background last ran. It closes them.
    pub(crate) left_to_close: usize,
    pub(crate) drop_panics: u64,
    pub(crate) pause: Pause,
    /// The maximum in force.
    pub(crate) max: usize,
    pub(crate) closed: bool,
    pub(crate) suspended: bool,
    pub(crate) epoch: u64,
    pub(crate) suspensions: u64,
    /// How often a look has shown that a connection is dead.
    pub(crate) dead_looks: u64,
    pub(crate) fresh: Fresh,
    /// Acquires so far, and how many there had been at the last permanent failure.
    joined: u64,
    pub(crate) refused_up_to: u64,
    /// How many attempts had begun when the test last had control.
    begun_before: u64,
    pub(crate) violations: Vec<String>,
}

impl Ledger {
    /// Connections that the pool answers for.
    pub(crate) fn live(&self) -> usize {
        self.records.iter().filter(|record| record.alive && !record.detached).count()
    }

    fn expect(&mut self, holds: bool, promise: impl FnOnce(&Self) -> String) {
        if !holds {
            let promise = promise(self);
            self.violations.push(promise);
        }
    }

    fn connect_begins(&mut self) {
        self.connecting += 1;
        self.begun += 1;
        let exist = self.live() + self.connecting;
        self.expect(!self.closed, |_| "close.complete: a connect begins on a closed pool".into());
        self.expect(exist <= self.max, |ledger| {
            format!("size.max: {exist} open or opening, the maximum is {}", ledger.max)
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
    }

    pub(crate) fn next_round(&mut self) {
        self.begun_before = self.begun;
        self.waited = self.somebody_waits();
    }

    /// How many attempts and how many checks have gone away without an answer.
    pub(crate) fn given_up(&self) -> (u64, u64) {
        (self.abandoned, self.cut_checks)
    }

    fn somebody_waits(&self) -> bool {
        self.fresh.pool.as_ref().is_some_and(|pool| pool.stats().pending_requests > 0)
    }

    /// Whether the pool connects again and again at one instant. Then nobody answers any more, so that it stops and
    /// the test goes on.
    fn spins(&mut self) -> bool {
        let spins = self.begun - self.begun_before > 1000;
        self.expect(!spins, |_| {
            "connect.backoff: connects follow each other without end, at one instant".into()
        });
        spins
    }

    /// A number for whoever joins the line, or comes back to it.
    pub(crate) fn join(&mut self) -> u64 {
        self.joined += 1;
        self.waited = true;
        self.joined - 1
    }
}

/// The manager of the pool under test. Clones share the ledger.
#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<Ledger>>);

impl Server {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self(Arc::new(Mutex::new(Ledger {
            max: config.max_connections,
            config,
            connects: WELL,
            checks: WELL,
            records: Vec::new(),
            connecting: 0,
            checking: 0,
            begun: 0,
            failed_connects: 0,
            abandoned: 0,
            failed_checks: 0,
            cut_checks: 0,
            closed_after_check: 0,
            doubts: Vec::new(),
            waited: false,
            left_to_close: 0,
            drop_panics: 0,
            pause: Pause::default(),
            closed: false,
            suspended: false,
            epoch: 0,
            suspensions: 0,
            dead_looks: 0,
            fresh: Fresh::default(),
            joined: 0,
            refused_up_to: 0,
            begun_before: 0,
            violations: Vec::new(),
        })))
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection says when it comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum OnReturn {
    Reusable,
    Tainted,
    Panic,
}

pub(crate) struct Conn {
    pub(crate) id: usize,
    pub(crate) on_return: OnReturn,
    server: Server,
}

impl Drop for Conn {
    fn drop(&mut self) {
        let mut ledger = self.server.ledger();
        let record = &mut ledger.records[self.id];
        record.alive = false;
        record.closed_at = Some(Instant::now());
        let (held, panics) = (record.held, record.drop_panics);
        ledger.drop_panics += u64::from(panics);
        ledger.expect(!held, |_| "lifetime.no_interrupt: the pool closes a connection that is held".into());
        drop(ledger);
        if panics {
            std::panic::panic_any(Scripted);
        }
    }
}

/// An attempt under way. Whatever ends it, the ledger hears of it.
struct Attempt {
    server: Server,
    started: Instant,
    epoch: u64,
    suspension: u64,
    end: Option<End>,
}

impl Attempt {
    fn begin(server: &Server) -> Self {
        let mut ledger = server.ledger();
        ledger.connect_begins();
        let Ledger { epoch, suspensions: suspension, .. } = *ledger;
        Self { server: server.clone(), started: Instant::now(), epoch, suspension, end: None }
    }

    /// The connection exists from the moment that the attempt does not.
    fn succeeds(mut self, dead: bool) -> Conn {
        self.end = Some(End::Ok);
        let now = Instant::now();
        let mut ledger = self.server.ledger();
        ledger.connecting -= 1;
        ledger.look_for_idle();
        ledger.records.push(Record {
            began: self.started,
            born: now,
            alive: true,
            closed_at: None,
            held: false,
            checking: false,
            spoiled: false,
            detached: false,
            idle_since: now,
            proven: now,
            epoch: self.epoch,
            suspension: self.suspension,
            looked_at: None,
            just_checked: None,
            drop_panics: false,
            dead,
            look_panics: false,
            unsure: false,
        });
        let id = ledger.records.len() - 1;
        ledger.fresh.opened(id);
        drop(ledger);
        Conn { id, on_return: OnReturn::Reusable, server: self.server.clone() }
    }

    fn fails(&mut self, end: End) -> Refused {
        self.end = Some(end);
        if end == End::Panic {
            std::panic::panic_any(Scripted);
        }
        Refused(end, (self.epoch, self.suspension))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.end == Some(End::Ok) {
            return;
        }
        let mut ledger = self.server.ledger();
        ledger.connecting -= 1;
        if self.end.is_some() || self.started.elapsed() >= ledger.config.connect_attempt_timeout {
            ledger.connect_failed(self.started, (self.epoch, self.suspension));
        } else {
            ledger.abandoned += 1;
        }
    }
}

/// A check under way.
struct Checking {
    server: Server,
    id: usize,
    started: Instant,
    answered: bool,
    passed: bool,
}

impl Checking {
    fn begin(server: &Server, id: usize) -> Self {
        let mut ledger = server.ledger();
        ledger.checking += 1;
        let record = &mut ledger.records[id];
        record.checking = true;
        let idle = record.alive && !record.held && !record.spoiled;
        ledger.expect(idle, |_| format!("health.off_path: connection {id} is checked and is not idle"));
        // A check that a waiter or a doubt asks for comes at once.
        let regular = !ledger.waited && !ledger.may_be_in_doubt(&ledger.records[id]);
        let unused = ledger.records.iter().filter(|record| record.alive && !record.held && !record.detached);
        let most = (unused.count() / 10).max(1);
        let few = !regular || ledger.checking <= most;
        ledger.expect(few, |ledger| {
            format!("health.off_path: {} checks at once, and nobody waits", ledger.checking)
        });
        drop(ledger);
        Self { server: server.clone(), id, started: Instant::now(), answered: false, passed: false }
    }
}

impl Drop for Checking {
    fn drop(&mut self) {
        let mut ledger = self.server.ledger();
        ledger.checking -= 1;
        ledger.records[self.id].checking = false;
        if self.passed {
            ledger.records[self.id].proven = Instant::now();
            ledger.records[self.id].just_checked = Some(self.started);
        } else {
            ledger.records[self.id].spoiled = true;
            if self.answered || self.started.elapsed() >= ledger.config.health_check_timeout {
                ledger.failed_checks += 1;
                ledger.doubts.push((self.started, Instant::now()));
            } else {
                ledger.cut_checks += 1;
            }
        }
    }
}

async fn wait(mood: Mood) {
    if mood.delay > 0 {
        tokio::time::sleep(Duration::from_millis(mood.delay)).await;
    }
    if mood.end == End::Never {
        std::future::pending::<()>().await;
    }
}

impl Manager for Server {
    type Connection = Conn;
    type Error = Refused;

    async fn connect(&self) -> Result<Conn, Refused> {
        let mood = self.ledger().connects;
        let mut attempt = Attempt::begin(self);
        if self.ledger().spins() {
            std::future::pending::<()>().await;
        }
        wait(mood).await;
        match mood.end {
            End::Ok | End::Stillborn => Ok(attempt.succeeds(mood.end == End::Stillborn)),
            end => Err(attempt.fails(end)),
        }
    }

    async fn check(&self, connection: &mut Conn) -> Result<(), Refused> {
        let mood = self.ledger().checks;
        let mut checking = Checking::begin(self, connection.id);
        wait(mood).await;
        checking.answered = true;
        let dead = self.ledger().records[connection.id].dead;
        match mood.end {
            End::Blind => {
                checking.passed = true;
                Ok(())
            }
            End::Ok if !dead => {
                checking.passed = true;
                Ok(())
            }
            End::Panic => std::panic::panic_any(Scripted),
            end => Err(Refused(end, self.ledger().era())),
        }
    }

    fn is_reusable(&self, connection: &mut Conn) -> bool {
        if connection.on_return == OnReturn::Panic {
            std::panic::panic_any(Scripted);
        }
        connection.on_return == OnReturn::Reusable
    }

    fn is_connected(&self, connection: &mut Conn) -> bool {
        let mut ledger = self.ledger();
        let after_check = std::mem::take(&mut ledger.records[connection.id].just_checked);
        if ledger.records[connection.id].look_panics {
            ledger.records[connection.id].spoiled = true;
            if let Some(began) = after_check {
                // The check has failed after all.
                ledger.failed_checks += 1;
                ledger.doubts.push((began, Instant::now()));
            }
            drop(ledger);
            std::panic::panic_any(Scripted);
        }
        let Record { dead, held, looked_at, .. } = ledger.records[connection.id];
        ledger.expect(!held, |_| "health.known_dead: a held connection is looked at".into());
        if after_check.is_some() {
            ledger.closed_after_check += u64::from(dead);
            ledger.records[connection.id].spoiled = dead;
            return !dead;
        }
        let often = looked_at.is_some_and(|at| at.elapsed() < LOOK_INTERVAL);
        ledger.expect(!often, |_| "health.known_dead: two looks at a connection in a millisecond".into());
        ledger.records[connection.id].looked_at = Some(Instant::now());
        ledger.left_to_close += usize::from(dead);
        ledger.dead_looks += u64::from(dead);
        ledger.looked_at(connection.id, dead);
        !dead
    }

    fn classify(&self, error: &Refused) -> FailureKind {
        if error.0 == End::Permanent {
            let mut ledger = self.ledger();
            // What is open or on its way serves those who wait, and what is from before says nothing.
            if ledger.live() + ledger.connecting == 0 && error.1 == ledger.era() {
                ledger.refused_up_to = ledger.joined;
            }
            return FailureKind::Permanent;
        }
        FailureKind::Transient
    }

    fn target(&self) -> Cow<'_, str> {
        "model:1".into()
    }
}
