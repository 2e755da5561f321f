//! Ways in which pools have let people down, each as a test that this one does not: who waits, and for how
//! long.
//!
//! Each test names the thread, what went wrong there, and the guarantee that prevents it here. Threads that an
//! older test covers are named there. What peers were measured to do is in the versions of November 2026.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use poolhouse::{AcquireError, Event, Manager, Phase, Pool, PoolConfig};
use tokio::time::Instant;

use crate::common::{
    Mock, Step, assert_hands_out_exactly, config, in_time, ms, poll_once, pool, secs, settle,
};

/// `acquire.race`: <https://github.com/brettwooldridge/HikariCP/blob/dev/documents/Welcome-To-The-Jungle.md>.
/// Fifty tasks come at once where five connections idle and a connect takes long: a pool that ties each waiter
/// to a connect of its own makes most of them wait for it (deadpool 0.13: median 150 ms) and opens one for each
/// (deadpool and bb8 0.9: 45).
#[tokio::test(start_paused = true)]
async fn a_spike_is_served_by_what_comes_back() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { min_connections: 5, ..config(50) });
    pool.warm_up().await.unwrap();
    mock.set_connect(Step::Slow(ms(150)));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let begin = Instant::now();
                let _held = pool.acquire().await.unwrap();
                let waited = begin.elapsed();
                tokio::time::sleep(ms(2)).await;
                waited
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.push(task.await.unwrap());
    }
    waits.sort_unstable();
    let (median, longest, connects) = (waits[25], waits[49], mock.attempts().len() - 5);
    println!("median wait {median:?}, longest {longest:?}, {connects} connects");
    assert!(median <= ms(14), "{median:?}");
    assert!(connects <= 45 / 3, "{connects}");
}

/// `cancel.no_loss`: <https://github.com/transact-rs/sqlx/issues/3132>. An acquire that timed out dropped the connect
/// that it had begun, so a pool below its maximum opened and dropped thousands of connections a second and served
/// nobody. Here the connect goes on, for the next caller.
#[tokio::test(start_paused = true)]
async fn a_timeout_shorter_than_a_connect_still_makes_progress() {
    let mock = Mock::new(Step::Slow(ms(50)));
    let pool = pool(&mock, config(10));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for tries in 1..10 {
                    match pool.acquire_within(ms(20)).await {
                        Ok(_held) => return tries,
                        Err(error) => assert!(error.is_timeout(), "{error}"),
                    }
                }
                0
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 3, "served at 50 ms, in the third 20 ms");
    }
    assert!(begin.elapsed() <= ms(55), "{:?}", begin.elapsed());
    assert!(mock.attempts().len() <= 10, "{} connects", mock.attempts().len());
    assert!(mock.closed_at().is_empty(), "a connection was opened for nothing");
}

/// `acquire.deadline`: in deadpool 0.13 one get walks through all idle connections, each with a timeout of its own:
/// eight that hang take it 811 ms with timeouts of 100 ms. Here the deadline is one for all.
#[tokio::test(start_paused = true)]
async fn eight_hung_idle_connections_cost_one_deadline() {
    let mock = Mock::ok();
    let timeouts =
        PoolConfig { health_check_timeout: ms(100), connect_attempt_timeout: ms(100), ..config(8) };
    let pool = pool(&mock, PoolConfig { min_connections: 8, check_after_idle: secs(1), ..timeouts });
    pool.warm_up().await.unwrap();
    tokio::time::sleep(secs(2)).await;
    mock.set_check(Step::Never);
    mock.set_connect(Step::Never);
    let begin = Instant::now();
    let error = pool.acquire_within(ms(150)).await.unwrap_err();
    assert!(error.is_timeout() && begin.elapsed() <= ms(152), "{error} after {:?}", begin.elapsed());

    // Where connects work, the first hung check that ends makes room for one.
    mock.set_connect(Step::Ok);
    tokio::time::sleep(secs(2)).await;
    let begin = Instant::now();
    drop(pool.acquire_within(ms(150)).await.unwrap());
    assert!(begin.elapsed() <= ms(105), "{:?}", begin.elapsed());
}

