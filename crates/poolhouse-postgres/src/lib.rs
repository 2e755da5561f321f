//! PostgreSQL connections for the pool [`poolhouse`], over [`tokio_postgres`].
//!
//! ```no_run
//! use poolhouse::{Pool, PoolConfig};
//! use poolhouse_postgres::PostgresManager;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = PostgresManager::from_url("postgres://app:secret@localhost/shop")?;
//! let pool = Pool::new(manager, PoolConfig::default())?;
//!
//! let mut connection = pool.acquire().await?;
//! let transaction = connection.transaction().await?;
//! let statement = transaction.prepare_cached("SELECT name FROM users WHERE id = $1").await?;
//! let name: String = transaction.query_one(&statement, &[&7_i32]).await?.get(0);
//! transaction.commit().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`PostgresManager`]: how to connect: URL, TLS, passwords that change, several servers, behind PgBouncer.
//! - [`PostgresConnection`]: what you hold. It derefs to [`tokio_postgres::Client`].
//! - [`PrepareCached`]: a connection or a transaction, for a function that takes either.
//! - [`Transaction`]: rolled back unless committed, however you leave it.
//! - [`ResetPolicy`]: what is undone between two holders.
//! - [`PostgresError`]: why there is no connection, what to do, and what the pool makes of it.
//!
//! # What it does that a client and a task do not
//!
//! tokio-postgres shows neither whether a transaction is open nor whether the server still works for a caller who has gone.
//! This crate reads both off the protocol, as it passes by. So callers use the client as it is, every method of it, and still:
//!
//! - **No transaction is passed on**, whether it was begun by [`transaction`](PostgresConnection::transaction) or by `BEGIN`,
//!   and however it was left. Between two holders the server has said that none is open.
//! - **No statement is left running.** When a caller goes away in the middle of one, the pool's background
//!   waits a moment, then cancels it, and hands the connection on when it has ended. While the runtime lives,
//!   the server has no more backends than the pool's maximum, if a cancelled statement ends within
//!   `close_timeout`.
//! - **Nothing is sent in vain.** A connection that comes back with nothing to undo goes straight to the next caller.
//!
//! # Features
//!
//! - `tls`: TLS by rustls. Certificates are verified, always.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod cancel;
mod connection;
mod dial;
mod driver;
mod error;
mod manager;
mod prepare;
mod reset;
mod socket;
mod statements;
mod stream;
#[cfg(feature = "tls")]
mod tls;
mod transaction;
mod watch;
mod wire;

pub use tokio_postgres;

pub use crate::cancel::CancelToken;
pub use crate::connection::PostgresConnection;
pub use crate::error::PostgresError;
pub use crate::manager::PostgresManager;
pub use crate::prepare::PrepareCached;
pub use crate::reset::ResetPolicy;
#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use crate::tls::Tls;
pub use crate::transaction::{Transaction, TransactionBuilder};

/// A pool of PostgreSQL connections.
///
/// ```
/// use poolhouse_postgres::{PostgresManager, PostgresPool};
///
/// let manager = PostgresManager::from_url("postgres://app@db.example/shop")?;
/// let pool = PostgresPool::builder(manager).name("shop").build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type PostgresPool = poolhouse::Pool<PostgresManager>;

/// A connection that you hold: it goes back to the pool when you drop it.
///
/// ```no_run
/// use poolhouse_postgres::PooledPostgres;
///
/// async fn answer(connection: &PooledPostgres) -> Result<i32, tokio_postgres::Error> {
///     Ok(connection.query_one("SELECT 42", &[]).await?.get(0))
/// }
/// ```
pub type PooledPostgres = poolhouse::PooledConnection<PostgresManager>;

/// The crate's README, so that its snippets are doctests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
