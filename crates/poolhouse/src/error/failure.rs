//! An error that says itself how the pool is to treat it.

use std::error::Error;
use std::fmt;

use super::BoxError;
use super::text::links;
use crate::manager::FailureKind;

/// An error with its [`FailureKind`]: for a connect that knows what its failure means, and for a hook
/// [`after_connect`](crate::PoolBuilder::after_connect), which no manager classifies.
///
/// The pool takes the kind from it, or from the first `Failure` in the chain of sources of another error.
/// That kind takes precedence over what [`Manager::classify`](crate::Manager::classify) says. The pool
/// unwraps the `Failure` itself, so what [`AcquireError::manager_error`](crate::AcquireError::manager_error)
/// finds is the error inside. The text and the source are those of the error inside. A `Failure` that
/// `anyhow` holds needs a context around it: see [`manager_error`](crate::ConnectError::manager_error).
///
/// ```
/// use poolhouse::{AcquireError, Failure, FailureKind, PacketPool};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = poolhouse_echo::EchoServer::start().await?;
/// let pool = PacketPool::builder((server.host(), server.port()))
///     .after_connect(|connection| {
///         Box::pin(async move {
///             connection.send_packet("SET ROLE reports").await?;
///             match &*connection.receive().await? {
///                 b"OK" => Ok(()),
///                 _ => Err(Failure::new(FailureKind::Permanent, "this user may not have the role"))?,
///             }
///         })
///     })
///     .build()?;
/// // At once, and not after the deadline: waiting changes nothing.
/// let error = pool.acquire().await.expect_err("an echo is no OK");
/// assert!(matches!(error, AcquireError::Connect(_)));
/// # Ok(())
/// # }
/// ```
pub struct Failure {
    kind: FailureKind,
    error: BoxError,
}

impl Failure {
    /// An error of any type, a `String` or a `&str` included.
    ///
    /// ```
    /// use poolhouse::{Failure, FailureKind};
    ///
    /// let failure = Failure::new(FailureKind::Busy, "too many clients");
    /// assert_eq!(failure.to_string(), "too many clients");
    /// ```
    pub fn new(kind: FailureKind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, error: error.into() }
    }

    /// The same for an error that may bring a kind along: if it is a `Failure`, or has one in its chain of sources, that
    /// kind counts, and otherwise this one. For a manager that wraps another one.
    ///
    /// ```
    /// use poolhouse::{Failure, FailureKind};
    ///
    /// let full = Failure::new(FailureKind::Busy, "too many clients");
    /// assert_eq!(Failure::or(FailureKind::Transient, full).kind(), FailureKind::Busy);
    /// assert_eq!(Failure::or(FailureKind::Transient, "no route").kind(), FailureKind::Transient);
    /// ```
    pub fn or(kind: FailureKind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let (error, own) = Self::unwrap(error.into());
        Self { kind: own.unwrap_or(kind), error }
    }

    /// How the pool treats it.
    ///
    /// ```
    /// use poolhouse::{Failure, FailureKind};
    ///
    /// assert_eq!(Failure::new(FailureKind::Busy, "too many clients").kind(), FailureKind::Busy);
    /// ```
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The error inside.
    ///
    /// ```
    /// use poolhouse::{Failure, FailureKind};
    ///
    /// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    /// let failure = Failure::new(FailureKind::Transient, refused);
    /// assert!(failure.into_inner().is::<std::io::Error>());
    /// ```
    pub fn into_inner(self) -> Box<dyn Error + Send + Sync> {
        self.error
    }

    /// The error without the `Failure` around it, and the kind that it brings along, if any. It calls the user's `source`.
    pub(crate) fn unwrap(error: BoxError) -> (BoxError, Option<FailureKind>) {
        match error.downcast::<Self>() {
            Ok(failure) => (failure.error, Some(failure.kind)),
            Err(error) => {
                let kind = links(&*error).find_map(|link| link.downcast_ref::<Self>()).map(Self::kind);
                (error, kind)
            }
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("kind", &self.kind).field("error", &self.error).finish()
    }
}
