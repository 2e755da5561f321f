//! What a test does that needs a server which is not installed.

use std::io::{Write, stderr};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::ServerError;

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// How many tests of this process have been skipped.
///
/// ```
/// assert_eq!(test_servers::skipped(), 0);
/// ```
pub fn skipped() -> usize {
    SKIPPED.load(Ordering::Relaxed)
}

/// The server, or `None` if it is not installed: then the test has to return. [`start_or_skip!`](crate::start_or_skip) does.
///
/// # Panics
///
/// If the server is installed and does not start, and if it is not installed and `REAL_SERVERS=required` is set.
///
/// ```no_run
/// use test_servers::{Redis, or_skip};
///
/// let Some(server) = or_skip(Redis::start()) else { return };
/// # drop(server);
/// ```
pub fn or_skip<S>(started: Result<S, ServerError>) -> Option<S> {
    match started {
        Ok(server) => Some(server),
        Err(error @ ServerError::NotInstalled { .. }) => {
            let required = std::env::var_os("REAL_SERVERS").is_some_and(|value| value == "required");
            assert!(!required, "REAL_SERVERS=required, but {error}");
            let count = 1 + SKIPPED.fetch_add(1, Ordering::Relaxed);
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            // Not `eprintln!`, which the test harness swallows when a test passes.
            let _ = writeln!(stderr(), "SKIPPED: {error}: {test} did not run ({count} skipped so far)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Starts a server, or returns from the test, loudly, if it is not installed. The second argument is what the test returns.
///
/// ```no_run
/// use test_servers::{Postgres, start_or_skip};
///
/// # fn a_test() {
/// let server = start_or_skip!(Postgres::start());
/// # drop(server);
/// # }
/// ```
#[macro_export]
macro_rules! start_or_skip {
    ($started:expr) => {
        $crate::start_or_skip!($started, ())
    };
    ($started:expr, $skipped:expr) => {
        match $crate::or_skip($started) {
            Some(server) => server,
            None => return $skipped,
        }
    };
}
