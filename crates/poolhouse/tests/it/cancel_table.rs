//! Every way in which connect, check and release can end, and an acquire dropped at every point in between.
//!
//! One round: a connection is idle and wants a check first, another is held and comes back after 2 ms, and
//! there is room for a third. So check, connect and release race for one acquire, and a rival waits behind it.
//! The acquire is dropped after its first poll, its second and so on until it ends before that; then at each
//! instant at which anything happened in an undisturbed round, once before and once after what happens there.
//! Whatever came of it, the pool then hands out its maximum, and the server counts the connections that the
//! pool counts.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use poolhouse::{Acquire, Event, Pool, PoolConfig, PooledConnection};
use tokio::time::{Instant, sleep, sleep_until};

use crate::common::{Mock, Step, assert_hands_out_exactly, config, ms, poll_once, secs, settle};

const MAX: usize = 3;

/// How the held connection comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Release {
    Ok,
    /// Broken: `is_reusable` says no.
    Broken,
    /// Long after the acquire has given up.
    Slow,
    /// Not at all: its task is aborted at the end.
    Never,
    /// `is_reusable` panics.
    Panic,
}

/// When the acquire is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Drops {
    Never,
    AfterPoll(usize),
    /// At this time after the start, before or after whatever else happens then.
    At(Duration, Order),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Before,
    After,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    connect: Step,
    check: Step,
    release: Release,
    drops: Drops,
}

/// How the acquire ended.
#[derive(Debug, PartialEq)]
enum End {
    Served,
    Failed,
    Dropped,
}

/// `is_reusable` may panic, which is nobody's end here.
fn give_back(connection: PooledConnection<Mock>) {
    drop(catch_unwind(AssertUnwindSafe(|| drop(connection))));
}

impl Cell {
    /// Whether the rival can be served: by a new connection, the checked one or the one that comes back.
    fn serves_a_rival(&self) -> bool {
        let works = |step| matches!(step, Step::Ok | Step::Slow(_));
        let comes_back = !matches!(self.release, Release::Broken | Release::Panic);
        works(self.connect) || comes_back && (works(self.check) || self.release != Release::Never)
    }

    /// Runs the round. Gives back how the acquire ended, and when anything happened.
    async fn run(self) -> (End, BTreeSet<Duration>) {
        let context = format!("{self:?}");
        let mock = Mock::ok();
        let happened = Arc::new(Mutex::new(Vec::new()));
        let listener = {
            let happened = Arc::clone(&happened);
            move |_: &Event<'_>| happened.lock().unwrap().push(Instant::now())
        };
        let config = PoolConfig {
            check_after_idle: secs(1),
            health_check_timeout: ms(20),
            connect_attempt_timeout: ms(20),
            connect_backoff: ms(4),
            max_connect_backoff: ms(8),
            ..config(MAX)
        };
        let pool = Pool::builder(mock.clone()).config(config).listener(listener).build().unwrap();
        let idle = pool.acquire().await.unwrap();
        let held = pool.acquire().await.unwrap();
        drop(idle);
        sleep(secs(2)).await;

        mock.set_connect(self.connect);
        mock.set_check(self.check);
        mock.refuse_returns(self.release == Release::Broken);
        mock.panic_on_return(self.release == Release::Panic);
        happened.lock().unwrap().clear();
        let begin = Instant::now();
        let holder = tokio::spawn(async move {
            sleep(match self.release {
                Release::Slow => ms(200),
                Release::Never => Duration::MAX,
                _ => ms(2),
            })
            .await;
            drop(held);
        });
        let mut acquire = Box::pin(pool.acquire_within(ms(60)));
        let first = poll_once(acquire.as_mut()).await;
        assert!(first.is_pending(), "{context}: served without a check");
        let rival = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire_within(ms(300)).await.map(give_back) }
        });
        let end = self.drive(acquire, begin).await;
        let rival = rival.await.unwrap();
        assert!(rival.is_ok() || !self.serves_a_rival(), "{context}: the rival got {rival:?}");

        let mut instants: BTreeSet<_> =
            happened.lock().unwrap().iter().chain(&mock.attempts()).map(|at| *at - begin).collect();
        instants.retain(|at| *at <= ms(60));
        holder.abort();
        drop(holder.await);
        mock.set_connect(Step::Ok);
        mock.set_check(Step::Ok);
        mock.refuse_returns(false);
        mock.panic_on_return(false);
        // What is under way ends at its own limit.
        sleep(ms(50)).await;
        let stats = pool.stats();
        assert_eq!((stats.connecting, stats.checking, stats.active_connections), (0, 0, 0), "{context}");
        assert_eq!(mock.open(), stats.total_connections, "{context}: a stray connection");
        assert_hands_out_exactly(&pool, MAX, &context).await;
        assert_eq!(mock.open(), pool.stats().total_connections, "{context}: a stray connection at the end");
        assert!(mock.peak() <= MAX, "{context}: {} open at once", mock.peak());
        pool.close().await;
        assert_eq!(mock.open(), 0, "{context}: a stray connection after close");
        (end, instants)
    }

    /// Polls the acquire, which has been polled once, until it ends or is to be dropped.
    async fn drive(self, mut acquire: Pin<Box<Acquire<'_, Mock>>>, begin: Instant) -> End {
        let mut polls = 1;
        // Dropped when it is woken for another poll: what it was served is there, but not picked up.
        let ended = poll_fn(|cx| {
            if self.drops == Drops::AfterPoll(polls) {
                return Poll::Ready(None);
            }
            polls += 1;
            acquire.as_mut().poll(cx).map(Some)
        });
        let ended = match self.drops {
            Drops::At(at, order) => tokio::select! {
                biased;
                () = sleep_until(begin + at) => {
                    if order == Order::After {
                        settle().await;
                    }
                    None
                }
                ended = ended => ended,
            },
            _ => ended.await,
        };
        match ended {
            None => End::Dropped,
            Some(Ok(connection)) => {
                give_back(connection);
                End::Served
            }
            Some(Err(_)) => End::Failed,
        }
    }
}

