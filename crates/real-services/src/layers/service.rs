//! One process of the service. Orders come on its standard input; its end is the end of the process.
//!
//! It prints `ready` when its pool is full. When it is told to end it prints a line for each request, with times of the
//! machine's clock in microseconds: `request BEGAN ACQUIRED ENDED PORT`, or `request BEGAN ACQUIRED ENDED error TEXT`.
//! `ACQUIRED` is 0 if no connection came. The last line is `pending MOST`: how many callers waited in the pool at once.

use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use poolhouse::{Pool, PoolConfig};
use poolhouse_postgres::{PostgresConnection, PostgresManager, PostgresPool};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;

use super::{DEADLINE, POOL, TASKS, now};
use crate::contestants::{AnyError, chain};

/// The word on the command line that makes the program a process of the service.
pub const WORD: &str = "serve";

/// The role with which it logs in. Only its connections are counted.
pub const ROLE: &str = "app";

/// How long the pool may take to fill at the start.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(3);

/// Which server answers, after a while.
const ASK: &str = "SELECT inet_server_port() FROM pg_sleep($1)";

/// How a request sends its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// `query_typed`: nothing is prepared by name.
    Typed,
    /// `prepare_cached`, then `query_one`.
    Prepared,
    /// The same within a transaction. The statement is dropped, and so closed, after the commit.
    InTransaction,
    /// The same, with the statement and the row dropped before the commit.
    DroppedInTransaction,
    /// A typed one of a minute, which each task sends once, and gives up after 100 ms.
    GivenUp,
}

impl Statement {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Typed, "typed"),
        (Self::Prepared, "prepared"),
        (Self::InTransaction, "transaction"),
        (Self::DroppedInTransaction, "dropped"),
        (Self::GivenUp, "given-up"),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(this, _)| *this == self).expect("all are named").1
    }

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, other)| *other == name).map(|(this, _)| *this)
    }
}

/// What one process does.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// The port of the server, or of the proxy.
    pub port: u16,
    /// The connections of its pool.
    pub pool: usize,
    /// How many tasks ask.
    pub tasks: usize,
    /// How long the server works on each request.
    pub work: Duration,
    /// How long a task pauses between two requests, on average. The pauses are exponential.
    pub pause: Duration,
    /// `max_lifetime` of the pool.
    pub lifetime: Duration,
    /// How long the pool and then the server may take.
    pub deadline: Duration,
    /// How it asks.
    pub statement: Statement,
    /// Whether the manager knows of a pooler in transaction mode.
    pub knows_pooler: bool,
}

impl Service {
    /// The service of most scenarios: 5 ms of work, 20 ms of pause, and connections that live for an hour.
    pub fn at(port: u16) -> Self {
        Self {
            port,
            pool: POOL,
            tasks: TASKS,
            work: Duration::from_millis(5),
            pause: Duration::from_millis(20),
            lifetime: Duration::from_secs(3600),
            deadline: DEADLINE,
            statement: Statement::Typed,
            knows_pooler: true,
        }
    }

    /// As an argument of the command line.
    pub fn argument(&self) -> String {
        json!({
            "port": self.port,
            "pool": self.pool,
            "tasks": self.tasks,
            "work": micros(self.work),
            "pause": micros(self.pause),
            "lifetime": micros(self.lifetime),
            "deadline": micros(self.deadline),
            "statement": self.statement.name(),
            "knows_pooler": self.knows_pooler,
        })
        .to_string()
    }

    /// The other way round. `None` if a field is missing or wrong.
    pub fn from_argument(text: &str) -> Option<Self> {
        let fields: Value = serde_json::from_str(text).ok()?;
        let number = |name: &str| fields[name].as_u64();
        let time = |name: &str| number(name).map(Duration::from_micros);
        Some(Self {
            port: number("port")?.try_into().ok()?,
            pool: number("pool")?.try_into().ok()?,
            tasks: number("tasks")?.try_into().ok()?,
            work: time("work")?,
            pause: time("pause")?,
            lifetime: time("lifetime")?,
            deadline: time("deadline")?,
            statement: Statement::named(fields["statement"].as_str()?)?,
            knows_pooler: fields["knows_pooler"].as_bool()?,
        })
    }

    fn open(&self) -> Result<PostgresPool, AnyError> {
        let url =
            format!("postgres://{ROLE}:secret@127.0.0.1:{}/postgres", self.port);
        let mut manager = PostgresManager::from_url(&url)?;
        if self.knows_pooler {
            manager = manager.behind_transaction_pooler();
        }
        let config = PoolConfig {
            min_connections: self.pool,
            max_connections: self.pool,
            max_connecting: self.pool,
            connection_timeout: self.deadline,
            // All processes connect at once at the start, on a machine that may be busy.
            connect_attempt_timeout: CONNECT,
            max_connect_backoff: Duration::from_millis(500),
            max_lifetime: self.lifetime,
            ..PoolConfig::default()
        };
        Ok(Pool::new(manager, config)?)
    }

