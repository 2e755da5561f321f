//! What the pool's owner does with connections and options while the pool is in use.

use std::panic::{AssertUnwindSafe, catch_unwind};

use poolhouse::{ConnectionInfo, PoolConfig, RetireReason};
use tokio::time::Instant;

use crate::ensure;
use crate::errands::{Ended, Errand};
use crate::ops::ms;
use crate::options::Config;
use crate::reference::Verdict;
use crate::server::{Conn, Scripted};
use crate::world::World;

impl World<'_> {
    /// Every third connection goes, beginning where `which` says. With some numbers the look at the first one panics.
    pub(crate) fn retain(&mut self, which: u8) -> Verdict {
        self.sync(false)?;
        let Some(pool) = self.pool() else { return Ok(()) };
        let (before, panics, server) = (pool.stats(), which >= 224, self.server.clone());
        let (mut looked, mut gone, mut wrong) = (0, Vec::new(), None);
        let retained = catch_unwind(AssertUnwindSafe(|| {
            pool.retain(|connection: &mut Conn, info| {
                looked += 1;
                wrong = wrong.take().or_else(|| wrong_look(&server, connection, info).err());
                let stays = !panics && !(connection.id + usize::from(which)).is_multiple_of(3);
                if !stays {
                    gone.push(connection.id);
                }
                if panics {
                    std::panic::panic_any(Scripted);
                }
                stays
            })
        }));
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let mut ledger = self.server.ledger();
        let dirty = ledger.records.iter().filter(|record| record.is_unused() && record.dirty).count();
        let idle = before.idle_connections - before.checking - before.resetting - dirty;
        let all = if panics { idle.min(1) } else { idle };
        ensure!(looked == all, "retain: it looks at {looked} idle connections, not at {all}");
        let closed = retained.as_ref().copied().unwrap_or_default();
        let counted = if retained.is_ok() { closed == gone.len() } else { panics && idle > 0 };
        ensure!(counted, "retain: it says that it closed {closed}, not {}", gone.len());
        let stays = gone.iter().find(|id| ledger.records[**id].is_open());
        ensure!(stays.is_none(), "retain: connection {stays:?} was not to be kept, and stays");
        gone.iter().for_each(|id| ledger.records[*id].spoiled = true);
        drop(ledger);
        self.seen.saw(match (retained, gone.is_empty()) {
            (Err(_), _) => "retain: panics",
            (Ok(_), true) => "retain: keeps all",
            (Ok(_), false) => "retain: closes",
        });
        Ok(())
    }

    pub(crate) fn check_now(&mut self) -> Verdict {
        self.sync(false)?;
        let Some(pool) = self.pool() else { return Ok(()) };
        self.background = true;
        let since = Instant::now();
        // As after a check that failed just now.
        self.server.ledger().doubts.push((since, since));
        self.run(Errand::CheckNow { since }, async move {
            pool.check_now().await;
            Ended::CheckNow
        })
    }

    pub(crate) async fn connect_now(&mut self) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        if self.server.ledger().pause.failing() {
            self.seen.saw("connect_now: after a failure");
        }
        pool.connect_now();
        self.server.ledger().pause.ends();
        self.settle().await
    }

    pub(crate) async fn invalidate_all_over(&mut self, millis: u64) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        let ends = Instant::now() + ms(millis);
        {
            let mut ledger = self.server.ledger();
            ledger.open_records().for_each(|record| record.end_by(ends));
            let begun = ledger.begun;
            ledger.spreads.push((begun, ends));
        }
        pool.invalidate_all_over(ms(millis));
        self.seen.saw("invalidate_all_over");
        self.settle().await
    }

    /// A connection that somebody else has opened.
    pub(crate) async fn add(&mut self) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        let stats = pool.stats();
        let taken = stats.total_connections + stats.connecting + self.server.ledger().closing();
        let room = taken < self.model.max && !self.model.closed && !self.model.suspended;
        let connection = self.server.open_elsewhere(room);
        self.background = true;
        match pool.add(connection) {
            Ok(()) => {
                ensure!(room, "size.max: a connection is taken in without room");
                self.server.ledger().look_for_idle();
                self.seen.saw("add: taken in");
            }
            Err(connection) => {
                ensure!(!room, "add: there is room for {taken} and one more, and none is taken in");
                drop(connection);
                self.server.forget_latest();
                self.seen.saw("add: no room");
            }
        }
        Ok(())
    }

    /// Every option changes, but for those that say when a connection or a hold that began before comes of age.
    pub(crate) async fn reconfigure(&mut self, to: Config) -> Verdict {
        self.settle().await?;
        let Some(pool) = self.pool() else { return Ok(()) };
        let Config { jitter, leak_threshold, .. } = self.config;
        let config = Config { jitter, leak_threshold, ..to };
        let options = config.options();
        let impossible = PoolConfig { max_connections: 0, ..options.clone() };
        ensure!(pool.reconfigure(impossible).is_err(), "reconfigure: a maximum of zero is possible");
        ensure!(pool.config().max_connections == self.model.max, "reconfigure: what is refused changes it");
        let now = Instant::now();
        {
            let mut ledger = self.server.ledger();
            (ledger.config, ledger.max) = (options.clone(), options.max_connections);
            ledger.pause.shorten((options.max_connect_backoff, options.fail_fast_after), now);
        }
        let possible = pool.reconfigure(options.clone());
        ensure!(possible.is_ok(), "reconfigure: {possible:?}");
        let shed = self.model.reconfigure(&options, now);
        self.seen.saw_times("acquire: overloaded by a lower bound", shed as u64);
        self.bounds.extend(options.max_pending);
        self.most_uses = self.most_uses.max(options.max_uses.unwrap_or(u64::MAX));
        (self.config, self.options, self.reconfigured) = (config, options, Some(now));
        self.seen.saw("reconfigure");
        self.settle().await
    }

    /// Why connections went, for the account at the end.
    pub(crate) fn count_reasons(&mut self) {
        let Some(pool) = self.pool() else { return };
        let closed = pool.stats().closed;
        for (reason, outcome) in [
            (RetireReason::MaxIdle, "retired: MaxIdle"),
            (RetireReason::Uses, "retired: Uses"),
            (RetireReason::ResetFailed, "retired: ResetFailed"),
            (RetireReason::NotRetained, "retired: NotRetained"),
            (RetireReason::Shrunk, "retired: Shrunk"),
            (RetireReason::InvalidatedAll, "retired: InvalidatedAll"),
        ] {
            self.seen.saw_times(outcome, closed.get(reason));
        }
    }
}

/// What `retain` shows its caller of a connection.
fn wrong_look(server: &crate::server::Server, connection: &Conn, info: &ConnectionInfo) -> Verdict {
    let (ledger, id) = (server.ledger(), connection.id);
    let record = &ledger.records[id];
    ensure!(record.is_unused() && !record.dirty, "retain: connection {id} is looked at, and is not idle");
    let right = info.id == id as u64 + 1
        && info.age == record.born.elapsed()
        && info.idle_time == record.idle_since.elapsed()
        && info.use_count == record.uses;
    ensure!(right, "retain: {info:?} is said of {record:?}");
    Ok(())
}
