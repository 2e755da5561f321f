//! Servers and pools for the tests.

use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use poolhouse::{Pool, PoolConfig};
use poolhouse_redis::{PooledRedis, RedisManager, RedisPool};
use test_servers::{Redis, or_skip};

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One server for all tests that neither stop nor pause it. It ends with the process.
pub(crate) fn shared() -> Option<&'static Redis> {
    static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Redis::start().ok()).as_ref();
    if shared.is_none() {
        // Tells why, and counts the test.
        or_skip(Redis::start());
    }
    shared
}

/// Returns from the test if there is no Redis.
#[macro_export]
macro_rules! shared_or_skip {
    () => {
        match $crate::common::shared() {
            Some(server) => server,
            None => return Ok(()),
        }
    };
}

pub(crate) const PROTOCOLS: [&str; 2] = ["", "?protocol=resp3"];

pub(crate) fn manager(server: &Redis, rest: &str) -> RedisManager {
    RedisManager::from_url(format!("{}{rest}", server.url())).expect("the URL is right")
}

pub(crate) fn config(max_connections: usize) -> PoolConfig {
    PoolConfig {
        max_connections,
        min_connections: 0,
        connection_timeout: PATIENCE,
        reset_timeout: PATIENCE,
        ..PoolConfig::default()
    }
}

/// It waits for what was given up as long as it takes: the tests run on busy machines.
pub(crate) fn pool_to(server: &Redis, rest: &str, max_connections: usize) -> RedisPool {
    Pool::new(manager(server, rest).drain_within(PATIENCE), config(max_connections))
        .expect("the options are right")
}

/// The server's number of this connection: the same as long as it is the same connection.
pub(crate) async fn id(connection: &mut PooledRedis) -> Result<i64> {
    Ok(redis::cmd("CLIENT").arg("ID").query_async(&mut **connection).await?)
}

/// What the server says of a connection in `CLIENT LIST`, such as its database: `db`, `multi`, `sub`, `watch`, `flags`.
pub(crate) fn client_field(server: &Redis, id: i64, field: &str) -> Result<String> {
    let line = server.command(&["CLIENT", "LIST", "ID", &id.to_string()])?;
    let found = line.split_whitespace().find_map(|pair| pair.strip_prefix(field)?.strip_prefix('='));
    Ok(found.ok_or_else(|| format!("no {field} in {line:?}"))?.to_owned())
}

/// Waits for a condition.
pub(crate) async fn eventually<F: Future<Output = Result<bool>>>(
    what: &str,
    condition: impl Fn() -> F,
) -> Result {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await? {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Runs a command for so long, and drops it: `None`. Finer than tokio's timers, whose unit is a millisecond. With zero, the
/// command is queued, and dropped before it can be answered.
pub(crate) async fn for_a_while<T>(limit: Duration, command: impl Future<Output = T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    tokio::select! {
        biased;
        answer = command => Some(answer),
        () = async { while Instant::now() < deadline { tokio::task::yield_now().await } } => None,
    }
}
