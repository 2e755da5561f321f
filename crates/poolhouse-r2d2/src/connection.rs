//! A connection that is dropped where it may block.

use std::fmt;
use std::mem::forget;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use poolhouse::Failure;
use r2d2::{CustomizeConnection, ManageConnection};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

pub(crate) type Customizer<M> =
    dyn CustomizeConnection<<M as ManageConnection>::Connection, <M as ManageConnection>::Error>;

/// What an r2d2 manager has opened, in a poolhouse pool. It derefs to the manager's `Connection`.
///
/// The guard that you hold derefs to this, so a method call reaches the connection through both: `guard.execute(..)`.
///
/// ```
/// use poolhouse_r2d2::{Connection, R2d2};
///
/// # struct Names;
/// # impl r2d2::ManageConnection for Names {
/// #     type Connection = String;
/// #     type Error = std::io::Error;
/// #     fn connect(&self) -> std::io::Result<String> { Ok("fresh".to_owned()) }
/// #     fn is_valid(&self, _: &mut String) -> std::io::Result<()> { Ok(()) }
/// #     fn has_broken(&self, _: &mut String) -> bool { false }
/// # }
/// fn paint(name: &mut Connection<Names>) {
///     name.push_str(" paint");
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = poolhouse::blocking::Pool::new(R2d2::new(Names), Default::default())?;
/// let mut name = pool.acquire()?;
/// paint(&mut name);
/// assert_eq!(name.len(), 11);
/// # Ok(())
/// # }
/// ```
pub struct Connection<M: ManageConnection> {
    /// `None` while it is with a thread that may block, and once it has been taken.
    connection: Option<M::Connection>,
    customizer: Option<Arc<Customizer<M>>>,
    /// The call that it is away with. Still here if nobody waits for the call any more.
    away: Option<JoinHandle<Tested<M>>>,
}

/// What a call on another thread brings back: the connection, and whether it passed. A panic brings the connection back
/// too, so that it takes up room until it has been dropped.
pub(crate) type Tested<M> = (Connection<M>, thread::Result<Result<(), Failure>>);

const HOLDS: &str = "a call that the pool has given up still has the connection: in a hook `before_close`, ask \
    `Connection::get_mut`, which answers `None` then";

impl<M: ManageConnection> Connection<M> {
    pub(crate) fn new(connection: M::Connection, customizer: Option<Arc<Customizer<M>>>) -> Self {
        Self { connection: Some(connection), customizer, away: None }
    }

