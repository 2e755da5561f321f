//! The server that the pool connects to.
//!
//! The manager does as the current [`Mood`] says and writes each connect, check, reset and close into the [`Ledger`] as it
//! happens. What must hold at every instant, between two polls too, is judged on the spot: how many connections exist, how
//! many attempts, how soon after a failure. A judgement is only noted, for a panic would end in the pool; the world reads
//! the notes after each step.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolhouse::{FailureKind, HookFuture, Manager, PoolConfig, RetireReason};
use tokio::time::Instant;

use crate::chores::{Doing, Parting};
use crate::ledger::{Chore, Goodbye, Ledger, Record};
use crate::ops::{End, Mood, WELL};
use crate::pause::Era;

/// How long after a look a connection is handed out without another.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// The payload of a panic that the script asks for.
pub(crate) struct Scripted;

/// The answer to a connect of that era, or to a check.
#[derive(Debug, thiserror::Error)]
#[error("the server says {0:?}")]
pub(crate) struct Refused(pub(crate) End, pub(crate) Era);

/// The manager of the pool under test. Clones share the ledger.
#[derive(Clone)]
pub(crate) struct Server(Arc<Mutex<Ledger>>);

impl Server {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self(Arc::new(Mutex::new(Ledger::new(config))))
    }

    /// A connection that is opened without the pool. `taken` says whether the pool will take it.
    pub(crate) fn open_elsewhere(&self, taken: bool) -> Conn {
        let mut ledger = self.ledger();
        let record = Record::new(Instant::now(), ledger.era());
        let id = if taken {
            let id = ledger.opened(u64::MAX, record);
            ledger.fresh.added();
            ledger.pause.added();
            id
        } else {
            ledger.records.push(record);
            ledger.records.len() - 1
        };
        // The task that opened it has greeted it.
        ledger.records[id].greeted = true;
        Conn { id, on_return: OnReturn::Reusable, server: self.clone() }
    }

    /// The pool has not taken the connection that was opened last.
    pub(crate) fn forget_latest(&self) {
        self.ledger().records.pop();
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection says when it comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum OnReturn {
    Reusable,
    Dirty,
    PanicInNeedsReset,
    Tainted,
    PanicInIsReusable,
}

pub(crate) struct Conn {
    pub(crate) id: usize,
    pub(crate) on_return: OnReturn,
    server: Server,
}

/// The hooks, if the pool has any.
impl Conn {
    pub(crate) fn greet(&mut self) -> HookFuture<'_> {
        Box::pin(async {
            self.server.ledger().records[self.id].greeted = true;
            Ok(())
        })
    }

    pub(crate) fn reset(&mut self) -> HookFuture<'_> {
        Box::pin(async {
            let first = self.server.ledger().records[self.id].manager_resets;
            self.server
                .ledger()
                .expect(!first, |_| "reset.between: the hook comes before the manager's reset".into());
            self.server.chore(Chore::Reset, self.id).await?;
            self.server.ledger().happened.hooks += 1;
            Ok(())
        })
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let mut ledger = self.server.ledger();
        let record = &mut ledger.records[self.id];
        record.alive = false;
        record.closed_at = record.closed_at.or(Some(Instant::now()));
        let (held, panics) = (record.held, record.drop_panics);
        let unsaid = record.goodbye == Some(Goodbye::Wanted) && !ledger.runtime_gone;
        ledger
            .expect(!unsaid, |_| format!("close.complete: connection {} goes without its goodbye", self.id));
        ledger.happened.drop_panics += u64::from(panics);
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
    /// From 1.
    number: u64,
    started: Instant,
    limit: Duration,
    era: Era,
    /// Its connection will be dead.
    stillborn: bool,
    end: Option<End>,
}

impl Attempt {
    fn begin(server: &Server, mood: Mood) -> Self {
        let mut ledger = server.ledger();
        let stillborn = mood.end == End::Stillborn;
        ledger.stillborn += usize::from(stillborn);
        let (number, limit, era) =
            (ledger.connect_begins(), ledger.config.connect_attempt_timeout, ledger.era());
        Self { server: server.clone(), number, started: Instant::now(), limit, era, stillborn, end: None }
    }

    /// The connection exists from the moment that the attempt does not.
    fn succeeds(mut self) -> Conn {
        self.end = Some(End::Ok);
        let mut ledger = self.server.ledger();
        ledger.connecting -= 1;
        let record = Record { dead: self.stillborn, ..Record::new(self.started, self.era) };
        let id = ledger.opened(self.number, record);
        drop(ledger);
        Conn { id, on_return: OnReturn::Reusable, server: self.server.clone() }
    }

