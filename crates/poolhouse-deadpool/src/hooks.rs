//! The hooks that deadpool's pool has, where the bridge calls them.

use deadpool::managed::{self, Hook, HookError};
use poolhouse::{Failure, FailureKind};

use crate::bridge::Deadpool;
use crate::object::Object;

pub(crate) struct Hooks<M: managed::Manager> {
    post_create: Vec<Hook<M>>,
    pre_recycle: Vec<Hook<M>>,
    post_recycle: Vec<Hook<M>>,
}

impl<M: managed::Manager> Default for Hooks<M> {
    fn default() -> Self {
        Self { post_create: Vec::new(), pre_recycle: Vec::new(), post_recycle: Vec::new() }
    }
}

impl<M: managed::Manager> Deadpool<M> {
    /// Adds a hook that runs after each `create`, as deadpool's builder does. It counts as part of the connect: an
    /// error is a failed connect.
    ///
    /// If you write one anew, take the hook [`after_connect`](poolhouse::PoolBuilder::after_connect) instead: it is a
    /// closure, and `?` takes every error. This one runs first.
    ///
    /// ```
    /// use deadpool::managed::Hook;
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
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Deadpool::new(Tickets).post_create(Hook::sync_fn(|ticket, _| {
    ///     *ticket *= 2;
    ///     Ok(())
    /// }));
    /// assert_eq!(*bridge.connect().await?, 14);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn post_create(mut self, hook: impl Into<Hook<M>>) -> Self {
        self.hooks.post_create.push(hook.into());
        self
    }

    /// Adds a hook that runs right before each `recycle`, as deadpool's builder does: when a connection comes back, and
    /// for a health check. An error closes the connection.
    ///
    /// ```
    /// use deadpool::managed::{Hook, HookError};
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
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bridge = Deadpool::new(Tickets).pre_recycle(Hook::sync_fn(|_, metrics| {
    ///     if metrics.recycle_count < 1 { Ok(()) } else { Err(HookError::message("a ticket is good for two")) }
    /// }));
    /// let mut ticket = bridge.connect().await?;
    /// assert!(bridge.reset(&mut ticket).await.is_ok());
    /// assert!(bridge.reset(&mut ticket).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn pre_recycle(mut self, hook: impl Into<Hook<M>>) -> Self {
        self.hooks.pre_recycle.push(hook.into());
        self
    }

    /// Adds a hook that runs right after each `recycle`, as deadpool's builder does: when a connection has come back,
    /// and for a health check. An error closes the connection.
    ///
    /// Settings that `recycle` undoes belong here, and in [`post_create`](Deadpool::post_create). The pool's own hook
    /// [`on_return`](poolhouse::PoolBuilder::on_return) does not run after a health check, whose `recycle` undoes them
    /// too.
    ///
    /// ```
    /// use deadpool::managed::Hook;
    /// use poolhouse::Manager;
    /// use poolhouse_deadpool::Deadpool;
    ///
    /// # use deadpool::managed::{Metrics, RecycleResult};
    /// # struct Sessions;
    /// # impl deadpool::managed::Manager for Sessions {
    /// #     type Type = String;
    /// #     type Error = std::io::Error;
    /// #     async fn create(&self) -> std::io::Result<String> { Ok(String::new()) }
    /// #     async fn recycle(&self, session: &mut String, _: &Metrics) -> RecycleResult<std::io::Error> {
    /// #         session.clear();
    /// #         Ok(())
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // `recycle` clears the session.
    /// let bridge = Deadpool::new(Sessions).post_recycle(Hook::async_fn(|session: &mut String, _| {
    ///     Box::pin(async move {
    ///         session.push_str("time zone UTC");
    ///         Ok(())
    ///     })
    /// }));
    /// let mut session = bridge.connect().await?;
    /// bridge.check(&mut session).await?;
    /// assert_eq!(*session, "time zone UTC");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn post_recycle(mut self, hook: impl Into<Hook<M>>) -> Self {
        self.hooks.post_recycle.push(hook.into());
        self
    }

    pub(crate) async fn run_post_create(&self, object: &mut Object<M>) -> Result<(), Failure> {
        self.run(&self.hooks.post_create, object).await
    }

    pub(crate) async fn run_pre_recycle(&self, object: &mut Object<M>) -> Result<(), Failure> {
        self.run(&self.hooks.pre_recycle, object).await
    }

    pub(crate) async fn run_post_recycle(&self, object: &mut Object<M>) -> Result<(), Failure> {
        self.run(&self.hooks.post_recycle, object).await
    }

    /// In the order in which they were added. The first error ends it.
    async fn run(&self, hooks: &[Hook<M>], object: &mut Object<M>) -> Result<(), Failure> {
        for hook in hooks {
            let (object, metrics) = object.parts();
            let done = match hook {
                Hook::Fn(hook) => hook(object, metrics),
                Hook::AsyncFn(hook) => hook(object, metrics).await,
            };
            done.map_err(|error| match error {
                HookError::Message(message) => Failure::new(FailureKind::Transient, message.into_owned()),
                HookError::Backend(error) => self.failed(error),
            })?;
        }
        Ok(())
    }
}
