//! Chaos: bursts and lulls, runtimes that come and go, blocked workers, a machine kept busy, and a process that stands
//! still.
//!
//! The server is in memory and the limits are a few milliseconds, so that everything the background does happens many
//! times in a second, and every lull is longer than every limit. The chaos runs in a child of the test, which the test
//! stops (SIGSTOP) and continues at random. How late something is, is measured in the child's own time, which stands
//! still with it.
//!
//! `cargo test` takes three seconds. For longer, set how long, and a seed if you like:
//!
//! ```sh
//! POOLHOUSE_CHAOS_SECONDS=600 cargo test --release -p poolhouse --test soak chaos -- --nocapture
//! ```

mod server;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use poolhouse::{AcquireError, IdleOrder, Pool, PoolConfig, PooledConnection};
use tokio::runtime::{Builder, Id, Runtime};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use self::server::Server;
use crate::common::{Tally, check_stats, ms, secs};
use crate::env::number;

const MIN: usize = 1;
const MAX: usize = 4;
const MAX_PENDING: usize = 10;
const IDLE: Duration = ms(12);
const LIFETIME: Duration = ms(18);
const TIMEOUT: Duration = ms(40);

/// How much of the process's own time anything may be late by: a worker blocks for some milliseconds, and all threads
/// share what the machine has left.
const BOUND: Duration = ms(250);

/// The time in which this process has run, as a thread sees it that wakes each millisecond. While the process stands
/// still, or the thread gets no processor, hardly any of it passes.
struct OwnTime(AtomicU64);

impl OwnTime {
    const STEP: Duration = ms(4);

    fn begin() -> Arc<Self> {
        let time = Arc::new(Self(AtomicU64::new(0)));
        let kept = Arc::downgrade(&time);
        thread::spawn(move || {
            let mut last = Instant::now();
            while let Some(time) = kept.upgrade() {
                thread::sleep(ms(1));
                let passed = last.elapsed().min(Self::STEP);
                last = Instant::now();
                time.0.fetch_add(u64::try_from(passed.as_micros()).expect("a few"), SeqCst);
            }
        });
        time
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(SeqCst))
    }
}

/// What all share.
struct World {
    own_time: Arc<OwnTime>,
    tally: Tally,
    violations: Mutex<Vec<String>>,
    /// How many connections are open or opening.
    exist: AtomicUsize,
    /// The server is faultless. Otherwise what nobody needs might go for another reason than its age.
    faultless: AtomicBool,
    /// How often `invalidate_all` has been called, and how often it has returned.
    called: AtomicU64,
    returned: AtomicU64,
    /// The runtimes that are gone.
    ended: Mutex<Vec<Id>>,
}

impl World {
    /// One time in so many.
    fn fault(&self, times: u32) -> bool {
        !self.faultless.load(SeqCst) && fastrand::u32(..times) == 0
    }

    fn expect(&self, holds: bool, promise: impl FnOnce() -> String) {
        if !holds {
            lock(&self.violations).push(promise());
        }
    }

