//! Every fault in every phase.
//!
//! A cell of the matrix is a world of its own: a network, a server and a pool of four. The pool is brought into the
//! phase, the fault strikes, and eight clients use the pool while it lasts. Then the fault is lifted, and the pool has
//! to be as good as new: within a bound all four connections are held at once and answer, nothing is lost and nothing
//! is left over, at either end. What the clients saw is printed as a table.

use std::fmt::Write;
use std::time::Duration;

use poolhouse::{PacketManager, PacketOptions, Pool, PoolConfig};
use poolhouse_echo::Faults;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::common::{
    Held, Limits, PacketPoolOf, Tally, acquire, assert_no_more, check_stats, exchange, full_house,
    kind_of_acquire, kind_of_exchange, ms, question, receive, secs, send,
};
use crate::faults::{self, Fault, SHORT, What};
use crate::network::{Dialer, IN_FLIGHT, Network};

/// Where the pool is in its dealings with the server when the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is open yet.
    Connect,
    /// Four are held that have never been used, and four acquires wait.
    FirstExchange,
    /// Four lie idle.
    Idle,
    /// The health checks of idle connections are about to begin.
    HealthCheck,
    /// Four questions are with the server.
    MidExchange,
    /// Four are given back just then, two of them with an answer outstanding.
    Release,
    /// Two are held, two are being opened and two acquires wait when the pool is closed.
    Close,
}

const PHASES: [Phase; 7] = [
    Phase::Connect,
    Phase::FirstExchange,
    Phase::Idle,
    Phase::HealthCheck,
    Phase::MidExchange,
    Phase::Release,
    Phase::Close,
];

const MAX: usize = 4;
const CLIENTS: usize = 8;
const CHECK_INTERVAL: Duration = secs(10);

const LIMITS: Limits = Limits { acquire: secs(5), io: secs(2), slack: ms(2), known_dead: true };

/// How long a pool may take to be as good as new: a question that is never answered, a pause of the backoff and a
/// connect, one after the other.
const RECOVERY: Duration = secs(4);

fn config() -> PoolConfig {
    PoolConfig {
        min_connections: 1,
        max_connections: MAX,
        connection_timeout: LIMITS.acquire,
        connect_attempt_timeout: secs(1),
        health_check_interval: CHECK_INTERVAL,
        health_check_timeout: secs(1),
        connect_backoff: ms(50),
        max_connect_backoff: secs(1),
        ..PoolConfig::default()
    }
}

fn pool(network: &Network) -> PacketPoolOf<Dialer> {
    let options = PacketOptions { io_timeout: LIMITS.io, ..PacketOptions::default() };
    Pool::new(PacketManager::new(network.dialer()).with_options(options), config()).expect("a possible pool")
}

/// What a cell showed.
struct Seen {
    /// What the clients saw while the fault lasted, and how long it took them.
    during: String,
    took: Duration,
    /// Questions that were not answered between the lifting and the recovery.
    silent: u64,
    recovery: Duration,
}

/// One world, in its own runtime with its own clock.
fn cell(fault: &Fault, phase: Phase) -> Seen {
    // The pool's own draws, of jitter, come from here.
    fastrand::seed(1);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    let context = format!("{} in {phase:?}", fault.name);
    let world = async {
        let network = Network::new(Faults { latency: Some(ms(10)), ..Faults::default() });
        let (pool, tally, begin) = (pool(&network), Tally::default(), Instant::now());
        strike_in(phase, fault, &network, &pool, &tally).await;
        if phase != Phase::Close {
            traffic(&pool, &tally).await;
        }
        let (during, took) = (tally.to_string(), begin.elapsed());
        check_stats(&pool.stats(), &context);
        fault.lift(&network).await;
        // What the server has closed arrives.
        sleep(ms(1)).await;
        let pool = if phase == Phase::Close { self::pool(&network) } else { pool };
        let seen = recover(&network, &pool, &context, during, took).await;
        leaves_nothing(fault, &network, &pool, &context).await;
        seen
    };
    let ended = runtime.block_on(async { tokio::time::timeout(secs(600), world).await });
    ended.unwrap_or_else(|_| panic!("{context}: it hangs"))
}

