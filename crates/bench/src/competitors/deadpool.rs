use std::io;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Object, Pool, RecycleError, RecycleResult};

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

pub struct Opener<S>(S);

impl<S: Source> Manager for Opener<S> {
    type Type = S::Connection;
    type Error = io::Error;

    async fn create(&self) -> io::Result<S::Connection> {
        self.0.open().await
    }

    async fn recycle(&self, connection: &mut S::Connection, _: &Metrics) -> RecycleResult<io::Error> {
        if S::is_open(connection) { Ok(()) } else { Err(RecycleError::message("closed by the peer")) }
    }
}

impl<S: Source> Acquire for Pool<Opener<S>> {
    type Guard = Object<Opener<S>>;

    async fn acquire(&self) -> Self::Guard {
        self.get().await.expect("deadpool: no acquire fails here")
    }
}

impl<S: Source> Contender<S> for Pool<Opener<S>> {
    fn future_bytes(&self) -> usize {
        size_of_val(&self.get())
    }

    fn connection(guard: &mut Self::Guard) -> &mut S::Connection {
        guard
    }
}

pub(super) struct WaitTimeout;

impl Kind for WaitTimeout {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "deadpool-timeout",
            label: "deadpool, 30 s wait timeout",
            version: version("deadpool"),
            kind: "pool",
            setup: "managed::Pool with a wait timeout of 30 s; no create and recycle timeouts, as by default; recycle \
                    looks at the socket.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        Pool::builder(Opener(source))
            .max_size(max)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_secs(30)))
            .build()
            .expect("the configuration is valid")
    }
}

pub(super) struct NoTimeout;

impl Kind for NoTimeout {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "deadpool",
            label: "deadpool, no timeout",
            version: version("deadpool"),
            kind: "pool",
            setup: "managed::Pool with the default options, so without any deadline; recycle looks at the socket.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        Pool::builder(Opener(source)).max_size(max).build().expect("the configuration is valid")
    }
}
