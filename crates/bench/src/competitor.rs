//! What a scenario needs to know about a pool. Everything here is generic, so that each loop is compiled for each pool:
//! nothing is boxed or called through a pointer on the measured path.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use serde::Serialize;

/// Where a pool's connections come from.
pub trait Source: std::fmt::Debug + Send + Sync + 'static {
    type Connection: std::fmt::Debug + Send + Sync + Unpin + 'static;

    fn open(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;

    /// The cheap look at a connection that each pool takes where its documentation puts the health check.
    fn is_open(_connection: &mut Self::Connection) -> bool {
        true
    }
}

/// Something to acquire from.
pub trait Acquire: Send + Sync + 'static {
    type Guard: Send + 'static;

    fn acquire(&self) -> impl Future<Output = Self::Guard> + Send;
}

/// A pool over a source.
pub trait Contender<S: Source>: Acquire {
    /// The size of the pool's own future of an acquire.
    fn future_bytes(&self) -> usize;

    fn connection(guard: &mut Self::Guard) -> &mut S::Connection;
}

/// A pool crate with one configuration.
pub trait Kind: 'static {
    type Pool<S: Source>: Contender<S>;

    const WAITING: Waiting;

    fn about() -> About;

    fn build<S: Source>(source: S, max: usize) -> impl Future<Output = Self::Pool<S>> + Send;
}

/// What an acquire does when every connection is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It gives its thread to other tasks.
    Async,
    /// It blocks its thread: only scenarios in which nobody waits.
    Blocks,
    /// It fails: a floor, not a pool.
    Never,
}

#[derive(Debug, Clone, Serialize)]
pub struct About {
    pub id: &'static str,
    pub label: &'static str,
    pub version: String,
    /// `pool`, `baseline` or `floor`.
    pub kind: &'static str,
    /// How it is configured, in one sentence.
    pub setup: &'static str,
}

/// Is shown every competitor in turn.
pub trait Visitor {
    fn visit<K: Kind>(&mut self);
}

/// Builds a pool and opens all of its connections. No figure includes a connect, but those of S10.
pub async fn filled<K: Kind, S: Source>(source: S, max: usize) -> Arc<K::Pool<S>> {
    let pool = Arc::new(K::build(source, max).await);
    let mut held = Vec::new();
    for _ in 0..max {
        held.push(pool.acquire().await);
    }
    drop(held);
    // Some pools take connections back in a task.
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    pool
}

/// Numbers in place of connections: what remains is the pool.
#[derive(Debug, Default)]
pub struct Plain(AtomicU64);

impl Source for Plain {
    type Connection = u64;

    async fn open(&self) -> io::Result<u64> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The result of a future that does not wait, for pools that open connections on threads of their own.
pub fn ready<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("this pool cannot open connections that take time"),
    }
}