/// The pool is as good as new within a bound.
async fn recover(
    network: &Network,
    pool: &PacketPoolOf<Dialer>,
    context: &str,
    during: String,
    took: Duration,
) -> Seen {
    let (after, lifted) = (Tally::default(), Instant::now());
    let held = loop {
        match full_house(pool, LIMITS, &after).await {
            Some(held) => break held,
            None => assert!(lifted.elapsed() <= RECOVERY, "{context}: not recovered: {after}, {pool:?}"),
        }
    };
    let recovery = lifted.elapsed();
    assert!(recovery <= RECOVERY, "{context}: recovered after {recovery:?}");
    // A question to a connection that the fault has left dumb may fail, once for each. Nothing else may.
    let mut failures = after.all();
    failures.remove("answered");
    let silent = failures.remove("silent").unwrap_or_default();
    assert!(failures.is_empty() && silent <= MAX as u64, "{context}: {after} after the fault");
    assert_no_more(pool).await;
    drop(held);
    let again = Tally::default();
    assert!(full_house(pool, LIMITS, &again).await.is_some(), "{context}: fails again: {again}");
    sleep(ms(10)).await;
    let (open, total) = (network.counts().open, pool.stats().total_connections);
    assert_eq!((open, network.ends()), (total as u64, total), "{context}: a stray connection");
    Seen { during, took, silent, recovery }
}

/// Nothing was ever beyond the maximum, and nothing outlives the pool.
async fn leaves_nothing(fault: &Fault, network: &Network, pool: &PacketPoolOf<Dialer>, context: &str) {
    assert!(network.ends_peak() <= MAX, "{context}: {} connections at once", network.ends_peak());
    // A server behind a silent wire does not learn what has been closed.
    let most = if matches!(fault.what, What::Silence | What::Forgotten) { usize::MAX } else { MAX };
    assert!(network.servers_peak() <= most, "{context}: the server had {}", network.servers_peak());
    check_stats(&pool.stats(), context);
    pool.close().await;
    let accepted = network.counts().accepted;
    sleep(secs(60)).await;
    assert_eq!((network.ends(), network.counts().open), (0, 0), "{context}: open after close");
    assert_eq!(network.counts().accepted, accepted, "{context}: opened after close");
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0, "{context}: tasks are left");
}

/// Brings the pool into the phase, and lets the fault strike.
async fn strike_in(
    phase: Phase,
    fault: &Fault,
    network: &Network,
    pool: &PacketPoolOf<Dialer>,
    tally: &Tally,
) {
    let warm = || async { full_house(pool, LIMITS, &Tally::default()).await.expect("a faultless server") };
    match phase {
        Phase::Connect => fault.strike(network).await,
        Phase::FirstExchange => {
            let held = hold(pool, MAX).await;
            let waiting = wait_in_line(pool, MAX, tally).await;
            fault.strike(network).await;
            use_all(held, tally).await;
            join(waiting).await;
        }
        Phase::Idle => {
            drop(warm().await);
            fault.strike(network).await;
            sleep(secs(3)).await;
        }
        Phase::HealthCheck => {
            drop(warm().await);
            sleep(CHECK_INTERVAL - ms(5)).await;
            fault.strike(network).await;
            sleep(ms(10)).await;
        }
        Phase::MidExchange => {
            let mut asked = Vec::new();
            for mut connection in warm().await {
                let question = question(16);
                send(&mut connection, &LIMITS, question.clone()).await.expect("the pipe has room");
                asked.push((connection, question));
            }
            sleep(ms(1)).await;
            fault.strike(network).await;
            for (mut connection, question) in asked {
                let mut answer = receive(&mut connection, &LIMITS, &question).await;
                tally.count(kind_of_exchange(&answer));
                if answer.is_ok() {
                    answer = exchange(&mut connection, &LIMITS, SHORT + 1).await;
                    tally.count(kind_of_exchange(&answer));
                }
            }
        }
        Phase::Release => {
            let mut held = warm().await;
            for connection in &mut held[..MAX / 2] {
                send(connection, &LIMITS, question(16)).await.expect("the pipe has room");
            }
            fault.strike(network).await;
            drop(held);
        }
        Phase::Close => close_in_trouble(fault, network, pool, tally).await,
    }
}

async fn hold(pool: &PacketPoolOf<Dialer>, count: usize) -> Vec<Held<Dialer>> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(acquire(pool, &LIMITS).await.expect("a faultless server"));
    }
    held
}

