use std::io;

use bb8::{ManageConnection, Pool, PooledConnection};

use super::version;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Waiting};

pub struct Opener<S>(S);

impl<S: Source> ManageConnection for Opener<S> {
    type Connection = S::Connection;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<S::Connection> {
        self.0.open().await
    }

    async fn is_valid(&self, connection: &mut S::Connection) -> io::Result<()> {
        if S::is_open(connection) { Ok(()) } else { Err(io::ErrorKind::ConnectionReset.into()) }
    }

    fn has_broken(&self, _: &mut S::Connection) -> bool {
        false
    }
}

impl<S: Source> Acquire for Pool<Opener<S>> {
    type Guard = PooledConnection<'static, Opener<S>>;

    async fn acquire(&self) -> Self::Guard {
        self.get_owned().await.expect("bb8: no acquire fails here")
    }
}

impl<S: Source> Contender<S> for Pool<Opener<S>> {
    fn future_bytes(&self) -> usize {
        size_of_val(&self.get_owned())
    }

    fn connection(guard: &mut Self::Guard) -> &mut S::Connection {
        guard
    }
}

pub(super) struct Bb8;

impl Kind for Bb8 {
    type Pool<S: Source> = Pool<Opener<S>>;
    const WAITING: Waiting = Waiting::Async;

    fn about() -> About {
        About {
            id: "bb8",
            label: "bb8",
            version: version("bb8"),
            kind: "pool",
            setup: "The default options: 30 s deadline, lifetime and idle limits, statistics, test_on_check_out with \
                    an is_valid that looks at the socket; owned guards.",
        }
    }

    async fn build<S: Source>(source: S, max: usize) -> Pool<Opener<S>> {
        let max = u32::try_from(max).expect("a small pool");
        Pool::builder().max_size(max).build(Opener(source)).await.expect("nothing is opened yet")
    }
}
