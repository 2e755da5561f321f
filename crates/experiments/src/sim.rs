//! What every experiment runs on: the lab's paused clock, seeded draws, and connections that are only counted.
//!
//! A paused clock jumps to the next timer as soon as nothing can run, so an hour takes as long as its events. Timers
//! count in milliseconds: every time that is drawn here is a whole number of them, so nothing is rounded later.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(crate) use pool_lab::in_virtual_time;
use pool_lab::ln;
use poolhouse::{Manager, Pool, PoolConfig};
use tokio::time::{Instant, sleep, sleep_until};

/// Opens connections that are nothing but a time of birth in a log.
#[derive(Clone)]
pub(crate) struct Dialer {
    connect_time: Duration,
    births: Arc<Mutex<Vec<Instant>>>,
}

impl Dialer {
    pub(crate) fn new(connect_time: Duration) -> Self {
        Self { connect_time, births: Arc::default() }
    }

    /// When each connection was opened, in order.
    pub(crate) fn births(&self) -> Vec<Instant> {
        self.births.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Manager for Dialer {
    type Connection = Instant;
    type Error = Infallible;

    async fn connect(&self) -> Result<Instant, Infallible> {
        sleep(self.connect_time).await;
        let now = Instant::now();
        self.births.lock().unwrap_or_else(PoisonError::into_inner).push(now);
        Ok(now)
    }
}

pub(crate) fn pool(dialer: &Dialer, config: PoolConfig) -> Pool<Dialer> {
    Pool::new(dialer.clone(), config).expect("a possible configuration")
}

/// A pool of so many connections that are open from the start and stay open.
pub(crate) async fn full_pool(size: usize, config: PoolConfig) -> Pool<Dialer> {
    let config = PoolConfig { min_connections: size, max_connections: size, ..undisturbed(config) };
    let pool = pool(&Dialer::new(Duration::ZERO), config);
    pool.warm_up().await.expect("nothing refuses");
    pool
}

/// Without the background work that an experiment does not look at.
pub(crate) fn undisturbed(mut config: PoolConfig) -> PoolConfig {
    config.max_lifetime = Duration::MAX;
    config.health_check_interval = Duration::MAX;
    config
}

/// Draws times, in whole milliseconds.
pub(crate) struct Draws(fastrand::Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// From 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.0.f64()
    }

    /// Exponentially distributed.
    pub(crate) fn exponential(&mut self, mean: Duration) -> Duration {
        let millis = -ln(1.0 - self.0.f64()) * mean.as_secs_f64() * 1e3;
        Duration::from_millis(millis.round() as u64)
    }
}

/// Calls `arrive` at the instants of a Poisson process, so many times a second, until the end.
///
/// The instants are drawn exactly and then put on the next millisecond: gaps that are rounded one by one would add up.
pub(crate) async fn poisson(draws: &mut Draws, rate: f64, end: Instant, mut arrive: impl FnMut(&mut Draws)) {
    let start = Instant::now();
    let mut at = 0.0;
    loop {
        at += -ln(1.0 - draws.0.f64()) / rate * 1e3;
        let next = start + Duration::from_millis(at as u64);
        if next >= end {
            sleep_until(end).await;
            return;
        }
        if next > Instant::now() {
            sleep_until(next).await;
        }
        arrive(draws);
    }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn mins(mins: u64) -> Duration {
    Duration::from_secs(60 * mins)
}

/// To so many digits after the point: what is written down.
pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

pub(crate) fn mean(values: &[Duration]) -> f64 {
    values.iter().map(Duration::as_secs_f64).sum::<f64>() / values.len().max(1) as f64
}

/// The least time that a share of all stays within, in seconds.
pub(crate) fn quantile(values: &[Duration], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_their_mean() {
        let mut draws = Draws::new(1);
        let drawn: Vec<Duration> = (0..100_000).map(|_| draws.exponential(ms(100))).collect();
        assert!((mean(&drawn) - 0.1).abs() < 0.001, "{}", mean(&drawn));
        assert_eq!((quantile(&drawn, 0.0), quantile(&[ms(1), ms(2), ms(3)], 0.5)), (0.0, 0.002));
    }
}