/// Acquires that begin now, one after the other, and wait.
async fn wait_in_line(pool: &PacketPoolOf<Dialer>, count: usize, tally: &Tally) -> JoinSet<()> {
    let mut waiting = JoinSet::new();
    for _ in 0..count {
        let (pool, tally) = (pool.clone(), tally.clone());
        waiting.spawn(async move {
            match acquire(&pool, &LIMITS).await {
                Ok(_) => tally.count("served"),
                Err(error) => tally.count(kind_of_acquire(&error)),
            }
        });
    }
    while pool.stats().pending_requests < count {
        tokio::task::yield_now().await;
    }
    waiting
}

/// One exchange on each, at the same time, and back they go. The first question is longer than what a wire holds.
async fn use_all(held: Vec<Held<Dialer>>, tally: &Tally) {
    let mut users = JoinSet::new();
    for (number, mut connection) in held.into_iter().enumerate() {
        let tally = tally.clone();
        let length = if number == 0 { 3 * IN_FLIGHT } else { SHORT + 1 };
        users.spawn(async move {
            tally.count(kind_of_exchange(&exchange(&mut connection, &LIMITS, length).await));
        });
    }
    join(users).await;
}

/// close.complete: whatever the server does, a waiter is told at once, and the pool is closed when the
/// holders let go.
async fn close_in_trouble(fault: &Fault, network: &Network, pool: &PacketPoolOf<Dialer>, tally: &Tally) {
    let held = hold(pool, 2).await;
    let waiting = wait_in_line(pool, 4, tally).await;
    while pool.stats().connecting < 2 {
        tokio::task::yield_now().await;
    }
    fault.strike(network).await;
    let users = async {
        use_all(held, tally).await;
        join(waiting).await;
    };
    let (report, ()) = tokio::join!(pool.close_within(LIMITS.io * 2 + LIMITS.slack), users);
    assert!(report.is_complete(), "{}: {report}", fault.name);
    sleep(ms(1)).await;
    assert_eq!(network.ends(), 0, "{}: open after close", fault.name);
}

/// Eight clients, two uses each, two exchanges a use.
async fn traffic(pool: &PacketPoolOf<Dialer>, tally: &Tally) {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (pool, tally) = (pool.clone(), tally.clone());
        clients.spawn(async move {
            for _ in 0..2 {
                match acquire(&pool, &LIMITS).await {
                    Ok(mut connection) => {
                        for _ in 0..2 {
                            let answer = exchange(&mut connection, &LIMITS, SHORT + 1).await;
                            tally.count(kind_of_exchange(&answer));
                            if answer.is_err() {
                                break;
                            }
                        }
                    }
                    Err(error) => tally.count(kind_of_acquire(&error)),
                }
                check_stats(&pool.stats(), "under traffic");
            }
        });
    }
    join(clients).await;
}

async fn join(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
}

fn cannot_connect(fault: &Fault) -> bool {
    match &fault.what {
        What::Server(faults) => faults.max_connections.is_some() || faults.close_after_frames == Some(0),
        What::Stopped | What::Silence | What::SlowDial(_) => true,
        _ => false,
    }
}

/// `acquire.deadline`, `cancel.tainted`, `close.complete`, `size.max`, `stats.consistent`, `health.known_dead`: under
/// every fault in every phase, and after it.
#[test]
fn every_fault_in_every_phase() {
    let faults = faults::all();
    let mut table = String::new();
    for fault in &faults {
        let mut marks = 0;
        for phase in PHASES {
            let seen = cell(fault, phase);
            let faultless = cell(&faults[0], phase);
            let Seen { during, took, silent, recovery } = &seen;
            marks += usize::from((during, took) != (&faultless.during, &faultless.took));
            // Where a connect takes no time, a waiter gets a connection, however many have died.
            let timed_out = during.contains("timed out");
            assert!(!timed_out || cannot_connect(fault), "{} in {phase:?}: {during}", fault.name);
            let foreign = during.contains("foreign");
            assert!(!foreign || fault.name == "crosstalk", "{} in {phase:?}: {during}", fault.name);
            let (name, phase) = (fault.name, format!("{phase:?}"));
            let _ = writeln!(
                table,
                "{name:22} {phase:13} {during}; {} ms; recovered in {} ms, silent {silent}",
                took.as_millis(),
                recovery.as_millis()
            );
        }
        // A row in which nothing happens tries nothing.
        assert!(marks > 0 || fault.name == "nothing", "{} shows in no phase:\n{table}", fault.name);
    }
    println!("{table}");
}
