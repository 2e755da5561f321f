//! 64 tasks on 8 connections to one PostgreSQL: a select by primary key, and a short transaction.
//!
//! The pools take turns, round by round, in an order that is shuffled anew. A ratio is the median of the ratios within each
//! round, so what slows down a whole round cancels out.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use test_servers::{Postgres, ServerError};
use tokio::task::JoinSet;

use crate::contestants::{AnyError, AnyPool, Contestant, Own, Secret, Target};
use crate::table::markdown;

/// How many tasks ask at once.
pub const TASKS: usize = 64;
/// The connections of each pool.
pub const SIZE: u32 = 8;
/// Nobody comes near it.
const DEADLINE: Duration = Duration::from_secs(30);

const SELECT: &str = "SELECT id FROM accounts WHERE id = $1";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The most rounds.
    pub rounds: usize,
    /// After so long no round begins.
    pub limit: Duration,
    /// Selects of each task in a round.
    pub selects: usize,
    /// Transactions of each task in a round.
    pub transactions: usize,
}

impl Plan {
    /// That of the tables.
    pub const FULL: Self = Self {
        rounds: 31,
        limit: Duration::from_secs(140),
        selects: 100,
        transactions: 25,
    };
    /// That of the tests.
    pub const SHORT: Self = Self {
        rounds: 2,
        limit: Duration::from_secs(20),
        selects: 4,
        transactions: 2,
    };
}

/// Starts the server, with a row for each task. It blocks.
///
/// # Errors
///
/// As for [`Postgres::start`].
pub fn server() -> Result<(Postgres, Target), ServerError> {
    let server = Postgres::start_with(&[("max_connections", "120")])?;
    server.sql(&format!(
        "CREATE ROLE app LOGIN PASSWORD 'app'; CREATE TABLE accounts (id int8 PRIMARY KEY, value int8 NOT NULL); \
         INSERT INTO accounts SELECT id, 0 FROM generate_series(0, {}) AS id; \
         GRANT SELECT, UPDATE ON accounts TO app; ANALYZE accounts",
        TASKS * 100
    ))?;
    let target = Target {
        port: server.port(),
        role: "app".to_owned(),
        secret: Secret::new("app"),
    };
    Ok((server, target))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Select,
    Transaction,
}

impl Work {
    const ALL: [Self; 2] = [Self::Select, Self::Transaction];

    fn name(self) -> &'static str {
        match self {
            Self::Select => "select by primary key",
            Self::Transaction => "short transaction",
        }
    }

    fn count(self, plan: Plan) -> usize {
        match self {
            Self::Select => plan.selects,
            Self::Transaction => plan.transactions,
        }
    }
}

enum Runner {
    Pool(AnyPool),
    /// One connection for each task.
    Own(Vec<Own>),
}

/// One pool's share of a round, in microseconds: wall and processor time for each operation, and how long one takes.
#[derive(Debug, Clone, Copy)]
struct Figures {
    wall: f64,
    processor: f64,
    p50: f64,
    p99: f64,
}

impl Figures {
    const NAMES: [&str; 4] = ["wall", "processor", "p50", "p99"];

    fn all(self) -> [f64; 4] {
        [self.wall, self.processor, self.p50, self.p99]
    }
}