    /// Runs until standard input ends.
    ///
    /// # Errors
    ///
    /// The pool cannot be filled at the start.
    pub async fn run(self) -> Result<(), AnyError> {
        let pool = self.open()?;
        pool.warm_up_within(PATIENCE).await?;
        println!("ready");
        let (stop, most_pending) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let tasks = (0..self.tasks).map(|task| {
            let (pool, stop) = (pool.clone(), Arc::clone(&stop));
            async move { self.ask_until(task, &pool, &stop).await }
        });
        let tasks: JoinSet<_> = tasks.collect();
        let watch = tokio::spawn({
            let (pool, most) = (pool.clone(), Arc::clone(&most_pending));
            async move {
                loop {
                    most.fetch_max(
                        pool.stats().pending_requests,
                        Ordering::Relaxed,
                    );
                    sleep(Duration::from_millis(2)).await;
                }
            }
        });
        let mut orders = orders();
        while let Some(order) = orders.recv().await {
            if let Some(spread) =
                order.strip_prefix("renew ").and_then(|millis| millis.parse().ok())
            {
                pool.invalidate_all_over(Duration::from_millis(spread));
            }
        }
        stop.store(true, Ordering::Relaxed);
        let lines = tasks.join_all().await.concat();
        watch.abort();
        let mut out = stdout().lock();
        out.write_all(lines.as_bytes())?;
        writeln!(out, "pending {}", most_pending.load(Ordering::Relaxed))?;
        Ok(())
    }

    async fn ask_until(
        self,
        task: usize,
        pool: &PostgresPool,
        stop: &AtomicBool,
    ) -> String {
        let mut lines = String::new();
        let mut pauses = Pauses::new(self.pause, task);
        while !stop.load(Ordering::Relaxed) {
            sleep(pauses.next()).await;
            lines += &self.request(pool).await;
            if self.statement == Statement::GivenUp {
                break;
            }
        }
        lines
    }

    async fn request(self, pool: &PostgresPool) -> String {
        let began = micros(now());
        let (acquired, outcome) = match pool.acquire().await {
            Err(error) => (0, Err(AnyError::from(error))),
            Ok(mut connection) => {
                let acquired = micros(now());
                let answer = self.ask(&mut connection);
                let outcome = match timeout(self.statement_limit(), answer).await {
                    Ok(outcome) => outcome.map_err(AnyError::from),
                    Err(late) => Err(late.into()),
                };
                (acquired, outcome)
            }
        };
        let ended = micros(now());
        match outcome {
            Ok(port) => format!("request {began} {acquired} {ended} {port}\n"),
            Err(error) => format!(
                "request {began} {acquired} {ended} error {}\n",
                chain(&error)
            ),
        }
    }

    fn statement_limit(self) -> Duration {
        if self.statement == Statement::GivenUp {
            Duration::from_millis(100)
        } else {
            self.deadline
        }
    }

    async fn ask(
        self,
        connection: &mut PostgresConnection,
    ) -> Result<i32, tokio_postgres::Error> {
        let seconds = self.work.as_secs_f64();
        match self.statement {
            Statement::Typed => connection
                .query_typed_one(ASK, &[(&seconds, Type::FLOAT8)])
                .await?
                .try_get(0),
            Statement::GivenUp => connection
                .query_typed_one(ASK, &[(&60.0, Type::FLOAT8)])
                .await?
                .try_get(0),
            Statement::Prepared => {
                let statement = connection.prepare_cached(ASK).await?;
                connection.query_one(&statement, &[&seconds]).await?.try_get(0)
            }
            Statement::InTransaction => {
                let transaction = connection.transaction().await?;
                let statement = transaction.prepare_cached(ASK).await?;
                let row = transaction.query_one(&statement, &[&seconds]).await?;
                transaction.commit().await?;
                row.try_get(0)
            }
            Statement::DroppedInTransaction => {
                let transaction = connection.transaction().await?;
                let statement = transaction.prepare_cached(ASK).await?;
                // A row keeps its statement, too.
                let port = transaction
                    .query_one(&statement, &[&seconds])
                    .await?
                    .try_get(0);
                drop(statement);
                transaction.commit().await?;
                port
            }
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The lines of standard input, until it ends. A thread of its own reads them: it may wait forever.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (send, receive) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// Exponential pauses, the same ones in each run.
struct Pauses {
    mean: Duration,
    state: u64,
}

impl Pauses {
    fn new(mean: Duration, seed: usize) -> Self {
        // Processes differ, so that they do not all ask at once.
        Self {
            mean,
            state: (seed as u64 + 1) << 32 | u64::from(std::process::id()),
        }
    }

    /// By xorshift64*.
    fn next(&mut self) -> Duration {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        let share = (bits as f64 + 1.0) / (1_u64 << 53) as f64;
        self.mean.mul_f64(-share.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_leads_back_to_the_service() {
        let service =
            Service { statement: Statement::InTransaction, ..Service::at(5432) };
        let read = Service::from_argument(&service.argument()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{service:?}"));
        assert!(Service::from_argument("{}").is_none());
    }

    #[test]
    fn pauses_have_their_mean() {
        let mut pauses = Pauses::new(Duration::from_millis(20), 3);
        let sum: Duration = (0..10_000).map(|_| pauses.next()).sum();
        let mean = sum / 10_000;
        assert!(
            mean > Duration::from_millis(19) && mean < Duration::from_millis(21),
            "{mean:?}"
        );
    }
}
