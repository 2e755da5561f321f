//! A snapshot of what a pool holds and has done.

use crate::histogram::Histogram;

/// What a pool holds and has done, at one instant.
///
/// It takes about 6 KB, most of it in the three histograms.
///
/// The first nine fields are those that every pool has; the rest say more. All come from one look under one lock, so
/// `total_connections == idle_connections + active_connections`,
/// `connections_created == connections_destroyed + total_connections` and
/// `total_acquisitions == total_releases + active_connections` hold in every snapshot.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use poolhouse::{PacketPool, PoolConfig};
/// use poolhouse_echo::EchoServer;
///
/// let server = EchoServer::start().await?;
/// let pool = PacketPool::new((server.host(), server.port()), PoolConfig::default())?;
/// let connection = pool.acquire().await?;
///
/// let stats = pool.stats();
/// assert_eq!((stats.active_connections, stats.idle_connections), (1, 0));
/// # drop(connection);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolStats {
    /// Open connections, idle and active.
    pub total_connections: usize,
    /// Connections that are held.
    pub active_connections: usize,
    /// Open connections that nobody holds, those under a health check included.
    pub idle_connections: usize,
    /// Acquires that wait.
    pub pending_requests: usize,
    /// Connections handed out since the pool began, those included that went to an acquire which was dropped then.
    pub total_acquisitions: u64,
    /// Connections that came back: by release, invalidate, detach or drop, because the acquire was dropped as it was
    /// served, or because the peer had closed it by then.
    pub total_releases: u64,
    /// Acquires that ended in an error. A `try_acquire` that gives nothing is not one, nor is a failed `warm_up`.
    pub failed_acquisitions: u64,
    /// Connections opened since the pool began.
    pub connections_created: u64,
    /// Connections closed or detached since the pool began.
    pub connections_destroyed: u64,

    /// The maximum in force: `max_connections`, or what the last resize set.
    pub max_connections: usize,
    /// Attempts to connect under way.
    pub connecting: usize,
    /// Of the idle connections, those under a health check. They are not handed out until it passes.
    pub checking: usize,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Health checks that failed.
    pub failed_checks: u64,
    /// Of the failed acquisitions, those that ran out of time.
    pub timed_out_acquisitions: u64,
    /// Acquires that were dropped while they waited.
    pub cancelled_acquisitions: u64,
    /// Holds that were reported for lasting longer than `leak_threshold`.
    pub reported_leaks: u64,
    /// Whether the pool is suspended.
    pub suspended: bool,
    /// How long those waited who were served, over the life of the pool. Those who ran out of time are in
    /// `timed_out_acquisitions`.
    pub wait_times: Histogram,
    /// How long connections that came back had been held.
    pub hold_times: Histogram,
    /// How long the connects took that succeeded.
    pub connect_times: Histogram,
}
