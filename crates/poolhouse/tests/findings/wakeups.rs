//! A waiter is woken, once and in time, whatever becomes of the runtimes around: `acquire.deadline` and its
//! kin.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use poolhouse::{AcquireError, Pool, PoolConfig, RetireReason};
use tokio::runtime::{Builder, Runtime};

use crate::common::{Mock, Step, config, ms, poll_once, pool, secs, settle};
use crate::support::{Counting, Events, Told, assert_all_can_be_held, bounded, in_child, one_thread, paused};

fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(count).enable_all().build().unwrap()
}

/// Threads that do nothing but keep the machine busy, until this is dropped.
struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Busy {
    fn new(count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count)
            .map(|_| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    while !stop.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// acquire.deadline, acquire.race: no wake-up of the background is lost. Three tasks whose connections are all
/// invalidated, on a busy machine; nobody waits for as long as three seconds. Real threads, for a lost wake-up is a race.
#[test]
fn no_wake_up_is_lost_where_every_connection_is_invalidated() {
    invalidate_every_connection_for(secs(2));
}

/// acquire.deadline, acquire.race: the same for longer.
#[test]
#[ignore = "long: eight seconds on a machine that is kept busy"]
fn no_wake_up_is_lost_where_every_connection_is_invalidated_for_long() {
    invalidate_every_connection_for(secs(8));
}

fn invalidate_every_connection_for(time: Duration) {
    bounded(secs(60), move || {
        let _busy = Busy::new(3);
        let runtime = workers(2);
        let pool = pool(&Mock::ok(), config(10));
        let (end, uses) = (Instant::now() + time, Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (pool, uses) = (pool.clone(), Arc::clone(&uses));
                runtime.spawn(async move {
                    while Instant::now() < end {
                        match pool.acquire_within(secs(3)).await {
                            Ok(connection) => connection.invalidate(),
                            Err(error) => return Err(error.to_string()),
                        }
                        uses.fetch_add(1, SeqCst);
                    }
                    Ok(())
                })
            })
            .collect();
        for task in tasks {
            let ended = runtime.block_on(task).unwrap();
            assert_eq!(ended, Ok(()), "after {} uses", uses.load(SeqCst));
        }
    });
}

/// release.anywhere, close.complete: a runtime of several threads can be dropped at any moment, also when the pool wants
/// to open connections just then.
#[test]
fn a_runtime_that_is_dropped_after_invalidate_all_ends() {
    in_child("wakeups::a_runtime_that_is_dropped_after_invalidate_all_ends", secs(30), || {
        for round in 0..200 {
            let runtime = workers(1 + round % 2);
            let pool = pool(&Mock::ok(), PoolConfig { min_connections: 8, ..config(8) });
            runtime.block_on(async { pool.warm_up().await.unwrap() });
            pool.invalidate_all();
            drop(runtime);
        }
    });
}

/// Polls an acquire once in a runtime, and awaits it in another.
fn moves(context: &str, limit: Duration, first: &mut Option<Runtime>, ends: bool, within: Option<Duration>) {
    let pool = pool(&Mock::ok(), PoolConfig { connection_timeout: limit, ..config(1) });
    moves_in(context, &pool, first, ends, within);
}

fn moves_in(
    context: &str,
    pool: &Pool<Mock>,
    first: &mut Option<Runtime>,
    ends: bool,
    within: Option<Duration>,
) {
    let mut acquire = Box::pin(match within {
        Some(limit) => pool.acquire_within(limit),
        None => pool.acquire(),
    });
    let polled = first.as_ref().unwrap().block_on(poll_once(acquire.as_mut()));
    assert!(polled.is_pending(), "{context}");
    if ends {
        drop(first.take());
    }
    let second = one_thread();
    let begin = Instant::now();
    let ended = second.block_on(async { tokio::time::timeout(secs(10), acquire.as_mut()).await });
    let Ok(ended) = ended else { panic!("{context}: it waits for ever") };
    assert!(ended.is_ok(), "{context}: {} after {:?}", ended.unwrap_err(), begin.elapsed());
}

/// acquire.deadline: an acquire that was polled once in a runtime and is awaited in another ends, with a connection, and no
/// panic: where the first is not driven any more, and where it has ended.
#[test]
fn an_acquire_that_moves_to_another_runtime_ends() {
    bounded(secs(60), || {
        for within in [None, Some(secs(3))] {
            moves(&format!("not driven, {within:?}"), secs(3), &mut Some(one_thread()), false, within);
            moves(&format!("ended, {within:?}"), secs(3), &mut Some(one_thread()), true, within);
        }
    });
}

/// acquire.deadline: the same while a third runtime has a background and is not driven.
#[test]
fn an_acquire_that_moves_ends_though_a_third_runtime_has_a_background() {
    bounded(secs(60), || {
        for (within, ends) in [(None, true), (Some(secs(3)), true), (None, false), (Some(secs(3)), false)] {
            let third = one_thread();
            let pool = pool(&Mock::ok(), PoolConfig { connection_timeout: secs(3), ..config(1) });
            third.block_on(async { pool.acquire().await.unwrap().invalidate() });
            let context = format!("the first ends: {ends}, {within:?}");
            moves_in(&context, &pool, &mut Some(one_thread()), ends, within);
            drop(third);
        }
    });
}

/// acquire.deadline: where no connection comes, an acquire that has moved ends at its limit all the same.
#[test]
fn an_acquire_that_moves_ends_at_its_limit() {
    bounded(secs(60), || {
        for within in [None, Some(ms(300))] {
            for ends in [false, true] {
                let mock = Mock::new(Step::Never);
                let pool = pool(&mock, PoolConfig { connection_timeout: ms(300), ..config(1) });
                let mut first = Some(one_thread());
                let mut acquire = Box::pin(match within {
                    Some(limit) => pool.acquire_within(limit),
                    None => pool.acquire(),
                });
                assert!(first.as_ref().unwrap().block_on(poll_once(acquire.as_mut())).is_pending());
                if ends {
                    drop(first.take());
                }
                let ended = one_thread().block_on(async {
                    tokio::time::timeout(secs(10), acquire.as_mut()).await.map(|it| it.is_ok())
                });
                assert!(ended == Ok(false), "{within:?}, the first ends: {ends}: {ended:?}");
            }
        }
    });
}

/// acquire.deadline: a connect in a runtime that nobody drives any more holds up nobody in another for longer than a connect
/// may take, if there is room for a second: neither who waits nor a warm-up.
#[test]
fn a_connect_that_nobody_drives_holds_up_no_other_runtime() {
    bounded(secs(60), || {
        let attempt = PoolConfig { connect_attempt_timeout: ms(100), ..config(2) };
        for failures in [0, 1] {
            let context = format!("after {failures} failures");
            let steps = std::iter::repeat_n(Step::Fail, failures).chain([Step::Slow(ms(90))]);
            let mock = Mock::ok().script(steps);
            let backoff =
                PoolConfig { connect_backoff: ms(1), max_connect_backoff: ms(1), ..attempt.clone() };
            let pool =
                pool(&mock, PoolConfig { min_connections: 1, connection_timeout: secs(20), ..backoff });
            let undriven = one_thread();
            let gave_up = async {
                let mut acquire = pin!(pool.acquire());
                while mock.attempts().len() <= failures {
                    assert!(poll_once(acquire.as_mut()).await.is_pending());
                    tokio::time::sleep(ms(1)).await;
                }
            };
            undriven.block_on(gave_up);
            assert_eq!(pool.stats().connecting, 1, "{context}");

            let (driven, begin) = (workers(1), Instant::now());
            let (warm_up, acquired) = driven.block_on(async { tokio::join!(pool.warm_up(), pool.acquire()) });
            let took = begin.elapsed();
            assert!(
                warm_up.is_ok() && acquired.is_ok() && took < secs(5),
                "{context}: {acquired:?} after {took:?}"
            );
            assert_eq!((mock.open(), pool.stats().connecting), (2, 1), "it keeps its share: {context}");
            undriven.block_on(settle());
            assert_eq!((mock.open(), pool.stats().connecting), (1, 0), "{context}");
        }
    });
}

/// What a runtime that has ended leaves of itself: a handle, which can be entered.
fn ended_runtime() -> tokio::runtime::Handle {
    let runtime = one_thread();
    let handle = runtime.handle().clone();
    drop(runtime);
    handle
}

/// Whether an error says that the runtime is the reason.
fn blames_the_runtime(error: &AcquireError) -> bool {
    !error.is_timeout() && error.to_string().contains("runtime")
}

/// acquire.diagnosis: an acquire that has to wait in a runtime that has ended fails at once and says so.
#[test]
fn an_acquire_in_a_runtime_that_has_ended_fails_at_once() {
    bounded(secs(60), || {
        for within in [None, Some(secs(5))] {
            let pool = pool(&Mock::ok(), PoolConfig { connection_timeout: secs(5), ..config(1) });
            let handle = ended_runtime();
            let _entered = handle.enter();
            let counting = Arc::new(Counting::default());
            let mut acquire = pin!(match within {
                Some(limit) => pool.acquire_within(limit),
                None => pool.acquire(),
            });
            let begin = Instant::now();
            let polled = counting.drive(acquire.as_mut(), 1_000, secs(2));
            let woken = counting.woken();
            assert!(woken < 100, "woken {woken} times in {:?}", begin.elapsed());
            let Poll::Ready(Err(error)) = polled else { panic!("{within:?}: it still waits: {polled:?}") };
            assert!(blames_the_runtime(&error), "{within:?}: {error}");
            assert!(begin.elapsed() < secs(2), "{within:?}: after {:?}", begin.elapsed());
        }
    });
}

/// acquire.diagnosis: the same for one that waited already when its runtime ended, and is polled where it ended.
#[test]
fn a_waiter_whose_runtime_ends_fails_at_once() {
    bounded(secs(60), || {
        let pool = pool(&Mock::new(Step::Never), PoolConfig { connection_timeout: secs(5), ..config(1) });
        let counting = Arc::new(Counting::default());
        let mut acquire = pin!(pool.acquire());
        let runtime = one_thread();
        let handle = runtime.handle().clone();
        let _entered = handle.enter();
        assert!(counting.drive(acquire.as_mut(), 1, ms(0)).is_pending());
        drop(runtime);
        let begin = Instant::now();
        let polled = counting.drive(acquire.as_mut(), 1_000, secs(2));
        let woken = counting.woken();
        assert!(woken < 100, "woken {woken} times in {:?}", begin.elapsed());
        let Poll::Ready(Err(error)) = polled else { panic!("it still waits: {polled:?}") };
        assert!(blames_the_runtime(&error), "{error}");
    });
}

/// acquire.deadline: the same for one that is polled outside of any runtime by then. While another runtime serves the pool, it
/// goes on waiting.
#[test]
fn a_waiter_that_no_runtime_is_left_for_fails_at_once() {
    bounded(secs(60), || {
        for within in [None, Some(ms(300))] {
            let pool = pool(&Mock::new(Step::Never), PoolConfig { connection_timeout: ms(300), ..config(1) });
            let [first, second] = [one_thread(), workers(1)];
            let acquire = || match within {
                Some(limit) => pool.acquire_within(limit),
                None => pool.acquire(),
            };
            let (mut acquire, mut other) = (pin!(acquire()), pin!(acquire()));
            assert!(first.block_on(poll_once(acquire.as_mut())).is_pending());
            assert!(second.block_on(poll_once(other.as_mut())).is_pending());
            drop(first);
            let counting = Arc::new(Counting::default());
            assert!(counting.drive(acquire.as_mut(), 1, ms(0)).is_pending(), "{within:?}");
            drop(second);
            let polled = counting.drive(acquire.as_mut(), 2, secs(10));
            let Poll::Ready(Err(error)) = polled else { panic!("{within:?}: it still waits: {polled:?}") };
            assert!(blames_the_runtime(&error), "{within:?}: {error}");
        }
    });
}

/// panic.no_loss, connect.backoff: a caller's own panic, which drops its runtime, is not taken for a panic of the manager. A
/// connect under way is not a failed one, and nobody waits through a pause for it.
#[test]
fn a_callers_panic_is_no_failed_connect() {
    bounded(secs(60), || {
        let mock = Mock::ok().script([Step::Never]);
        let events = Events::default();
        let config = PoolConfig { connect_backoff: secs(3600), max_connect_backoff: secs(3600), ..config(1) };
        let pool = Pool::builder(mock.clone()).config(config).listener(events.listener()).build().unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let runtime = one_thread();
            runtime.block_on(async {
                let mut acquire = pin!(pool.acquire());
                assert!(poll_once(acquire.as_mut()).await.is_pending());
                settle().await;
            });
            assert_eq!(mock.attempts().len(), 1);
            crate::support::quiet_panic();
        }));
        assert!(caught.is_err());
        assert_eq!((pool.stats().failed_connects, events.failed_connects()), (0, vec![]));
        paused().block_on(async {
            let begin = tokio::time::Instant::now();
            drop(pool.acquire().await.unwrap());
            assert!(begin.elapsed() < secs(1), "after a pause of {:?}", begin.elapsed());
            assert_all_can_be_held(&pool, 1, "after the caller's panic").await;
        });
    });
}

/// panic.no_loss: nor is a health check under way a failed one.
#[test]
fn a_callers_panic_is_no_failed_check() {
    bounded(secs(60), || {
        let mock = Mock::ok();
        mock.set_check(Step::Never);
        let events = Events::default();
        let config = PoolConfig { health_check_timeout: Duration::MAX, ..config(1) };
        let pool = Pool::builder(mock.clone()).config(config).listener(events.listener()).build().unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let runtime = paused();
            runtime.block_on(async {
                drop(pool.acquire().await.unwrap());
                tokio::time::sleep(secs(31)).await;
            });
            assert_eq!(pool.stats().checking, 1);
            crate::support::quiet_panic();
        }));
        assert!(caught.is_err());
        assert_eq!((pool.stats().failed_checks, events.failed_checks()), (0, 0));
        let told = events.of(1);
        let gone = Told::Retired(RetireReason::RuntimeGone);
        assert_eq!(told, [Told::Created, Told::Acquired, Told::Released, gone]);
    });
}
