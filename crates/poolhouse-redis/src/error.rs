//! Why there is no connection, or no longer one, and what the pool makes of it.

use std::error::Error;
use std::fmt;
use std::io;

use poolhouse::FailureKind;
use redis::{ErrorKind, RedisError};

/// Why a connection could not be opened, checked or reset.
///
/// Each text says what to do next. None holds a password.
///
/// ```no_run
/// # async fn a(pool: poolhouse_redis::RedisPool) {
/// use poolhouse_redis::ConnectionError;
///
/// if let Err(error) = pool.acquire().await
///     && let Some(ConnectionError::Login { .. }) = error.manager_error()
/// {
///     eprintln!("{error}");
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The server cannot be reached.
    #[non_exhaustive]
    Connect {
        /// The address.
        to: String,
        /// Why.
        error: io::Error,
    },
    /// The server refused the login, or ended the conversation before it was complete.
    #[non_exhaustive]
    Login {
        /// The address.
        to: String,
        /// Why, as redis-rs tells it.
        error: RedisError,
        /// What the server said before it closed, if it did: redis-rs tells the closing alone.
        refusal: Option<String>,
    },
    /// A check or a reset failed.
    Command(RedisError),
    /// A command was given up, and its reply did not come in time.
    Unanswered,
    /// A reply does not belong to the command that it came for.
    OutOfStep,
}

impl ConnectionError {
    pub(crate) fn login(to: String, error: RedisError, refusal: Option<String>) -> Self {
        // Otherwise redis-rs tells it better: what the server says first may be that it knows no `CLIENT SETINFO`.
        let hides = error.is_io_error() || error.kind() == ErrorKind::AuthenticationFailed;
        let refusal = refusal.filter(|text| hides && !text.contains("unknown"));
        Self::Login { to, error, refusal }
    }

    /// How the pool treats it: see [`FailureKind`].
    ///
    /// | what | kind |
    /// |---|---|
    /// | wrong password (`WRONGPASS`), none given (`NOAUTH`), may not (`NOPERM`), protected mode (`DENIED`) | permanent |
    /// | no such database, RESP3 wanted of a server that has none, TLS without redis-rs' feature for it | permanent |
    /// | `max number of clients reached` | busy |
    /// | `LOADING`, unreachable, closed, anything else | transient |
    ///
    /// ```
    /// assert_eq!(poolhouse_redis::ConnectionError::Unanswered.kind(), poolhouse::FailureKind::Transient);
    /// ```
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Connect { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                FailureKind::Permanent
            }
            Self::Login { error, refusal, .. } => kind_of_login(error, refusal.as_deref()),
            _ => FailureKind::Transient,
        }
    }
}

fn kind_of_login(error: &RedisError, refusal: Option<&str>) -> FailureKind {
    let text = reason(error, refusal);
    if text.contains("max number of clients") {
        return FailureKind::Busy;
    }
    let own = matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported
    );
    let says = |word| text.contains(word);
    let server =
        ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED", "invalid password", "DB index", "database number"];
    if own || server.into_iter().any(says) { FailureKind::Permanent } else { FailureKind::Transient }
}

/// The server's words, if it has said any.
fn reason(error: &RedisError, refusal: Option<&str>) -> String {
    match (refusal, error.code()) {
        (Some(refusal), _) => refusal.to_owned(),
        // redis-rs' own text has a name of its own for a code that it knows.
        (None, Some(code)) => format!("{code} {}", error.detail().unwrap_or_default()),
        (None, None) => error.to_string(),
    }
}

fn advice(error: &RedisError, refusal: Option<&str>) -> &'static str {
    let text = reason(error, refusal);
    if text.contains("max number of clients") {
        return "lower max_connections of the pools, or raise maxclients of the server";
    }
    if text.contains("LOADING") {
        return "wait: the server reads its data";
    }
    match kind_of_login(error, refusal) {
        FailureKind::Permanent => "check the password, the user and the database in the URL",
        _ => "check that this is a Redis server, and see its log",
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { to, .. } => write!(f, "{to} cannot be reached: check that Redis listens there"),
            Self::Login { to, error, refusal } => {
                let advice = advice(error, refusal.as_deref());
                match refusal {
                    Some(refusal) => write!(f, "{to} refuses the connection ({refusal}): {advice}"),
                    None => write!(f, "the login at {to} failed: {advice}"),
                }
            }
            Self::Command(_) => f.write_str("a check or a reset failed, so the connection closes"),
            Self::Unanswered => f.write_str(
                "a caller gave up a command whose reply did not come in time, so the connection closes: \
                 raise drain_within if that happens often",
            ),
            Self::OutOfStep => f.write_str(
                "a reply belongs to another command, so the connection closes: see the session's commands",
            ),
        }
    }
}

impl Error for ConnectionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect { error, .. } => Some(error),
            Self::Login { error, .. } | Self::Command(error) => Some(error),
            Self::Unanswered | Self::OutOfStep => None,
        }
    }
}
