//! What the test suites of other pools ask for, asked of this one. Only what no other file here asks already.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolhouse::{AcquireError, Event, Manager, Pool, PoolConfig, PooledConnection, RetireReason};
use tokio::time::Instant;

use crate::common::{Mock, Step, assert_hands_out_exactly, config, ms, poll_once, pool, secs, settle};

/// `lifetime.no_interrupt`: as bb8 asks. A connection held past its lifetime is closed when it comes back. It gets one
/// successor, which nobody uses, so there is no second.
#[tokio::test(start_paused = true)]
async fn a_long_hold_beyond_the_lifetime_churns_nothing() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { max_lifetime: secs(1), ..config(10) });
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(20)).await;
    let closed: Vec<_> = mock.closed_at().into_iter().map(|(id, _)| id).collect();
    assert_eq!((closed, mock.attempts().len()), (vec![2], 2));
    drop(held);
    assert_eq!((mock.closed_at().len(), mock.open()), (2, 0));
}

/// `size.min`: as sqlx and mobc ask. What nobody uses ends with its lifetime; only the minimum is opened again.
#[tokio::test(start_paused = true)]
async fn unused_connections_above_the_minimum_end_with_their_lifetime() {
    for min in [0, 3] {
        let mock = Mock::ok();
        let config = PoolConfig { min_connections: min, max_lifetime: ms(400), ..config(10) };
        let pool = pool(&mock, config);
        let mut held = Vec::new();
        for _ in 0..5 {
            held.push(pool.acquire().await.unwrap());
        }
        drop(held);
        assert_eq!(pool.stats().idle_connections, 5);
        tokio::time::sleep(secs(1)).await;
        assert_eq!(pool.stats().idle_connections, min);
        assert!(mock.closed_at().iter().filter(|(id, _)| *id <= 5).count() == 5, "an old one is left");
        assert!(mock.attempts().len() <= 5 + 2 * min, "{} connects", mock.attempts().len());
    }
}

/// `lifetime.no_interrupt`: as bb8 and r2d2 ask. Where connects fail, lifetimes end all the same: idle ones go
/// on time, the held one on its return, and the next acquire is told why there is none.
#[tokio::test(start_paused = true)]
async fn lifetimes_end_though_no_successor_can_be_opened() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { min_connections: 5, max_lifetime: secs(1), ..config(5) });
    pool.warm_up().await.unwrap();
    let held = pool.acquire().await.unwrap();
    mock.set_connect(Step::Fail);
    tokio::time::sleep(secs(2)).await;
    assert_eq!((mock.closed_at().len(), pool.stats().total_connections), (4, 1));
    drop(held);
    assert_eq!(mock.closed_at().len(), 5);
    let error = pool.acquire_within(secs(1)).await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("mock says Fail"), "{error}");
}

/// `acquire.deadline`: as deadpool and r2d2 ask of a wait of nothing. It takes what is idle, ends at once where
/// nothing is, and names a closed pool as closed.
#[tokio::test(start_paused = true)]
async fn a_wait_of_nothing_ends_at_once() {
    let pool = pool(&Mock::ok(), config(1));
    let begin = Instant::now();
    assert!(pool.acquire_within(Duration::ZERO).await.unwrap_err().is_timeout());
    drop(pool.acquire().await.unwrap());
    let held = pool.acquire_within(Duration::ZERO).await.expect("one is idle");
    assert!(pool.acquire_within(Duration::ZERO).await.unwrap_err().is_timeout());
    drop(held);
    pool.close().await;
    assert!(pool.acquire_within(Duration::ZERO).await.unwrap_err().is_closed());
    assert!(begin.elapsed() <= ms(3), "{:?}", begin.elapsed());
}

/// `acquire.fifo`: as bb8 asks. Many thousands of waiters, few connections; everybody is served, and in order.
#[tokio::test(start_paused = true)]
async fn many_thousands_wait_and_all_are_served() {
    let pool = pool(&Mock::ok(), config(3));
    let served = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..25_000)
        .map(|number| {
            let (pool, served) = (pool.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                let _held = pool.acquire().await.unwrap();
                (number, served.fetch_add(1, SeqCst))
            })
        })
        .collect();
    for task in tasks {
        let (number, turn) = task.await.unwrap();
        assert_eq!(number, turn);
    }
}

/// `resize.exact`: as deadpool asks. A maximum that went up and down while one was held leaves that one.
#[tokio::test(start_paused = true)]
async fn going_down_and_up_again_keeps_what_still_fits() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(2));
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    for max in [1, 3, 1, 2] {
        pool.resize(max).unwrap();
    }
    drop((first, second));
    assert_eq!((mock.open(), mock.attempts().len()), (2, 2), "closed and opened for nothing");
    assert_hands_out_exactly(&pool, 2, "down and up").await;
}