async fn timed(
    work: impl Future<Output = Result<(), AnyError>>,
) -> Result<f64, AnyError> {
    let began = Instant::now();
    work.await?;
    Ok(micros(began.elapsed()))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The row of a task. No two tasks share one, so no task waits for a lock.
fn row(task: usize, time: usize) -> i64 {
    i64::try_from(task * 100 + time % 100).expect("there are few rows")
}

fn same(asked: i64, answer: i64) -> Result<(), AnyError> {
    if asked == answer {
        Ok(())
    } else {
        Err(format!("a wrong answer: {answer} for {asked}").into())
    }
}

async fn through_pool(
    pool: AnyPool,
    work: Work,
    task: usize,
    count: usize,
) -> Result<(Option<Own>, Vec<f64>), AnyError> {
    let mut times = Vec::with_capacity(count);
    for time in 0..count {
        let row = row(task, time);
        let operation = async {
            match work {
                Work::Select => same(row, pool.ask(SELECT, row, DEADLINE).await?),
                Work::Transaction => pool.transact(row, DEADLINE).await,
            }
        };
        times.push(timed(operation).await?);
    }
    Ok((None, times))
}

async fn over_own(
    mut own: Own,
    work: Work,
    task: usize,
    count: usize,
) -> Result<(Option<Own>, Vec<f64>), AnyError> {
    let mut times = Vec::with_capacity(count);
    for time in 0..count {
        let row = row(task, time);
        let operation = async {
            match work {
                Work::Select => same(row, own.ask(row).await?),
                Work::Transaction => own.transact(row).await,
            }
        };
        times.push(timed(operation).await?);
    }
    Ok((Some(own), times))
}

impl Runner {
    async fn round(
        &mut self,
        work: Work,
        count: usize,
    ) -> Result<Figures, AnyError> {
        let (began, processor) = (Instant::now(), processor_time());
        let mut tasks = JoinSet::new();
        match self {
            Self::Pool(pool) => {
                for task in 0..TASKS {
                    tasks.spawn(through_pool(pool.clone(), work, task, count));
                }
            }
            Self::Own(connections) => {
                for (task, own) in connections.drain(..).enumerate() {
                    tasks.spawn(over_own(own, work, task, count));
                }
            }
        }
        let done = tasks.join_all().await;
        let (wall, processor) = (began.elapsed(), processor_time() - processor);
        let mut times = Vec::with_capacity(TASKS * count);
        for task in done {
            let (own, took) = task?;
            times.extend(took);
            if let Self::Own(connections) = self {
                connections.extend(own);
            }
        }
        let operations = times.len() as f64;
        Ok(Figures {
            wall: micros(wall) / operations,
            processor: micros(processor) / operations,
            p50: quantile(&mut times, 0.5),
            p99: quantile(&mut times, 0.99),
        })
    }
}

/// Of this process, user and system together.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    quantile(&mut values.collect::<Vec<_>>(), 0.5)
}

const OWN: &str = "a connection per task";

/// What was measured: for each round, work and contestant.
pub struct Measured {
    names: Vec<&'static str>,
    /// By work, then by contestant, then by round.
    figures: [Vec<Vec<Figures>>; 2],
}

/// Measures.
///
/// # Errors
///
/// Whatever a pool or the server says, and a wrong answer.
pub async fn run(target: &Target, plan: Plan) -> Result<Measured, AnyError> {
    let began = Instant::now();
    let mut runners = Vec::new();
    for which in Contestant::ALL {
        runners.push(Runner::Pool(AnyPool::open(which, target, SIZE, DEADLINE)?));
    }
    let mut own = Vec::new();
    for _ in 0..TASKS {
        own.push(Own::connect(target, SELECT).await?);
    }
    runners.push(Runner::Own(own));
    let names: Vec<_> =
        Contestant::ALL.map(Contestant::name).into_iter().chain([OWN]).collect();
    let mut figures = [(); 2].map(|()| vec![Vec::new(); names.len()]);
    let mut order: Vec<_> = (0..names.len()).collect();
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    // The round before the first fills the pools.
    for round in 0..=plan.rounds {
        if round > 1 && began.elapsed() > plan.limit {
            break;
        }
        shuffle(&mut order, &mut seed);
        for (at, work) in Work::ALL.into_iter().enumerate() {
            for which in &order {
                let measured =
                    runners[*which].round(work, work.count(plan)).await?;
                if round > 0 {
                    figures[at][*which].push(measured);
                }
            }
        }
    }
    for runner in runners {
        if let Runner::Pool(pool) = runner {
            pool.close().await;
        }
    }
    Ok(Measured { names, figures })
}

