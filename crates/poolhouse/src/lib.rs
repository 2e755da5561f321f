//! A connection pool for tokio.
