//! What the pool needs to know about a protocol.

use std::borrow::Cow;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use crate::config::ConfigError;
use crate::events::RetireReason;

/// How the pool treats a failed connect.
///
/// ```
/// use poolhouse::FailureKind;
///
/// fn classify(code: u16) -> FailureKind {
///     if code == 401 { FailureKind::Permanent } else { FailureKind::Transient }
/// }
/// assert_eq!(classify(401), FailureKind::Permanent);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// It may work later: the server restarts, or the network is slow. The pool tries again, with backoff, while a
    /// caller waits.
    Transient,
    /// The server is at its own limit, such as "too many clients". It is not down: the pool works with the connections
    /// that it has, and tries again with backoff. Waiters are not told. Such a failure does not count for
    /// `fail_fast_after`.
    Busy,
    /// It cannot work until a person changes something, such as a wrong password. Every waiter gets the error at once,
    /// if no connection is open and no other connect is under way. Otherwise the open connections serve the waiters.
    Permanent,
}

impl FailureKind {
    /// A short name that does not change: a label for metrics.
    ///
    /// ```
    /// assert_eq!(poolhouse::FailureKind::Permanent.as_str(), "permanent");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Busy => "busy",
            Self::Permanent => "permanent",
        }
    }
}

/// How to open, check and judge connections of one protocol. Implement it to pool anything.
///
/// The pool calls [`connect`](Manager::connect) and [`check`](Manager::check) in background tasks, each with
/// its own time limit. Both are dropped at an await point when that limit passes, or when the pool closes, is
/// suspended, invalidated or shrunk. So they must be cancel safe: dropping the future must close whatever it
/// has half opened. Like [`reset`](Manager::reset), [`close`](Manager::close) and the hooks, they must not
/// block their thread, which may be the one that drives all timers. Put calls that block into
/// [`spawn_blocking`](tokio::task::spawn_blocking).
///
/// The pool calls no method of a manager under its lock, so a manager may use the pool (`foreign.unlocked`). A panic in
/// any method, in the drop of a connection, or in the drop or the boxing of an error, costs at most one connection and
/// no capacity (`panic.no_loss`). A manager that keeps a [`Pool`](crate::Pool) of its own keeps that pool open until
/// somebody calls [`close`](crate::Pool::close).
///
/// A manager may change the server or the credentials that it uses. The next connect uses the new ones. Reach the
/// manager with [`Pool::manager`](crate::Pool::manager), and call [`Pool::invalidate_all`](crate::Pool::invalidate_all)
/// to retire the connections that were opened before.
///
/// ```
/// use poolhouse::{Manager, Pool, PoolConfig};
///
/// /// Opens numbered tickets instead of sockets.
/// struct Tickets(std::sync::atomic::AtomicU32);
///
/// impl Manager for Tickets {
///     type Connection = u32;
///     type Error = std::io::Error;
///
///     async fn connect(&self) -> Result<u32, std::io::Error> {
///         Ok(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(Tickets(7.into()), PoolConfig::default())?;
/// assert_eq!(*pool.acquire().await?, 7);
/// # Ok(())
/// # }
/// ```
#[expect(unused_variables, reason = "a method that does nothing shows what it gets")]
pub trait Manager: Send + Sync + 'static {
    /// What the pool hands out.
    type Connection: Send + 'static;
    /// Why a connect or a check failed: any error type, `anyhow::Error`, `Box<dyn Error + Send + Sync>` or `String`.
    ///
    /// The pool asks [`classify`](Manager::classify) about the error, then boxes it. You get it back with
    /// [`AcquireError::manager_error`](crate::AcquireError::manager_error). With `anyhow::Error`, `?` takes errors of
    /// every type: add a context to the driver's error, or anyhow hides its type.
    ///
    /// ```
    /// use anyhow::Context;
    /// use poolhouse::{Manager, Pool, PoolConfig};
    ///
    /// /// Opens a ticket by its number.
    /// struct Ticket(&'static str);
    ///
    /// impl Manager for Ticket {
    ///     type Connection = u32;
    ///     type Error = anyhow::Error;
    ///
    ///     async fn connect(&self) -> anyhow::Result<u32> {
    ///         self.0.parse().context("not a ticket")
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let error = Pool::new(Ticket("seven"), PoolConfig::default())?.warm_up().await.expect_err("no number");
    /// assert!(error.to_string().contains("not a ticket: invalid digit found in string"));
    /// assert!(error.manager_error::<std::num::ParseIntError>().is_some());
    /// # Ok(())
    /// # }
    /// ```
    type Error: Into<Box<dyn Error + Send + Sync>> + Send + 'static;

    /// Opens one connection. The pool drops the future after `connect_attempt_timeout`.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Asks an idle connection for a sign of life, with a round trip if the protocol has one.
    ///
    /// A background task calls it on connections that have gone unused for `health_check_interval`, at most a
    /// tenth of the unused ones at a time, and at least one. It also calls it for
    /// [`check_after_idle`](crate::PoolConfig::check_after_idle) and for
    /// [`Pool::check_now`](crate::Pool::check_now), and never while somebody holds the connection. An error,
    /// or `health_check_timeout`, closes the connection. Other idle connections that have not proved to work
    /// since that check began are then checked at once. After a check that passes, the pool also asks
    /// [`is_connected`](Manager::is_connected). The default trusts every connection.
    fn check(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Whether a connection that comes back may be handed to somebody else.
    ///
    /// The pool asks on every release, on the releasing thread, which may have no runtime. Keep it cheap, and do not
    /// block. Answer `false` for a connection in the middle of an exchange. This stops one caller from reading
    /// another's reply. The default answers `true`.
    fn is_reusable(&self, connection: &mut Self::Connection) -> bool {
        true
    }

    /// Whether a connection that comes back has to be reset before anybody else gets it.
    ///
    /// The pool asks on every release of a connection that is reusable, on the releasing thread. Keep it cheap, and do
    /// not block: check whether the session has changed, or answer `true` if you cannot tell. Unless it answers `true`,
    /// [`reset`](Manager::reset) is never called. The default answers `false`.
    fn needs_reset(&self, connection: &mut Self::Connection) -> bool {
        false
    }

    /// Undoes what the last holder has left in a connection: an open transaction, settings, subscriptions.
    ///
    /// A background task calls it on connections for which [`needs_reset`](Manager::needs_reset) answered `true`, off
    /// the caller's path. Nobody else gets the connection before the reset has ended (`reset.between`). An error, a
    /// panic, or `reset_timeout` closes the connection. When the pool is closed, suspended, invalidated or shrunk, the
    /// future is dropped at an await point, and the connection is closed. The default does nothing.
    fn reset(
        &self,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Whether the pool calls [`close`](Manager::close) on a connection that it no longer needs, instead of dropping
    /// it.
    ///
    /// The pool asks on the thread that retires the connection. Keep it cheap, and do not block. The pool does not ask
    /// about a connection whose peer has closed it, or whose runtime has ended. Unless it answers `true`, `close` is
    /// never called. The default answers `false`.
    fn needs_close(&self, connection: &mut Self::Connection, reason: RetireReason) -> bool {
        false
    }

    /// Closes a connection gracefully: with a goodbye to the server, or a request to cancel what still runs.
    ///
    /// A background task calls it on connections for which [`needs_close`](Manager::needs_close) answered `true`. The
    /// connection takes up room until the future ends, for at most `close_timeout` (`size.max`). Then the future is
    /// dropped, and the connection with it. [`Pool::close`](crate::Pool::close) waits for the future. If no runtime
    /// serves this pool's connections, or when that runtime ends, the connection is dropped instead. The default drops
    /// it.
    fn close(&self, connection: Self::Connection) -> impl Future<Output = ()> + Send {
        async move { drop(connection) }
    }

    /// Whether the peer has kept an idle connection open, as far as the manager can tell without a round trip.
    ///
    /// The pool asks before it hands a connection out, on the acquiring thread: at most once a millisecond
    /// for each connection, and always for one that nobody has used yet. A background task asks after each
    /// check, each reset, and each hook `before_reuse` or `on_return`. Keep it cheap, and do not block: ask
    /// the operating system whether the end of the stream, or an unexpected byte, has arrived. A connection
    /// for which it answers `false` is closed, and the acquire gets another. The default answers `true`.
    fn is_connected(&self, connection: &mut Self::Connection) -> bool {
        true
    }

    /// Whether a failed connect is worth another try. The default says that every failure is transient.
    ///
    /// The pool asks about errors of [`connect`](Manager::connect) alone. An error of the hook
    /// [`after_connect`](crate::PoolBuilder::after_connect) is transient. A [`Failure`](crate::Failure) from either has
    /// its own kind, which takes precedence.
    fn classify(&self, error: &Self::Error) -> FailureKind {
        FailureKind::Transient
    }

    /// Whether the manager's own options are within bounds. The pool asks once, when the pool is made.
    ///
    /// [`Pool::new`](crate::Pool::new) returns the error. A manager that wraps another one must pass the question on.
    /// The default has no options.
    ///
    /// # Errors
    ///
    /// The first option that is out of bounds.
    fn validate(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Where the connections go, for messages and logs, such as `db.example:5432`. Leave out credentials.
    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(std::any::type_name::<Self>())
    }
}

/// A manager that you keep a handle to, so that you can change what it connects to.
impl<M: Manager> Manager for Arc<M> {
    type Connection = M::Connection;
    type Error = M::Error;

    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send {
        M::connect(self)
    }

    async fn check(&self, connection: &mut Self::Connection) -> Result<(), Self::Error> {
        M::check(self, connection).await
    }

    fn is_reusable(&self, connection: &mut Self::Connection) -> bool {
        M::is_reusable(self, connection)
    }

    fn needs_reset(&self, connection: &mut Self::Connection) -> bool {
        M::needs_reset(self, connection)
    }

    async fn reset(&self, connection: &mut Self::Connection) -> Result<(), Self::Error> {
        M::reset(self, connection).await
    }

    fn needs_close(&self, connection: &mut Self::Connection, reason: RetireReason) -> bool {
        M::needs_close(self, connection, reason)
    }

    fn close(&self, connection: Self::Connection) -> impl Future<Output = ()> + Send {
        M::close(self, connection)
    }

    fn is_connected(&self, connection: &mut Self::Connection) -> bool {
        M::is_connected(self, connection)
    }

    fn classify(&self, error: &Self::Error) -> FailureKind {
        M::classify(self, error)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        M::validate(self)
    }

    fn target(&self) -> Cow<'_, str> {
        M::target(self)
    }
}

/// The argument of [`Pool::new`](crate::Pool::new): a [`Manager`], or a short form of one. For the packet protocol over
/// TCP that is `(host, port)` or a `SocketAddr`.
///
/// ```
/// use poolhouse::{IntoManager, Manager};
///
/// # #[cfg(feature = "net")]
/// assert_eq!(("localhost", 5555).into_manager().target(), "localhost:5555");
/// ```
pub trait IntoManager {
    /// The manager that the value becomes.
    type Manager: Manager;

    /// Makes the manager. It does no I/O.
    fn into_manager(self) -> Self::Manager;
}

impl<M: Manager> IntoManager for M {
    type Manager = M;

    fn into_manager(self) -> M {
        self
    }
}
