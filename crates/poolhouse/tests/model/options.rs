//! The options that matter here, and how to draw them at random.

use std::time::Duration;

use poolhouse::{IdleOrder, PoolConfig};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use crate::ops::ms;

/// Times are in milliseconds, and `None` switches a limit off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) min_idle: usize,
    pub(crate) max_idle: Option<usize>,
    pub(crate) max_uses: Option<u64>,
    pub(crate) max_connecting: usize,
    pub(crate) max_pending: Option<usize>,
    pub(crate) connection_timeout: Option<u64>,
    pub(crate) idle_timeout: Option<u64>,
    pub(crate) health_check_interval: Option<u64>,
    pub(crate) max_lifetime: Option<u64>,
    pub(crate) check_after_idle: Option<u64>,
    pub(crate) leak_threshold: Option<u64>,
    pub(crate) fail_fast_after: Option<u64>,
    pub(crate) nested: bool,
    pub(crate) connect_attempt_timeout: u64,
    pub(crate) health_check_timeout: u64,
    pub(crate) reset_timeout: u64,
    pub(crate) close_timeout: u64,
    pub(crate) backoff: u64,
    pub(crate) max_backoff: u64,
    pub(crate) jitter: f64,
    pub(crate) lifo: bool,
}

impl Config {
    pub(crate) fn options(&self) -> PoolConfig {
        let limit = |millis: Option<u64>| millis.map_or(Duration::MAX, ms);
        PoolConfig {
            min_connections: self.min,
            max_connections: self.max,
            connection_timeout: limit(self.connection_timeout),
            min_idle: self.min_idle,
            max_idle: self.max_idle,
            idle_timeout: limit(self.idle_timeout),
            health_check_interval: limit(self.health_check_interval),
            max_lifetime: limit(self.max_lifetime),
            max_uses: self.max_uses,
            check_after_idle: limit(self.check_after_idle),
            connect_attempt_timeout: ms(self.connect_attempt_timeout),
            health_check_timeout: ms(self.health_check_timeout),
            reset_timeout: ms(self.reset_timeout),
            close_timeout: ms(self.close_timeout),
            max_connecting: self.max_connecting,
            max_pending: self.max_pending,
            lifetime_jitter: self.jitter,
            connect_backoff: ms(self.backoff),
            max_connect_backoff: ms(self.max_backoff),
            fail_fast_after: limit(self.fail_fast_after),
            idle_order: if self.lifo { IdleOrder::Lifo } else { IdleOrder::Fifo },
            _non_exhaustive: (),
            leak_threshold: limit(self.leak_threshold),
            detect_nested_acquires: self.nested,
        }
    }
}

/// An option that most pools do not have.
fn seldom<T: std::fmt::Debug + 'static>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    weighted(0.25, of)
}

fn timeouts() -> impl Strategy<Value = [u64; 4]> {
    let short = || select(vec![40_u64, 10]);
    (select(vec![60_u64, 10]), short(), short(), short())
        .prop_map(|(connect, check, reset, close)| [connect, check, reset, close])
}

/// `connection_timeout`, `idle_timeout`, `health_check_interval`, `max_lifetime`, `check_after_idle`, `leak_threshold`.
fn limits() -> impl Strategy<Value = [Option<u64>; 6]> {
    let limits = (
        select(vec![None, Some(20), Some(100), Some(1000)]),
        select(vec![None, Some(30), Some(200)]),
        select(vec![None, Some(10), Some(50)]),
        select(vec![None, Some(40), Some(300)]),
        select(vec![None, None, Some(15), Some(60)]),
        select(vec![None, Some(25)]),
    );
    limits.prop_map(<[Option<u64>; 6]>::from)
}

pub(crate) fn config() -> impl Strategy<Value = Config> {
    let sizes = (1..=4_usize, 0..=4_usize, 1..=3_usize, prop::option::of(1..=3_usize));
    // Most pools have none of these: each makes some promise weaker.
    let fail_fast = weighted(0.35, select(vec![1_u64, 20, 80]));
    let few = (seldom(1..=3_usize), seldom(0..=3_usize), seldom(1..=4_u64), fail_fast);
    let pauses = select(vec![(5_u64, 20_u64), (20, 100)]);
    let jitter = select(vec![0.0, 0.1, 1.0]);
    (sizes, few, limits(), timeouts(), pauses, jitter, any::<(bool, bool)>()).prop_map(
        |((max, min, max_connecting, max_pending), few, limits, timeouts, pauses, jitter, (lifo, nested))| {
            let (min_idle, max_idle, max_uses, fail_fast_after) = few;
            let (min, min_idle) = (min.min(max), min_idle.unwrap_or(0).min(max));
            Config {
                min,
                max,
                min_idle,
                max_idle: max_idle.map(|max_idle| max_idle.max(min).max(min_idle)),
                max_uses,
                max_connecting,
                max_pending,
                connection_timeout: limits[0],
                idle_timeout: limits[1],
                health_check_interval: limits[2],
                max_lifetime: limits[3],
                check_after_idle: limits[4],
                leak_threshold: limits[5],
                fail_fast_after,
                nested,
                connect_attempt_timeout: timeouts[0],
                health_check_timeout: timeouts[1],
                reset_timeout: timeouts[2],
                close_timeout: timeouts[3],
                backoff: pauses.0,
                max_backoff: pauses.1,
                jitter,
                lifo,
            }
        },
    )
}
