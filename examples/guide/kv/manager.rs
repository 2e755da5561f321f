//! What the pool needs to know about the store.

use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use poolhouse::{Dial, FailureKind, Manager};

use super::connection::{KvConnection, KvError};

// ANCHOR: credential
#[derive(Clone, PartialEq)]
pub struct Credential {
    pub user: String,
    pub secret: String,
}

/// Without the secret: a derived `Debug` would put it into the first log line that
/// prints its owner.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
// ANCHOR_END: credential

// ANCHOR: manager
pub struct KvManager<D> {
    dial: D,
    credential: RwLock<Credential>,
    io_timeout: Duration,
}

impl<D: Dial> KvManager<D> {
    pub fn new(dial: D, user: &str, secret: &str) -> Self {
        let credential =
            Credential { user: user.to_owned(), secret: secret.to_owned() };
        Self {
            dial,
            credential: RwLock::new(credential),
            io_timeout: Duration::from_secs(2),
        }
    }

    /// For every connect from now on. Connections that are open stay logged in as
    /// they are.
    pub fn set_credential(&self, credential: Credential) {
        *self.credential.write().unwrap_or_else(PoisonError::into_inner) =
            credential;
    }

    pub fn credential(&self) -> Credential {
        self.credential.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<D: Dial> Manager for KvManager<D> {
    type Connection = KvConnection<D::Stream>;
    type Error = KvError;

    async fn connect(&self) -> Result<Self::Connection, KvError> {
        let stream = self.dial.dial().await.map_err(KvError::Dial)?;
        let mut connection = KvConnection::new(stream, self.io_timeout);
        let Credential { user, secret } = self.credential();
        connection.log_in(&user, &secret).await?;
        Ok(connection)
    }

    async fn check(
        &self,
        connection: &mut Self::Connection,
    ) -> Result<(), KvError> {
        connection.ping().await
    }

    fn is_reusable(&self, connection: &mut Self::Connection) -> bool {
        connection.is_quiet()
    }

    fn is_connected(&self, connection: &mut Self::Connection) -> bool {
        // A dialler that can ask the operating system knows best. Otherwise a poll
        // has to do.
        match self.dial.is_quiet(connection.stream()) {
            Some(quiet) => quiet && connection.is_settled(),
            None => connection.is_quiet(),
        }
    }

    fn classify(&self, error: &KvError) -> FailureKind {
        match error {
            KvError::Version | KvError::BadWord => FailureKind::Permanent,
            KvError::Refused { code } if code == "AUTH" => FailureKind::Permanent,
            KvError::Dial(source)
                if matches!(
                    source.kind(),
                    ErrorKind::InvalidInput | ErrorKind::PermissionDenied
                ) =>
            {
                FailureKind::Permanent
            }
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        self.dial.target()
    }
}
// ANCHOR_END: manager
