//! How many connections there are: `size.max`, `size.min`, `resize.exact`, `stats.consistent`.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use poolhouse::{Pool, PoolConfig, PooledConnection};
use tokio::time::Instant;

use crate::common::{
    Mock, Step, assert_hands_out_exactly, check_stats, config, ms, poll_once, pool, secs, settle,
};

/// Connects that do all that connects can do.
fn any_steps(rng: &mut fastrand::Rng) -> Vec<Step> {
    (0..400)
        .map(|_| match rng.u8(0..10) {
            0 => Step::Fail,
            1 => Step::Panic,
            2 => Step::Never,
            3 => Step::Permanent,
            4..7 => Step::Slow(ms(rng.u64(1..20))),
            _ => Step::Ok,
        })
        .collect()
}

/// One user of the pool: acquires, and lets go in every way there is, cancelling among them.
async fn use_at_random(
    pool: Pool<Mock>,
    mut rng: fastrand::Rng,
    detached: Arc<AtomicUsize>,
    context: String,
) {
    for _ in 0..60 {
        tokio::time::sleep(ms(rng.u64(0..10))).await;
        let taken = if rng.u8(0..5) == 0 {
            pool.try_acquire()
        } else {
            let patience = if rng.bool() { ms(rng.u64(0..30)) } else { secs(20) };
            tokio::time::timeout(patience, pool.acquire()).await.ok().and_then(Result::ok)
        };
        check_stats(&pool.stats(), &context);
        let Some(connection) = taken else { continue };
        tokio::time::sleep(ms(rng.u64(0..15))).await;
        match rng.u8(0..6) {
            0 => connection.invalidate(),
            1 => {
                detached.fetch_add(1, SeqCst);
                // Not the pool's any more: gone before the pool can put another in its place.
                drop(PooledConnection::detach(connection));
            }
            2 => {
                let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
                    let _held = connection;
                    std::panic::resume_unwind(Box::new("while holding"));
                }));
                assert!(panicked.is_err());
            }
            _ => connection.release(),
        }
        check_stats(&pool.stats(), &context);
    }
}

/// size.max, panic.no_loss, stats.consistent: whatever users and server do, the manager never sees more than the maximum.
/// Option `max_connections`.
#[tokio::test(start_paused = true)]
async fn the_manager_never_sees_more_than_the_maximum() {
    for seed in 0..25 {
        let context = format!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let max = rng.usize(1..6);
        let mock = Mock::ok().script(any_steps(&mut rng));
        let config = PoolConfig {
            min_connections: rng.usize(0..=max),
            max_connecting: rng.usize(1..4),
            connect_attempt_timeout: ms(50),
            idle_timeout: ms(100),
            max_lifetime: ms(300),
            health_check_interval: ms(40),
            ..config(max)
        };
        let pool = pool(&mock, config);
        let detached = Arc::new(AtomicUsize::new(0));
        let users: Vec<_> = (0..8)
            .map(|_| {
                tokio::spawn(use_at_random(pool.clone(), rng.fork(), Arc::clone(&detached), context.clone()))
            })
            .collect();
        for user in users {
            user.await.unwrap();
        }
        assert!(mock.peak() <= max, "{context}: {} of {max}", mock.peak());
        assert!(detached.load(SeqCst) > 0, "{context}");
        mock.set_connect(Step::Ok);
        assert_hands_out_exactly(&pool, max, &context).await;
        pool.close().await;
        assert_eq!(mock.open(), 0, "{context}");
        check_stats(&pool.stats(), &context);
    }
}

/// size.max, resize.exact: the same while somebody turns the maximum up and down.
#[tokio::test(start_paused = true)]
async fn resizing_at_random_keeps_to_the_largest_maximum() {
    for seed in 0..15 {
        let context = format!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mock = Mock::ok().script(any_steps(&mut rng));
        let pool = pool(&mock, PoolConfig { connect_attempt_timeout: ms(50), ..config(3) });
        let users: Vec<_> = (0..8)
            .map(|_| tokio::spawn(use_at_random(pool.clone(), rng.fork(), Arc::default(), context.clone())))
            .collect();
        let mut largest = 3;
        for _ in 0..60 {
            tokio::time::sleep(ms(rng.u64(0..12))).await;
            let max = rng.usize(1..7);
            largest = largest.max(max);
            pool.resize(max).unwrap();
            assert_eq!(pool.stats().max_connections, max);
            check_stats(&pool.stats(), &context);
        }
        for user in users {
            user.await.unwrap();
        }
        assert!(mock.peak() <= largest, "{context}: {} of {largest}", mock.peak());
        mock.set_connect(Step::Ok);
        pool.resize(2).unwrap();
        tokio::time::sleep(ms(100)).await;
        assert!(mock.open() <= 2, "{context}: {} open after the last resize", mock.open());
        assert_hands_out_exactly(&pool, 2, &context).await;
    }
}

/// size.max: on real threads, where a release and a connect truly run at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_maximum_holds_on_real_threads() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(3));
    let users: Vec<_> = (0..16)
        .map(|user| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for round in 0..200 {
                    let connection = pool.acquire().await.unwrap();
                    if round % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                    if (user + round) % 7 == 0 {
                        connection.invalidate();
                    }
                    check_stats(&pool.stats(), "threads");
                }
            })
        })
        .collect();
    for user in users {
        user.await.unwrap();
    }
    assert!(mock.peak() <= 3, "{}", mock.peak());
    assert_hands_out_exactly(&pool, 3, "threads").await;
    assert_eq!(pool.stats().total_acquisitions, 16 * 200 + 3);
}

