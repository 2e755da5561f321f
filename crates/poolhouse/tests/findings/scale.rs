//! What a crowd costs: time, memory, and the attention of the background.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use poolhouse::{Acquire, AcquireError, Pool, PoolConfig};

use crate::common::{Mock, Step, assert_hands_out_exactly, config, filled, ms, pool, secs, settle};
use crate::support::{bounded, in_child, one_thread, paused};

/// How the deadlines of a crowd lie.
#[derive(Debug, Clone, Copy)]
enum Deadlines {
    Same,
    Spread,
    /// The youngest ends first.
    Backwards,
}

/// The time of a crowd, taken again if it is over the limit. A machine that is busy with something else lengthens one or
/// another, but hardly each of three.
fn one_in_three(limit: Duration, crowd: impl Fn() -> Duration) -> Duration {
    let mut took = crowd();
    for _ in 0..2 {
        if took >= limit {
            took = crowd();
        }
    }
    took
}

/// How long it takes in real time until a crowd of waiters has ended, from its first deadline on.
fn crowd_ends(count: usize, deadlines: Deadlines) -> Duration {
    bounded(secs(120), move || {
        paused().block_on(async {
            let pool = pool(&Mock::ok(), config(1));
            let held = pool.acquire().await.unwrap();
            let tasks: Vec<_> = (0..count)
                .map(|number| {
                    let limit = match deadlines {
                        Deadlines::Same => secs(10),
                        Deadlines::Spread => secs(10) + ms(fastrand_like(number) % 100),
                        Deadlines::Backwards => secs(10) + ms(((count - number) * 100 / count) as u64),
                    };
                    let pool = pool.clone();
                    tokio::spawn(async move { pool.acquire_within(limit).await.map(drop) })
                })
                .collect();
            tokio::time::sleep(ms(9_990)).await;
            assert_eq!(pool.stats().pending_requests, count);
            let begin = Instant::now();
            for task in tasks {
                assert!(task.await.unwrap().unwrap_err().is_timeout());
            }
            let took = begin.elapsed();
            assert_eq!(pool.stats().pending_requests, 0);
            drop(held);
            assert_hands_out_exactly(&pool, 1, "after the crowd").await;
            took
        })
    })
}

/// A number that looks as if drawn, and is the same each time.
fn fastrand_like(number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

/// acquire.deadline: twenty thousand waiters with limits of their own end in time, whatever the order of their deadlines.
#[test]
fn twenty_thousand_deadlines_end_in_time() {
    for deadlines in [Deadlines::Same, Deadlines::Spread, Deadlines::Backwards] {
        let took = one_in_three(secs(2), || crowd_ends(20_000, deadlines));
        println!("{deadlines:?}: {took:?}");
        assert!(took < secs(2), "{deadlines:?}: {took:?}");
    }
}

/// acquire.deadline: the time for each waiter does not grow with the crowd: twice as many take about twice as long.
#[test]
fn twice_as_many_deadlines_take_about_twice_as_long() {
    for deadlines in [Deadlines::Same, Deadlines::Backwards] {
        let small = (0..2).map(|_| crowd_ends(15_000, deadlines)).min().unwrap();
        let limit = small.max(ms(20)) * 10;
        let large = one_in_three(limit, || crowd_ends(60_000, deadlines));
        println!("{deadlines:?}: {small:?}, {large:?}");
        assert!(large < limit, "{deadlines:?}: {small:?} and {large:?}");
    }
}

/// How long it takes in real time until a pool has opened so many connections, all at once.
fn all_open(count: usize) -> Duration {
    bounded(secs(120), move || {
        paused().block_on(async {
            let pool = pool(&Mock::ok(), PoolConfig { max_connecting: count, ..config(count) });
            let begin = Instant::now();
            let tasks: Vec<_> = (0..count)
                .map(|_| {
                    let pool = pool.clone();
                    tokio::spawn(async move { pool.acquire_owned().await })
                })
                .collect();
            let mut held = Vec::new();
            for task in tasks {
                held.push(task.await.unwrap().unwrap());
            }
            assert_eq!(pool.stats().active_connections, count);
            begin.elapsed()
        })
    })
}

/// The background looks at every connection once for all connects that end together, not once for each.
#[test]
fn four_times_as_many_connects_take_about_four_times_as_long() {
    let small = (0..2).map(|_| all_open(500)).min().unwrap();
    let limit = small.max(ms(20)) * 10;
    let large = one_in_three(limit, || all_open(2_000));
    println!("{small:?}, {large:?}");
    assert!(large < limit, "{small:?} and {large:?}");
}

/// acquire.deadline: a hundred thousand.
#[test]
#[ignore = "long: takes its time where it fails"]
fn a_hundred_thousand_deadlines_end_in_time() {
    for deadlines in [Deadlines::Same, Deadlines::Spread, Deadlines::Backwards] {
        let took = one_in_three(secs(5), || crowd_ends(100_000, deadlines));
        println!("{deadlines:?}: {took:?}");
        assert!(took < secs(5), "{deadlines:?}: {took:?}");
    }
}

type Crowd<'a> = Vec<Pin<Box<Acquire<'a, Mock>>>>;

/// Every wait of the crowd ends, and each waiter asks why, or only the first does.
fn time_is_up(pool: &Pool<Mock>, crowd: &mut Crowd<'_>, all_ask: bool) {
    // Polled once: the clock moves, and nobody runs.
    let _ = pin!(tokio::time::advance(secs(31))).poll(&mut Context::from_waker(Waker::noop()));
    for waiter in crowd.iter_mut().take(if all_ask { usize::MAX } else { 1 }) {
        let polled = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Err(AcquireError::Timeout(_)))), "{polled:?}");
        assert_eq!(pool.stats().pending_requests, 0, "all of them end in one walk");
    }
}

