//! Tasks that each ask for their own number, again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{DEADLINE, Pace, TASKS};
use crate::contestants::{AnyPool, chain};

/// Between an answer and the next question of the same task.
const PAUSE: Duration = Duration::from_millis(20);

/// How many numbers a task has.
pub(super) const NUMBERS: usize = 50;

/// One question and what became of it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) began: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    Wrong,
    Error(String),
}

pub(super) struct Load {
    pool: AnyPool,
    statement: &'static str,
}

/// Milliseconds since the load began, plus one; zero is never.
#[derive(Default)]
struct Last {
    /// For each task, when it asked the question that was answered last. Zero after an error.
    asked: [AtomicU64; TASKS],
    error: AtomicU64,
    stop: AtomicBool,
}

pub(super) struct Running {
    began: Instant,
    last: Arc<Last>,
    tasks: JoinSet<Vec<Request>>,
}

async fn ask(pool: &AnyPool, statement: &'static str, number: usize) -> Request {
    let number = i64::try_from(number).expect("numbers are small");
    let began = Instant::now();
    let outcome = match pool.ask(statement, number, DEADLINE).await {
        Ok(answer) if answer == number => Outcome::Right,
        Ok(_) => Outcome::Wrong,
        Err(error) => Outcome::Error(chain(&error)),
    };
    Request { began, ended: Instant::now(), outcome }
}

impl Load {
    pub(super) fn new(pool: &AnyPool, statement: &'static str) -> Self {
        Self { pool: pool.clone(), statement }
    }

    /// Each task asks once.
    pub(super) async fn once(&self, round: usize) -> Vec<Request> {
        let tasks =
            (0..TASKS).map(|task| {
                let (pool, statement) = (self.pool.clone(), self.statement);
                async move {
                    ask(&pool, statement, task * NUMBERS + round % NUMBERS).await
                }
            });
        tasks.collect::<JoinSet<_>>().join_all().await
    }

    /// Each task asks until it is stopped.
    pub(super) fn start(&self) -> Running {
        let (began, last) = (Instant::now(), Arc::<Last>::default());
        let tasks = (0..TASKS).map(|task| {
            let (pool, statement, last) =
                (self.pool.clone(), self.statement, Arc::clone(&last));
            async move {
                let mut asked = Vec::new();
                while !last.stop.load(Ordering::Relaxed) {
                    let request = ask(
                        &pool,
                        statement,
                        task * NUMBERS + asked.len() % NUMBERS,
                    )
                    .await;
                    if request.outcome == Outcome::Right {
                        last.asked[task].store(
                            millis(request.began - began) + 1,
                            Ordering::Relaxed,
                        );
                    } else {
                        last.asked[task].store(0, Ordering::Relaxed);
                        last.error.fetch_max(
                            millis(request.ended - began) + 1,
                            Ordering::Relaxed,
                        );
                    }
                    asked.push(request);
                    sleep(PAUSE).await;
                }
                asked
            }
        });
        Running { began, tasks: tasks.collect(), last }
    }

    /// As many callers at once as the pool has connections, each long enough that it needs one of its own.
    pub(super) async fn fill(&self) {
        let callers = (0..super::SIZE).map(|_| {
            let pool = self.pool.clone();
            async move {
                pool.ask("SELECT $1::int8 FROM pg_sleep(0.05)", 0, DEADLINE).await
            }
        });
        callers.collect::<JoinSet<_>>().join_all().await;
    }
}

impl Running {
    /// Until no error has been seen for a while after the end of the fault, and each task has an answer to a question of that
    /// time: a task that still waits since before may yet run into its deadline.
    pub(super) async fn until_calm(&self, ended: Instant, pace: Pace) {
        let ended_at = millis(ended - self.began) + 1;
        while ended.elapsed() < pace.patience {
            sleep(PAUSE).await;
            let error = self.last.error.load(Ordering::Relaxed).max(ended_at);
            let calm = (millis(self.began.elapsed()) + 1).saturating_sub(error);
            let answered = self
                .last
                .asked
                .iter()
                .all(|asked| asked.load(Ordering::Relaxed) > ended_at);
            if calm > millis(pace.calm) && answered {
                return;
            }
        }
    }

    pub(super) async fn stop(self) -> Vec<Request> {
        self.last.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
