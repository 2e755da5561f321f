//! What the tests share.

use std::future::Future;
use std::time::{Duration, Instant};

use poolhouse::{Manager, Pool, PoolConfig, PooledConnection};

/// So that a test that would hang fails. No test that passes waits for it.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(20);

pub(crate) fn config(max_connections: usize) -> PoolConfig {
    PoolConfig {
        min_connections: 0,
        max_connections,
        connection_timeout: TOO_LONG,
        ..PoolConfig::default()
    }
}

/// Lets other tasks run until it is so.
pub(crate) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < TOO_LONG, "not so: {what}");
        tokio::task::yield_now().await;
    }
}

/// Waits until every connection that nobody holds has passed its reset and a check. `resetting` alone does not tell: it is
/// zero, too, before a reset begins.
pub(crate) async fn settle<M: Manager>(pool: &Pool<M>) {
    pool.check_now().await;
}

/// A connection goes from its holder to somebody who waits for it already. Returns what the waiter got.
pub(crate) async fn hand_over<M: Manager>(
    pool: &Pool<M>,
    held: PooledConnection<M>,
) -> PooledConnection<M> {
    let waiter = tokio::spawn(pool.acquire_owned());
    until("somebody waits", || pool.stats().pending_requests == 1).await;
    held.release();
    waiter.await.expect("it does not panic").expect("it gets a connection")
}

/// Runs `query` until it succeeds. Returns how often it failed: at most once for each connection that the pool had.
pub(crate) async fn recovers<F, E>(
    pool_size: usize,
    mut query: impl FnMut() -> F,
) -> usize
where
    F: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    for failures in 0..=pool_size {
        match query().await {
            Ok(()) => return failures,
            Err(error) => println!("failed after the restart: {error}"),
        }
    }
    panic!("the pool has not recovered after {pool_size} failures");
}
