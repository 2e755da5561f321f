//! `poolhouse-postgres` against real servers. Without PostgreSQL each test is skipped, loudly: see `test-servers`.
#![cfg(unix)]

mod common;

mod chaos;
mod copies;
mod discard;
mod hangups;
mod login;
mod outages;
mod pgbouncer;
mod proxy;
mod quiet;
mod refusals;
mod statements;
#[cfg(feature = "tls")]
mod tls;
mod transactions;
