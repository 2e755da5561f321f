//! What the clients of every simulation do, and what they hold the pool to.
//!
//! Every question is different from every other, so an answer that belongs to another question shows. Whatever fails,
//! a client lets go of its connection like any other: to find out that it is broken is the pool's job.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use poolhouse::{AcquireError, Dial, PacketError, PacketManager, Pool, PoolStats, PooledConnection};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(crate) type PacketPoolOf<D> = Pool<PacketManager<D>>;
pub(crate) type Held<D> = PooledConnection<PacketManager<D>>;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// What every wait is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// `connection_timeout`.
    pub(crate) acquire: Duration,
    /// `io_timeout`.
    pub(crate) io: Duration,
    /// What a timer may be late by. On the paused clock that is its resolution.
    pub(crate) slack: Duration,
    /// Whether an end of stream that had arrived can be told from one that arrives just now: on one thread only.
    pub(crate) known_dead: bool,
}

impl Limits {
    /// Fails if what should end within `limit` does not.
    async fn hold<F: Future>(&self, limit: Duration, what: &str, wait: F) -> F::Output {
        let begin = Instant::now();
        let ended = tokio::time::timeout(limit + self.slack, wait).await;
        ended.unwrap_or_else(|_| panic!("{what} took {:?} and more, of {limit:?}", begin.elapsed()))
    }
}

/// How often what happened.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tally {
    pub(crate) fn count(&self, what: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    /// What was counted, and how often.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.all().into_iter().map(|(what, count)| format!("{what} {count}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// A payload that no other call returns.
pub(crate) fn question(length: usize) -> Bytes {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut text = format!("question {:020} ", LAST.fetch_add(1, Relaxed)).into_bytes();
    text.resize(text.len().max(length), b'.');
    text.into()
}

/// `acquire.deadline`: an acquire ends by its time, whichever way. `health.known_dead`: what it hands out has not been
/// closed by the peer, as far as this end knows.
pub(crate) async fn acquire<D: Dial>(
    pool: &PacketPoolOf<D>,
    limits: &Limits,
) -> Result<Held<D>, AcquireError> {
    let mut connection = limits.hold(limits.acquire, "an acquire", pool.acquire()).await?;
    assert!(!limits.known_dead || connection.is_connected(), "a dead connection was handed out");
    Ok(connection)
}

/// One question and its answer. Each half ends by `io_timeout`.
pub(crate) async fn exchange<D: Dial>(
    connection: &mut Held<D>,
    limits: &Limits,
    length: usize,
) -> Result<Answer, PacketError> {
    let question = question(length);
    send(connection, limits, question.clone()).await?;
    receive(connection, limits, &question).await
}

pub(crate) async fn send<D: Dial>(
    connection: &mut Held<D>,
    limits: &Limits,
    question: Bytes,
) -> Result<(), PacketError> {
    limits.hold(limits.io, "a send", connection.send_packet(question)).await
}

pub(crate) async fn receive<D: Dial>(
    connection: &mut Held<D>,
    limits: &Limits,
    question: &Bytes,
) -> Result<Answer, PacketError> {
    let answer = limits.hold(limits.io, "a receive", connection.receive()).await?;
    Ok(if answer == *question { Answer::Mine } else { Answer::Foreign })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Mine,
    /// It belongs to another question.
    Foreign,
}

/// One word for what became of an exchange.
pub(crate) fn kind_of_exchange(result: &Result<Answer, PacketError>) -> &'static str {
    match result {
        Ok(Answer::Mine) => "answered",
        Ok(Answer::Foreign) => "foreign",
        Err(PacketError::Disconnected { mid_frame: false, .. }) => "disconnected",
        Err(PacketError::Disconnected { .. }) => "cut",
        Err(PacketError::FrameTooLong { .. }) => "too long",
        Err(PacketError::TimedOut { .. }) => "silent",
        Err(PacketError::Broken { .. }) => "broken",
        Err(PacketError::Io { .. }) => "io",
        Err(_) => "other",
    }
}

/// One word for why an acquire failed.
pub(crate) fn kind_of_acquire(error: &AcquireError) -> &'static str {
    match error {
        AcquireError::Timeout(_) => "acquire timed out",
        AcquireError::Connect(_) => "connect failed",
        AcquireError::Closed { .. } => "closed",
        AcquireError::Overloaded { .. } => "overloaded",
        _ => "other",
    }
}

/// `stats.consistent`: the promises of one snapshot.
#[track_caller]
pub(crate) fn check_stats(stats: &PoolStats, context: &str) {
    let PoolStats { total_connections: total, idle_connections: idle, active_connections: active, .. } =
        *stats;
    assert_eq!(total, idle + active, "{context}: {stats:?}");
    assert_eq!(stats.connections_created, stats.connections_destroyed + total as u64, "{context}: {stats:?}");
    assert_eq!(stats.total_acquisitions, stats.total_releases + active as u64, "{context}: {stats:?}");
    assert!(stats.checking + stats.resetting <= idle, "{context}: {stats:?}");
}

/// Holds the whole maximum at once and puts a question to every connection. `None` unless all were answered.
pub(crate) async fn full_house<D: Dial>(
    pool: &PacketPoolOf<D>,
    limits: Limits,
    tally: &Tally,
) -> Option<Vec<Held<D>>> {
    let max = pool.stats().max_connections;
    let mut held = Vec::new();
    for _ in 0..max {
        match acquire(pool, &limits).await {
            Ok(connection) => held.push(connection),
            Err(error) => {
                tally.count(kind_of_acquire(&error));
                return None;
            }
        }
    }
    let mut exchanges = JoinSet::new();
    for mut connection in held {
        exchanges.spawn(async move { (exchange(&mut connection, &limits, 16).await, connection) });
    }
    let mut answered = Vec::new();
    while let Some(ended) = exchanges.join_next().await {
        let (answer, connection) =
            ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let kind = kind_of_exchange(&answer);
        tally.count(kind);
        if kind == "answered" {
            answered.push(connection);
        }
    }
    check_stats(&pool.stats(), "a full house");
    (answered.len() == max).then_some(answered)
}

/// `size.max`: while the whole maximum is held, nobody gets one more.
pub(crate) async fn assert_no_more<D: Dial>(pool: &PacketPoolOf<D>) {
    assert!(pool.try_acquire().is_none(), "more than the maximum");
    assert!(tokio::time::timeout(ms(50), pool.acquire()).await.is_err(), "more than the maximum");
}
