use std::time::Duration;

use poolhouse::{IdleOrder, PoolConfig};

pub fn config() -> PoolConfig {
    PoolConfig {
        max_connections: 12,
        min_connections: 2,
        max_pending: Some(20),
        idle_timeout: Duration::MAX,
        lifetime_jitter: 0.5,
        health_check_interval: Duration::from_millis(5000),
        fail_fast_after: Duration::from_millis(1000),
        idle_order: IdleOrder::Fifo,
        detect_nested_acquires: true,
        ..PoolConfig::default()
    }
}