/// `resize.exact`: after `resize(2)` on an empty pool of ten, deadpool 0.13 hands out ten.
#[tokio::test(start_paused = true)]
async fn an_empty_pool_of_ten_hands_out_two_after_a_resize_to_two() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(10));
    pool.resize(2).unwrap();
    assert_hands_out_exactly(&pool, 2, "resized while empty").await;
    assert_eq!((mock.peak(), mock.attempts().len()), (2, 2));
}

/// `resize.exact`: <https://github.com/deadpool-rs/deadpool/issues/380>. Shrinking below what was held and
/// growing again made a count go below zero, and the panic poisoned the pool.
#[tokio::test(start_paused = true)]
async fn shrinking_and_growing_below_what_is_held_keeps_the_count() {
    for path in [[1, 2, 2], [1, 3, 1], [2, 1, 5], [1, 1, 2]] {
        let mock = Mock::ok();
        let pool = pool(&mock, config(4));
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pool.acquire().await.unwrap());
        }
        for max in path {
            pool.resize(max).unwrap();
            assert_eq!(pool.stats().total_connections, held.len(), "the held stay");
            held.pop();
            assert_eq!(mock.open(), pool.stats().total_connections);
        }
        drop(held);
        assert!(mock.open() <= path[2], "{path:?}: {} stay", mock.open());
        assert_hands_out_exactly(&pool, path[2], &format!("{path:?}")).await;
    }
}

/// `release.anywhere`: <https://github.com/transact-rs/sqlx/issues/4349>. Dropping a guard asked the server for
/// a sign of life, without a limit: each peer that had gone silent took a place forever.
#[tokio::test(start_paused = true)]
async fn dropping_a_silently_dead_connection_frees_its_place() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(3));
    for _ in 0..3 {
        let held = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
        mock.set_check(Step::Never);
        let begin = Instant::now();
        // Once as it is, once because the holder noticed.
        drop(held.0);
        held.1.invalidate();
        assert_eq!((begin.elapsed(), pool.stats().active_connections), (ms(0), 0));
        // The background checks what has idled, and gives up on it.
        tokio::time::sleep(secs(40)).await;
        assert_eq!((pool.stats().total_connections, pool.stats().checking), (0, 0));
    }
    assert_hands_out_exactly(&pool, 3, "silent peers").await;
}

/// `acquire.race`: <https://github.com/djc/bb8/issues/167>. A connection that came back broken woke nobody, so
/// those who waited went on waiting though there was room to connect.
#[tokio::test(start_paused = true)]
async fn connections_that_come_back_broken_do_not_starve_waiters() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(5));
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(pool.acquire().await.unwrap());
    }
    mock.refuse_returns(true);
    let begin = Instant::now();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    settle().await;
    assert_eq!(pool.stats().pending_requests, 50);
    drop(held);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!((begin.elapsed(), mock.attempts().len(), mock.open()), (ms(0), 55, 0));
}

/// `size.min`: <https://github.com/brettwooldridge/HikariCP/pull/2317>. One thread opened all connections in turn, so
/// where a connect took long the pool never got back to its minimum.
#[tokio::test(start_paused = true)]
async fn the_minimum_is_refilled_in_parallel() {
    let mock = Mock::new(Step::Slow(ms(100)));
    let pool = pool(&mock, PoolConfig { min_connections: 16, max_connecting: 8, ..config(16) });
    let begin = Instant::now();
    pool.warm_up().await.unwrap();
    assert!(begin.elapsed() <= ms(205), "warm after {:?}", begin.elapsed());
    for round in 1..=3 {
        pool.invalidate_all();
        let begin = Instant::now();
        pool.warm_up().await.unwrap();
        assert!(begin.elapsed() <= ms(205), "round {round}: refilled after {:?}", begin.elapsed());
        assert_eq!((mock.open(), mock.attempts().len()), (16, 16 * (round + 1)));
    }
    assert_eq!(mock.take_connecting_peak(), 8);
}

