//! What went wrong, and what the caller is told of it.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use poolhouse::{AcquireError, PacketError};

pub(crate) enum ServiceError {
    /// The pool gave no connection.
    NoConnection(AcquireError),
    /// It did, and the exchange on it failed.
    Exchange(PacketError),
}

impl From<AcquireError> for ServiceError {
    fn from(error: AcquireError) -> Self {
        Self::NoConnection(error)
    }
}

impl From<PacketError> for ServiceError {
    fn from(error: PacketError) -> Self {
        Self::Exchange(error)
    }
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        // The whole diagnosis goes to the log. The caller learns neither addresses
        // nor source lines.
        match &self {
            Self::NoConnection(error) => eprintln!("no connection: {error}"),
            Self::Exchange(error) => eprintln!("exchange failed: {error}"),
        }
        let come_back = [(header::RETRY_AFTER, "1")];
        match self {
            Self::NoConnection(
                AcquireError::Timeout(_) | AcquireError::Overloaded { .. },
            ) => {
                (StatusCode::SERVICE_UNAVAILABLE, come_back, "busy").into_response()
            }
            Self::NoConnection(AcquireError::Closed { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, come_back, "shutting down")
                    .into_response()
            }
            // Only with `fail_fast_after`: the pool tries again.
            Self::NoConnection(AcquireError::Connect(failed))
                if failed.retry.is_some() =>
            {
                (StatusCode::SERVICE_UNAVAILABLE, come_back, "backend down")
                    .into_response()
            }
            // A connect that waiting does not fix. It needs a person, not another
            // try.
            Self::NoConnection(AcquireError::Connect(_)) => {
                (StatusCode::BAD_GATEWAY, "the backend refuses us").into_response()
            }
            // A bug here: this runtime has ended.
            Self::NoConnection(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "a bug").into_response()
            }
            Self::Exchange(PacketError::TimedOut { .. }) => {
                (StatusCode::GATEWAY_TIMEOUT, "the backend is slow").into_response()
            }
            Self::Exchange(_) => {
                (StatusCode::BAD_GATEWAY, "the backend broke off").into_response()
            }
        }
    }
}
