//! The bridge itself: which of r2d2's questions answers which of the pool's.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use poolhouse::{Failure, FailureKind, Manager, RetireReason};
use r2d2::{CustomizeConnection, ManageConnection};
use tokio::task::{JoinError, spawn_blocking};

use crate::connection::{Connection, Customizer};
use crate::error::Errors;

/// An [`r2d2::ManageConnection`] as a [`poolhouse::Manager`].
///
/// ```
/// use poolhouse::{Pool, PoolConfig};
/// use poolhouse_r2d2::R2d2;
///
/// # struct Tickets;
/// # impl r2d2::ManageConnection for Tickets {
/// #     type Connection = u32;
/// #     type Error = std::io::Error;
/// #     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
/// #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
/// #     fn has_broken(&self, _: &mut u32) -> bool { false }
/// # }
/// // Name the type once, and change one line when you change the manager.
/// type TicketPool = Pool<R2d2<Tickets>>;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool: TicketPool = Pool::new(R2d2::new(Tickets), PoolConfig::default())?;
/// assert_eq!(**pool.acquire().await?, 7);
/// # Ok(())
/// # }
/// ```
pub struct R2d2<M: ManageConnection> {
    manager: Arc<M>,
    target: Option<String>,
    test_on_return: bool,
    ask_has_broken: bool,
    customizer: Option<Arc<Customizer<M>>>,
    errors: Errors<M::Error>,
}

impl<M: ManageConnection> R2d2<M> {
    /// Bridges a manager whose error is `Send` and `Sync`.
    ///
    /// ```
    /// use poolhouse_r2d2::R2d2;
    ///
    /// # struct Tickets;
    /// # impl r2d2::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// // What `Pool::new` takes.
    /// let manager = R2d2::new(Tickets);
    /// assert!(poolhouse::Manager::target(&manager).ends_with("Tickets"));
    /// ```
    pub fn new(manager: M) -> Self
    where
        M::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::with_errors(manager, Into::into)
    }

    /// Bridges a manager whose error is not `Send` or not `Sync`: r2d2 asks neither of it. The function runs on the thread
    /// that got the error.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_r2d2::R2d2;
    ///
    /// /// Keeps to its thread.
    /// #[derive(Debug)]
    /// struct Lost(std::rc::Rc<str>);
    /// # impl std::fmt::Display for Lost {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
    /// # }
    /// # impl std::error::Error for Lost {}
    ///
    /// struct Tickets;
    ///
    /// impl r2d2::ManageConnection for Tickets {
    ///     type Connection = u32;
    ///     type Error = Lost;
    ///
    ///     fn connect(&self) -> Result<u32, Lost> { Err(Lost("Ticket".into())) }
    ///     fn is_valid(&self, _: &mut u32) -> Result<(), Lost> { Ok(()) }
    ///     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = R2d2::with_errors(Tickets, |error| error.to_string().into());
    /// let error = bridge.connect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "Ticket");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_errors(manager: M, box_error: fn(M::Error) -> Box<dyn Error + Send + Sync>) -> Self {
        Self {
            manager: Arc::new(manager),
            target: None,
            test_on_return: true,
            ask_has_broken: true,
            customizer: None,
            errors: Errors::new(box_error),
        }
    }

    /// Where the connections go, for messages and logs, such as `db.example:5432`. Leave credentials out. Without it the
    /// messages name the type of the manager, for r2d2's managers do not tell.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_r2d2::R2d2;
    ///
    /// # struct Tickets;
    /// # impl r2d2::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// assert!(R2d2::new(Tickets).target().ends_with("Tickets"));
    /// assert_eq!(R2d2::new(Tickets).with_target("db.example:5432").target(), "db.example:5432");
    /// ```
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Whether a connection that comes back has to pass `is_valid` before anybody else gets it (`reset.between`). On by
    /// default, as r2d2's `test_on_check_out` is.
    ///
    /// Off, a connection goes from its holder straight to a waiter, and only `has_broken` is asked. That
    /// saves a round trip for each use. Switch it off if `has_broken` notices a closed connection.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_r2d2::R2d2;
    ///
    /// # struct Tickets;
    /// # impl r2d2::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = R2d2::new(Tickets).test_on_return(false);
    /// let mut ticket = bridge.connect().await?;
    /// // The pool hands it on at once, for nothing has to be tested first.
    /// assert!(!bridge.needs_reset(&mut ticket));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn test_on_return(mut self, test: bool) -> Self {
        self.test_on_return = test;
        self
    }

    /// Whether `has_broken` is asked. On by default.
    ///
    /// It runs on the thread that acquires or gives back a connection, often one of the runtime's, so it must not block.
    /// Switch it off for a manager whose `has_broken` asks the server, such as r2d2_mysql: a server that does not answer
    /// would stop the runtime's thread. Then `is_valid` finds what is broken, on a thread that may block: when a
    /// connection comes back, and after [`check_after_idle`](poolhouse::PoolConfig::check_after_idle).
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_r2d2::R2d2;
    ///
    /// /// Its `has_broken` asks the server.
    /// struct Tickets;
    ///
    /// impl r2d2::ManageConnection for Tickets {
    ///     type Connection = u32;
    ///     type Error = std::io::Error;
    ///
    ///     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    ///     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Err(std::io::ErrorKind::TimedOut.into()) }
    ///     fn has_broken(&self, ticket: &mut u32) -> bool { self.is_valid(ticket).is_err() }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = R2d2::new(Tickets).ask_has_broken(false);
    /// let mut ticket = bridge.connect().await?;
    /// assert!(bridge.is_connected(&mut ticket), "it is not asked");
    /// assert!(bridge.check(&mut ticket).await.is_err(), "a thread that may block asks");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn ask_has_broken(mut self, ask: bool) -> Self {
        self.ask_has_broken = ask;
        self
    }

    /// What is done with each new connection and with each that leaves the pool, as r2d2's builder takes it. `on_acquire`
    /// counts as part of the connect: an error is a failed connect. Both run on threads that may block.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_r2d2::R2d2;
    ///
    /// # struct Tickets;
    /// # impl r2d2::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// #[derive(Debug)]
    /// struct Double;
    ///
    /// impl r2d2::CustomizeConnection<u32, std::io::Error> for Double {
    ///     fn on_acquire(&self, ticket: &mut u32) -> Result<(), std::io::Error> {
    ///         *ticket *= 2;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = R2d2::new(Tickets).connection_customizer(Box::new(Double));
    /// assert_eq!(*bridge.connect().await?, 14);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn connection_customizer(
        mut self,
        customizer: Box<dyn CustomizeConnection<M::Connection, M::Error>>,
    ) -> Self {
        self.customizer = Some(Arc::from(customizer));
        self
    }

    /// Which failed connects are not worth another try, such as a wrong password. Every waiter gets a
    /// [`Permanent`](FailureKind::Permanent) failure at once, if no connection is open or opening. Without
    /// this call every failure is transient, and waiters wait until their deadline, as with r2d2.
    ///
    /// ```
    /// use poolhouse::{FailureKind, Manager};
    /// use poolhouse_r2d2::R2d2;
    ///
    /// # struct Locked;
    /// # impl r2d2::ManageConnection for Locked {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<u32> { Err(std::io::ErrorKind::PermissionDenied.into()) }
    /// #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = R2d2::new(Locked).classify_with(|error| match error.kind() {
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
        self.errors.classify = Some(Arc::new(classify));
        self
    }

    /// The manager. From a pool: `pool.manager().inner()`.
    ///
    /// ```
    /// use poolhouse_r2d2::R2d2;
    ///
    /// # struct Tickets(u32);
    /// # impl r2d2::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<u32> { Ok(self.0) }
    /// #     fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// assert_eq!(R2d2::new(Tickets(7)).inner().0, 7);
    /// ```
    pub fn inner(&self) -> &M {
        &self.manager
    }

    fn is_open(&self, connection: &mut Connection<M>) -> bool {
        let here = Connection::get_mut(connection);
        here.is_some_and(|connection| !(self.ask_has_broken && self.manager.has_broken(connection)))
    }
}

