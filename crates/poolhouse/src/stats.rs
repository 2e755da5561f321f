//! A snapshot of what a pool holds and has done.

use crate::events::RetireReason;
use crate::histogram::Histogram;

/// What a pool holds and has done, at one instant.
///
/// It takes about 10 KB, most of it in the five histograms.
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
    /// Open connections that nobody holds, including those under a health check.
    pub idle_connections: usize,
    /// Acquires that wait.
    pub pending_requests: usize,
    /// Connections handed out since the pool began, including those for an acquire that was dropped as it was served.
    pub total_acquisitions: u64,
    /// Connections that came back: by release, invalidate, detach or drop, because their acquire was dropped
    /// as it was served, because the peer had closed them by then, or because the pool took them back before
    /// they were picked up, as `suspend` and `invalidate_all` do.
    pub total_releases: u64,
    /// Acquires that ended in an error. Neither a `try_acquire` that returns `None` nor a failed `warm_up` counts.
    pub failed_acquisitions: u64,
    /// Connections opened since the pool began.
    pub connections_created: u64,
    /// Connections closed or detached since the pool began.
    pub connections_destroyed: u64,

    /// The current maximum: `max_connections`, or the value of the last resize.
    pub max_connections: usize,
    /// Attempts to connect under way.
    pub connecting: usize,
    /// Idle connections under a health check or the hook `before_reuse`. The pool does not hand them out
    /// until it passes.
    pub checking: usize,
    /// Idle connections under a reset. The pool does not hand them out until it has ended.
    pub resetting: usize,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Health checks that failed, and hooks `before_reuse` that panicked or took longer than
    /// `health_check_timeout`.
    pub failed_checks: u64,
    /// Resets between two holders that failed.
    pub failed_resets: u64,
    /// Failed acquisitions that ran out of time.
    pub timed_out_acquisitions: u64,
    /// Acquires that were dropped while they waited, or as they were served.
    pub cancelled_acquisitions: u64,
    /// Acquisitions that had to wait in the queue.
    pub waited_acquisitions: u64,
    /// Connections closed or detached, counted for each reason.
    pub closed: CloseCounts,
    /// Holds that were reported because they lasted longer than `leak_threshold`.
    pub reported_leaks: u64,
    /// Whether the pool is suspended.
    pub suspended: bool,
    /// The waits of acquires that were served, over the life of the pool. In an outage these look best: see the next
    /// two.
    pub wait_times: Histogram,
    /// The waits of acquires that ran out of time.
    pub timed_out_waits: Histogram,
    /// The waits of acquires that were dropped before they were served, or as they were.
    pub cancelled_waits: Histogram,
    /// The hold times of connections that came back, without those that their acquire never had: the peer had closed
    /// them by then, or the pool took them back.
    pub hold_times: Histogram,
    /// The durations of connects that succeeded.
    pub connect_times: Histogram,
}

impl PoolStats {
    /// What has happened since `earlier`, a snapshot of the same pool: counts and histograms hold the difference. What is
    /// not a count, such as `active_connections`, is as it is now.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let mut last = pool.stats();
    /// pool.acquire().await?.release();
    ///
    /// let now = pool.stats();
    /// let minute = now.since(&last);
    /// last = now;
    /// assert_eq!(minute.total_acquisitions, 1);
    /// # let _ = last;
    /// # Ok(())
    /// # }
    /// ```
    pub fn since(&self, earlier: &Self) -> Self {
        let count = |of: fn(&Self) -> u64| of(self).saturating_sub(of(earlier));
        let times = |of: fn(&Self) -> &Histogram| of(self).since(of(earlier));
        Self {
            total_acquisitions: count(|stats| stats.total_acquisitions),
            total_releases: count(|stats| stats.total_releases),
            failed_acquisitions: count(|stats| stats.failed_acquisitions),
            connections_created: count(|stats| stats.connections_created),
            connections_destroyed: count(|stats| stats.connections_destroyed),
            failed_connects: count(|stats| stats.failed_connects),
            failed_checks: count(|stats| stats.failed_checks),
            failed_resets: count(|stats| stats.failed_resets),
            timed_out_acquisitions: count(|stats| stats.timed_out_acquisitions),
            cancelled_acquisitions: count(|stats| stats.cancelled_acquisitions),
            waited_acquisitions: count(|stats| stats.waited_acquisitions),
            reported_leaks: count(|stats| stats.reported_leaks),
            closed: self.closed.since(&earlier.closed),
            wait_times: times(|stats| &stats.wait_times),
            timed_out_waits: times(|stats| &stats.timed_out_waits),
            cancelled_waits: times(|stats| &stats.cancelled_waits),
            hold_times: times(|stats| &stats.hold_times),
            connect_times: times(|stats| &stats.connect_times),
            ..*self
        }
    }
}

/// How many connections have been closed or detached for each [`RetireReason`].
///
/// ```
/// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
/// use poolhouse::RetireReason;
///
/// let closed = pool.stats().closed;
/// assert_eq!(closed.get(RetireReason::Lifetime), 0);
/// for (reason, count) in closed.iter() {
///     println!("closed{{reason=\"{reason}\"}} {count}");
/// }
/// # Ok::<(), poolhouse::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloseCounts([u64; RetireReason::ALL.len()]);

impl CloseCounts {
    pub(crate) fn add(&mut self, reason: RetireReason) {
        self.0[reason as usize] += 1;
    }

    /// How many for this reason.
    ///
    /// ```
    /// assert_eq!(poolhouse::CloseCounts::default().get(poolhouse::RetireReason::Idle), 0);
    /// ```
    pub fn get(&self, reason: RetireReason) -> u64 {
        self.0[reason as usize]
    }

    /// Every reason, with how many were closed for it, none included: a series that a monitoring system sees from the start.
    ///
    /// ```
    /// assert!(poolhouse::CloseCounts::default().iter().all(|(_, count)| count == 0));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (RetireReason, u64)> {
        RetireReason::ALL.into_iter().map(|(reason, _)| (reason, self.get(reason)))
    }

    /// How many in all.
    ///
    /// ```
    /// assert_eq!(poolhouse::CloseCounts::default().total(), 0);
    /// ```
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|index| self.0[index].saturating_sub(earlier.0[index])))
    }
}
