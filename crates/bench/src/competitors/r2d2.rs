use std::io;

use r2d2::{ManageConnection, Pool, PooledConnection};

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting, ready};

pub struct Opener<S>(S);

impl<S: Source> ManageConnection for Opener<S> {
    type Connection = S::Connection;
    type Error = io::Error;

    fn connect(&self) -> io::Result<S::Connection> {
        ready(self.0.open())
    }

    fn is_valid(&self, connection: &mut S::Connection) -> io::Result<()> {
        if S::is_open(connection) { Ok(()) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }

    fn has_broken(&self, _: &mut S::Connection) -> bool {
        false
    }
}

impl<S: Source> Acquire for Pool<Opener<S>> {
    type Guard = PooledConnection<Opener<S>>;

    async fn acquire(&self) -> Self::Guard {
        self.get().expect("r2d2: no acquire fails here")
    }
}

impl<S: Source> Contender<S> for Pool<Opener<S>> {
    fn future_bytes(&self) -> usize {
        0
    }

    fn connection(guard: &mut Self::Guard) -> &mut S::Connection {
        guard
    }
}

pub(super) struct R2d2;

impl Kind for R2d2 {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Blocks;

    fn about() -> About {
        About {
            id: "r2d2",
            label: "r2d2",
            version: version("r2d2"),
            kind: "pool",
            setup: "For threads, called from a task that never waits. The default options: 30 s deadline, lifetime \
                    and idle limits, test_on_check_out with an is_valid that looks at the socket.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        let max = u32::try_from(max).expect("a small pool");
        Pool::builder().max_size(max).build(Opener(source)).expect("the source opens at once")
    }
}