/// `acquire.fifo`: a maximum of zero, which others use to hold everybody back, is `suspend` here. Waiters are
/// served, in order, by `resume`.
#[tokio::test(start_paused = true)]
async fn a_suspended_pool_holds_everybody_back_until_it_resumes() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    pool.suspend();
    let mut first = pin!(pool.acquire());
    let mut second = pin!(pool.acquire());
    assert!(poll_once(first.as_mut()).await.is_pending() && poll_once(second.as_mut()).await.is_pending());
    settle().await;
    assert_eq!((mock.attempts().len(), pool.stats().pending_requests), (0, 2));
    pool.resume();
    let held = first.await.unwrap();
    assert!(poll_once(second.as_mut()).await.is_pending());
    drop(held);
    drop(second.await.unwrap());
}

/// `health.known_dead`: as mobc asks with its interval. One that rested for less than `check_after_idle` is
/// trusted, one that rested longer is checked, and replaced if it fails.
#[tokio::test(start_paused = true)]
async fn only_after_its_rest_is_a_connection_checked_first() {
    let mock = Mock::ok();
    mock.set_check(Step::Fail);
    let pool = pool(&mock, PoolConfig { check_after_idle: secs(1), ..config(1) });
    for (rest, expected) in [(0, 1), (500, 1), (500, 1), (1100, 2), (900, 2)] {
        tokio::time::sleep(ms(rest)).await;
        let held = pool.acquire().await.unwrap();
        assert_eq!(held.id, expected, "after {rest} ms");
    }
    assert_eq!((mock.checks(), pool.stats().failed_checks), (1, 1));
}

/// `health.off_path`: as r2d2 asks. A check that hangs keeps one connection from one caller, and the pool from
/// nobody.
#[tokio::test(start_paused = true)]
async fn a_hanging_check_holds_up_nobody_else() {
    let mock = Mock::ok();
    let config = PoolConfig { min_connections: 2, check_after_idle: secs(1), ..config(2) };
    let pool = pool(&mock, config);
    pool.warm_up().await.unwrap();
    tokio::time::sleep(secs(2)).await;
    mock.set_check(Step::Never);
    let mut first = pin!(pool.acquire());
    assert!(poll_once(first.as_mut()).await.is_pending());
    settle().await;
    assert_eq!(pool.stats().checking, 1);
    mock.set_check(Step::Ok);
    let begin = Instant::now();
    let second = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    drop(first.await.unwrap());
    second.await.unwrap().unwrap();
    assert_eq!(begin.elapsed(), ms(0));
}

/// `health.known_dead`: as deadpool asks. Every idle connection fails its check: each is closed, once, and a
/// new one served.
#[tokio::test(start_paused = true)]
async fn all_idle_connections_fail_their_check_and_a_new_one_is_served() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { check_after_idle: secs(1), ..config(16) });
    drop((pool.acquire().await.unwrap(), pool.acquire().await.unwrap()));
    tokio::time::sleep(secs(2)).await;
    mock.set_check(Step::Fail);
    let held = pool.acquire().await.unwrap();
    assert_eq!((held.id, mock.closed_at().len(), pool.stats().total_connections), (3, 2, 1));
}

/// The events of r2d2's own story, in its order: opened, handed out, somebody times out, given back broken,
/// closed, opened.
#[tokio::test(start_paused = true)]
async fn events_tell_the_story_in_order() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let log = Arc::clone(&log);
        move |event: &Event<'_>| {
            log.lock().unwrap().push(match event {
                Event::Created { connection, .. } => format!("created {connection}"),
                Event::Acquired { connection, .. } => format!("acquired {connection}"),
                Event::AcquireFailed { .. } => "failed".into(),
                Event::Released { connection, held_for, .. } => {
                    assert!(*held_for >= ms(123));
                    format!("released {connection}")
                }
                Event::Retired { connection, reason, .. } => {
                    assert_eq!(*reason, RetireReason::NotReusable);
                    format!("retired {connection}")
                }
                other => panic!("{other:?}"),
            });
        }
    };
    let mock = Mock::ok();
    mock.refuse_returns(true);
    let pool = Pool::builder(mock).config(config(1)).listener(listener).build().unwrap();
    let held = pool.acquire().await.unwrap();
    assert!(pool.acquire_within(ms(123)).await.is_err());
    drop(held);
    let _next = pool.acquire().await.unwrap();
    let story = "created 1, acquired 1, failed, released 1, retired 1, created 2, acquired 2";
    assert_eq!(log.lock().unwrap().join(", "), story);
}