/// `acquire.diagnosis`: <https://github.com/brettwooldridge/HikariCP/issues/442> and
/// <https://github.com/jackc/pgx/issues/2499>. As many tasks as there are connections each hold one and wait
/// for a second: all time out, and nothing says why. Here each is told its own source line.
#[tokio::test(start_paused = true)]
async fn tasks_that_wait_for_a_second_connection_are_told_so() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { detect_nested_acquires: true, ..config(3) });
    let barrier = Arc::new(tokio::sync::Barrier::new(3));
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                let (_first, line) = (pool.acquire().await.unwrap(), line!());
                barrier.wait().await;
                let error = pool.acquire().await.map(drop).unwrap_err();
                // The first to give up would save the others.
                barrier.wait().await;
                (error, line)
            })
        })
        .collect();
    for task in tasks {
        let (error, line) = task.await.unwrap();
        let AcquireError::Timeout(timeout) = &error else { panic!("{error:?}") };
        assert_eq!((timeout.phase, timeout.nested.len()), (Phase::Queueing, 1));
        assert_eq!(timeout.nested[0].acquired_at.line(), line);
        assert!(error.to_string().contains("this task itself holds 1 of them"), "{error}");
    }
    assert_hands_out_exactly(&pool, 3, "nested").await;
}

/// Uses its pool from wherever the pool calls it.
struct Nosy {
    pool: Arc<OnceLock<Pool<Nosy>>>,
}

struct NosyConnection(Arc<OnceLock<Pool<Nosy>>>);

fn look(pool: &OnceLock<Pool<Nosy>>) {
    if let Some(pool) = pool.get() {
        pool.stats();
        pool.holders();
        drop(pool.try_acquire());
    }
}

impl Drop for NosyConnection {
    fn drop(&mut self) {
        look(&self.0);
    }
}

impl Manager for Nosy {
    type Connection = NosyConnection;
    type Error = std::io::Error;

    async fn connect(&self) -> Result<NosyConnection, std::io::Error> {
        look(&self.pool);
        Ok(NosyConnection(Arc::clone(&self.pool)))
    }

    fn is_reusable(&self, _connection: &mut NosyConnection) -> bool {
        let pool = self.pool.get().expect("set before the first use");
        pool.stats();
        pool.stats().total_releases.is_multiple_of(2)
    }
}

/// `release.anywhere`: <https://github.com/djc/bb8/issues/154>. A waiter was woken, and what it held was
/// dropped, under the pool's own lock: the drop came back to the pool and waited for itself. Here a connection,
/// a manager and a listener may use the pool from wherever it calls them.
#[test]
fn what_the_pool_calls_may_call_the_pool() {
    in_time(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let this = Arc::new(OnceLock::new());
            let listener = {
                let this = Arc::clone(&this);
                move |_: &Event<'_>| {
                    if let Some(pool) = this.get() {
                        let pool: &Pool<Nosy> = pool;
                        pool.stats();
                    }
                }
            };
            let pool = Pool::builder(Nosy { pool: Arc::clone(&this) })
                .config(config(2))
                .listener(listener)
                .build()
                .unwrap();
            drop(this.set(pool.clone()));
            for _ in 0..10 {
                let held = pool.acquire().await.unwrap();
                let mut waiter = pin!(pool.acquire());
                let _second = poll_once(waiter.as_mut()).await;
                settle().await;
                drop(held);
            }
            pool.invalidate_all();
            pool.resize(1).unwrap();
            drop(pool.acquire().await.unwrap());
            tokio::time::sleep(Duration::from_secs(600)).await;
            pool.close().await;
            assert_eq!(pool.stats().total_connections, 0);
        });
    });
}
