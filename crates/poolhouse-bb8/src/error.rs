//! What a failed connect or check is while it goes from the manager into the pool.

use std::error::Error;
use std::fmt;

use poolhouse::FailureKind;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// An error of the bridged manager, on its way into the pool.
///
/// The pool unwraps it: what [`AcquireError::manager_error`](poolhouse::AcquireError::manager_error) finds is the
/// manager's own error. You meet this type only if you call the bridge's methods yourself.
///
/// ```
/// use poolhouse::Manager;
/// use poolhouse_bb8::Bb8;
///
/// # struct Refused;
/// # impl bb8::ManageConnection for Refused {
/// #     type Connection = u32;
/// #     type Error = std::io::Error;
/// #     async fn connect(&self) -> std::io::Result<u32> { Err(std::io::ErrorKind::ConnectionRefused.into()) }
/// #     async fn is_valid(&self, _: &mut u32) -> std::io::Result<()> { Ok(()) }
/// #     fn has_broken(&self, _: &mut u32) -> bool { false }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = Bb8::new(Refused).connect().await.expect_err("the server refuses");
/// assert_eq!(error.to_string(), "connection refused");
/// assert!(error.into_inner().downcast::<std::io::Error>().is_ok());
/// # }
/// ```
pub struct ManagerError {
    error: BoxError,
    kind: FailureKind,
}

impl ManagerError {
    pub(crate) fn new(error: BoxError, kind: FailureKind) -> Self {
        Self { error, kind }
    }

    pub(crate) fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The manager's own error.
    ///
    /// ```
    /// fn is_timeout(error: poolhouse_bb8::ManagerError) -> bool {
    ///     let error = error.into_inner();
    ///     error.downcast_ref().is_some_and(|error: &std::io::Error| error.kind() == std::io::ErrorKind::TimedOut)
    /// }
    /// ```
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.error
    }
}

// Not an error type itself, so that the pool's box holds the manager's error and not one more layer.
impl From<ManagerError> for Box<dyn Error + Send + Sync> {
    fn from(error: ManagerError) -> Self {
        error.error
    }
}

impl fmt::Display for ManagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for ManagerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}
