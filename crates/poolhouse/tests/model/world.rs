//! The pool under test, everybody who uses it, and how each operation is carried out on it and on the reference.

mod leaving;
mod sync;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use poolhouse::{AcquireError, Event, Phase, Pool, PoolConfig, PooledConnection, RetireReason};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::coverage::Coverage;
use crate::ensure;
use crate::errands::Running;
use crate::ops::{End, How};
use crate::options::Config;
use crate::quiet::{Polled, Quiet};
use crate::reference::{Answer, Arrival, Outcome, Reference, Seen, Verdict};
use crate::server::{Conn, Refused, Server};

pub(crate) type Acquired = Result<PooledConnection<Server>, AcquireError>;

pub(crate) struct Waiter {
    pub(crate) key: u64,
    how: How,
    wait: Wait,
}

enum Wait {
    Future(Polled<Acquired>),
    Task(JoinHandle<()>),
}

impl Waiter {
    pub(crate) fn is_lazy(&self) -> bool {
        self.how == How::Lazy
    }
}

pub(crate) struct Held {
    pub(crate) id: usize,
    /// `None` if it cannot be known.
    pub(crate) since: Option<Instant>,
    pub(crate) guard: PooledConnection<Server>,
}

pub(crate) struct World<'a> {
    pub(crate) config: Config,
    pub(crate) options: PoolConfig,
    pub(crate) server: Server,
    /// Empty once the last handle has been dropped.
    pub(crate) handles: Vec<Pool<Server>>,
    pub(crate) model: Reference,
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) held: Vec<Held>,
    pub(crate) errands: Vec<Running>,
    /// When the options last changed.
    pub(crate) reconfigured: Option<Instant>,
    /// Every `max_pending` and the largest `max_uses` that the pool has had.
    pub(crate) bounds: Vec<usize>,
    pub(crate) most_uses: u64,
    /// Something has made the pool start its background.
    pub(crate) background: bool,
    pub(crate) seen: &'a mut Coverage,
    pub(crate) quiet: Quiet,
    /// How often a connection had been found dead at the last look.
    dead_looks: u64,
    /// The holds that were reported as leaks, by the pool's number of the connection.
    pub(crate) leaks: Arc<Mutex<Vec<(u64, Instant)>>>,
    pub(crate) detached: Vec<Conn>,
    /// What the callbacks of `acquire_async` were told.
    news: Arc<Mutex<Vec<(u64, Acquired)>>>,
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.drop_handles();
    }
}

