//! Two queues in a row: where callers wait, in the pools or in PgBouncer, by the size of the pools.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::fleet::{Fleet, Requests};
use super::report::{Row, millis};
use super::service::Service;
use super::stage::{self, server};
use super::{PROCESSES, now};
use crate::contestants::AnyError;

/// The server connections of PgBouncer.
pub const SERVER_CONNECTIONS: usize = 4;
/// How long the server works on each request.
pub const WORK: Duration = Duration::from_millis(20);
/// How many tasks ask in each process.
pub const CALLERS: usize = 20;
/// Their pause: together they use four fifths of the server connections.
const PAUSE: Duration = Duration::from_millis(460);
/// Sizes of the pools. Four of the smallest are as many as the server connections.
pub const POOLS: [usize; 4] = [1, 2, 5, 20];

/// Where callers waited.
#[derive(Debug, Clone)]
pub struct Queues {
    /// The size of each pool.
    pub pool: usize,
    /// How many requests there were.
    pub requests: usize,
    /// How many failed.
    pub errors: usize,
    /// The 99th percentile of the wait for a connection of the pool.
    pub pool_wait: Duration,
    /// That of the rest of the request, less the server's work.
    pub proxy_wait: Duration,
    /// That of the whole request.
    pub whole: Duration,
    /// The most callers that waited in pools at once.
    pub most_in_pools: usize,
    /// The most clients that waited in PgBouncer at once (`cl_waiting`), as often as it was asked.
    pub most_in_proxy: usize,
}

impl Row for Queues {
    const HEADER: &'static [&'static str] = &[
        "pools",
        "p99 wait in the pool",
        "p99 wait in PgBouncer",
        "p99 of the request",
        "most waiting in pools",
        "most `cl_waiting`",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            format!("{PROCESSES} x {}", self.pool),
            millis(self.pool_wait),
            millis(self.proxy_wait),
            millis(self.whole),
            self.most_in_pools.to_string(),
            self.most_in_proxy.to_string(),
        ]
    }
}

/// The same load with each size of the pools.
///
/// # Errors
///
/// The servers do not start.
pub fn queues(
    program: &Path,
    pools: &[usize],
    load: Duration,
) -> Result<Vec<Queues>, AnyError> {
    let server = server(&[])?;
    let size = SERVER_CONNECTIONS.to_string();
    let proxy = stage::pooler(&server, &[("default_pool_size", &size)])?;
    let mut rows = Vec::new();
    for pool in pools {
        let service = Service {
            pool: *pool,
            tasks: CALLERS,
            work: WORK,
            pause: PAUSE,
            deadline: Duration::from_secs(5),
            ..Service::at(proxy.port())
        };
        let fleet = Fleet::start(program, &service, PROCESSES)?;
        // PgBouncer opens its connections when it is asked for them.
        sleep(Duration::from_secs(1));
        let (began, end, mut most_in_proxy) = (now(), now() + load, 0);
        while now() < end {
            most_in_proxy =
                most_in_proxy.max(waiting(&proxy.console("SHOW POOLS")?)?);
            sleep(Duration::from_millis(30));
        }
        rows.push(row(*pool, &fleet.stop()?.since(began), most_in_proxy));
    }
    Ok(rows)
}

fn row(pool: usize, requests: &Requests, most_in_proxy: usize) -> Queues {
    let answered: Vec<_> =
        requests.all.iter().filter(|request| request.outcome.is_ok()).collect();
    let wait = |pick: fn(&super::fleet::Request, Duration) -> Duration| {
        let times = answered
            .iter()
            .filter_map(|request| Some(pick(request, request.acquired?)));
        p99(times.collect())
    };
    Queues {
        pool,
        requests: requests.count(),
        errors: requests.errors(),
        pool_wait: wait(|request, acquired| acquired - request.began),
        proxy_wait: wait(|request, acquired| {
            (request.ended - acquired).saturating_sub(WORK)
        }),
        whole: wait(|request, _| request.ended - request.began),
        most_in_pools: requests.most_pending,
        most_in_proxy,
    }
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
}

/// `cl_waiting` of the service, in the rows of `SHOW POOLS`: database, user, `cl_active`, `cl_waiting` and so on.
fn waiting(pools: &str) -> Result<usize, AnyError> {
    let role = super::service::ROLE;
    let line = pools.lines().find(|line| line.split('|').nth(1) == Some(role));
    Ok(line
        .and_then(|line| line.split('|').nth(3))
        .ok_or("PgBouncer has no pool of the service")?
        .parse()?)
}