    fn assert_kept(&self) {
        assert_eq!(*lock(&self.violations), Vec::<String>::new(), "{}", self.tally);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection in somebody's hands. It may also be let go of by a runtime that ends.
struct InUse(Option<PooledConnection<Server>>);

impl InUse {
    fn let_go(&mut self) -> Option<PooledConnection<Server>> {
        self.0.take().inspect(|connection| connection.in_use.store(false, SeqCst))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        drop(self.let_go());
    }
}

/// Clients and what keeps them going.
#[derive(Clone)]
struct Chaos {
    pool: Pool<Server>,
    world: Arc<World>,
    /// Whether there is a burst, or a lull.
    burst: watch::Receiver<bool>,
}

impl Chaos {
    /// Uses the pool in every burst, until the runtime ends or the bursts do.
    async fn client(mut self, mut rng: fastrand::Rng) {
        while self.burst.wait_for(|burst| *burst).await.is_ok() {
            if let Some(connection) = self.acquire(&mut rng).await {
                self.hold(connection, &mut rng).await;
            }
            check_stats(&self.pool.stats(), "in chaos");
        }
    }

    async fn acquire(&self, rng: &mut fastrand::Rng) -> Option<InUse> {
        let Self { pool, world, .. } = self;
        let own_limit = rng.bool().then(|| ms(rng.u64(2..60)));
        let limit = own_limit.unwrap_or(TIMEOUT);
        // Before the wait, so that what it has to be newer than is known.
        let (epoch, ended) = (world.returned.load(SeqCst), lock(&world.ended).len());
        let (begin, own_begin) = (Instant::now(), world.own_time.now());
        let acquired = match own_limit {
            None => pool.acquire().await,
            // One in four loses patience.
            Some(limit) if rng.u32(..4) == 0 => match timeout(limit / 2, pool.acquire_within(limit)).await {
                Ok(acquired) => acquired,
                Err(_) => return None,
            },
            Some(limit) => pool.acquire_within(limit).await,
        };
        let (took, own_took) = (begin.elapsed(), world.own_time.now().saturating_sub(own_begin));
        world.expect(own_took <= limit + BOUND, || {
            format!("acquire.deadline: an acquire of {limit:?} took {own_took:?}")
        });
        match acquired {
            Ok(connection) => {
                world.tally.count("acquired");
                let age = world.own_time.now().saturating_sub(connection.born);
                world.expect(age <= LIFETIME + BOUND, || format!("max_lifetime: handed out at {age:?}"));
                world.expect(!connection.in_use.swap(true, SeqCst), || {
                    "unique ownership: in two hands".into()
                });
                world.expect(!connection.dirty, || "reset.between: handed out without its reset".into());
                world.expect(connection.epoch >= epoch, || "epoch.invalidate_all: an old one".into());
                let gone = lock(&world.ended)[..ended].contains(&connection.home);
                world.expect(!gone, || "lifetime: a connection of a runtime that is gone".into());
                Some(InUse(Some(connection)))
            }
            Err(AcquireError::Timeout(_)) => {
                world.tally.count("timed out");
                world.expect(took >= limit, || {
                    format!("acquire.deadline: an acquire of {limit:?} timed out after {took:?}")
                });
                None
            }
            Err(AcquireError::Overloaded { waiting, .. }) => {
                world.tally.count("overloaded");
                world.expect(waiting >= MAX_PENDING, || format!("acquire.shed: {waiting} wait"));
                sleep(ms(1)).await;
                None
            }
            Err(other) => {
                world.expect(false, || format!("acquire: {other}"));
                None
            }
        }
    }

    async fn hold(&self, mut connection: InUse, rng: &mut fastrand::Rng) {
        match rng.u32(..100) {
            0..50 => tokio::task::yield_now().await,
            50..90 => sleep(ms(rng.u64(0..4))).await,
            90..98 => {}
            _ => {
                // A worker that is blocked, with everything that is on it.
                self.world.tally.count("blocked workers");
                thread::sleep(ms(rng.u64(3..20)));
            }
        }
        if rng.u32(..20) == 0
            && let Some(connection) = connection.let_go()
        {
            connection.invalidate();
        }
    }

    /// Runtimes that begin and end while others use the pool. One of a single thread stands still between its turns, with
    /// what it has begun and been served.
    fn come_and_go(&self, mut rng: fastrand::Rng, over: &AtomicBool) {
        while !over.load(SeqCst) {
            let runtime =
                if rng.bool() { runtime(1) } else { Builder::new_current_thread().enable_all().build() };
            let runtime = runtime.expect("a runtime");
            for _ in 0..rng.usize(1..4) {
                runtime.spawn(self.clone().client(rng.fork()));
            }
            for _ in 0..rng.u32(1..4) {
                let (life, pause) = (ms(rng.u64(2..60)), ms(rng.u64(0..60)));
                runtime.block_on(async { sleep(life).await });
                thread::sleep(pause);
            }
            let id = runtime.handle().id();
            drop(runtime);
            lock(&self.world.ended).push(id);
            self.world.tally.count("runtimes that ended");
            thread::sleep(ms(rng.u64(0..10)));
        }
    }

    /// What the pool's owner does now and then.
    fn rule(&self, rng: &mut fastrand::Rng) {
        match rng.u32(..7) {
            0 => {
                self.world.called.fetch_add(1, SeqCst);
                self.pool.invalidate_all();
                self.world.returned.fetch_add(1, SeqCst);
            }
            1 => self.pool.resize(rng.usize(MIN..=MAX)).expect("a possible maximum"),
            2 => {
                self.pool.suspend();
                thread::sleep(ms(rng.u64(0..5)));
                self.pool.resume();
            }
            3 => self.pool.invalidate_all_over(LIFETIME),
            4 => {
                let odd = self.pool.retain(|_, info| info.id.is_multiple_of(2));
                (0..odd).for_each(|_| self.world.tally.count("not retained"));
            }
            5 => {
                let (max_uses, fifo) = (rng.bool().then(|| rng.u64(1..20)), rng.bool());
                let idle_order = if fifo { IdleOrder::Fifo } else { IdleOrder::Lifo };
                let config = PoolConfig { max_uses, idle_order, ..self.pool.config() };
                self.pool.reconfigure(config).expect("possible options");
            }
            _ => self.pool.connect_now(),
        }
    }

    /// `idle_timeout`, `size.min`: nobody wants anything for longer than every limit.
    fn lull(&self, rng: &mut fastrand::Rng) {
        let Self { pool, world, .. } = self;
        let in_time = |what: &str, done: &dyn Fn() -> bool| {
            let begin = world.own_time.now();
            while !done() {
                let waited = world.own_time.now().saturating_sub(begin);
                assert!(
                    waited <= BOUND + TIMEOUT * 2,
                    "{what} after {waited:?} of a lull: {:?}",
                    pool.stats()
                );
                thread::sleep(ms(1));
            }
        };
        in_time("somebody uses the pool", &|| {
            let stats = pool.stats();
            stats.pending_requests + stats.active_connections == 0
        });
        world.faultless.store(true, SeqCst);
        thread::sleep(ms(rng.u64(20..60)));
        in_time("more than the minimum is kept", &|| {
            let stats = pool.stats();
            stats.total_connections <= MIN && stats.idle_connections == stats.total_connections
        });
        world.faultless.store(false, SeqCst);
        world.tally.count("lulls");
    }

    /// `cancel.no_loss`: the whole maximum can be held at once, and no more.
    async fn take_stock(&self) {
        let mut held = Vec::new();
        let begin = self.world.own_time.now();
        while held.len() < MAX {
            held.extend(self.pool.acquire_within(secs(1)).await.ok());
            let took = self.world.own_time.now().saturating_sub(begin);
            assert!(took < secs(5), "capacity is lost: {:?}", self.pool.stats());
        }
        assert!(self.pool.try_acquire().is_none(), "more than the maximum");
        check_stats(&self.pool.stats(), "after chaos");
    }
}

fn runtime(workers: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build()
}

/// Keeps a processor busy, on and off.
fn keep_busy(mut rng: fastrand::Rng, over: &AtomicBool) {
    while !over.load(SeqCst) {
        let (begin, busy) = (Instant::now(), ms(rng.u64(5..60)));
        while begin.elapsed() < busy {
            std::hint::spin_loop();
        }
        thread::sleep(ms(rng.u64(5..60)));
    }
}

fn chaos(seed: u64, seconds: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World {
        own_time: OwnTime::begin(),
        tally: Tally::default(),
        violations: Mutex::default(),
        exist: AtomicUsize::new(0),
        faultless: AtomicBool::new(false),
        called: AtomicU64::new(0),
        returned: AtomicU64::new(0),
        ended: Mutex::default(),
    });
    let config = PoolConfig {
        min_connections: MIN,
        max_connections: MAX,
        max_pending: Some(MAX_PENDING),
        connection_timeout: TIMEOUT,
        idle_timeout: IDLE,
        max_lifetime: LIFETIME,
        // What comes back from a check is looked at too: without one only the clock ends what is idle.
        health_check_interval: if rng.bool() { ms(8) } else { secs(60) },
        check_after_idle: if rng.bool() { ms(5) } else { Duration::MAX },
        health_check_timeout: ms(20),
        reset_timeout: ms(20),
        close_timeout: ms(20),
        connect_attempt_timeout: ms(20),
        connect_backoff: ms(1),
        max_connect_backoff: ms(5),
        ..PoolConfig::default()
    };
    let pool = Pool::new(Server(Arc::clone(&world)), config).expect("a possible pool");
    let (bursts, burst) = watch::channel(false);
    let chaos = Chaos { pool, world: Arc::clone(&world), burst };
    let lasting = runtime(2).expect("a runtime");
    for _ in 0..12 {
        lasting.spawn(chaos.clone().client(rng.fork()));
    }
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        // Also when an assertion fails, for otherwise the scope waits forever.
        let _end = SetOnDrop(&over);
        for _ in 0..2 {
            let (chaos, rng, over) = (chaos.clone(), rng.fork(), &over);
            threads.spawn(move || chaos.come_and_go(rng, over));
        }
        let busy = rng.fork();
        threads.spawn(|| keep_busy(busy, &over));
        let end = Instant::now() + secs(seconds);
        while Instant::now() < end {
            bursts.send_replace(true);
            thread::sleep(ms(rng.u64(20..120)));
            chaos.rule(&mut rng);
            thread::sleep(ms(rng.u64(5..20)));
            bursts.send_replace(false);
            chaos.lull(&mut rng);
            world.assert_kept();
        }
    });
    drop(bursts);
    chaos.pool.resize(MAX).expect("a possible maximum");
    lasting.block_on(chaos.take_stock());
    let report = lasting.block_on(chaos.pool.close_within(secs(5)));
    assert!(report.is_complete(), "{report}");
    assert_eq!(world.exist.load(SeqCst), 0, "left open");
    world.assert_kept();
    println!("{:?} of own time: {}", world.own_time.now(), world.tally);
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn seed_and_seconds(default: u64) -> (u64, u64) {
    let seed = number("POOLHOUSE_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = number("POOLHOUSE_CHAOS_SECONDS").unwrap_or(default);
    // Shown when the test fails, and with --nocapture.
    println!("POOLHOUSE_CHAOS_SEED={seed} POOLHOUSE_CHAOS_SECONDS={seconds}");
    (seed, seconds)
}

/// The same in a process that nobody stops; and what the test below runs in a child.
#[test]
#[ignore = "long: a minute of chaos in this process"]
fn chaos_in_one_process() {
    let _alone = crate::alone();
    let (seed, seconds) = seed_and_seconds(60);
    chaos(seed, seconds);
}

/// `reset.between`, `acquire.deadline`, `max_lifetime`, `idle_timeout`, `size.max`, `epoch.invalidate_all`, `cancel.no_loss`: in a process
/// that stands still at random.
#[cfg(unix)]
#[test]
fn chaos_in_a_process_that_is_stopped() {
    use std::process::{Child, Command};

    struct Stopped(Child);

    impl Stopped {
        fn signal(&self, signal: &str) {
            let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
            assert!(sent.is_ok_and(|status| status.success()), "kill {signal}");
        }
    }

    impl Drop for Stopped {
        fn drop(&mut self) {
            // SIGKILL ends a stopped process too.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    let (seed, seconds) = seed_and_seconds(3);
    let child = crate::process::this_test("chaos::chaos_in_one_process")
        .env("POOLHOUSE_CHAOS_SEED", seed.to_string())
        .env("POOLHOUSE_CHAOS_SECONDS", seconds.to_string())
        .spawn();
    let mut child = Stopped(child.expect("this test once more"));
    let (mut rng, begin, mut stops) = (fastrand::Rng::with_seed(seed), Instant::now(), 0);
    let ended = loop {
        thread::sleep(ms(rng.u64(5..150)));
        if let Some(status) = child.0.try_wait().expect("a child") {
            break status;
        }
        assert!(begin.elapsed() < secs(seconds * 3 + 30), "the chaos does not end");
        child.signal("-STOP");
        thread::sleep(ms(rng.u64(1..100)));
        child.signal("-CONT");
        stops += 1;
    };
    println!("{stops} stops in {:?}", begin.elapsed());
    assert!(ended.success(), "the chaos fails: {ended}");
    assert!(stops > 0, "it was never stopped");
}
