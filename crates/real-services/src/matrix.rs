//! Breaks one PostgreSQL in ten ways under four pools, and counts what their callers see.

mod faults;
mod load;
mod report;
mod server;

use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::contestants::{AnyError, AnyPool, Contestant};
pub use faults::Fault;
use load::Load;
pub use report::{Cell, Report};
pub use server::{Roles, Stage};

/// The most connections of each pool.
pub const SIZE: u32 = 4;
/// How many tasks ask.
pub const TASKS: usize = 16;
/// The most that each pool may take to give a connection, and then the server to answer.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// How long the parts of a cell take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Load before the fault.
    pub before: Duration,
    /// How long a fault lasts that has a length.
    pub fault: Duration,
    /// How many times idle connections are killed.
    pub rounds: usize,
    /// Without an error for so long, a pool has recovered.
    pub calm: Duration,
    /// So long is waited for that.
    pub patience: Duration,
}

impl Pace {
    /// That of the tables.
    pub const FULL: Self = Self {
        before: Duration::from_millis(500),
        fault: Duration::from_secs(3),
        rounds: 10,
        calm: Duration::from_millis(1500),
        patience: Duration::from_secs(7),
    };
    /// That of the tests.
    pub const SHORT: Self = Self {
        before: Duration::from_millis(200),
        fault: Duration::from_secs(1),
        rounds: 3,
        calm: Duration::from_millis(300),
        patience: Duration::from_secs(20),
    };
}

/// Runs one fault under one pool.
///
/// # Errors
///
/// The server cannot be started, or told what to do: not what the pool's callers see, which is counted.
pub async fn run(
    stage: &Stage,
    fault: Fault,
    which: Contestant,
    pace: Pace,
) -> Result<Cell, AnyError> {
    let roles = stage.roles(fault, which).await?;
    let pool = AnyPool::open(which, &roles.target, SIZE, DEADLINE)?;
    let counting = stage.count_backends(&roles.target.role);
    let load = Load::new(&pool, fault.statement());
    let (ended, mut requests) = if fault == Fault::IdleKilled {
        faults::kill_idle(stage, &roles, &load, pace).await?
    } else {
        let held = fault.prepare(stage, &roles).await?;
        let running = load.start();
        if !fault.is_cold() {
            sleep(pace.before).await;
        }
        fault.strike(stage, &roles, &pool, held, pace).await?;
        let ended = Instant::now();
        running.until_calm(ended, pace).await;
        (ended, running.stop().await)
    };
    sleep(Duration::from_millis(200)).await;
    let most = counting.stop().await;
    let at_end = stage.backends(&roles.target.role).await?;
    pool.close().await;
    stage.leave_nothing(&roles.target.role).await?;
    requests.sort_by_key(|request| request.ended);
    Ok(Cell::new(fault, which, &requests, ended, (most, at_end)))
}

/// Waits, but not forever: the server may be frozen.
async fn at_most<T, E: Into<AnyError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, AnyError> {
    timeout(limit, work).await?.map_err(Into::into)
}