fn shuffle(order: &mut [usize], seed: &mut u64) {
    for at in (1..order.len()).rev() {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        order.swap(at, usize::try_from(*seed % (at as u64 + 1)).unwrap_or(at));
    }
}

impl Measured {
    /// How many rounds there were.
    pub fn rounds(&self) -> usize {
        self.figures[0][0].len()
    }

    fn at(&self, name: &str) -> usize {
        self.names.iter().position(|one| *one == name).expect("it took part")
    }

    /// The ratios to deadpool-postgres within each round, of a figure by its number.
    fn ratios(&self, work: usize, which: usize, figure: usize) -> Vec<f64> {
        let (ours, theirs) = (
            &self.figures[work][which],
            &self.figures[work][self.at(Contestant::Deadpool.name())],
        );
        ours.iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours.all()[figure] / theirs.all()[figure])
            .collect()
    }

    fn median_of(&self, work: usize, which: usize, figure: usize) -> f64 {
        median(self.figures[work][which].iter().map(|one| one.all()[figure]))
    }

    /// A table for each kind of work.
    pub fn markdown(&self) -> String {
        let header = [
            "pool",
            "wall, µs/op",
            "ratio",
            "processor, µs/op",
            "ratio",
            "p50, µs",
            "ratio",
            "p99, µs",
            "ratio",
        ];
        let mut text = String::new();
        for (work, kind) in Work::ALL.into_iter().enumerate() {
            let rows: Vec<_> = (0..self.names.len())
                .map(|which| {
                    let mut cells = vec![self.names[which].to_owned()];
                    for figure in 0..4 {
                        let ratio =
                            median(self.ratios(work, which, figure).into_iter());
                        cells.push(format!(
                            "{:.0}",
                            self.median_of(work, which, figure)
                        ));
                        cells.push(format!("{ratio:.2}x"));
                    }
                    cells
                })
                .collect();
            text +=
                &format!("### {}\n\n{}\n", kind.name(), markdown(&header, &rows));
        }
        text
    }

    /// The same for a program, with the spread of the ratios.
    pub fn json(&self) -> Value {
        let works = Work::ALL.into_iter().enumerate().map(|(work, kind)| {
            let pools = (0..self.names.len()).map(|which| {
                let mut pool = json!({ "pool": self.names[which] });
                for (figure, name) in Figures::NAMES.into_iter().enumerate() {
                    let mut ratios = self.ratios(work, which, figure);
                    pool[name] = json!({
                        "median_us": self.median_of(work, which, figure).round(),
                        "ratio": hundredths(quantile(&mut ratios, 0.5)),
                        "ratio_p10": hundredths(quantile(&mut ratios, 0.1)),
                        "ratio_p90": hundredths(quantile(&mut ratios, 0.9)),
                    });
                }
                pool
            });
            json!({ "work": kind.name(), "pools": pools.collect::<Vec<_>>() })
        });
        json!({
            "tasks": TASKS,
            "connections": SIZE,
            "rounds": self.rounds(),
            "ratios_to": Contestant::Deadpool.name(),
            "works": works.collect::<Vec<_>>(),
        })
    }

    /// Of what must be at most that of deadpool-postgres, what is not.
    pub fn broken_musts(&self) -> Vec<String> {
        let ours = self.at(Contestant::Poolhouse.name());
        let mut broken = Vec::new();
        for (work, kind) in Work::ALL.into_iter().enumerate() {
            for (figure, name) in Figures::NAMES.into_iter().enumerate() {
                let ratio = median(self.ratios(work, ours, figure).into_iter());
                if ["wall", "p99"].contains(&name) && ratio > 1.0 {
                    broken.push(format!(
                        "{}: {name} is {ratio:.3} times that of deadpool-postgres",
                        kind.name()
                    ));
                }
            }
        }
        broken
    }
}

fn hundredths(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 1000.0
}
