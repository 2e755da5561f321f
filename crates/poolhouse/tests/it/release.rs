//! Threads and runtimes: `release.anywhere`, a second runtime, `detach`. Real runtimes, so each test has a time limit.

use std::thread;
use std::time::Duration;

#[cfg(feature = "net")]
use poolhouse::Pool;
use poolhouse::PoolConfig;
#[cfg(feature = "net")]
use poolhouse_echo::EchoServer;
use tokio::runtime::{Builder, Runtime};

use crate::common::{Mock, Step, config, in_time, poll_once, pool, settle};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// release.anywhere: a plain thread gives back, and a waiter in the runtime is served.
#[test]
fn dropped_on_a_plain_thread() {
    in_time(|| {
        runtime().block_on(async {
            let pool = pool(&Mock::ok(), config(1));
            let held = pool.acquire().await.unwrap();
            let waiter = tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await.unwrap().id }
            });
            settle().await;
            thread::spawn(move || drop(held)).join().unwrap();
            assert_eq!(waiter.await.unwrap(), 1);
        });
    });
}

/// release.anywhere: after the runtime has gone. Nothing hangs, and the connection is not passed on. In
/// <https://github.com/tokio-rs/tokio/issues/3963> a guard that spawns on drop panicked.
#[test]
fn dropped_after_the_runtime() {
    in_time(|| {
        let mock = Mock::ok();
        let pool = pool(&mock, config(2));
        let first = runtime();
        let (held, other) =
            first.block_on(async { (pool.acquire().await.unwrap(), pool.acquire().await.unwrap()) });
        drop(first);
        drop(held);
        other.invalidate();
        let stats = pool.stats();
        assert_eq!((stats.active_connections, stats.total_connections, mock.open()), (0, 0, 0));
        drop(pool);
    });
}

/// release.anywhere: the same with sockets, whose own drop wants a reactor that has gone.
#[cfg(feature = "net")]
#[test]
fn a_socket_dropped_after_the_runtime() {
    in_time(|| {
        let servers = Runtime::new().unwrap();
        let server = servers.block_on(EchoServer::start()).unwrap();
        let pool = Pool::new((server.host(), server.port()), config(1)).unwrap();
        let first = runtime();
        let held = first.block_on(pool.acquire()).unwrap();
        drop(first);
        drop(held);
        assert_eq!(pool.stats().total_connections, 0);
        servers.block_on(server.wait_for(|counts| counts.open == 0));
    });
}

/// A pool outlives the runtime it began in: the second one gets a connection of its own.
#[cfg(feature = "net")]
#[test]
fn a_second_runtime_works_after_the_first() {
    in_time(|| {
        let servers = Runtime::new().unwrap();
        let server = servers.block_on(EchoServer::start()).unwrap();
        let pool = Pool::new((server.host(), server.port()), config(2)).unwrap();
        for round in 1..=3 {
            runtime().block_on(async {
                let mut connection = pool.acquire().await.unwrap();
                connection.send_packet("ping").await.unwrap();
                assert_eq!(connection.receive().await.unwrap(), "ping");
                // Left idle, for the next runtime to trip over.
            });
            assert_eq!((server.counts().accepted, pool.stats().total_connections), (round, 0));
        }
        runtime().block_on(pool.close());
    });
}

/// A runtime that ends in the middle of a connect takes no capacity along.
#[test]
fn a_runtime_that_ends_in_mid_connect_loses_no_capacity() {
    in_time(|| {
        let mock = Mock::ok().script([Step::Never]);
        let pool = pool(&mock, config(1));
        let first = runtime();
        first.block_on(async {
            let impatient = tokio::time::timeout(Duration::from_millis(20), pool.acquire());
            assert!(impatient.await.is_err());
        });
        assert_eq!(pool.stats().connecting, 1);
        drop(first);
        assert_eq!((pool.stats().connecting, mock.open()), (0, 0));
        runtime().block_on(async { drop(pool.acquire().await.unwrap()) });
    });
}

/// A waiter in one runtime is served though the runtime that was connecting for it ends.
#[test]
fn a_waiter_survives_the_end_of_another_runtime() {
    in_time(|| {
        let mock = Mock::ok().script([Step::Never]);
        let pool = pool(&mock, config(1));
        let first = runtime();
        first.block_on(async {
            drop(tokio::time::timeout(Duration::from_millis(20), pool.acquire()).await);
        });
        runtime().block_on(async {
            let waiter = tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await.map(drop) }
            });
            settle().await;
            assert_eq!(pool.stats().pending_requests, 1);
            thread::spawn(move || drop(first)).join().unwrap();
            waiter.await.unwrap().unwrap();
        });
    });
}

/// release.anywhere: the last handle and a guard go outside of any runtime.
#[test]
fn everything_dropped_outside_of_any_runtime() {
    in_time(|| {
        let mock = Mock::ok();
        let pool = pool(&mock, config(2));
        let running = Runtime::new().unwrap();
        let (held, idle) =
            running.block_on(async { (pool.acquire().await.unwrap(), pool.acquire().await.unwrap()) });
        drop(idle);
        drop(pool);
        assert_eq!(mock.open(), 1);
        drop(held);
        assert_eq!(mock.open(), 0);
    });
}

/// detach: the connection leaves alive, and its place is free at once.
#[tokio::test(start_paused = true)]
async fn a_detached_connection_frees_its_place() {
    let mock = Mock::ok();
    let pool = pool(&mock, config(1));
    let mine = pool.acquire().await.unwrap().detach();
    assert_eq!((pool.stats().total_connections, mock.open()), (0, 1));
    let theirs = pool.acquire().await.unwrap();
    assert_eq!((mine.id, theirs.id), (1, 2));
    drop(theirs);
    pool.close().await;
    assert_eq!(mock.open(), 1, "the pool closed what was not its own");
    let stats = pool.stats();
    assert_eq!((stats.total_releases, stats.connections_destroyed), (2, 2));
}

/// `release.anywhere`: an acquire that began to wait in a runtime that has ended goes on in the next one.
#[test]
fn an_acquire_may_outlive_the_runtime_it_began_in() {
    in_time(|| {
        let mock = Mock::new(Step::Never);
        let config = PoolConfig {
            connection_timeout: Duration::MAX,
            connect_attempt_timeout: Duration::MAX,
            ..config(1)
        };
        let pool = pool(&mock, config);
        let mut acquire = Box::pin(pool.acquire());
        let first = runtime();
        first.block_on(async { assert!(poll_once(acquire.as_mut()).await.is_pending()) });
        drop(first);
        mock.set_connect(Step::Ok);
        runtime().block_on(acquire).unwrap();
    });
}

/// `acquire.deadline`: a runtime without a timer is told so where it asks, and another runtime is none the worse.
#[test]
fn a_runtime_without_a_timer_is_told_so() {
    in_time(|| {
        let config = PoolConfig { connection_timeout: Duration::MAX, ..config(1) };
        let pool = pool(&Mock::ok(), config);
        let without = Builder::new_current_thread().build().unwrap();
        let asked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| without.block_on(pool.acquire())));
        assert!(asked.is_err(), "it has no timer");
        runtime().block_on(pool.acquire()).unwrap();
        assert_eq!(pool.stats().connections_created, 1);
    });
}
