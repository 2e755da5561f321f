//! The bridge itself: which of deadpool's questions answers which of the pool's.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use deadpool::managed::{self, RecycleError};
use poolhouse::{Failure, FailureKind};

use crate::hooks::Hooks;
use crate::object::Object;

/// A [`deadpool::managed::Manager`] as a [`poolhouse::Manager`].
///
/// ```
/// use poolhouse::{Pool, PoolConfig};
/// use poolhouse_deadpool::Deadpool;
///
/// # use deadpool::managed::{Metrics, RecycleResult};
/// # struct Tickets;
/// # impl deadpool::managed::Manager for Tickets {
/// #     type Type = u32;
/// #     type Error = std::io::Error;
/// #     async fn create(&self) -> std::io::Result<u32> { Ok(7) }
/// #     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
/// # }
/// // Name the type once, and change one line when you change the manager.
/// type TicketPool = Pool<Deadpool<Tickets>>;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool: TicketPool = Pool::new(Deadpool::new(Tickets), PoolConfig::default())?;
/// assert_eq!(**pool.acquire().await?, 7);
/// # Ok(())
/// # }
/// ```
pub struct Deadpool<M: managed::Manager> {
    manager: Arc<M>,
    target: Option<String>,
    is_connected: Option<Box<IsConnected<M::Type>>>,
    box_error: fn(M::Error) -> Box<dyn Error + Send + Sync>,
    classify: Option<Box<Classify<M::Error>>>,
    pub(crate) hooks: Hooks<M>,
}

type IsConnected<C> = dyn Fn(&mut C) -> bool + Send + Sync;
type Classify<E> = dyn Fn(&E) -> FailureKind + Send + Sync;

impl<M: managed::Manager> Deadpool<M> {
    /// Bridges a manager whose error is an error type, `anyhow::Error`, `Box<dyn Error + Send + Sync>` or `String`.
    ///
    /// ```
    /// use poolhouse_deadpool::Deadpool;
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Tickets;
    /// # impl deadpool::managed::Manager for Tickets {
    /// #     type Type = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
    /// # }
    /// // What `Pool::new` takes.
    /// let manager = Deadpool::new(Tickets);
    /// assert!(poolhouse::Manager::target(&manager).ends_with("Tickets"));
    /// ```
    pub fn new(manager: M) -> Self
    where
        M::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::with_errors(manager, Into::into)
    }

    /// Bridges a manager whose error is none of what [`new`](Deadpool::new) takes: deadpool asks only `Send` of it.
    ///
    /// ```
    /// use deadpool::managed::{Metrics, RecycleResult};
    /// use poolhouse::Manager;
    /// use poolhouse_deadpool::Deadpool;
    ///
    /// #[derive(Debug)]
    /// enum Lost { Ticket }
    ///
    /// struct Tickets;
    ///
    /// impl deadpool::managed::Manager for Tickets {
    ///     type Type = u32;
    ///     type Error = Lost;
    ///
    ///     async fn create(&self) -> Result<u32, Lost> { Err(Lost::Ticket) }
    ///     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<Lost> { Ok(()) }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Deadpool::with_errors(Tickets, |error| format!("{error:?}").into());
    /// let error = bridge.connect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "Ticket");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_errors(manager: M, box_error: fn(M::Error) -> Box<dyn Error + Send + Sync>) -> Self {
        Self {
            manager: Arc::new(manager),
            target: None,
            is_connected: None,
            box_error,
            classify: None,
            hooks: Hooks::default(),
        }
    }

    /// Where the connections go, for messages and logs, such as `db.example:5432`. Leave credentials out. Without it the
    /// messages name the type of the manager, for deadpool's managers do not tell.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_deadpool::Deadpool;
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Tickets;
    /// # impl deadpool::managed::Manager for Tickets {
    /// #     type Type = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
    /// # }
    /// assert!(Deadpool::new(Tickets).target().ends_with("Tickets"));
    /// assert_eq!(Deadpool::new(Tickets).with_target("db.example:5432").target(), "db.example:5432");
    /// ```
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// How to see without a round trip that a connection is still open. The pool asks when a connection comes back, and
    /// before it hands an idle one out (`health.known_dead`). It must not wait. Without it the pool trusts idle connections
    /// between two health checks.
    ///
    /// For deadpool-postgres it is `|client| !client.is_closed()`, for deadpool-lapin
    /// `|connection| connection.status().connected()`, and for diesel-async with PostgreSQL
    /// `|connection| !connection.is_broken()`. With MySQL, `is_broken` does not see a closed connection.
    ///
    /// ```
    /// use poolhouse_deadpool::Deadpool;
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Client;
    /// # impl Client { fn is_closed(&self) -> bool { false } }
    /// # struct Database;
    /// # impl deadpool::managed::Manager for Database {
    /// #     type Type = Client;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<Client> { Ok(Client) }
    /// #     async fn recycle(&self, _: &mut Client, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
    /// # }
    /// let bridge = Deadpool::new(Database).with_is_connected(|client| !client.is_closed());
    /// # drop(bridge);
    /// ```
    #[must_use]
    pub fn with_is_connected(
        mut self,
        is_connected: impl Fn(&mut M::Type) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.is_connected = Some(Box::new(is_connected));
        self
    }

    /// Which failed connects are not worth another try, such as a wrong password. Every waiter gets a
    /// [`Permanent`](FailureKind::Permanent) failure at once, if no connection is open or opening. Without
    /// this call every failure is transient: the pool tries again until the deadline of the acquire, whereas
    /// deadpool gives the first failure to its caller.
    ///
    /// An error that is a [`Failure`], or has one in its chain of sources, keeps the kind of that one.
    ///
    /// ```
    /// use poolhouse::{FailureKind, Manager};
    /// use poolhouse_deadpool::Deadpool;
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Locked;
    /// # impl deadpool::managed::Manager for Locked {
    /// #     type Type = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<u32> { Err(std::io::ErrorKind::PermissionDenied.into()) }
    /// #     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Deadpool::new(Locked).classify_with(|error| match error.kind() {
    ///     std::io::ErrorKind::PermissionDenied => FailureKind::Permanent,
    ///     _ => FailureKind::Transient,
    /// });
    /// let error = bridge.connect().await.unwrap_err();
    /// assert_eq!(bridge.classify(&error), FailureKind::Permanent);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn classify_with(
        mut self,
        classify: impl Fn(&M::Error) -> FailureKind + Send + Sync + 'static,
    ) -> Self {
        self.classify = Some(Box::new(classify));
        self
    }

    /// The manager. From a pool: `pool.manager().inner()`, such as `pool.manager().inner().statement_caches` with
    /// deadpool-postgres.
    ///
    /// ```
    /// use poolhouse_deadpool::Deadpool;
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Tickets(u32);
    /// # impl deadpool::managed::Manager for Tickets {
    /// #     type Type = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<u32> { Ok(self.0) }
    /// #     async fn recycle(&self, _: &mut u32, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
    /// # }
    /// assert_eq!(Deadpool::new(Tickets(7)).inner().0, 7);
    /// ```
    pub fn inner(&self) -> &M {
        &self.manager
    }

    pub(crate) fn failed(&self, error: M::Error) -> Failure {
        let kind = self.classify.as_ref().map_or(FailureKind::Transient, |classify| classify(&error));
        Failure::or(kind, (self.box_error)(error))
    }

    fn is_open(&self, object: &mut Object<M>) -> bool {
        self.is_connected.as_ref().is_none_or(|is_connected| is_connected(object))
    }
}

