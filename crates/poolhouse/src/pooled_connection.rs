//! A connection that somebody holds, and its way back.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crate::call_out::call_out;
use crate::events::{Event, RetireReason};
use crate::inner::PoolInner;
use crate::manager::Manager;
use crate::policy::Disposition;
use crate::state::PoolEntry;

/// A connection that you hold. It goes back to the pool when you drop it.
///
/// Dropping needs no runtime, does not block and spawns nothing (`release.anywhere`). On a drop the pool asks
/// [`Manager::is_reusable`]. A connection in the middle of an exchange is closed, not passed on. So is a
/// connection that is dropped by a panic. A connection that does not stay in the pool is dropped in place.
/// With [`Manager::close`] or a hook [`before_close`](crate::PoolBuilder::before_close), a background task
/// closes it.
///
/// A panic of [`Manager::is_reusable`], of [`Manager::needs_reset`] or of the drop in place reaches you,
/// unless your thread is unwinding already. The pool closes the connection.
///
/// It derefs to the connection. No method of the pool may hide one of the connection's own methods, so associated
/// functions tell what the pool knows about it: [`PooledConnection::id(&connection)`](PooledConnection::id). Only
/// [`release`](PooledConnection::release) and [`invalidate`](PooledConnection::invalidate) are methods.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
/// {
///     let mut connection = pool.acquire().await?;
///     connection.send_packet("hello").await?;
///     assert_eq!(connection.receive().await?, "hello");
/// }
/// assert_eq!(pool.stats().idle_connections, 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a connection that is not kept goes back to the pool at once"]
pub struct PooledConnection<M: Manager> {
    inner: Arc<PoolInner<M>>,
    /// `None` only once it has been given back.
    entry: Option<PoolEntry<M>>,
}

const HOLDS: &str = "a guard holds its connection until it is given back";

impl<M: Manager> PooledConnection<M> {
    pub(crate) fn new(inner: Arc<PoolInner<M>>, mut entry: PoolEntry<M>) -> Self {
        entry.use_count += 1;
        Self { inner, entry: Some(entry) }
    }

    /// Gives the connection back now. It is an explicit form of dropping it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let connection = pool.acquire().await?;
    /// connection.release();
    /// assert_eq!(pool.stats().active_connections, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release(self) {
        drop(self);
    }

    /// Closes the connection instead of giving it back. Call it when you know that the connection is broken
    /// and the pool cannot know. The connection is dropped in place. With [`Manager::close`] or a hook
    /// [`before_close`](crate::PoolBuilder::before_close), a background task closes it.
    ///
    /// # Panics
    ///
    /// If the drop in place does, unless your thread is unwinding already.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let connection = pool.acquire().await?;
    /// connection.invalidate();
    /// assert_eq!(pool.stats().connections_destroyed, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn invalidate(mut self) {
        if let Some(entry) = self.entry.take() {
            self.inner.take_back(entry, Disposition::Retire(RetireReason::Invalidated));
        }
    }

    /// Takes the connection out of the pool for good. The pool may open another in its place.
    ///
    /// Use it for a connection that outlives its request, such as an upgrade to a stream. The statistics count it as
    /// released and destroyed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// use poolhouse::PooledConnection;
    ///
    /// let mut mine = PooledConnection::detach(pool.acquire().await?);
    /// assert_eq!(pool.stats().total_connections, 0);
    /// mine.send_packet("still open").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn detach(mut this: Self) -> M::Connection {
        let entry = this.entry.take().expect(HOLDS);
        let (id, opened_at) = (entry.id, entry.opened_at);
        let inner = &this.inner;
        let ((connection, held_for), now) =
            inner.apply(|policy, now, fx| (policy.detach(*entry, now, fx), now));
        inner.tell(|pool| Event::Released { pool, connection: id, held_for });
        inner.tell(|pool| {
            let age = now.since(opened_at);
            Event::Retired { pool, connection: id, reason: RetireReason::Detached, age }
        });
        connection
    }

    /// The connection's number in this pool, counted from 1, as in logs and events.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    /// # let pool = poolhouse::PacketPool::new((server.host(), server.port()), Default::default())?;
    /// use poolhouse::PooledConnection;
    ///
    /// let connection = pool.acquire().await?;
    /// assert_eq!(PooledConnection::id(&connection), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn id(this: &Self) -> u64 {
        this.entry().id
    }

    /// How long ago the connection was opened.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use poolhouse::{PacketPool, PooledConnection};
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    ///
    /// let pool = PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let connection = pool.acquire().await?;
    /// assert!(PooledConnection::age(&connection).as_secs() < 60);
    /// # Ok(())
    /// # }
    /// ```
    pub fn age(this: &Self) -> Duration {
        this.inner.now().since(this.entry().opened_at)
    }

    /// How long nobody had used the connection before you got it. Zero if it came straight from another holder.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use poolhouse::{PacketPool, PooledConnection};
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    ///
    /// let pool = PacketPool::new((server.host(), server.port()), Default::default())?;
    /// let connection = pool.acquire().await?;
    /// let age = PooledConnection::age(&connection);
    /// assert!(PooledConnection::idle_time(&connection) <= age);
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle_time(this: &Self) -> Duration {
        this.entry().idle_time()
    }

    /// How many holders the connection has had, you among them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use poolhouse::{PacketPool, PooledConnection};
    /// # let server = poolhouse_echo::EchoServer::start().await?;
    ///
    /// let pool = PacketPool::new((server.host(), server.port()), Default::default())?;
    /// pool.acquire().await?.release();
    /// let connection = pool.acquire().await?;
    /// assert_eq!(PooledConnection::use_count(&connection), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn use_count(this: &Self) -> u64 {
        this.entry().use_count
    }

    fn entry(&self) -> &PoolEntry<M> {
        self.entry.as_ref().expect(HOLDS)
    }
}

