//! Why there is no connection, or no longer one, and what the pool makes of it.

use std::error::Error;
use std::fmt;
use std::io;

use poolhouse::FailureKind;
use tokio_postgres::error::SqlState;

/// Why a connection could not be opened, checked or reset.
///
/// The server's own reason is in [`source`](Error::source), as a [`tokio_postgres::error::DbError`], and in
/// [`code`](PostgresError::code). Each text says what to do next. None holds a password.
///
/// ```no_run
/// # async fn a(pool: poolhouse_postgres::PostgresPool) {
/// use poolhouse_postgres::PostgresError;
///
/// if let Err(error) = pool.acquire().await
///     && let Some(PostgresError::Login { .. }) = error.manager_error()
/// {
///     eprintln!("{error}");
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum PostgresError {
    /// The configuration names no server, or names one in a way that cannot be.
    Config(&'static str),
    /// The server cannot be reached.
    #[non_exhaustive]
    Connect {
        /// The address or the name.
        to: String,
        /// Why.
        error: io::Error,
    },
    /// An address did not answer in its share of the time, and another one is to be tried.
    #[non_exhaustive]
    Silent {
        /// The address.
        to: String,
    },
    /// TLS is wanted and cannot be had.
    #[non_exhaustive]
    Tls {
        /// The address or the name.
        to: String,
        /// Why.
        error: io::Error,
    },
    /// `sslmode=require`, and this manager has no TLS.
    NoTls,
    /// The password provider failed.
    Password(Box<dyn Error + Send + Sync>),
    /// The server refused the login, or ended the conversation before it was complete.
    #[non_exhaustive]
    Login {
        /// The address.
        to: String,
        /// Why.
        error: tokio_postgres::Error,
    },
    /// `target_session_attrs` asks for a server that takes writes, or for one that does not, and this is the other kind.
    #[non_exhaustive]
    WrongServer {
        /// The address.
        to: String,
        /// Whether this server takes writes.
        writable: bool,
    },
    /// A check or a reset failed.
    Query(tokio_postgres::Error),
    /// A caller went away while its statement ran, and it has to end before anybody else may have the connection.
    Unfinished,
    /// A caller left a transaction open, and [`ResetPolicy::Nothing`](crate::ResetPolicy::Nothing) does not roll it back.
    LeftOpen,
    /// A caller keeps a stream of rows, or the sink of a `COPY`, beyond its hold.
    StillInUse,
    /// A caller gave up a request to cancel, which the server may act on at any time.
    StrayCancel,
    /// A caller has sent `DEALLOCATE ALL` or `DISCARD ALL`, and with them went statements that tokio-postgres keeps for itself.
    LostStatements,
    /// A `COPY` failed, and the server's answers may no longer belong to the questions.
    OutOfStep,
    /// The server takes writes no longer: it has become a standby, or read-only by its configuration.
    TurnedReadOnly,
    /// The session ended.
    Closed,
}

impl PostgresError {
    /// The SQLSTATE, if the server has answered with an error.
    ///
    /// ```no_run
    /// # fn a(error: poolhouse_postgres::PostgresError) {
    /// use tokio_postgres::error::SqlState;
    ///
    /// let wrong_password = error.code() == Some(&SqlState::INVALID_PASSWORD);
    /// # }
    /// ```
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Login { error, .. } | Self::Query(error) => error.code(),
            _ => None,
        }
    }

    /// How the pool treats it: see [`FailureKind`].
    ///
    /// | what | kind |
    /// |---|---|
    /// | wrong password or user (class 28), no such database (3D000), may not connect (42501) | permanent |
    /// | PgBouncer's words (08P01) for a wrong password, user or database | permanent |
    /// | no server named, a certificate that does not verify, TLS wanted and not there | permanent |
    /// | too many clients (53300), the limit of PgBouncer | busy |
    /// | starting up (57P03), shutting down (57P01), unreachable, a standby, anything else | transient |
    ///
    /// ```
    /// use poolhouse::FailureKind;
    /// use poolhouse_postgres::PostgresError;
    ///
    /// assert_eq!(PostgresError::NoTls.kind(), FailureKind::Permanent);
    /// assert_eq!(PostgresError::Closed.kind(), FailureKind::Transient);
    /// ```
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Config(_) | Self::NoTls => FailureKind::Permanent,
            Self::Connect { error, .. } if is_hopeless(error) => FailureKind::Permanent,
            // What rustls says of a certificate or a server without TLS. A connection that broke is another kind.
            Self::Tls { error, .. } if error.kind() == io::ErrorKind::InvalidData || is_hopeless(error) => {
                FailureKind::Permanent
            }
            Self::Login { error, .. } => kind_of_login(error),
            _ => FailureKind::Transient,
        }
    }
}

fn is_hopeless(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    )
}

fn kind_of_login(error: &tokio_postgres::Error) -> FailureKind {
    let Some(refusal) = error.as_db_error() else {
        // A password that is not there, or a way to log in that the client does not know. Their kind is not public.
        let text = error.to_string();
        let is_ours = text == "invalid configuration" || text == "authentication error";
        return if is_ours { FailureKind::Permanent } else { FailureKind::Transient };
    };
    match refusal.code() {
        code if code.code().starts_with("28") => FailureKind::Permanent,
        &SqlState::INVALID_CATALOG_NAME | &SqlState::INSUFFICIENT_PRIVILEGE => FailureKind::Permanent,
        &SqlState::TOO_MANY_CONNECTIONS => FailureKind::Busy,
        &SqlState::PROTOCOL_VIOLATION => of_pgbouncer(refusal.message()).0,
        _ => FailureKind::Transient,
    }
}