impl<M: managed::Manager + 'static> poolhouse::Manager for Deadpool<M> {
    type Connection = Object<M>;
    type Error = Failure;

    async fn connect(&self) -> Result<Object<M>, Failure> {
        let object = self.manager.create().await.map_err(|error| self.failed(error))?;
        let mut object = Object::new(object, &self.manager);
        self.run_post_create(&mut object).await?;
        Ok(object)
    }

    async fn check(&self, object: &mut Object<M>) -> Result<(), Failure> {
        self.run_pre_recycle(object).await?;
        let (connection, metrics) = object.parts();
        self.manager.recycle(connection, metrics).await.map_err(|error| match error {
            RecycleError::Message(message) => Failure::new(FailureKind::Transient, message.into_owned()),
            RecycleError::Backend(error) => self.failed(error),
        })?;
        self.run_post_recycle(object).await
    }

    fn is_reusable(&self, object: &mut Object<M>) -> bool {
        self.is_open(object)
    }

    // deadpool recycles between any two holders, whatever the first has done.
    fn needs_reset(&self, _: &mut Object<M>) -> bool {
        true
    }

    async fn reset(&self, object: &mut Object<M>) -> Result<(), Failure> {
        self.check(object).await?;
        object.recycled();
        Ok(())
    }

    fn is_connected(&self, object: &mut Object<M>) -> bool {
        self.is_open(object)
    }

    fn classify(&self, error: &Failure) -> FailureKind {
        error.kind()
    }

    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.target.as_deref().unwrap_or_else(|| type_name::<M>()))
    }
}

// Without the manager, whose own `Debug` may show a password.
impl<M: managed::Manager> fmt::Debug for Deadpool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadpool")
            .field("manager", &type_name::<M>())
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
