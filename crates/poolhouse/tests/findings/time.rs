//! `time.fresh`: no decision rests on a reading of the clock from before the call, also where nothing but the call itself
//! could have looked at the clock in between: the runtime is not driven, has ended, is blocked, or the process was stopped.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use poolhouse::{IdleOrder, Manager, Pool, PoolConfig};
use tokio::runtime::{Builder, Runtime};

use crate::common::{config, ms, secs};
use crate::support::{bounded, command, is_child, one_thread};

/// More calls in a burst than it takes to be called busy.
const BURST: usize = 300;

/// Connections that know when they were opened, used and checked, and a manager that takes a while to connect.
struct Dated {
    connect_takes: Duration,
    checks: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Dates {
    opened: Instant,
    used: Instant,
    checked: Instant,
}

impl Dated {
    fn new(connect_takes: Duration) -> Self {
        Self { connect_takes, checks: AtomicUsize::new(0) }
    }
}

impl Manager for Dated {
    type Connection = Dates;
    type Error = Infallible;

    async fn connect(&self) -> Result<Dates, Infallible> {
        if !self.connect_takes.is_zero() {
            tokio::time::sleep(self.connect_takes).await;
        }
        let now = Instant::now();
        Ok(Dates { opened: now, used: now, checked: now })
    }

    async fn check(&self, connection: &mut Dates) -> Result<(), Infallible> {
        self.checks.fetch_add(1, SeqCst);
        connection.checked = Instant::now();
        Ok(())
    }

    fn target(&self) -> Cow<'_, str> {
        "dated:1".into()
    }
}

fn dated(connect_takes: Duration, config: PoolConfig) -> Pool<Dated> {
    Pool::new(Dated::new(connect_takes), config).expect("a possible configuration")
}

/// Many calls in a short time.
fn burst(pool: &Pool<Dated>) {
    for _ in 0..BURST {
        drop(pool.try_acquire());
    }
}

/// Nothing looks at a lull after the last round, so there is none.
fn lull_between(round: usize, lull: Duration) {
    if round > 0 {
        thread::sleep(lull);
    }
}

/// time.fresh, acquire.deadline: one pool, one runtime after another. An acquire in the next runtime has its whole limit,
/// however busy the last one was.
#[test]
fn an_acquire_in_the_next_runtime_has_its_whole_limit() {
    bounded(secs(60), || {
        let limit = secs(1);
        let pool = dated(ms(50), PoolConfig { connection_timeout: limit, ..config(4) });
        for round in 0..4 {
            lull_between(round, limit + ms(200));
            let runtime = Runtime::new().unwrap();
            let begin = Instant::now();
            let acquired = runtime.block_on(async { pool.acquire().await.map(drop) });
            assert!(acquired.is_ok(), "round {round}: {acquired:?} after {:?}", begin.elapsed());
            runtime.block_on(async { burst(&pool) });
            drop(runtime);
        }
    });
}

/// time.fresh, acquire.deadline: the same for several tasks of the next runtime, which find the pool empty.
#[test]
fn all_tasks_of_the_next_runtime_have_their_whole_limit() {
    bounded(secs(60), || {
        let limit = secs(1);
        let pool = dated(ms(20), PoolConfig { connection_timeout: limit, ..config(4) });
        for round in 0..3 {
            lull_between(round, limit + ms(200));
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    let pool = pool.clone();
                    runtime.spawn(async move {
                        pool.acquire().await.map(drop).map_err(|error| error.to_string())?;
                        burst(&pool);
                        Ok::<_, String>(())
                    })
                })
                .collect();
            for task in tasks {
                let ended = runtime.block_on(task).unwrap();
                assert_eq!(ended, Ok(()), "round {round}");
            }
            burst(&pool);
            drop(runtime);
        }
    });
}

/// time.fresh: a runtime that is driven for one exchange after another. After a lull longer than `max_lifetime` no
/// connection from before it is handed out.
#[test]
fn after_a_lull_between_exchanges_nobody_gets_a_connection_past_its_lifetime() {
    bounded(secs(60), || {
        let lifetime = ms(200);
        let runtime = one_thread();
        let pool = dated(ms(0), PoolConfig { max_lifetime: lifetime, ..config(2) });
        let mut stale = 0;
        for _ in 0..8 {
            runtime.block_on(async {
                drop(pool.acquire().await.unwrap());
                for _ in 0..BURST {
                    drop(pool.acquire().await.unwrap());
                }
            });
            let lull = Instant::now();
            thread::sleep(lifetime + ms(20));
            let opened = runtime.block_on(async { pool.acquire().await.unwrap().opened });
            stale += usize::from(opened <= lull);
        }
        assert_eq!(stale, 0, "of 8 lulls ended with a connection that was past its lifetime");
    });
}

/// time.fresh: `try_acquire` from a thread without a runtime, after a lull. A connection that has to be checked first is
/// not handed out, nor is one past `idle_timeout`.
#[test]
fn after_a_lull_try_acquire_in_a_plain_thread_gives_nothing_stale() {
    bounded(secs(60), || {
        let base = || PoolConfig { health_check_interval: Duration::MAX, ..config(1) };
        let cases = [
            ("check_after_idle", PoolConfig { check_after_idle: ms(100), ..base() }),
            ("idle_timeout", PoolConfig { idle_timeout: ms(200), ..base() }),
            ("max_lifetime", PoolConfig { max_lifetime: ms(300), ..base() }),
        ];
        // Side by side, since each does little but lie idle.
        thread::scope(|scope| {
            for (option, config) in cases {
                scope.spawn(move || {
                    let runtime = one_thread();
                    let pool = dated(ms(0), config);
                    for round in 0..3 {
                        runtime.block_on(async { drop(pool.acquire().await.unwrap()) });
                        burst(&pool);
                        thread::sleep(ms(500));
                        assert!(pool.try_acquire().is_none(), "{option}, round {round}: a stale one");
                    }
                });
            }
        });
    });
}

