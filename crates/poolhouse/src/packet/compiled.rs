//! A `PacketPool`, compiled with this crate, for debug builds. For speed of compilation alone.
//!
//! A pool is generic, so each program that has one compiles it anew. A debug build takes from a dependency what is compiled
//! there already ([`-Z share-generics`], on by default without optimization). So everything that programs do with a
//! `PacketPool` stands here once, and is never called. A release build has nothing of it.
//!
//! What it buys: to build the example `error_handling` took 3.5 s of processor time, and takes 0.6 s.
//!
//! [`-Z share-generics`]: https://doc.rust-lang.org/nightly/unstable-book/compiler-flags/share-generics.html

use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::PacketPool;
use crate::config::{ConfigError, PoolConfig};
use crate::error::AcquireError;
use crate::pooled_connection::PooledConnection;

/// A future is compiled where it is polled.
#[doc(hidden)]
pub fn poll_compiled(pool: &PacketPool, cx: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
    pin!(use_connections(pool)).poll(cx)
}

#[doc(hidden)]
pub fn compiled(address: (&'static str, u16)) -> Result<(), ConfigError> {
    drop(PacketPool::new(address, PoolConfig::default())?);
    let pool = PacketPool::builder(address).name("compiled").build()?;
    pool.reconfigure(PoolConfig::default())?;
    pool.resize(1)?;
    pool.suspend();
    pool.resume();
    pool.invalidate_all();
    pool.invalidate_all_over(Duration::ZERO);
    pool.connect_now();
    let _ = (pool.stats(), pool.config(), pool.holders(), pool.is_closed(), pool.is_suspended(), pool.name());
    let _ = format!("{:?} {:?} {:?}", pool, pool.downgrade().upgrade(), pool.clone());
    Ok(())
}

async fn use_connections(pool: &PacketPool) -> Result<(), AcquireError> {
    pool.warm_up().await?;
    let mut connection = pool.acquire().await?;
    let _ = connection.send_packet("hello").await;
    let _ = connection.send_packet(String::new()).await;
    let _ = connection.receive().await;
    let _ = format!("{:?} {}", connection, PooledConnection::id(&connection));
    connection.release();
    pool.acquire_within(Duration::ZERO).await?.invalidate();
    drop(PooledConnection::detach(pool.acquire_owned().await?));
    drop(pool.try_acquire());
    pool.check_now().await;
    pool.drained().await;
    drop(pool.close_within(Duration::ZERO).await);
    pool.close().await;
    pool.closed().await;
    Ok(())
}
