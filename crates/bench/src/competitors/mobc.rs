use std::io;

use mobc::{Connection, Manager, Pool, async_trait};

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

pub struct Opener<S>(S);

#[async_trait]
impl<S: Source> Manager for Opener<S> {
    type Connection = S::Connection;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<S::Connection> {
        self.0.open().await
    }

    async fn check(&self, mut connection: S::Connection) -> io::Result<S::Connection> {
        if S::is_open(&mut connection) { Ok(connection) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }
}

impl<S: Source> Acquire for Pool<Opener<S>> {
    type Guard = Connection<Opener<S>>;

    async fn acquire(&self) -> Self::Guard {
        self.get().await.expect("mobc: no acquire fails here")
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

pub(super) struct Mobc;

impl Kind for Mobc {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "mobc",
            label: "mobc",
            version: version("mobc"),
            kind: "pool",
            setup: "The default options but max_idle, which is the maximum, so that no connection is closed: 30 s \
                    deadline, statistics and metrics, a check on each acquire that looks at the socket.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        Pool::builder().max_open(max as u64).max_idle(max as u64).build(Opener(source))
    }
}
