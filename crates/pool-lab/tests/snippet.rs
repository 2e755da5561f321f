use std::time::Duration;

use poolhouse::{IdleOrder, PoolConfig};

pub fn config() -> PoolConfig {
    PoolConfig {
        max_connections: 12,
        min_connections: 2,
        connection_timeout: Duration::from_millis(7000),
        max_pending: Some(20),
        idle_timeout: Duration::MAX,
        max_lifetime: Duration::from_millis(60000),
        lifetime_jitter: 0.5,
        health_check_interval: Duration::from_millis(5000),
        check_after_idle: Duration::from_millis(250),
        fail_fast_after: Duration::from_millis(1000),
        max_connecting: 3,
        idle_order: IdleOrder::Fifo,
        detect_nested_acquires: true,
        ..PoolConfig::default()
    }
}
