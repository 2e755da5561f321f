//! Why a server does not run.

use std::io;

use thiserror::Error;

/// Why a server could not be started, or did not do what it was told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A program is not on this machine.
    #[error("{program} is not installed (apt-get install {package})")]
    NotInstalled {
        /// The program.
        program: &'static str,
        /// The package of Debian that has it.
        package: &'static str,
    },
    /// The server does not do what it should. Its log is part of the text.
    #[error("{server}: {what}\n--- its log ---\n{log}")]
    Failed {
        /// The server.
        server: &'static str,
        /// What is wrong.
        what: String,
        /// The end of the server's log.
        log: String,
    },
    /// A request to the server failed.
    #[error("{server} refuses: {answer}")]
    Refused {
        /// The server.
        server: &'static str,
        /// What it says.
        answer: String,
    },
    /// The operating system refuses.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
}

impl ServerError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |error| Self::Io { what, error }
    }
}
