//! Durations, counted in buckets.

use std::fmt;
use std::time::Duration;

use histogram::{Config, SampleQuantiles};

/// Each power of two of microseconds has eight buckets.
const GROUPING: u8 = 3;
/// Up to 2^32 microseconds. Longer counts as that.
const LIMIT: u8 = 32;

/// How long something took, over the life of the pool. Bounded in memory: about 2 KB, however much it counts.
///
/// Durations are counted in whole microseconds, in buckets that are at most an eighth of their value wide. What took more
/// than 71 minutes counts as 71 minutes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
/// let connection = pool.acquire().await?;
/// let stats = pool.stats();
/// assert_eq!(stats.wait_times.count(), 1);
/// assert_eq!(stats.hold_times.count(), 0);
/// println!("99 of 100 acquires took at most {:?}", stats.wait_times.quantile(0.99));
/// # drop(connection);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// `None` until something is counted.
    counts: Option<histogram::Histogram>,
    total: u64,
    sum_micros: u64,
}

impl Histogram {
    #[inline]
    pub(crate) fn record_micros(&mut self, micros: u64) {
        let longest = (1 << LIMIT) - 1;
        let counts = self.counts.get_or_insert_with(|| {
            let config = Config::new(GROUPING, LIMIT).expect("the parameters are in range");
            histogram::Histogram::with_config(&config)
        });
        counts.add(micros.min(longest), 1).expect("within the limit");
        self.total += 1;
        self.sum_micros = self.sum_micros.saturating_add(micros);
    }

    /// The sum of all durations that have been counted, each in whole microseconds. With [`count`](Histogram::count) it
    /// gives the mean, and the difference of two sums the time spent in between.
    ///
    /// ```
    /// assert_eq!(poolhouse::Histogram::default().sum(), std::time::Duration::ZERO);
    /// ```
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_micros)
    }

    /// What has been counted since `earlier`, a snapshot of the same histogram. Empty if it is not one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// pool.acquire().await?.release();
    /// let before = pool.stats().hold_times;
    /// pool.acquire().await?.release();
    /// assert_eq!(pool.stats().hold_times.since(&before).count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = match (&self.counts, &earlier.counts) {
            (Some(now), Some(then)) => now.checked_sub(then).ok(),
            (now, None) => now.clone(),
            (None, Some(_)) => None,
        };
        let Some(counts) = counts else { return Self::default() };
        Self {
            counts: Some(counts),
            total: self.total.saturating_sub(earlier.total),
            sum_micros: self.sum_micros.saturating_sub(earlier.sum_micros),
        }
    }

    /// How many durations have been counted.
    ///
    /// ```
    /// assert_eq!(poolhouse::Histogram::default().count(), 0);
    /// ```
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The duration that a share of all stays within: the upper end of its bucket. 0.5 is the median. `None` when
    /// nothing has been counted, or for a share that is not from 0.0 to 1.0.
    ///
    /// ```
    /// assert_eq!(poolhouse::Histogram::default().quantile(0.5), None);
    /// ```
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let found = SampleQuantiles::quantile(self.counts.as_ref()?, share).ok()??;
        let bucket = found.entries().values().next()?;
        Some(Duration::from_micros(bucket.end()))
    }

    /// Each bucket that is not empty: the longest duration that it counts, and how many are in this bucket. In order. To
    /// export them, add them up into the buckets that your monitoring system wants.
    ///
    /// ```
    /// # let pool = poolhouse::PacketPool::new(("localhost", 5555), Default::default())?;
    /// for (up_to, count) in pool.stats().hold_times.buckets() {
    ///     println!("{count} connections were held for at most {up_to:?}");
    /// }
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.counts.iter().flat_map(histogram::Histogram::iter);
        counts
            .filter(|bucket| bucket.count() > 0)
            .map(|bucket| (Duration::from_micros(bucket.end()), bucket.count()))
    }
}

impl fmt::Debug for Histogram {
    /// The count, the median, the 99th percentile and the longest: what fits on a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Histogram");
        text.field("count", &self.total);
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            if let Some(duration) = self.quantile(share) {
                text.field(name, &duration);
            }
        }
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_an_eighth_too_high() {
        let mut times = Histogram::default();
        for millis in 1..=1000 {
            times.record_micros(millis * 1000);
        }
        assert_eq!(times.count(), 1000);
        for (share, exact) in [(0.01, 10), (0.5, 500), (0.99, 990), (1.0, 1000)] {
            let exact = Duration::from_millis(exact);
            let found = times.quantile(share).unwrap();
            assert!(found >= exact && found <= exact * 9 / 8, "{share}: {found:?} for {exact:?}");
        }
        assert_eq!(times.buckets().map(|(_, count)| count).sum::<u64>(), 1000);
        assert_eq!(times.sum(), Duration::from_millis(500_500));
        assert!(times.buckets().is_sorted_by_key(|(up_to, _)| up_to));
    }

    #[test]
    fn a_difference_holds_what_came_between_and_nothing_if_it_is_not_one() {
        let mut times = Histogram::default();
        times.record_micros(5_000);
        let before = times.clone();
        times.record_micros(7_000);
        let between = times.since(&before);
        assert_eq!((between.count(), between.sum()), (1, Duration::from_millis(7)));
        assert!(between.quantile(0.5).is_some_and(|median| median >= Duration::from_millis(7)));
        assert_eq!(before.since(&times), Histogram::default());
        assert_eq!(times.since(&Histogram::default()), times);
        assert_eq!(times.since(&times).count(), 0);
    }

    #[test]
    fn the_shortest_and_the_longest_are_counted() {
        let mut times = Histogram::default();
        times.record_micros(0);
        times.record_micros(u64::MAX);
        assert_eq!(times.quantile(0.0), Some(Duration::ZERO));
        let longest = times.quantile(1.0).unwrap();
        assert_eq!(longest.as_secs() / 60, 71);
        assert_eq!(times.quantile(1.5), None);
        assert!(format!("{times:?}").contains("count: 2"), "{times:?}");
    }
}