/// PgBouncer has one code for all its refusals: 08P01, "protocol violation". So they differ by their texts, which are those of
/// 1.18 to 1.25. What the server has said stands behind other words, and is the server's to repeat.
fn of_pgbouncer(text: &str) -> (FailureKind, &'static str) {
    let says = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    if says(&["no more connections"]) {
        (FailureKind::Busy, "lower max_connections of the pools, or raise max_client_conn of PgBouncer")
    } else if says(&["password authentication failed", "SASL authentication failed"]) {
        (FailureKind::Permanent, "check the password, and the name of the database")
    } else if says(&["no such user"]) {
        (FailureKind::Permanent, "check the user")
    } else if says(&["no such database"]) {
        (FailureKind::Permanent, "check the name of the database, and [databases] of PgBouncer")
    } else {
        (FailureKind::Transient, "see the server's log")
    }
}

fn advice_of_login(error: &tokio_postgres::Error) -> &'static str {
    match error.code() {
        Some(&SqlState::PROTOCOL_VIOLATION) => {
            of_pgbouncer(error.as_db_error().map_or("", |refusal| refusal.message())).1
        }
        Some(&SqlState::INVALID_PASSWORD) => "check the password",
        Some(code) if code.code().starts_with("28") => "check the user, the database and pg_hba.conf",
        Some(&SqlState::INVALID_CATALOG_NAME) => "check the name of the database",
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => "GRANT CONNECT on the database to the user",
        Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            "lower max_connections of the pools, raise that of the server, or put PgBouncer in between"
        }
        Some(&SqlState::CANNOT_CONNECT_NOW | &SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN) => {
            "wait: the server starts or stops"
        }
        Some(_) => "see the server's log",
        None => "check that this is a PostgreSQL server, and see its log",
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(what) => write!(f, "{what}: change the connection string"),
            Self::Connect { to, .. } => write!(f, "{to} cannot be reached: check that PostgreSQL listens there"),
            Self::Silent { to } => {
                write!(f, "{to} did not answer in its share of the time: set connect_timeout to give it more")
            }
            Self::Tls { to, .. } => write!(
                f,
                "no TLS with {to}: give the manager the root certificate, or check sslmode and the host name"
            ),
            Self::NoTls => f.write_str(
                "sslmode=require, but the manager has no TLS: switch on the feature `tls` and call `PostgresManager::tls`",
            ),
            Self::Password(_) => f.write_str("the password provider failed"),
            Self::Login { to, error } => {
                let advice = advice_of_login(error);
                match error.code() {
                    Some(code) => write!(f, "{to} refuses the login ({}): {advice}", code.code()),
                    None => write!(f, "the login at {to} failed: {advice}"),
                }
            }
            Self::WrongServer { to, writable: false } => {
                write!(f, "{to} takes no writes, and target_session_attrs is read-write: name the primary too")
            }
            Self::WrongServer { to, writable: true } => {
                write!(f, "{to} takes writes, and target_session_attrs is read-only: name a standby too")
            }
            Self::Query(error) => match error.code() {
                Some(code) => write!(f, "the server refuses a check or a reset ({})", code.code()),
                None => f.write_str("a check or a reset got no answer"),
            },
            Self::Unfinished => f.write_str(
                "a caller went away while its statement ran, so the connection closes: \
                 set statement_timeout if that happens often",
            ),
            Self::LeftOpen => f.write_str(
                "a caller left a transaction open, so the connection closes: commit it, or use ResetPolicy::RollBack",
            ),
            Self::OutOfStep => f.write_str(
                "a COPY FROM STDIN failed, so later answers may be out of step and the connection closes: see the error of that \
                 COPY, or use ResetPolicy::RollBack",
            ),
            Self::StillInUse => f.write_str(
                "a caller keeps a stream of rows or the sink of a COPY after its connection went back, so the connection \
                 closes: finish or drop it first",
            ),
            Self::StrayCancel => f.write_str(
                "a caller gave up a request to cancel, which could hit the next statement, so the connection closes: await \
                 cancel_query",
            ),
            Self::LostStatements => f.write_str(
                "a caller has sent DEALLOCATE ALL or DISCARD ALL, so the connection closes: use ResetPolicy::DiscardAll",
            ),
            Self::TurnedReadOnly => f.write_str(
                "the server takes writes no longer, so the connection closes: \
                 name all servers and set target_session_attrs=read-write",
            ),
            Self::Closed => f.write_str("the server has ended the session"),
        }
    }
}

impl Error for PostgresError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect { error, .. } | Self::Tls { error, .. } => Some(error),
            Self::Password(error) => Some(&**error),
            // tokio-postgres' own text is "db error". What the server says is its source.
            Self::Login { error, .. } | Self::Query(error) => {
                error.as_db_error().map_or(Some(error), |refusal| Some(refusal))
            }
            _ => None,
        }
    }
}