/// size.min: `warm_up` opens the minimum, and the background replaces what breaks, with nobody asking.
/// Option `min_connections`.
#[tokio::test(start_paused = true)]
async fn the_background_refills_to_the_minimum() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { min_connections: 3, ..config(5) });
    assert_eq!(mock.open(), 0, "no I/O until it is used");
    pool.warm_up().await.unwrap();
    assert_eq!((mock.open(), pool.stats().idle_connections), (3, 3));

    pool.acquire().await.unwrap().invalidate();
    settle().await;
    assert_eq!((mock.open(), mock.attempts().len()), (3, 4));

    mock.set_connect(Step::Fail);
    drop(PooledConnection::detach(pool.acquire().await.unwrap()));
    settle().await;
    assert_eq!(mock.open(), 2);
    mock.set_connect(Step::Ok);
    tokio::time::sleep(secs(1)).await;
    assert_eq!(mock.open(), 3, "it goes on trying");
}

/// size.min: reaping idle connections stops at the minimum. In
/// <https://github.com/djc/bb8/issues/123> the reaper went below the minimum that the documentation promises.
#[tokio::test(start_paused = true)]
async fn reaping_stops_at_the_minimum() {
    let mock = Mock::ok();
    let pool = pool(&mock, PoolConfig { min_connections: 2, idle_timeout: secs(60), ..config(6) });
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    assert_eq!(mock.open(), 6);
    tokio::time::sleep(secs(59)).await;
    assert_eq!(mock.open(), 6, "reaped before its time");
    tokio::time::sleep(secs(2)).await;
    assert_eq!(mock.open(), 2);
    tokio::time::sleep(secs(600)).await;
    assert_eq!((mock.open(), mock.attempts().len()), (2, 6), "reaped and opened in turn");
}

/// resize.exact: growing serves those who wait at once.
#[tokio::test(start_paused = true)]
async fn growing_serves_waiters_at_once() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let _held = pool.acquire().await.unwrap();
    let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    let begin = Instant::now();
    pool.resize(3).unwrap();
    let last = waiters.pop().unwrap();
    let fourth = waiters.pop().unwrap();
    let mut served = Vec::new();
    for waiter in waiters {
        served.push(waiter.await.unwrap());
    }
    assert_eq!(begin.elapsed(), ms(0));
    assert_eq!((served.len(), mock.open(), pool.stats().pending_requests), (2, 3, 2));
    drop((last, fourth));
}

/// resize.exact: shrinking closes idle ones now and held ones as they come back, waiters or not.
#[tokio::test(start_paused = true)]
async fn shrinking_closes_idle_now_and_held_on_return() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(6));
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(pool.acquire().await.unwrap());
    }
    held.truncate(4);
    assert_eq!((mock.open(), pool.stats().idle_connections), (6, 2));
    pool.resize(2).unwrap();
    assert_eq!((mock.open(), pool.stats().idle_connections), (4, 0), "the idle go now, the held stay");

    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    held.pop();
    held.pop();
    settle().await;
    assert_eq!(mock.open(), 2);
    assert!(poll_once(waiter.as_mut()).await.is_pending(), "served above the new maximum");
    held.pop();
    let _served = waiter.await.unwrap();
    assert_eq!((mock.open(), mock.attempts().len(), pool.stats().active_connections), (2, 6, 2));
}

/// `resize.exact`: shrinking gives up connects under way, the youngest first, and those who wait are served by the rest.
#[tokio::test(start_paused = true)]
async fn shrinking_gives_up_connects_under_way() {
    for held in 0..4 {
        let mock = Mock::ok();
        let pool = pool(&mock, config(8));
        let mut in_use = Vec::new();
        for _ in 0..held {
            in_use.push(pool.acquire().await.unwrap());
        }
        mock.set_connect(Step::Slow(ms(100)));
        let waiters: Vec<_> = (0..5)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { drop(pool.acquire().await.unwrap()) })
            })
            .collect();
        tokio::time::sleep(ms(50)).await;
        assert_eq!(mock.open(), held + 5);
        pool.resize(2).unwrap();
        settle().await;
        let allowed = held.max(2);
        assert_eq!(mock.open(), allowed, "{held} are held: {:?}", pool.stats());
        in_use.clear();
        for waiter in waiters {
            waiter.await.unwrap();
            assert!(mock.open() <= allowed, "{}", mock.open());
        }
        assert_hands_out_exactly(&pool, 2, &format!("{held} were held")).await;
    }
}

/// resize.exact: a maximum that no pool can have is refused, and the old one stays.
#[test]
fn an_impossible_maximum_is_refused() {
    let pool = pool(&Mock::ok(), PoolConfig { min_connections: 2, ..config(4) });
    assert_eq!(pool.resize(0).unwrap_err().field(), "max_connections");
    assert_eq!(pool.resize(1).unwrap_err().field(), "min_connections");
    assert_eq!(pool.stats().max_connections, 4);
}

/// stats.consistent: one user, every step, every number.
#[tokio::test(start_paused = true)]
async fn every_number_follows_a_known_story() {
    let pool = pool(&Mock::ok(), config(2));
    let (first, second) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    assert!(tokio::time::timeout(secs(1), pool.acquire()).await.is_err());
    assert!(pool.acquire().await.unwrap_err().is_timeout());
    first.invalidate();
    drop(second);
    let stats = pool.stats();
    check_stats(&stats, "story");
    let calls = (stats.total_acquisitions, stats.total_releases, stats.failed_acquisitions);
    assert_eq!(calls, (2, 2, 1));
    assert_eq!((stats.timed_out_acquisitions, stats.cancelled_acquisitions), (1, 1));
    assert_eq!((stats.connections_created, stats.connections_destroyed), (2, 1));
    assert_eq!((stats.total_connections, stats.idle_connections, stats.active_connections), (1, 1, 0));
}