    fn fails(&mut self, end: End) -> Refused {
        self.end = Some(end);
        if end == End::Panic {
            std::panic::panic_any(Scripted);
        }
        Refused(end, self.era)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut ledger = self.server.ledger();
        ledger.stillborn -= usize::from(self.stillborn);
        if self.end == Some(End::Ok) {
            return;
        }
        ledger.connecting -= 1;
        if self.end.is_some() || self.started.elapsed() >= self.limit {
            let busy = self.end == Some(End::Busy);
            ledger.happened.busy += u64::from(busy);
            ledger.connect_failed(self.started, self.era, busy);
        } else {
            ledger.abandoned += 1;
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

impl Server {
    /// A check or a reset, as the mood says.
    async fn chore(&self, chore: Chore, id: usize) -> Result<(), Refused> {
        let mood = match chore {
            Chore::Check => self.ledger().checks,
            Chore::Reset => self.ledger().resets,
        };
        let mut doing = Doing::begin(self, id, chore);
        wait(mood).await;
        doing.answered = true;
        let dead = self.ledger().records[id].dead;
        match mood.end {
            End::Blind => doing.passed = true,
            End::Ok if !dead => doing.passed = true,
            End::Panic => std::panic::panic_any(Scripted),
            end => return Err(Refused(end, self.ledger().era())),
        }
        Ok(())
    }
}

impl Manager for Server {
    type Connection = Conn;
    type Error = Refused;

    async fn connect(&self) -> Result<Conn, Refused> {
        let mood = self.ledger().connects;
        let mut attempt = Attempt::begin(self, mood);
        if self.ledger().spins() {
            std::future::pending::<()>().await;
        }
        wait(mood).await;
        match mood.end {
            End::Ok | End::Stillborn => Ok(attempt.succeeds()),
            end => Err(attempt.fails(end)),
        }
    }

    async fn check(&self, connection: &mut Conn) -> Result<(), Refused> {
        self.chore(Chore::Check, connection.id).await
    }

    fn is_reusable(&self, connection: &mut Conn) -> bool {
        if connection.on_return == OnReturn::PanicInIsReusable {
            std::panic::panic_any(Scripted);
        }
        connection.on_return != OnReturn::Tainted
    }

    fn needs_reset(&self, connection: &mut Conn) -> bool {
        if connection.on_return == OnReturn::PanicInNeedsReset {
            std::panic::panic_any(Scripted);
        }
        connection.on_return == OnReturn::Dirty
    }

    async fn reset(&self, connection: &mut Conn) -> Result<(), Refused> {
        let wanted = std::mem::take(&mut self.ledger().records[connection.id].manager_resets);
        self.ledger().expect(wanted, |_| "reset.between: a reset that nobody has asked for".into());
        // The hook does the work, so that it is done once.
        if self.ledger().hooked {
            self.ledger().happened.both += 1;
            return Ok(());
        }
        self.chore(Chore::Reset, connection.id).await
    }

    fn needs_close(&self, connection: &mut Conn, reason: RetireReason) -> bool {
        let mut ledger = self.ledger();
        let nobody = matches!(reason, RetireReason::PeerClosed | RetireReason::RuntimeGone);
        ledger.expect(!nobody, |_| format!("close: there is nobody to say goodbye to: {reason}"));
        let graceful = ledger.closes.is_some();
        let record = &mut ledger.records[connection.id];
        let once = record.goodbye.is_none() && !record.held;
        if graceful {
            (record.goodbye, record.closed_at) = (Some(Goodbye::Wanted), Some(Instant::now()));
        }
        ledger.expect(once, |_| format!("close: connection {} is not to be closed", connection.id));
        graceful
    }

    async fn close(&self, connection: Conn) {
        let mood = self.ledger().closes.unwrap_or(WELL);
        let mut parting = Parting::begin(self, connection.id);
        wait(mood).await;
        parting.ended = true;
        if mood.end == End::Panic {
            // A second panic, in the drop, would be the end of the process.
            self.ledger().records[connection.id].drop_panics = false;
            std::panic::panic_any(Scripted);
        }
        drop(connection);
    }

    fn is_connected(&self, connection: &mut Conn) -> bool {
        let mut ledger = self.ledger();
        let passed = std::mem::take(&mut ledger.records[connection.id].just_passed);
        if ledger.records[connection.id].look_panics {
            ledger.records[connection.id].spoiled = true;
            match passed {
                // What has passed has failed after all.
                Some((Chore::Check, began)) => {
                    ledger.failed_checks += 1;
                    ledger.doubts.push((began, Instant::now()));
                }
                Some((Chore::Reset, _)) => ledger.failed_resets += 1,
                None => {}
            }
            drop(ledger);
            std::panic::panic_any(Scripted);
        }
        let Record { dead, held, dirty, looked_at, .. } = ledger.records[connection.id];
        ledger.expect(!held, |_| "health.known_dead: a held connection is looked at".into());
        ledger.expect(!dirty, |_| "reset.between: a dirty connection is looked at".into());
        if let Some((chore, _)) = passed {
            let happened = &mut ledger.happened;
            match chore {
                Chore::Check => happened.closed_after_check += u64::from(dead),
                Chore::Reset => happened.closed_after_reset += u64::from(dead),
            }
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
            ledger.happened.permanent += 1;
            // What is open or on its way serves those who wait, and what is from before says nothing.
            if ledger.total() + ledger.connecting == 0 && error.1 == ledger.era() {
                ledger.refused_up_to = ledger.joined;
                // The pool counts an attempt from the plan on, and the ledger from when it begins.
                let alone = ledger.fresh.pool.as_ref().is_some_and(|pool| pool.stats().connecting <= 1);
                if alone {
                    ledger.surely_refused_up_to = ledger.joined;
                }
            }
        }
        match error.0 {
            End::Permanent => FailureKind::Permanent,
            End::Busy => FailureKind::Busy,
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        "model:1".into()
    }
}
