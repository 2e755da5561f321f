use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use poolhouse::{Event, Listener, Manager, Pool, PoolConfig, PooledConnection};

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

/// Opens what the source opens.
#[derive(Debug)]
pub struct Opener<S>(S);

impl<S: Source> Manager for Opener<S> {
    type Connection = S::Connection;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<S::Connection> {
        self.0.open().await
    }

    fn is_connected(&self, connection: &mut S::Connection) -> bool {
        S::is_open(connection)
    }
}

impl<M: Manager> Acquire for Pool<M> {
    type Guard = PooledConnection<M>;

    async fn acquire(&self) -> Self::Guard {
        self.acquire().await.expect("poolhouse: no acquire fails here")
    }
}

impl<S: Source> Contender<S> for Pool<Opener<S>> {
    fn future_bytes(&self) -> usize {
        size_of_val(&self.acquire())
    }

    fn connection(guard: &mut Self::Guard) -> &mut S::Connection {
        guard
    }
}

/// Counts the acquires.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Listener for Counting {
    fn on_event(&self, event: &Event<'_>) {
        if let Event::Acquired { .. } = event {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A pool with everything on that an option can switch on.
pub fn full_pool<M: Manager>(manager: M, max: usize) -> Pool<M> {
    let config = PoolConfig {
        max_connections: max,
        max_pending: Some(10_000_000),
        check_after_idle: Duration::from_secs(30),
        leak_threshold: Duration::from_secs(60),
        detect_nested_acquires: true,
        ..PoolConfig::default()
    };
    Pool::builder(manager)
        .config(config)
        .listener(Counting::default())
        .build()
        .expect("the configuration is valid")
}

pub struct Full;

impl Kind for Full {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "poolhouse",
            label: "poolhouse",
            version: version("poolhouse"),
            kind: "pool",
            setup: "Everything on: 30 s deadline with diagnosis, call sites, statistics, lifetime and idle limits, \
                    look at the socket, leak_threshold, max_pending, check_after_idle, detect_nested_acquires, and \
                    a listener that counts acquires.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        full_pool(Opener(source), max)
    }
}

pub(super) struct Defaults;

impl Kind for Defaults {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "poolhouse-default",
            label: "poolhouse, default options",
            version: version("poolhouse"),
            kind: "pool",
            setup: "The default options: 30 s deadline with diagnosis, call sites, statistics, lifetime and idle \
                    limits, look at the socket; no listener.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        let config = PoolConfig { max_connections: max, ..PoolConfig::default() };
        Pool::new(Opener(source), config).expect("the configuration is valid")
    }
}