impl<M: Manager> PoolInner<M> {
    /// A held connection comes back. Needs no runtime, and does not block.
    fn give_back(&self, mut entry: PoolEntry<M>) {
        if std::thread::panicking() {
            return self.take_back(entry, Disposition::Retire(RetireReason::Panicked));
        }
        let asked = call_out(|| {
            if !self.manager.is_reusable(&mut entry.connection) {
                return Disposition::Retire(RetireReason::NotReusable);
            }
            entry.manager_resets = self.manager.needs_reset(&mut entry.connection);
            let resets = entry.manager_resets || self.hooks.on_return.is_some();
            if resets { Disposition::Reset } else { Disposition::Reuse }
        });
        match asked {
            Ok(disposition) => self.take_back(entry, disposition),
            Err(panic) => {
                self.take_back(entry, Disposition::Retire(RetireReason::Panicked));
                panic.resume();
            }
        }
    }

    fn take_back(&self, entry: PoolEntry<M>, disposition: Disposition) {
        // Before anybody else can have it, so that the events of one connection come in order.
        if self.listens() {
            let held_for = self.now().since(entry.held_since);
            self.tell(|pool| Event::Released { pool, connection: entry.id, held_for });
        }
        let own = entry.id;
        let ((), panics) = self.decide(|state, now, fx| state.policy.give_back(entry, disposition, now, fx));
        // A connection that panics as its own holder closes it is the holder's to know of. Another may go for this one, if
        // more would be idle than may be.
        if let Some(panics) = panics
            && let Some((_, panic)) = panics.into_iter().find(|(id, _)| *id == own)
            && !std::thread::panicking()
        {
            panic.resume();
        }
    }
}

impl<M: Manager> Deref for PooledConnection<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        &self.entry().connection
    }
}

impl<M: Manager> DerefMut for PooledConnection<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        &mut self.entry.as_mut().expect(HOLDS).connection
    }
}

impl<M: Manager> AsRef<M::Connection> for PooledConnection<M> {
    fn as_ref(&self) -> &M::Connection {
        self
    }
}

impl<M: Manager> AsMut<M::Connection> for PooledConnection<M> {
    fn as_mut(&mut self) -> &mut M::Connection {
        self
    }
}

impl<M: Manager> Drop for PooledConnection<M> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.inner.give_back(entry);
        }
    }
}

impl<M: Manager> fmt::Debug for PooledConnection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").field("id", &self.entry.as_ref().map(|entry| entry.id)).finish()
    }
}
