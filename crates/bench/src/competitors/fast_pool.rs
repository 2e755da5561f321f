use fast_pool::{ConnectionGuard, Manager, Pool};

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

pub struct Opener<S>(S);

impl<S: Source> Manager for Opener<S> {
    type Connection = S::Connection;
    type Error = String;

    async fn connect(&self) -> Result<S::Connection, String> {
        self.0.open().await.map_err(|error| error.to_string())
    }

    async fn check(&self, connection: &mut S::Connection) -> Result<(), String> {
        if S::is_open(connection) { Ok(()) } else { Err("closed by the peer".to_string()) }
    }
}

impl<S: Source> Acquire for Pool<Opener<S>> {
    type Guard = ConnectionGuard<Opener<S>>;

    async fn acquire(&self) -> Self::Guard {
        self.get().await.expect("fast_pool: no acquire fails here")
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

pub(super) struct FastPool;

impl Kind for FastPool {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "fast_pool",
            label: "fast_pool",
            version: version("fast_pool"),
            kind: "pool",
            setup: "The default options: 30 s deadline, a check with a limit of 10 s on each acquire, which looks at \
                    the socket.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        let pool = Pool::new(Opener(source));
        pool.set_max_open(max as u64);
        pool
    }
}
