//! Several processes of a small service, each with a pool, behind HAProxy or PgBouncer: what their callers see while the
//! layer between is operated.
//!
//! A process is the program `layers` itself, started with other arguments ([`service`]). It asks which server answers, again and
//! again, and tells at its end what became of each request. The clock is that of the machine, so that the requests of
//! all processes have one time line. What is done to the servers and the proxies meanwhile is in [`relay`],
//! [`pooler`] and [`given_up`].

pub mod fleet;
pub mod given_up;
pub mod pooler;
pub mod queues;
pub mod relay;
pub mod report;
pub mod service;
mod stage;

use std::time::Duration;

/// How many processes the service has.
pub const PROCESSES: usize = 4;
/// The connections of the pool in each process. All are opened at the start.
pub const POOL: usize = 3;
/// How many tasks ask in each process.
pub const TASKS: usize = 4;
/// The most that a pool may take to give a connection, and then the server to answer.
pub const DEADLINE: Duration = Duration::from_secs(1);

/// The time of the machine, the same in all processes.
pub(crate) fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).expect("the machine has started");
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(now.tv_nsec).unwrap_or_default())
}
