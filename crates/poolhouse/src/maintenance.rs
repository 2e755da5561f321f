//! What a pool's owner does with the connections that the pool has, or is to have: open them ahead, add, look through,
//! check.

use std::time::Duration;

use tokio::time::timeout;

use crate::background;
use crate::chores::DoingChore;
use crate::error::AcquireError;
use crate::manager::Manager;
use crate::policy::{Entry, Policy, Refusal, Tick};
use crate::pool::Pool;
use crate::state::PoolPolicy;

/// What the pool knows about a connection that nobody holds: for [`retain`](Pool::retain) and for hooks.
///
/// ```
/// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
/// use std::time::Duration;
///
/// // Close what nobody has used for a minute.
/// pool.retain(|_, info| info.idle_time < Duration::from_secs(60));
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The connection's number, as in logs and events.
    pub id: u64,
    /// How long ago it was opened.
    pub age: Duration,
    /// How long nobody has used it.
    pub idle_time: Duration,
    /// How many holders it has had.
    pub use_count: u64,
}

impl ConnectionInfo {
    pub(crate) fn of<C>(entry: &Entry<C>, now: Tick) -> Self {
        Self {
            id: entry.id,
            age: now.since(entry.opened_at),
            idle_time: entry.unused_for(now),
            use_count: entry.use_count,
        }
    }
}

