//! A connection with what deadpool's pool keeps beside it: its metrics, and the manager that has to hear of its end.

use std::fmt;
use std::mem::forget;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;

use deadpool::managed::{self, Metrics};

/// What a deadpool manager has made, in a poolhouse pool. It derefs to the manager's `Type`.
///
/// The counterpart of deadpool's `Object`. The guard that you hold derefs to this, so a method call reaches the connection
/// through both: `guard.query(..)`.
///
/// The manager's `detach` is called once: when this is dropped, or in [`take`](Object::take). If it panics, the
/// connection is dropped all the same. A panic of either does not end the process, not even while the thread panics
/// already.
///
/// ```
/// use poolhouse_deadpool::{Deadpool, Object};
///
/// # use deadpool::managed::{Metrics, RecycleResult};
/// # struct Names;
/// # impl deadpool::managed::Manager for Names {
/// #     type Type = String;
/// #     type Error = std::io::Error;
/// #     async fn create(&self) -> std::io::Result<String> { Ok("fresh".to_owned()) }
/// #     async fn recycle(&self, _: &mut String, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = poolhouse::Pool::new(Deadpool::new(Names), Default::default())?;
/// let mut name = pool.acquire().await?;
/// name.push_str(" paint");
/// assert_eq!(name.len(), 11);
/// # Ok(())
/// # }
/// ```
pub struct Object<M: managed::Manager> {
    /// `None` only once it has been taken.
    object: Option<M::Type>,
    metrics: Metrics,
    manager: Arc<M>,
}

const HOLDS: &str = "an object holds its connection until it is taken";

impl<M: managed::Manager> Object<M> {
    pub(crate) fn new(object: M::Type, manager: &Arc<M>) -> Self {
        Self { object: Some(object), metrics: Metrics::default(), manager: Arc::clone(manager) }
    }

    /// What `recycle` wants to see.
    pub(crate) fn parts(&mut self) -> (&mut M::Type, &Metrics) {
        (self.object.as_mut().expect(HOLDS), &self.metrics)
    }

    /// It has been recycled between two holders.
    pub(crate) fn recycled(&mut self) {
        self.metrics.recycle_count += 1;
        // deadpool leaves the times out there.
        #[cfg(not(target_arch = "wasm32"))]
        {
            self.metrics.recycled = Some(std::time::Instant::now());
        }
    }

    /// Takes the connection out of its object for good, as deadpool's `Object::take` does. The manager's `detach` is called.
    ///
    /// Take it out of the pool first, with [`PooledConnection::detach`](poolhouse::PooledConnection::detach).
    ///
    /// # Panics
    ///
    /// If the manager's `detach` does. The connection is dropped then.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_deadpool::{Deadpool, Object};
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Names;
    /// # impl deadpool::managed::Manager for Names {
    /// #     type Type = String;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<String> { Ok("fresh".to_owned()) }
    /// #     async fn recycle(&self, _: &mut String, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // As `PooledConnection::detach` gives it.
    /// let detached: Object<Names> = Deadpool::new(Names).connect().await?;
    /// let mine: String = Object::take(detached);
    /// assert_eq!(mine, "fresh");
    /// # Ok(())
    /// # }
    /// ```
    pub fn take(mut this: Self) -> M::Type {
        let mut object = this.object.take().expect(HOLDS);
        match catch_unwind(AssertUnwindSafe(|| this.manager.detach(&mut object))) {
            Ok(()) => object,
            Err(panic) => {
                // Not while that panic unwinds: two at once would end the process.
                catch_unwind(AssertUnwindSafe(|| drop(object))).unwrap_or_else(forget);
                resume_unwind(panic)
            }
        }
    }

    /// When it was created, when it was last recycled between two holders, and how often.
    ///
    /// A health check calls the manager's `recycle` too. It changes none of these.
    ///
    /// ```
    /// use poolhouse::Manager;
    /// use poolhouse_deadpool::{Deadpool, Object};
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Names;
    /// # impl deadpool::managed::Manager for Names {
    /// #     type Type = String;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<String> { Ok("fresh".to_owned()) }
    /// #     async fn recycle(&self, _: &mut String, _: &Metrics) -> RecycleResult<std::io::Error> { Ok(()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let manager = Deadpool::new(Names);
    /// let mut name = manager.connect().await?;
    /// // What the pool does between two holders.
    /// manager.reset(&mut name).await?;
    /// assert_eq!(Object::metrics(&name).recycle_count, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics(this: &Self) -> &Metrics {
        &this.metrics
    }
}

impl<M: managed::Manager> Drop for Object<M> {
    fn drop(&mut self) {
        let Some(mut object) = self.object.take() else { return };
        // A manager with a poisoned mutex panics in its `detach` and in the drop of its connections too. Two panics at
        // once would end the process (`panic.no_loss`), so each is caught, and one goes on if this thread does not
        // panic already.
        let detached = catch_unwind(AssertUnwindSafe(|| self.manager.detach(&mut object)));
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(object)));
        let panic = match (detached, dropped) {
            (Ok(()), Ok(())) => return,
            (Ok(()), Err(panic)) => panic,
            (Err(panic), dropped) => {
                dropped.unwrap_or_else(forget);
                panic
            }
        };
        // A payload may panic as it is dropped, so it is forgotten.
        if thread::panicking() {
            forget(panic);
        } else {
            resume_unwind(panic);
        }
    }
}

impl<M: managed::Manager> Deref for Object<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        self.object.as_ref().expect(HOLDS)
    }
}

impl<M: managed::Manager> DerefMut for Object<M> {
    fn deref_mut(&mut self) -> &mut M::Type {
        self.object.as_mut().expect(HOLDS)
    }
}

impl<M: managed::Manager> AsRef<M::Type> for Object<M> {
    fn as_ref(&self) -> &M::Type {
        self
    }
}

impl<M: managed::Manager> AsMut<M::Type> for Object<M> {
    fn as_mut(&mut self) -> &mut M::Type {
        self
    }
}

// Without the connection, which may hold what nobody is to read in a log.
impl<M: managed::Manager> fmt::Debug for Object<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}