impl<'a> World<'a> {
    pub(crate) fn new(config: &Config, hooked: bool, quiet: Quiet, seen: &'a mut Coverage) -> Self {
        let options = config.options();
        let server = Server::new(options.clone());
        let leaks: Arc<Mutex<Vec<_>>> = Arc::default();
        let heard = Arc::clone(&leaks);
        let told = server.clone();
        let listener = move |event: &Event<'_>| match event {
            Event::Leaked { holder, .. } => {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push((holder.connection, Instant::now()));
            }
            Event::Created { .. } => told.ledger().fresh.placed(),
            Event::Retired { connection, reason: RetireReason::MaxIdle, .. } => {
                told.ledger().was_idle(record_of(*connection));
            }
            _ => {}
        };
        let mut builder = Pool::builder(server.clone()).config(options.clone()).listener(listener);
        if hooked {
            server.ledger().hooked = true;
            builder = builder.after_connect(Conn::greet).on_return(|connection, _| connection.reset());
        }
        let pool = builder.build().expect("a possible configuration");
        server.ledger().fresh.pool = Some(pool.clone());
        Self {
            config: *config,
            model: Reference::new(&options),
            reconfigured: None,
            bounds: options.max_pending.into_iter().collect(),
            most_uses: options.max_uses.unwrap_or(u64::MAX),
            options,
            server,
            handles: vec![pool],
            waiters: Vec::new(),
            held: Vec::new(),
            errands: Vec::new(),
            background: false,
            seen,
            quiet,
            dead_looks: 0,
            leaks,
            detached: Vec::new(),
            news: Arc::default(),
        }
    }

    pub(crate) fn drop_handles(&mut self) {
        // Not under the lock of the ledger: the last of them closes the pool.
        let pool = self.server.ledger().fresh.pool.take();
        drop(pool);
        self.handles.clear();
    }

    pub(crate) fn pool(&self) -> Option<Pool<Server>> {
        self.handles.last().cloned()
    }

    /// Lets everything that is ready run, at this instant.
    pub(crate) async fn settle(&mut self) -> Verdict {
        for _ in 0..1000 {
            self.quiet.settle().await;
            self.server.ledger().next_round();
            self.sync(true)?;
            let woken = self.waiters.iter().find(|waiter| match &waiter.wait {
                Wait::Future(future) => future.is_woken() && !waiter.is_lazy(),
                Wait::Task(_) => false,
            });
            if let Some(key) = woken.map(|waiter| waiter.key) {
                self.poll(key)?;
            } else if let Some(index) = self.errands.iter().position(|errand| errand.future.is_woken()) {
                self.poll_errand(index)?;
            } else {
                return self.check(true);
            }
        }
        Err("somebody is woken without end, at one instant".into())
    }

    /// Time passes. Everything that is due on the way happens at its time.
    pub(crate) async fn pass(&mut self, time: Duration) -> Verdict {
        self.settle().await?;
        let end = Instant::now() + time;
        let total = |world: &Self| world.handles.last().map_or(0, |pool| pool.stats().total_connections);
        let before = total(self);
        let opened = self.server.ledger().records.len();
        let (reaping, replacing) = (self.only_reaping(), self.only_replacing(before));
        while Instant::now() < end {
            self.quiet.next_event(end).await;
            self.settle().await?;
            let dips = replacing && total(self) < before;
            ensure!(!dips, "lifetime.no_dip: of {before} connections {} are left", total(self));
        }
        let low = reaping && total(self) < before.min(self.model.min);
        ensure!(!low, "size.min: reaping went below min_connections");
        if replacing && self.server.ledger().records.len() > opened {
            self.seen.saw("background: replaced in time");
        }
        Ok(())
    }

    /// Only the clock moves. Nobody runs before the next step that settles.
    pub(crate) async fn jump(&mut self, time: Duration) {
        let mut advance = pin!(tokio::time::advance(time));
        poll_fn(|cx| {
            let _ = advance.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    }

    pub(crate) async fn acquire(&mut self, how: How, limit: Option<Duration>) -> Verdict {
        let Some(pool) = self.pool() else { return Ok(()) };
        if how == How::Task {
            self.settle().await?;
        }
        self.sync(false)?;
        let fails_fast = {
            let mut ledger = self.server.ledger();
            ledger.note_outage();
            ledger.is_outage()
        };
        let expected = self.model.arrival(fails_fast);
        let nobody_waits = self.model.line.is_empty();
        let begun = self.server.ledger().begun;
        let key = self.server.ledger().join();
        if how == How::Task {
            let news = Arc::clone(&self.news);
            let task = pool.acquire_async(move |acquired| {
                news.lock().unwrap_or_else(PoisonError::into_inner).push((key, acquired));
            });
            if expected == Arrival::MayWait {
                self.joins(key, how, None, Wait::Task(task));
                return self.settle().await;
            }
            self.quiet.settle().await;
            let told = self.news.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some((_, acquired)) = told else { return Err(format!("{expected:?}, and the task waits")) };
            return self.turned_away(expected, acquired);
        }
        let mut future = match limit {
            None => Polled::new(async move { pool.acquire().await }),
            Some(limit) => Polled::new(async move { pool.acquire_within(limit).await }),
        };
        let Some(polled) = future.try_poll() else {
            self.seen.saw("acquire: the look at it panics");
            self.model.panics(key);
            return Ok(());
        };
        match polled {
            Poll::Pending => {
                ensure!(expected == Arrival::MayWait, "acquire.shed: {expected:?}, and the acquire waits");
                self.joins(key, how, limit, Wait::Future(future));
                Ok(())
            }
            Poll::Ready(Ok(guard)) => {
                ensure!(expected == Arrival::MayWait, "acquire.shed: {expected:?}, and it gets one");
                ensure!(nobody_waits, "acquire.fifo: a newcomer overtakes those who wait");
                let quick = self.server.ledger().begun == begun;
                ensure!(quick, "health.off_path: an acquire beside an idle connection connects");
                self.seen.saw("acquire: at once");
                self.model.held += 1;
                self.hold(guard, Some(Instant::now()), true)
            }
            Poll::Ready(acquired) => self.turned_away(expected, acquired),
        }
    }

    fn joins(&mut self, key: u64, how: How, limit: Option<Duration>, wait: Wait) {
        self.background = true;
        self.model.join(key, limit, Instant::now());
        self.waiters.push(Waiter { key, how, wait });
    }

    fn turned_away(&mut self, expected: Arrival, acquired: Acquired) -> Verdict {
        self.model.failed += 1;
        match (expected, acquired) {
            (Arrival::Closed, Err(AcquireError::Closed { .. })) => self.seen.saw("acquire: closed already"),
            (Arrival::Overloaded, Err(AcquireError::Overloaded { waiting, .. })) => {
                ensure!(waiting == self.model.line.len(), "acquire.shed: {waiting} are said to wait");
                self.seen.saw("acquire: overloaded");
            }
            (Arrival::FailsFast, Err(AcquireError::Connect(failed))) => {
                ensure!(failed.retry.is_some(), "fail_fast_after: nothing is said of the next attempt");
                self.seen.saw("acquire: fails fast");
            }
            (expected, acquired) => return Err(format!("acquire.shed: {expected:?}, and got {acquired:?}")),
        }
        Ok(())
    }

    /// Releases so far.
    fn lost(&self) -> u64 {
        self.handles.last().map_or(0, |pool| pool.stats().total_releases)
    }

    pub(crate) fn poll(&mut self, key: u64) -> Verdict {
        self.sync(false)?;
        let (granted, lost) = (self.model.is_granted(key), self.lost());
        let Some(waiter) = self.waiters.iter_mut().find(|waiter| waiter.key == key) else { return Ok(()) };
        let Wait::Future(future) = &mut waiter.wait else { return Ok(()) };
        self.server.ledger().look_for_idle();
        // What goes because it is one too many has been among the idle.
        let destroyed = |pools: &[Pool<Server>]| {
            let stats = pools.last().map(Pool::stats);
            stats.map_or(0, |stats| stats.connections_destroyed - stats.closed.get(RetireReason::MaxIdle))
        };
        let before = destroyed(&self.handles);
        let polled = future.try_poll();
        // What it had been served is gone: found dead, or unfit since it was served.
        let (dead, all) = (self.server.ledger().dead_looks - self.dead_looks, self.lost() - lost);
        let gone = dead + u64::from(polled.is_none());
        let unfit = all.checked_sub(gone).ok_or("stats.consistent: a dead connection is not released")?;
        if all > 0 {
            ensure!(granted, "acquire {key} loses {all} connections and was served none");
            let since = self.model.served(key).and_then(|served| served.since);
            let lawful = unfit == 0 || (unfit == 1 && self.may_be_unfit(since));
            ensure!(lawful, "cancel.no_loss: acquire {key} lost what it was served, and it was fit");
            self.model.returned += unfit;
            let mut ledger = self.server.ledger();
            ledger.left_to_close += usize::try_from(unfit).expect("few");
            if destroyed(&self.handles) - before > gone {
                ledger.forget_unused();
            } else {
                ledger.look_for_idle();
            }
        }
        let goes_back = dead + unfit > 0;
        if goes_back {
            self.seen.saw("acquire: went back to its turn");
            self.goes_back(key);
        }
        let Some(polled) = polled else {
            self.seen.saw("acquire: the look at it panics");
            self.model.panics(key);
            self.waiters.retain(|waiter| waiter.key != key);
            return Ok(());
        };
        self.sync(false)?;
        match polled {
            Poll::Pending => {
                let waits = self.model.position(key).is_some();
                ensure!(waits, "cancel.no_loss: acquire {key} has left the line and has no answer");
                let due = self.model.deadline_of(key).is_some_and(|deadline| deadline <= Instant::now());
                ensure!(!due, "acquire.deadline: acquire {key} waits beyond its deadline");
                self.seen.saw("poll: nothing yet");
                Ok(())
            }
            Poll::Ready(acquired) => {
                if let Err(AcquireError::Timeout(timeout)) = &acquired
                    && let Some(Answer::TimedOut { first, last, least, most, max, .. }) =
                        self.model.served(key).map(|served| served.answer)
                    && !goes_back
                {
                    let position = timeout.position;
                    ensure!(
                        (first..=last).contains(&position),
                        "acquire.diagnosis: says place {position}, and it was {first}..={last}"
                    );
                    let waiting = timeout.waiting;
                    ensure!(
                        (least..=most).contains(&waiting) && position <= waiting,
                        "acquire.diagnosis: says {position} of {waiting} wait, and it was {least}..={most}"
                    );
                    ensure!(timeout.max_connections == max, "acquire.diagnosis: the maximum was {max}");
                }
                self.ended(key, acquired)
            }
        }
    }

    /// Somebody who was served is back at the own turn. If there are too many now, the youngest are refused.
    pub(crate) fn goes_back(&mut self, key: u64) {
        self.model.rejoin(key, self.server.ledger().join());
        self.shed();
    }

    pub(crate) fn shed(&mut self) {
        let shed = self.model.shed(Instant::now());
        self.seen.saw_times("acquire: overloaded by one that went back", shed as u64);
    }

    /// What was served and not picked up is back in the pool, and its waiter is back at the own turn.
    pub(crate) fn recall(&mut self) {
        let server = self.server.clone();
        self.model.recall(|| server.ledger().join());
        self.shed();
    }
}

/// One of `count`, if there is any.
pub(crate) fn pick(which: u8, count: usize) -> Option<usize> {
    usize::from(which).checked_rem(count)
}

/// The record of a connection by the number that the pool gives it, from 1.
pub(crate) fn record_of(connection: u64) -> usize {
    usize::try_from(connection - 1).expect("few")
}
