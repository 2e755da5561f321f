//! Starts real servers for tests, from the packages of the distribution, and leaves none of them behind.
//!
//! ```no_run
//! use test_servers::Postgres;
//!
//! let server = Postgres::start()?;
//! assert_eq!(server.sql("SELECT 1 + 1")?, "2");
//! # Ok::<(), test_servers::ServerError>(())
//! ```
//!
//! Every server has a folder of its own, a free port of 127.0.0.1 and a log ([`Postgres::log`]). `start` returns when the
//! server has answered a real request. It is stopped by its process id when the value is dropped, so also by a panic. A
//! small shell process, its guardian, watches the test process, and does the same when that has been killed.
//!
//! Everything here blocks. Call it before the runtime starts, from
//! [`spawn_blocking`](https://docs.rs/tokio/latest/tokio/task/fn.spawn_blocking.html), or in a test whose runtime has more
//! than one thread.
//!
//! # When a server is not installed
//!
//! `start` returns [`ServerError::NotInstalled`]. [`start_or_skip!`] says so on standard error, past the test harness, and
//! returns from the test. With `REAL_SERVERS=required` in the environment it panics instead: `.ci/run` sets that.
#![cfg(unix)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod chromium;
mod error;
mod guardian;
mod haproxy;
mod http;
mod mariadb;
mod methods;
mod nginx;
mod page;
mod pgbouncer;
mod postgres;
mod programs;
mod prometheus;
mod rabbitmq;
mod redis;
mod server;
mod skip;

pub use crate::chromium::Chromium;
pub use crate::error::ServerError;
pub use crate::haproxy::HaProxy;
pub use crate::mariadb::MariaDb;
pub use crate::nginx::Nginx;
pub use crate::page::Page;
pub use crate::pgbouncer::PgBouncer;
pub use crate::postgres::Postgres;
pub use crate::prometheus::{Prometheus, promtool};
pub use crate::rabbitmq::RabbitMq;
pub use crate::redis::Redis;
pub use crate::skip::{or_skip, skipped};
