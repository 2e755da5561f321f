use std::sync::Arc;

use sqlx_core::pool::{Pool, PoolConnection, PoolOptions};

use super::sqlx_database::{Opened, Options, Unasked};
use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

impl<S: Source> Acquire for Pool<Unasked<S>> {
    type Guard = PoolConnection<Unasked<S>>;

    async fn acquire(&self) -> Self::Guard {
        self.acquire().await.expect("sqlx: no acquire fails here")
    }
}

impl<S: Source> Contender<S> for Pool<Unasked<S>> {
    fn future_bytes(&self) -> usize {
        size_of_val(&self.acquire())
    }

    fn connection(guard: &mut Self::Guard) -> &mut S::Connection {
        let Opened(connection) = &mut **guard;
        connection
    }
}

pub(super) struct Sqlx;

impl Kind for Sqlx {
    type Pool<S: Source> = Pool<Unasked<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "sqlx",
            label: "sqlx-core",
            version: version("sqlx-core"),
            kind: "pool",
            setup: "The pool of sqlx over a database of our own that is never asked anything. The default options: 30 s \
                    deadline, lifetime and idle limits, test_before_acquire with a ping that looks at the socket. It \
                    takes connections back in a task that it spawns.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Unasked<S>> {
        let max = u32::try_from(max).expect("a small pool");
        PoolOptions::new().max_connections(max).connect_lazy_with(Options(Arc::new(source)))
    }
}
