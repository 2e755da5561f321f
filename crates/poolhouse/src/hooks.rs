//! What an owner runs at the turning points of each connection's life, without writing a manager.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use thiserror::Error;

use crate::error::BoxError;
use crate::maintenance::ConnectionInfo;

/// The future that a hook returns: `Box::pin(async move { .. })`.
///
/// ```
/// use poolhouse::{HookFuture, PacketConnection};
///
/// fn say_hello(connection: &mut PacketConnection<tokio::net::TcpStream>) -> HookFuture<'_> {
///     Box::pin(async move {
///         connection.send_packet("hello").await?;
///         connection.receive().await?;
///         Ok(())
///     })
/// }
/// ```
pub type HookFuture<'c> = Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'c>>;

/// The error by which a hook [`before_reuse`](crate::PoolBuilder::before_reuse) or
/// [`on_return`](crate::PoolBuilder::on_return) has the connection closed without a warning. The listener gets no
/// [`Event::CheckFailed`](crate::Event::CheckFailed) or [`Event::ResetFailed`](crate::Event::ResetFailed) either.
///
/// The connection retires as [`NotRetained`](crate::RetireReason::NotRetained). An acquire that waits gets another
/// connection. [`Manager::check`](crate::Manager::check) and [`Manager::reset`](crate::Manager::reset) may return it
/// too, where [`Manager::Error`](crate::Manager::Error) is `Box<dyn Error + Send + Sync>`.
///
/// ```
/// use poolhouse::{Discard, PacketPool, RetireReason};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// let pool = PacketPool::builder((server.host(), server.port()))
///     .before_reuse(|_connection, info| {
///         Box::pin(async move { if info.use_count < 1 { Ok(()) } else { Err(Discard.into()) } })
///     })
///     .build()?;
/// pool.acquire().await?.release();
/// pool.acquire().await?;
/// assert_eq!(pool.stats().closed.get(RetireReason::NotRetained), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the hook does not keep this connection")]
pub struct Discard;

/// A hook on a connection that has just been opened.
pub(crate) type ConnectHook<C> = Box<dyn Fn(&mut C) -> HookFuture<'_> + Send + Sync>;

/// A hook on a connection that the pool has, with what it knows about it.
pub(crate) type Hook<C> = Box<dyn for<'c> Fn(&'c mut C, ConnectionInfo) -> HookFuture<'c> + Send + Sync>;

/// The hooks of a pool. A pool without hooks pays only for checking that there are none.
pub(crate) struct Hooks<C> {
    pub(crate) after_connect: Option<ConnectHook<C>>,
    pub(crate) before_reuse: Option<Hook<C>>,
    pub(crate) on_return: Option<Hook<C>>,
    pub(crate) before_close: Option<Hook<C>>,
}

impl<C> Default for Hooks<C> {
    fn default() -> Self {
        Self { after_connect: None, before_reuse: None, on_return: None, before_close: None }
    }
}

impl<C> Hooks<C> {
    pub(crate) async fn after_connect(&self, connection: &mut C) -> Result<(), BoxError> {
        match &self.after_connect {
            Some(hook) => hook(connection).await,
            None => Ok(()),
        }
    }
}

pub(crate) async fn call_hook<C>(
    hook: Option<&Hook<C>>,
    connection: &mut C,
    info: ConnectionInfo,
) -> Result<(), BoxError> {
    match hook {
        Some(hook) => hook(connection, info).await,
        None => Ok(()),
    }
}