/// The order of one connection's events, on real threads: opened before handed out, given back before handed
/// out again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_one_connection_come_in_order_on_threads() {
    #[derive(Debug, PartialEq)]
    enum State {
        Idle,
        Held,
        Gone,
    }
    let states = Arc::new(Mutex::new((HashMap::new(), Vec::new())));
    let listener = {
        let states = Arc::clone(&states);
        move |event: &Event<'_>| {
            let (states, wrong) = &mut *states.lock().unwrap();
            let (connection, before, after) = match event {
                Event::Created { connection, .. } => (connection, None, State::Idle),
                Event::Acquired { connection, .. } => (connection, Some(State::Idle), State::Held),
                Event::Released { connection, .. } => (connection, Some(State::Held), State::Idle),
                Event::Retired { connection, .. } => (connection, Some(State::Idle), State::Gone),
                _ => return,
            };
            let was = states.insert(*connection, after);
            if was != before {
                wrong.push(format!("{event:?} after {was:?}"));
            }
        }
    };
    let mock = Mock::ok();
    let pool = Pool::builder(mock).config(config(3)).listener(listener).build().unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|user| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for round in 0..500 {
                    let held = pool.acquire().await.unwrap();
                    if (user + round) % 3 == 0 {
                        held.invalidate();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let wrong = &states.lock().unwrap().1;
    assert!(wrong.is_empty(), "{} out of order, such as {}", wrong.len(), wrong[0]);
}

/// Connections that count how often they were checked and given back, as sqlx's callbacks do. Those with an
/// even number fail their third check; those with an odd number are refused on their fourth return.
struct Callbacks(AtomicUsize);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Counted {
    id: usize,
    checked: usize,
    returned: usize,
}

impl Manager for Callbacks {
    type Connection = Counted;
    type Error = std::io::Error;

    async fn connect(&self) -> Result<Counted, std::io::Error> {
        Ok(Counted { id: self.0.fetch_add(1, SeqCst), checked: 0, returned: 0 })
    }

    async fn check(&self, connection: &mut Counted) -> Result<(), std::io::Error> {
        connection.checked += 1;
        if connection.id.is_multiple_of(2) && connection.checked == 3 {
            return Err(std::io::Error::other("worn out"));
        }
        Ok(())
    }

    fn is_reusable(&self, connection: &mut Counted) -> bool {
        connection.returned += 1;
        connection.id.is_multiple_of(2) || connection.returned < 4
    }
}

/// `health.known_dead`: as sqlx asks of its callbacks. The manager sees each hand-out after a rest and each
/// return, and either may end a connection.
#[tokio::test(start_paused = true)]
async fn check_and_return_are_asked_each_time_and_may_end_a_connection() {
    let config = PoolConfig { check_after_idle: ms(1), ..config(1) };
    let pool = Pool::new(Callbacks(AtomicUsize::new(0)), config).unwrap();
    let mut seen = Vec::new();
    for _ in 0..11 {
        let held = pool.acquire().await.unwrap();
        seen.push((held.id, held.checked, held.returned));
        drop(held);
        tokio::time::sleep(ms(2)).await;
    }
    let even = |id| (0..3).map(move |times| (id, times, times));
    let odd = |id| (0..4).map(move |times| (id, times, times));
    let expected: Vec<_> = even(0).chain(odd(1)).chain(even(2)).chain(odd(3).take(1)).collect();
    assert_eq!(seen, expected);
}

/// `connect.permanent`, `connect.backoff`: as deadpool asks of a server that refuses. Each acquire is told,
/// not only the first; one that comes in the pause after a failure is told at its end, by the next attempt,
/// and never at the deadline.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_told_to_each_acquire() {
    for (pause, longest) in [(ms(1), ms(1)), (ms(100), secs(5))] {
        let mock = Mock::new(Step::Permanent);
        let config = PoolConfig { connect_backoff: pause, max_connect_backoff: longest, ..config(16) };
        let pool = pool(&mock, config);
        for number in 1..=10 {
            let begin = Instant::now();
            let error = pool.acquire().await.unwrap_err();
            assert!(matches!(error, AcquireError::Connect(_)), "{error}");
            assert!(begin.elapsed() <= longest + ms(2), "told after {:?}", begin.elapsed());
            assert_eq!(mock.attempts().len(), number, "one attempt for each answer");
        }
    }
}

/// `cancel.no_loss`: as hyper-util asks. Waiters that give up leave nothing behind, polled or not.
#[tokio::test(start_paused = true)]
async fn waiters_that_give_up_leave_nothing_behind() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    let mut waiters: Vec<_> = (0..5).map(|_| Box::pin(pool.acquire())).collect();
    assert_eq!(pool.stats().pending_requests, 0, "none has been polled");
    for (number, waiter) in waiters.iter_mut().enumerate().take(3) {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
        assert_eq!(pool.stats().pending_requests, number + 1);
    }
    while let Some(waiter) = waiters.pop() {
        drop(waiter);
        assert_eq!(pool.stats().pending_requests, waiters.len().min(3));
    }
    drop(held);
    assert_eq!((pool.stats().idle_connections, mock.attempts().len()), (1, 1));
}

/// Pools, waits and guards may cross threads.
#[test]
fn everything_may_cross_threads() {
    fn crosses<T: Send + Sync>(_: &T) {}
    fn is_sent<T: Send>(_: &T) {}
    let pool = pool(&Mock::ok(), config(1));
    crosses(&pool);
    is_sent(&pool.acquire());
    is_sent(&pool.close());
    crosses(&None::<PooledConnection<Mock>>);
    crosses(&pool.stats());
}