/// What the pool keeps of a crowd that has gone, in bytes.
fn left_of_a_crowd<'a>(
    pool: &'a Pool<Mock>,
    count: usize,
    leave: impl FnOnce(&Pool<Mock>, &mut Crowd<'a>),
) -> i64 {
    let measured = allocation_counter::measure(|| {
        let mut crowd: Crowd<'a> = (0..count).map(|_| Box::pin(pool.acquire())).collect();
        for waiter in &mut crowd {
            assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(pool.stats().pending_requests, count);
        leave(pool, &mut crowd);
        drop(crowd);
        assert_eq!(pool.stats().pending_requests, 0);
    });
    measured.bytes_current
}

/// acquire.shed: the memory of a crowd is given back when the crowd has gone: by giving up, by a timeout, or by a
/// refusal.
#[test]
fn the_memory_of_a_crowd_is_given_back() {
    const CROWD: usize = 100_000;
    const MOST: i64 = 512 * 1024;
    bounded(secs(60), || {
        // One task polls them all, so it must not be told to yield in between.
        paused().block_on(tokio::task::unconstrained(async {
            let mock = Mock::ok();
            let pool = filled(&mock, 1, config(1)).await;
            let held = pool.acquire().await.unwrap();
            let given_up = left_of_a_crowd(&pool, CROWD, |_, _| ());
            println!("{given_up} bytes after {CROWD} waiters that gave up");
            // A pool may wait for the next call to give back.
            drop(held);
            let after = left_of_a_crowd_that_was_served(&pool, 1).await;
            let left = given_up + after;
            assert!(left < MOST, "{left} bytes, {} for each waiter", left / CROWD as i64);
            for asks in [true, false] {
                let _held = pool.acquire().await.unwrap();
                let late = left_of_a_crowd(&pool, CROWD, |pool, crowd| time_is_up(pool, crowd, asks));
                println!("{late} bytes after {CROWD} waiters whose time was up, asked: {asks}");
                assert!(late < MOST, "{late} bytes, {} for each waiter", late / CROWD as i64);
            }
            let refused = {
                let _held = pool.acquire().await.unwrap();
                left_of_a_crowd(&pool, CROWD, |pool, _| {
                    drop(pool.close());
                    let closing = std::pin::pin!(pool.close());
                    let _ = closing.poll(&mut Context::from_waker(Waker::noop()));
                })
            };
            println!("{refused} bytes after {CROWD} waiters that were refused");
            assert!(refused < MOST, "{refused} bytes, {} for each waiter", refused / CROWD as i64);
        }));
    });
}

/// The same for waiters that are served one after the other.
async fn left_of_a_crowd_that_was_served(pool: &Pool<Mock>, count: usize) -> i64 {
    let held = pool.acquire().await.unwrap();
    let measured = allocation_counter::measure(|| {
        let mut held = Some(held);
        let mut crowd: Vec<_> = (0..count).map(|_| Box::pin(pool.acquire())).collect();
        for waiter in &mut crowd {
            assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        for mut waiter in crowd {
            drop(held.take());
            let polled = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            held = Some(crate::support::granted(polled));
        }
    });
    measured.bytes_current
}

/// acquire.shed: also where everybody in the crowd was served.
#[test]
fn the_memory_of_a_crowd_that_was_served_is_given_back() {
    bounded(secs(60), || {
        // One task polls them all, so it must not be told to yield in between.
        paused().block_on(tokio::task::unconstrained(async {
            let mock = Mock::ok();
            let pool = filled(&mock, 1, config(1)).await;
            let left = left_of_a_crowd_that_was_served(&pool, 100_000).await;
            assert!(left < 512 * 1024, "{left} bytes");
            assert_hands_out_exactly(&pool, 1, "after the crowd").await;
        }));
    });
}

/// health.off_path: health checks are spread. At any instant at most a tenth of the connections, or one, is under a check,
/// so that most can be taken; and each is checked soon after its interval.
#[tokio::test(start_paused = true)]
async fn at_most_a_tenth_of_the_connections_is_under_a_check() {
    for count in [3, 10, 50, 200] {
        let mock = Mock::ok();
        let config = PoolConfig { max_connecting: count, idle_timeout: secs(3600), ..config(count) };
        let pool = filled(&mock, count, config).await;
        mock.set_check(Step::Slow(ms(500)));
        let bound = (count / 10).max(1);
        let begin = tokio::time::Instant::now();
        let mut checked_all = None;
        while begin.elapsed() < secs(100) {
            tokio::time::sleep(ms(50)).await;
            let stats = pool.stats();
            assert!(stats.checking <= bound, "{} of {count} at {:?}", stats.checking, begin.elapsed());
            if mock.checks() >= count && checked_all.is_none() {
                checked_all = Some(begin.elapsed());
            }
        }
        let checked_all = checked_all.unwrap_or_else(|| panic!("only {} of {count}", mock.checks()));
        // Ten or so rounds of half a second each after the interval.
        assert!(checked_all <= secs(45), "{count} took until {checked_all:?}");
        assert_eq!((mock.open(), pool.stats().failed_checks), (count, 0));
        let mut held = Vec::new();
        while let Some(connection) = pool.try_acquire() {
            held.push(connection);
        }
        assert!(held.len() >= count - bound, "{} of {count} can be taken", held.len());
    }
}

/// health.off_path, lifetime.jitter: no option makes the pool spin. What is too short to be meant is refused, or happens at
/// most once a millisecond or so.
#[test]
fn no_option_makes_the_pool_spin() {
    in_child("scale::no_option_makes_the_pool_spin", secs(20), || {
        let nano = Duration::from_nanos(1);
        let base = || PoolConfig { min_connections: 1, ..config(2) };
        let cases = [
            ("max_lifetime", PoolConfig { max_lifetime: nano, ..base() }),
            ("health_check_interval", PoolConfig { health_check_interval: nano, ..base() }),
            ("idle_timeout", PoolConfig { idle_timeout: nano, ..base() }),
            ("leak_threshold", PoolConfig { leak_threshold: nano, ..base() }),
            ("connect_backoff", PoolConfig { connect_backoff: nano, max_connect_backoff: nano, ..base() }),
        ];
        for (option, config) in cases {
            let mock = if option == "connect_backoff" { Mock::new(Step::Fail) } else { Mock::ok() };
            let pool = match Pool::new(mock.clone(), config) {
                Ok(pool) => pool,
                Err(error) => {
                    assert_eq!(error.field(), option);
                    continue;
                }
            };
            let took = one_thread().block_on(async {
                let begin = Instant::now();
                let _ = tokio::time::timeout(ms(100), pool.acquire()).await;
                tokio::time::sleep(ms(400)).await;
                settle().await;
                begin.elapsed()
            });
            let (connects, checks) = (mock.attempts().len(), mock.checks());
            let most = took.as_millis() as usize * 2;
            assert!(
                connects <= most && checks <= most,
                "{option}: {connects} connects, {checks} checks in {took:?}"
            );
        }
    });
}