impl<M: Manager> Pool<M> {
    /// Opens `min_connections` and `min_idle` now, and so reports a wrong address or a server that is down at start-up. With
    /// both at zero it opens nothing and reports nothing.
    ///
    /// To wait for a server that starts late, call [`warm_up_within`](Pool::warm_up_within).
    ///
    /// # Errors
    ///
    /// [`Connect`](AcquireError::Connect) on the first connect that fails; [`Closed`](AcquireError::Closed);
    /// [`Timeout`](AcquireError::Timeout) after `connection_timeout`, for example when
    /// `connect_attempt_timeout` is longer; [`RuntimeEnded`](AcquireError::RuntimeEnded) in a runtime that
    /// has ended.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the background goes on opening connections.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use poolhouse::{PacketPool, PoolConfig};
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// let config = PoolConfig { min_connections: 3, ..PoolConfig::default() };
    /// let pool = PacketPool::new((server.host(), server.port()), config)?;
    /// pool.warm_up().await?;
    /// assert_eq!(pool.stats().idle_connections, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn warm_up(&self) -> Result<(), AcquireError> {
        let failures = self.inner().state.read(|state| state.policy.telling_failures());
        let limit = self.config().connection_timeout;
        self.open_minimum(limit, |policy| policy.telling_failures() > failures).await
    }

    /// Opens `min_connections` and `min_idle`, and waits up to `limit` for a server that starts late: a failed connect is
    /// tried again, at the pace of the backoff.
    ///
    /// # Errors
    ///
    /// [`Timeout`](AcquireError::Timeout) after `limit`, with the last failed connect;
    /// [`Connect`](AcquireError::Connect) at once for a new failure that is
    /// [`Permanent`](crate::FailureKind::Permanent); [`Closed`](AcquireError::Closed);
    /// [`RuntimeEnded`](AcquireError::RuntimeEnded) in a runtime that has ended.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// As for [`warm_up`](Pool::warm_up).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// use std::time::Duration;
    ///
    /// // The database container may need half a minute.
    /// pool.warm_up_within(Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn warm_up_within(&self, limit: Duration) -> Result<(), AcquireError> {
        let failures = self.inner().state.read(|state| state.policy.telling_failures());
        self.open_minimum(limit, |policy| policy.telling_failures() > failures && policy.fails_for_good())
            .await
    }

    async fn open_minimum(
        &self,
        limit: Duration,
        fails: impl Fn(&PoolPolicy<M>) -> bool,
    ) -> Result<(), AcquireError> {
        let inner = self.inner();
        if background::ensure(inner).is_err() {
            return Err(inner.runtime_ended());
        }
        inner.plan_wanted.notify_waiters();
        let opened = inner.until(|policy| {
            if policy.is_closed() {
                Some(Err(Refusal::Closed))
            } else if policy.minimum_missing() == 0 {
                Some(Ok(()))
            } else if fails(policy) {
                policy.last_failure().map(Err)
            } else {
                None
            }
        });
        match timeout(limit, opened).await {
            Ok(opened) => opened.map_err(|refusal| inner.refused(refusal)),
            Err(_) => {
                let now = inner.now();
                let diagnosis = inner.state.read(|state| state.policy.diagnose(limit, now));
                Err(inner.timed_out(diagnosis))
            }
        }
    }

    /// Adds a connection that was opened elsewhere: handed over by another process, or made by a test. From here on it is
    /// one of the pool's, opened now.
    ///
    /// # Errors
    ///
    /// The connection itself, if the pool has no room for it, or is closed or suspended, or if the runtime is about to end.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its timer enabled. Call it in the runtime that drives the connection: the pool
    /// retires it when that one ends.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// use poolhouse::{Manager, PacketPool, PoolConfig};
    ///
    /// let pool = PacketPool::new((server.host(), server.port()), PoolConfig::default())?;
    /// let connection = pool.manager().connect().await?;
    /// assert!(pool.add(connection).is_ok());
    /// assert_eq!(pool.stats().idle_connections, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn add(&self, connection: M::Connection) -> Result<(), M::Connection> {
        background::adopt(self.inner(), connection)
    }

    /// Closes the idle connections for which `keep` answers `false`. Returns how many.
    ///
    /// It sees those that nobody holds and that are not under a check or a reset. While it looks through them, nobody gets
    /// one of them, so `keep` must be quick and must not block. It runs outside of the pool's lock (`foreign.unlocked`).
    ///
    /// # Panics
    ///
    /// If `keep` does. The connection that it looked at is closed, as are those that it rejected before. The
    /// others stay.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// pool.acquire().await?.release();
    /// let closed = pool.retain(|_connection, info| info.use_count == 0);
    /// assert_eq!(closed, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retain(&self, mut keep: impl FnMut(&mut M::Connection, &ConnectionInfo) -> bool) -> usize {
        let inner = self.inner();
        let (idle, now) = inner.apply(|policy, now, _| (policy.take_all_idle(now), now));
        // Each has an owner before any of the user's code runs.
        let inspected: Vec<_> = idle.into_iter().map(|entry| DoingChore::inspecting(inner, entry)).collect();
        let (mut closed, mut panic) = (0, None);
        for mut one in inspected {
            if panic.is_some() {
                continue;
            }
            let kept = one.inspect(|entry| {
                let info = ConnectionInfo::of(entry, now);
                keep(&mut entry.connection, &info)
            });
            match kept {
                Ok(kept) => closed += usize::from(!kept),
                Err(first) => panic = Some(first),
            }
        }
        if let Some(panic) = panic {
            panic.resume();
        }
        closed
    }

    /// Checks at once every connection that nobody holds, and waits until each has passed or is closed. Call
    /// it after an event that may have cut connections off, such as a change of the network. Held ones are
    /// not touched.
    ///
    /// It returns at once, without a check, if the pool is closed or suspended, or in a runtime that has
    /// ended.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has its timer enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing: the checks go on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// pool.warm_up().await?;
    /// pool.check_now().await;
    /// assert_eq!(pool.stats().failed_checks, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn check_now(&self) {
        let inner = self.inner();
        if background::ensure(inner).is_err() {
            return;
        }
        let then = inner.apply(|policy, now, fx| {
            policy.check_now(now, fx);
            now
        });
        inner
            .until(|policy| {
                let done = policy.is_closed() || policy.is_suspended() || !policy.any_unproven_since(then);
                done.then_some(())
            })
            .await;
    }

    /// Ends the pause after failed connects. Call it when you know that the server is back, so that callers
    /// need not wait for the backoff. The next attempt begins at once if anybody waits or the minimum lacks a
    /// connection.
    ///
    /// If acquires fail at once because of `fail_fast_after`, they wait again, and that time begins anew.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// // The watcher of the failover says that the new primary takes connections.
    /// pool.connect_now();
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn connect_now(&self) {
        self.inner().apply(Policy::connect_now);
    }
}
