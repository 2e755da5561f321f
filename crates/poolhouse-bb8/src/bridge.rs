//! The bridge itself: which of bb8's questions answers which of the pool's.

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use bb8::{CustomizeConnection, ManageConnection};
use poolhouse::{Failure, FailureKind, Manager};

use crate::fresh::Fresh;

/// A [`bb8::ManageConnection`] as a [`poolhouse::Manager`].
///
/// ```
/// use poolhouse::{Pool, PoolConfig};
/// use poolhouse_bb8::Bb8;
///
/// # struct Tickets;
/// # impl bb8::ManageConnection for Tickets {
/// #     type Connection = u32;
/// #     type Error = std::io::Error;
/// #     async fn connect(&self) -> std::io::Result<u32> { Ok(7) }
/// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
/// #     fn has_broken(&self, _: &mut u32) -> bool { false }
/// # }
/// // Name the type once, and change one line when you change the manager.
/// type TicketPool = Pool<Bb8<Tickets>>;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool: TicketPool = Pool::new(Bb8::new(Tickets), PoolConfig::default())?;
/// assert_eq!(*pool.acquire().await?, 7);
/// # Ok(())
/// # }
/// ```
pub struct Bb8<M: ManageConnection> {
    manager: M,
    target: Option<String>,
    test_on_return: bool,
    customizer: Option<Box<dyn CustomizeConnection<M::Connection, M::Error>>>,
    box_error: fn(M::Error) -> Box<dyn Error + Send + Sync>,
    classify: Option<Box<Classify<M::Error>>>,
    /// Whether the last `is_valid` did not pass.
    in_doubt: AtomicBool,
}

type Classify<E> = dyn Fn(&E) -> FailureKind + Send + Sync;

impl<M: ManageConnection> Bb8<M> {
    /// Bridges a manager whose error is an error type, `anyhow::Error`, `Box<dyn Error + Send + Sync>` or `String`.
    ///
    /// ```
    /// use poolhouse_bb8::Bb8;
    ///
    /// # struct Tickets;
    /// # impl bb8::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// // What `Pool::new` takes.
    /// let manager = Bb8::new(Tickets);
    /// assert!(poolhouse::Manager::target(&manager).ends_with("Tickets"));
    /// ```
    pub fn new(manager: M) -> Self
    where
        M::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::with_errors(manager, Into::into)
    }

    /// Bridges a manager whose error is none of what [`new`](Bb8::new) takes: bb8 asks only `Debug` and `Send` of it.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_bb8::Bb8;
    ///
    /// #[derive(Debug)]
    /// enum Lost { Ticket }
    ///
    /// struct Tickets;
    ///
    /// impl bb8::ManageConnection for Tickets {
    ///     type Connection = u32;
    ///     type Error = Lost;
    ///
    ///     async fn connect(&self) -> Result<u32, Lost> { Err(Lost::Ticket) }
    ///     async fn is_valid(&self, _: &mut u32) -> Result<(), Lost> { Ok(()) }
    ///     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Bb8::with_errors(Tickets, |error| format!("{error:?}").into());
    /// let error = bridge.connect().await.unwrap_err();
    /// assert_eq!(error.to_string(), "Ticket");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_errors(manager: M, box_error: fn(M::Error) -> Box<dyn Error + Send + Sync>) -> Self {
        Self {
            manager,
            target: None,
            test_on_return: true,
            customizer: None,
            box_error,
            classify: None,
            in_doubt: AtomicBool::new(false),
        }
    }

    /// Where the connections go, for messages and logs, such as `db.example:5432`. Leave credentials out. Without it the
    /// messages name the type of the manager, for bb8's managers do not tell.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_bb8::Bb8;
    ///
    /// # struct Tickets;
    /// # impl bb8::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// assert!(Bb8::new(Tickets).target().ends_with("Tickets"));
    /// assert_eq!(Bb8::new(Tickets).with_target("db.example:5432").target(), "db.example:5432");
    /// ```
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Whether a connection that comes back has to pass `is_valid` before anybody else gets it (`reset.between`). On by
    /// default, as bb8's `test_on_check_out` is.
    ///
    /// Off, a connection goes from its holder straight to a waiter, and only `has_broken` is asked. That
    /// saves a round trip for each use. Switch it off if `has_broken` notices a closed connection.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_bb8::Bb8;
    ///
    /// # struct Tickets;
    /// # impl bb8::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Bb8::new(Tickets).test_on_return(false);
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

    /// What is done with each new connection, as bb8's builder takes it. It counts as part of the connect: an error is a
    /// failed connect.
    ///
    /// If you write one anew, take the hook [`after_connect`](poolhouse::PoolBuilder::after_connect) instead: it is a closure.
    ///
    /// ```
    /// use std::pin::Pin;
    /// use poolhouse::Manager;
    /// use poolhouse_bb8::Bb8;
    ///
    /// # struct Tickets;
    /// # impl bb8::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self) -> std::io::Result<u32> { Ok(7) }
    /// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// #[derive(Debug)]
    /// struct Double;
    ///
    /// impl bb8::CustomizeConnection<u32, std::io::Error> for Double {
    ///     fn on_acquire<'a>(
    ///         &'a self,
    ///         ticket: &'a mut u32,
    ///     ) -> Pin<Box<dyn Future<Output = Result<(), std::io::Error>> + Send + 'a>> {
    ///         Box::pin(async move {
    ///             *ticket *= 2;
    ///             Ok(())
    ///         })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Bb8::new(Tickets).connection_customizer(Box::new(Double));
    /// assert_eq!(bridge.connect().await?, 14);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn connection_customizer(
        mut self,
        customizer: Box<dyn CustomizeConnection<M::Connection, M::Error>>,
    ) -> Self {
        self.customizer = Some(customizer);
        self
    }

    /// Which failed connects are not worth another try, such as a wrong password. Every waiter gets a
    /// [`Permanent`](FailureKind::Permanent) failure at once, if no connection is open or opening. Without
    /// this call every failure is transient, and waiters wait until their deadline, as with bb8.
    ///
    /// An error that is a [`Failure`], or has one in its chain of sources, keeps the kind of that one.
    ///
    /// ```
    /// use poolhouse::{FailureKind, Manager};
    /// use poolhouse_bb8::Bb8;
    ///
    /// # struct Locked;
    /// # impl bb8::ManageConnection for Locked {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self) -> std::io::Result<u32> { Err(std::io::ErrorKind::PermissionDenied.into()) }
    /// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Bb8::new(Locked).classify_with(|error| match error.kind() {
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

    /// The manager. From a pool: `pool.manager().inner()`.
    ///
    /// ```
    /// use poolhouse_bb8::Bb8;
    ///
    /// # struct Tickets(u32);
    /// # impl bb8::ManageConnection for Tickets {
    /// #     type Connection = u32;
    /// #     type Error = std::io::Error;
    /// #     async fn connect(&self) -> std::io::Result<u32> { Ok(self.0) }
    /// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut u32) -> bool { false }
    /// # }
    /// assert_eq!(Bb8::new(Tickets(7)).inner().0, 7);
    /// ```
    pub fn inner(&self) -> &M {
        &self.manager
    }

    async fn is_valid(&self, connection: &mut M::Connection) -> Result<(), Failure> {
        // Until it passes: the pool drops a test that hangs, and a test may panic.
        let mut test = Test { in_doubt: &self.in_doubt, passed: false };
        let valid = self.manager.is_valid(connection).await;
        test.passed = valid.is_ok();
        valid.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: M::Error) -> Failure {
        let kind = self.classify.as_ref().map_or(FailureKind::Transient, |classify| classify(&error));
        Failure::or(kind, (self.box_error)(error))
    }
}