impl<M: ManageConnection> Manager for R2d2<M> {
    type Connection = Connection<M>;
    type Error = Failure;

    async fn connect(&self) -> Result<Connection<M>, Failure> {
        let (manager, errors) = (Arc::clone(&self.manager), self.errors.clone());
        let customizer = self.customizer.clone();
        blocking(move || {
            let mut connection = manager.connect().map_err(|error| errors.failed(error))?;
            if let Some(customizer) = &customizer {
                match catch_unwind(AssertUnwindSafe(|| customizer.on_acquire(&mut connection))) {
                    Ok(acquired) => acquired.map_err(|error| errors.failed(error))?,
                    Err(panic) => {
                        // Its drop may panic too, of the same cause: two panics at once would end the process.
                        let dropped = catch_unwind(AssertUnwindSafe(|| drop(connection)));
                        dropped.unwrap_or_else(forget);
                        resume_unwind(panic)
                    }
                }
            }
            Ok(Connection::new(connection, customizer))
        })
        .await?
    }

    async fn check(&self, connection: &mut Connection<M>) -> Result<(), Failure> {
        let (manager, errors) = (Arc::clone(&self.manager), self.errors.clone());
        let tested = connection.lend(move |lent| match Connection::get_mut(lent) {
            Some(connection) => manager.is_valid(connection).map_err(|error| errors.failed(error)),
            None => Err(Failure::new(FailureKind::Transient, "the connection is gone")),
        });
        tested.await.map_err(ended)?
    }

    fn is_reusable(&self, connection: &mut Connection<M>) -> bool {
        self.is_open(connection)
    }

    fn needs_reset(&self, _: &mut Connection<M>) -> bool {
        self.test_on_return
    }

    async fn reset(&self, connection: &mut Connection<M>) -> Result<(), Failure> {
        self.check(connection).await
    }

    // r2d2 wants `has_broken` to be quick and not to block, which is what the pool wants of this.
    fn is_connected(&self, connection: &mut Connection<M>) -> bool {
        self.is_open(connection)
    }

    // The drop of a connection that blocks may block. A background task waits for it, and until then it takes up room.
    fn needs_close(&self, _: &mut Connection<M>, _: RetireReason) -> bool {
        true
    }

    async fn close(&self, connection: Connection<M>) {
        let connection = connection.come_back().await;
        // An error says that the runtime ends: the connection has been dropped then.
        let _ = blocking(move || connection.release_here()).await;
    }

    fn classify(&self, error: &Failure) -> FailureKind {
        error.kind()
    }

    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.target.as_deref().unwrap_or_else(|| type_name::<M>()))
    }
}

/// Runs what blocks on a thread that may, and waits for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    spawn_blocking(work).await.map_err(ended)
}

/// Why a call on another thread has no result: a panic there, which is one here, or the end of the runtime.
fn ended(error: JoinError) -> Failure {
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(runtime_ends) => Failure::new(FailureKind::Transient, runtime_ends),
    }
}

// Without the manager, whose own `Debug` may show a password.
impl<M: ManageConnection> fmt::Debug for R2d2<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("R2d2")
            .field("manager", &type_name::<M>())
            .field("target", &self.target)
            .field("test_on_return", &self.test_on_return)
            .field("ask_has_broken", &self.ask_has_broken)
            .finish_non_exhaustive()
    }
}
