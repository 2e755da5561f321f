//! `poolhouse::blocking`: the same guarantees for threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use poolhouse::PoolConfig;
use poolhouse::blocking::{NewPoolError, Pool};
#[cfg(feature = "net")]
use poolhouse_echo::EchoServer;
use tokio::runtime::Runtime;
use tokio::time::error::Elapsed;

use crate::common::{Conn, Mock, config, in_time, ms, secs};

/// size.max, stats.consistent: threads share a few connections.
#[cfg(feature = "net")]
#[test]
fn threads_share_connections() {
    in_time(|| {
        let servers = Runtime::new().unwrap();
        let server = servers.block_on(EchoServer::start()).unwrap();
        let pool = Pool::new((server.host(), server.port()), config(2)).unwrap();
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let pool = pool.clone();
                thread::spawn(move || {
                    for round in 0..20 {
                        let text = format!("{number} {round}");
                        let mut connection = pool.acquire().unwrap();
                        connection.send_packet(text.clone()).unwrap();
                        assert_eq!(connection.receive().unwrap(), text);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        crate::common::check_stats(&pool.stats(), "threads");
        assert!(server.counts().accepted <= 2);
        assert_eq!(pool.stats().total_acquisitions, 120);
        assert!(pool.close_within(secs(5)).is_complete());
        assert!(pool.acquire().unwrap_err().is_closed());
    });
}

/// acquire.deadline, acquire.diagnosis: a thread's wait ends, and the text names the thread's source line.
#[test]
fn a_wait_ends_and_names_the_holder() {
    in_time(|| {
        let config = PoolConfig { connection_timeout: ms(50), ..config(1) };
        let pool = Pool::new(Mock::ok(), config).unwrap();
        let (held, line) = (pool.acquire().unwrap(), line!());
        let error = pool.acquire().unwrap_err();
        assert!(error.is_timeout());
        assert!(error.to_string().contains(&format!("{}:{line}:", file!())), "{error}");
        let report = pool.close_within(ms(10));
        assert_eq!(report.still_held[0].acquired_at.line(), line);
        drop(held);
    });
}

/// release.anywhere: a guard outlives its pool, and goes on any thread.
#[cfg(feature = "net")]
#[test]
fn a_guard_outlives_its_pool() {
    in_time(|| {
        let servers = Runtime::new().unwrap();
        let server = servers.block_on(EchoServer::start()).unwrap();
        let pool = Pool::new((server.host(), server.port()), config(1)).unwrap();
        let mut held = pool.acquire().unwrap();
        drop(pool);
        held.send_packet("still here").unwrap();
        assert_eq!(held.receive().unwrap(), "still here");
        thread::spawn(move || drop(held)).join().unwrap();
        servers.block_on(server.wait_for(|counts| counts.open == 0));
    });
}

/// The last handle may go in `async` code, and `try_acquire` may be called there; a wait there panics.
#[test]
fn in_async_code_only_what_does_not_wait_works() {
    in_time(|| {
        let pool = Pool::new(Mock::ok(), config(1)).unwrap();
        drop(pool.acquire().unwrap());
        Runtime::new().unwrap().block_on(async move {
            drop(pool.try_acquire().expect("one is idle"));
            assert!(catch_unwind(AssertUnwindSafe(|| pool.acquire().is_ok())).is_err());
            let stats = pool.stats();
            assert_eq!((stats.active_connections, stats.total_connections), (0, 1));
            drop(pool);
        });
    });
}

/// size.min: the pool's own thread works in the background.
#[test]
fn warm_up_and_invalidate() {
    in_time(|| {
        let mock = Mock::ok();
        let pool = Pool::new(mock.clone(), PoolConfig { min_connections: 2, ..config(3) }).unwrap();
        pool.warm_up().unwrap();
        assert_eq!(mock.open(), 2);
        pool.acquire().unwrap().invalidate();
        while mock.attempts().len() < 3 {
            thread::yield_now();
        }
        let mut held = pool.acquire().unwrap();
        let id = held.run(async |connection| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            connection.id
        });
        assert_eq!(id, held.id);
        held.release();
    });
}

/// `run` calls its work inside of the pool's runtime: a function may set a timer before it returns its future.
#[test]
fn work_may_begin_with_a_timer() {
    fn work(connection: &mut Conn) -> impl Future<Output = Result<usize, Elapsed>> + '_ {
        tokio::time::timeout(secs(1), async { connection.id })
    }
    in_time(|| {
        let pool = Pool::new(Mock::ok(), config(1)).unwrap();
        assert_eq!(pool.acquire().unwrap().run(work), Ok(1));
    });
}

/// A bad option is named before a thread is started.
#[test]
fn an_impossible_configuration_is_named() {
    let error = Pool::new(Mock::ok(), PoolConfig { max_connecting: 0, ..config(1) }).unwrap_err();
    assert!(matches!(error, NewPoolError::Config(ref config) if config.field() == "max_connecting"));
}