/// A test under way. However it ends, the bridge knows whether it has passed.
struct Test<'a> {
    in_doubt: &'a AtomicBool,
    passed: bool,
}

impl Drop for Test<'_> {
    fn drop(&mut self) {
        self.in_doubt.store(!self.passed, Ordering::Relaxed);
    }
}

impl<M: ManageConnection> Manager for Bb8<M> {
    type Connection = M::Connection;
    type Error = Failure;

    async fn connect(&self) -> Result<M::Connection, Failure> {
        let connection = self.manager.connect().await.map_err(|error| self.failed(error))?;
        let mut connection = Fresh::new(connection);
        if let Some(customizer) = &self.customizer {
            customizer.on_acquire(connection.get()).await.map_err(|error| self.failed(error))?;
        }
        // bb8 tests new connections too. Here that is needed only of a server that takes connections and refuses commands:
        // without it each caller would get a new connection, and the same refusal, with no backoff between the connects.
        if self.test_on_return && self.in_doubt.load(Ordering::Relaxed) {
            self.is_valid(connection.get()).await?;
        }
        Ok(connection.into_inner())
    }

    async fn check(&self, connection: &mut M::Connection) -> Result<(), Failure> {
        self.is_valid(connection).await
    }

    fn is_reusable(&self, connection: &mut M::Connection) -> bool {
        !self.manager.has_broken(connection)
    }

    fn needs_reset(&self, _: &mut M::Connection) -> bool {
        self.test_on_return
    }

    async fn reset(&self, connection: &mut M::Connection) -> Result<(), Failure> {
        self.check(connection).await
    }

    // bb8 wants `has_broken` to be quick and not to wait, which is what the pool wants of this.
    fn is_connected(&self, connection: &mut M::Connection) -> bool {
        !self.manager.has_broken(connection)
    }

    fn classify(&self, error: &Failure) -> FailureKind {
        error.kind()
    }

    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.target.as_deref().unwrap_or_else(|| type_name::<M>()))
    }
}

// Without the manager, whose own `Debug` may show a password.
impl<M: ManageConnection> fmt::Debug for Bb8<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bb8")
            .field("manager", &type_name::<M>())
            .field("target", &self.target)
            .field("test_on_return", &self.test_on_return)
            .finish_non_exhaustive()
    }
}