    /// Has a call made on a thread that may block, and waits until the connection is back. If the wait is given up, the call
    /// goes on, and [`come_back`](Connection::come_back) waits for it. A panic there is one here.
    pub(crate) async fn lend(
        &mut self,
        call: impl FnOnce(&mut Self) -> Result<(), Failure> + Send + 'static,
    ) -> Result<Result<(), Failure>, JoinError> {
        let mut lent =
            Self { connection: self.connection.take(), customizer: self.customizer.take(), away: None };
        let away = self.away.insert(spawn_blocking(move || {
            let tested = catch_unwind(AssertUnwindSafe(|| call(&mut lent)));
            (lent, tested)
        }));
        let back = away.await;
        self.away = None;
        let (lent, tested) = back?;
        *self = lent;
        match tested {
            Ok(tested) => Ok(tested),
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Waits for a call that was given up.
    pub(crate) async fn come_back(self) -> Self {
        let mut this = self;
        if let Some(away) = this.away.take()
            && let Ok((lent, _)) = away.await
        {
            this = lent;
        }
        this
    }

    /// The connection, or `None` while a call of the manager's that the pool has given up still has it.
    ///
    /// A holder always has it. Only a hook [`before_close`](poolhouse::PoolBuilder::before_close) may get `None`, when
    /// the pool closes during `is_valid`, or when `is_valid` takes longer than the pool's limit. Everything else that
    /// needs the connection panics then.
    ///
    /// ```
    /// use poolhouse::Pool;
    /// use poolhouse_r2d2::{Connection, R2d2};
    ///
    /// # struct Names;
    /// # impl r2d2::ManageConnection for Names {
    /// #     type Connection = String;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<String> { Ok("fresh".to_owned()) }
    /// #     fn is_valid(&self, _: &mut String) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut String) -> bool { false }
    /// # }
    /// let builder = Pool::builder(R2d2::new(Names)).before_close(|connection, _info| {
    ///     if let Some(name) = Connection::get_mut(connection) {
    ///         println!("{name} goes");
    ///     }
    ///     Box::pin(async { Ok(()) })
    /// });
    /// # builder.build()?;
    /// # Ok::<(), poolhouse::ConfigError>(())
    /// ```
    pub fn get_mut(this: &mut Self) -> Option<&mut M::Connection> {
        this.connection.as_mut()
    }

    /// Drops the connection on this thread, or gives it to the customizer.
    pub(crate) fn release_here(mut self) {
        if let Some(connection) = self.connection.take() {
            release(connection, self.customizer.take());
        }
    }

    /// Takes the connection out for good. The customizer does not hear of it.
    ///
    /// Take it out of the pool first, with [`PooledConnection::detach`](poolhouse::PooledConnection::detach).
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_r2d2::{Connection, R2d2};
    ///
    /// # struct Names;
    /// # impl r2d2::ManageConnection for Names {
    /// #     type Connection = String;
    /// #     type Error = std::io::Error;
    /// #     fn connect(&self) -> std::io::Result<String> { Ok("fresh".to_owned()) }
    /// #     fn is_valid(&self, _: &mut String) -> std::io::Result<()> { Ok(()) }
    /// #     fn has_broken(&self, _: &mut String) -> bool { false }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // As `PooledConnection::detach` gives it.
    /// let detached: Connection<Names> = R2d2::new(Names).connect().await?;
    /// let mine: String = Connection::take(detached);
    /// assert_eq!(mine, "fresh");
    /// # Ok(())
    /// # }
    /// ```
    pub fn take(mut this: Self) -> M::Connection {
        this.connection.take().expect(HOLDS)
    }
}

fn release<C: 'static, E: 'static>(connection: C, customizer: Option<Arc<dyn CustomizeConnection<C, E>>>) {
    match customizer {
        Some(customizer) => customizer.on_release(connection),
        None => drop(connection),
    }
}

impl<M: ManageConnection> Drop for Connection<M> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let customizer = self.customizer.take();
        let release = move || release(connection, customizer);
        // A client that blocks may well block in its drop: `postgres::Client` does, and panics on a runtime's own thread.
        // Not `spawn_blocking`, which drops its closure in place when the runtime is about to end.
        if Handle::try_current().is_ok() {
            // If there is no thread to be had, the closure is dropped, and the connection with it.
            drop(thread::Builder::new().name("poolhouse-r2d2".to_owned()).spawn(release));
        } else if let Err(panic) = catch_unwind(AssertUnwindSafe(release)) {
            // Two panics at once would end the process.
            if thread::panicking() {
                forget(panic);
            } else {
                resume_unwind(panic);
            }
        }
    }
}

impl<M: ManageConnection> Deref for Connection<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        self.connection.as_ref().expect(HOLDS)
    }
}

impl<M: ManageConnection> DerefMut for Connection<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        self.connection.as_mut().expect(HOLDS)
    }
}

impl<M: ManageConnection> AsRef<M::Connection> for Connection<M> {
    fn as_ref(&self) -> &M::Connection {
        self
    }
}

impl<M: ManageConnection> AsMut<M::Connection> for Connection<M> {
    fn as_mut(&mut self) -> &mut M::Connection {
        self
    }
}

// Without the connection, which may hold what nobody is to read in a log.
impl<M: ManageConnection> fmt::Debug for Connection<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}
