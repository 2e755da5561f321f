//! The pools of the outage, each as its documentation recommends, with the same deadline.

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::Duration;

use pool_lab::{Connection, Dialer, Refusal, Server};
use poolhouse::{Manager, PoolConfig};

pub(super) trait Contender: Clone + Send + Sync + Sized + 'static {
    const NAME: &'static str;
    type Guard: DerefMut<Target = Connection> + Send;

    async fn new(server: Arc<Server>, connections: usize, deadline: Duration) -> Self;

    fn acquire(&self) -> impl Future<Output = Result<Self::Guard, String>> + Send;
}

#[derive(Clone)]
pub(super) struct Poolhouse(poolhouse::Pool<Dialer>);

impl Contender for Poolhouse {
    const NAME: &'static str = "poolhouse";
    type Guard = poolhouse::PooledConnection<Dialer>;

    async fn new(server: Arc<Server>, connections: usize, deadline: Duration) -> Self {
        let config = PoolConfig {
            max_connections: connections,
            connection_timeout: deadline,
            ..PoolConfig::default()
        };
        Self(poolhouse::Pool::new(Dialer(server), config).expect("a possible configuration"))
    }

    async fn acquire(&self) -> Result<Self::Guard, String> {
        // The data is the same wherever the guide is.
        self.0.acquire().await.map_err(|error| error.to_string().replace(poolhouse::GUIDE, "<guide>"))
    }
}

/// The lab's dialer, as the manager of other pools.
pub(crate) struct Opener(Dialer);

#[derive(Clone)]
pub(super) struct Deadpool(deadpool::managed::Pool<Opener>);

impl deadpool::managed::Manager for Opener {
    type Type = Connection;
    type Error = Refusal;

    async fn create(&self) -> Result<Connection, Refusal> {
        self.0.connect().await
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Refusal> {
        if connection.is_open() { Ok(()) } else { Err(deadpool::managed::RecycleError::message("closed")) }
    }
}

impl Contender for Deadpool {
    const NAME: &'static str = "deadpool";
    type Guard = deadpool::managed::Object<Opener>;

    async fn new(server: Arc<Server>, connections: usize, deadline: Duration) -> Self {
        let pool = deadpool::managed::Pool::builder(Opener(Dialer(server)))
            .max_size(connections)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(deadline))
            .create_timeout(Some(deadline))
            .recycle_timeout(Some(deadline))
            .build();
        Self(pool.expect("it has a runtime"))
    }

    async fn acquire(&self) -> Result<Self::Guard, String> {
        self.0.get().await.map_err(|error| error.to_string())
    }
}

#[derive(Clone)]
pub(super) struct Bb8(bb8::Pool<Opener>);

impl bb8::ManageConnection for Opener {
    type Connection = Connection;
    type Error = Refusal;

    async fn connect(&self) -> Result<Connection, Refusal> {
        self.0.connect().await
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Refusal> {
        if connection.is_open() { Ok(()) } else { Err(Refusal::Dropped) }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        !connection.is_open()
    }
}

impl Contender for Bb8 {
    const NAME: &'static str = "bb8";
    type Guard = bb8::PooledConnection<'static, Opener>;

    async fn new(server: Arc<Server>, connections: usize, deadline: Duration) -> Self {
        let size = u32::try_from(connections).expect("a small pool");
        let pool = bb8::Pool::builder()
            .max_size(size)
            .connection_timeout(deadline)
            .build(Opener(Dialer(server)))
            .await;
        Self(pool.expect("nothing is opened yet"))
    }

    async fn acquire(&self) -> Result<Self::Guard, String> {
        self.0.get_owned().await.map_err(|error| error.to_string())
    }
}