/// All that check and release can do, for one way to connect, with every point at which the acquire can be dropped.
async fn every_cell(connect: Step) {
    let slow = Step::Slow(ms(5));
    let (mut cells, mut ends) = (0, [0; 3]);
    for check in [Step::Ok, Step::Fail, slow, Step::Never, Step::Panic] {
        for release in [Release::Ok, Release::Broken, Release::Slow, Release::Never, Release::Panic] {
            let cell = Cell { connect, check, release, drops: Drops::Never };
            let (undisturbed, instants) = cell.run().await;
            assert_ne!(undisturbed, End::Dropped);
            let mut count = |end: End| {
                cells += 1;
                ends[end as usize] += 1;
            };
            count(undisturbed);
            for polls in 1.. {
                let (end, _) = Cell { drops: Drops::AfterPoll(polls), ..cell }.run().await;
                let ended = end != End::Dropped;
                count(end);
                if ended {
                    break;
                }
            }
            for at in instants {
                for order in [Order::Before, Order::After] {
                    let (end, _) = Cell { drops: Drops::At(at, order), ..cell }.run().await;
                    count(end);
                }
            }
        }
    }
    let [served, failed, dropped] = ends;
    println!("{connect:?}: {cells} cells: {served} served, {failed} failed, {dropped} dropped");
    // A table that drops nothing, or never gets to the end, shows nothing.
    assert!(cells >= 25 * 4 && served > 0 && dropped > cells / 3, "{connect:?}");
}

/// `cancel.no_loss`, `panic.no_loss`, `size.max`: connects that succeed at once.
#[tokio::test(start_paused = true)]
async fn connects_succeed() {
    every_cell(Step::Ok).await;
}

/// `cancel.no_loss`, `panic.no_loss`, `size.max`: connects that fail at once.
#[tokio::test(start_paused = true)]
async fn connects_fail() {
    every_cell(Step::Fail).await;
}

/// `cancel.no_loss`, `panic.no_loss`, `size.max`: connects that take a while.
#[tokio::test(start_paused = true)]
async fn connects_are_slow() {
    every_cell(Step::Slow(ms(5))).await;
}

/// `cancel.no_loss`, `panic.no_loss`, `size.max`: connects that end only at `connect_attempt_timeout`.
#[tokio::test(start_paused = true)]
async fn connects_never_end() {
    every_cell(Step::Never).await;
}

/// `cancel.no_loss`, `panic.no_loss`, `size.max`: connects that panic.
#[tokio::test(start_paused = true)]
async fn connects_panic() {
    every_cell(Step::Panic).await;
}