/// time.fresh: a runtime whose only thread was blocked. The next acquire sees how long connections have idled, and has
/// them checked.
#[test]
fn after_its_runtime_was_blocked_an_acquire_knows_the_ages() {
    bounded(secs(60), || {
        let config =
            PoolConfig { check_after_idle: ms(100), health_check_interval: Duration::MAX, ..config(1) };
        let pool = dated(ms(0), config);
        one_thread().block_on(async {
            drop(pool.acquire().await.unwrap());
            let checks = || pool.manager().checks.load(SeqCst);
            for round in 0..4 {
                burst(&pool);
                let before = checks();
                thread::sleep(ms(300));
                drop(pool.acquire().await.unwrap());
                assert_eq!(checks(), before + 1, "round {round}: handed out unchecked");
            }
        });
    });
}

/// time.fresh, acquire.deadline: a runtime whose only thread was blocked for longer than the limit. An
/// acquire then has the whole limit.
#[test]
fn after_its_runtime_was_blocked_an_acquire_has_its_whole_limit() {
    bounded(secs(60), || {
        let limit = ms(800);
        let pool = dated(ms(20), PoolConfig { connection_timeout: limit, ..config(2) });
        one_thread().block_on(async {
            for round in 0..3 {
                let held = pool.acquire().await.unwrap();
                burst(&pool);
                thread::sleep(limit + ms(100));
                // The other one has to be opened, which takes a while.
                let begin = Instant::now();
                let other = pool.acquire().await;
                assert!(other.is_ok(), "round {round}: {other:?} after {:?}", begin.elapsed());
                other.unwrap().invalidate();
                drop(held);
            }
        });
    });
}

const IDLE: usize = 10;
const STOPPED: &str = "time::after_the_process_was_stopped_no_unchecked_connection_is_handed_out";

/// Uses a pool until the process has been stopped for a while, and says how many connections that had idled through it
/// were handed out unchecked.
fn be_stopped() -> usize {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = PoolConfig {
        check_after_idle: ms(100),
        health_check_interval: Duration::MAX,
        idle_order: IdleOrder::Fifo,
        ..config(IDLE)
    };
    let pool = dated(ms(0), config);
    runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..IDLE {
            held.push(pool.acquire().await.unwrap());
        }
    });
    println!("ready");
    let begin = Instant::now();
    let (mut last, mut unchecked, mut left) = (Instant::now(), 0, None);
    while left != Some(0) {
        assert!(begin.elapsed() < secs(20), "nobody stops this process");
        let asked = Instant::now();
        if asked.duration_since(last) > secs(1) {
            left = Some(5 * IDLE);
        }
        last = asked;
        let Some(mut connection) = pool.try_acquire() else {
            if let Some(left) = &mut left {
                *left -= 1;
            }
            continue;
        };
        if let Some(left) = &mut left {
            *left -= 1;
            // Whether it has idled through the stop, seen from an instant after it.
            let idle_since = connection.used.max(connection.checked);
            unchecked += usize::from(asked.duration_since(idle_since.min(asked)) > secs(1));
        }
        connection.used = Instant::now();
    }
    unchecked
}

/// time.fresh: a process that is stopped while it is busy, as a frozen serverless instance is. Of the connections that
/// idled meanwhile none is handed out unchecked.
#[cfg(target_os = "linux")]
#[test]
fn after_the_process_was_stopped_no_unchecked_connection_is_handed_out() {
    if is_child(STOPPED) {
        println!("unchecked={}", bounded(secs(25), be_stopped));
        return;
    }
    let mut child = command(STOPPED).stdout(Stdio::piped()).spawn().unwrap();
    let (send, lines) = mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    let mut seen = Vec::new();
    let mut wait_for = |what: &str| loop {
        match lines.recv_timeout(secs(30)) {
            Ok(line) if line.contains(what) => break Some(line),
            Ok(line) => seen.push(line),
            Err(_) => break None,
        }
    };
    let signal = |name: &str, pid: u32| {
        let sent = Command::new("kill").args([name, &pid.to_string()]).status().unwrap();
        assert!(sent.success(), "kill {name} {pid}");
    };
    let ready = wait_for("ready").is_some();
    if ready {
        // Busy for a moment first, then stopped for longer than it may idle.
        thread::sleep(ms(200));
        signal("-STOP", child.id());
        thread::sleep(ms(1500));
        signal("-CONT", child.id());
    }
    let unchecked = wait_for("unchecked=");
    let _ = child.kill();
    child.wait().unwrap();
    let unchecked = unchecked.unwrap_or_else(|| panic!("the child said nothing: {seen:?}"));
    let (_, number) = unchecked.split_once('=').unwrap();
    let number: usize = number.trim().parse().unwrap();
    // The one that was on its way back as the process was stopped may have been back just after it.
    assert!(number <= 1, "{number} of {IDLE} were handed out unchecked");
}
