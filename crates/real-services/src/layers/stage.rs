//! The servers and the proxies in front of them, and what the superuser sees.

use std::thread::sleep;
use std::time::{Duration, Instant};

use test_servers::{HaProxy, PgBouncer, Postgres, ServerError};

use super::service::ROLE;
use crate::contestants::AnyError;

/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// A server that knows the role of the service.
pub(super) fn server(settings: &[(&str, &str)]) -> Result<Postgres, ServerError> {
    let server = Postgres::start_with(settings)?;
    server.sql(&format!("CREATE ROLE {ROLE} LOGIN PASSWORD 'secret'"))?;
    Ok(server)
}

/// A pooler in transaction mode in front of a server.
pub(super) fn pooler(
    behind: &Postgres,
    settings: &[(&str, &str)],
) -> Result<PgBouncer, ServerError> {
    PgBouncer::start(behind, &[(ROLE, "secret")], settings)
}

/// A relay in front of servers, or of poolers.
pub(super) fn relay(
    ports: &[u16],
    settings: &[&str],
) -> Result<HaProxy, ServerError> {
    HaProxy::start(ports, settings)
}

/// How many connections of the service a server has.
pub(super) fn backends(server: &Postgres) -> Result<usize, AnyError> {
    count(server, "true")
}

/// How many of them work on a statement.
pub(super) fn at_work(server: &Postgres) -> Result<usize, AnyError> {
    count(server, "state = 'active'")
}

fn count(server: &Postgres, which: &str) -> Result<usize, AnyError> {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' AND {which}"
    );
    Ok(server.sql(&sql)?.parse()?)
}

/// Waits until it is so, but no longer than `limit`. Returns how long it took, if it came to be so.
pub(super) fn until(
    limit: Duration,
    mut is_so: impl FnMut() -> Result<bool, AnyError>,
) -> Result<Option<Duration>, AnyError> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if is_so()? {
            return Ok(Some(began.elapsed()));
        }
        sleep(GLANCE);
    }
    Ok(None)
}
