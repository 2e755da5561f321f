//! What every scenario begins and ends with.
//!
//! A scenario has three parts. It sets up: connections are held, waiters stand in line, and the background task has
//! come to rest. In this part there is one order of steps. From [`World::race`] on, all orders are explored. When the
//! scenario returns, there is one order again, and the world must be whole: nobody waits, nothing is held, the maximum
//! can be taken and not one more, and a close leaves no connection. The background task ends with the pool, for a
//! thread that never ends is reported as a deadlock; so is a wake-up that is lost.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use loom::thread::JoinHandle;

use crate::executor::block_on;
use crate::{AcquireError, Dialer, Pool, PoolConfig, PoolStats, PooledConnection, Runtime, alone};

/// A pool in one run of a scenario.
pub struct World {
    pub pool: Pool<Dialer>,
    pub dialer: Dialer,
    /// The most connections that may live at once.
    ceiling: AtomicUsize,
}

/// A connection in somebody's hands.
pub type Held = PooledConnection<Dialer>;

/// What an acquire comes to.
pub type Acquired = Result<Held, AcquireError>;

/// An acquire that stands in line.
pub type Queued = Pin<Box<dyn Future<Output = Acquired> + Send>>;

/// Room for `max`, none kept, and no limit of time: what a scenario does not set does not happen.
pub fn config(max_connections: usize) -> PoolConfig {
    PoolConfig {
        min_connections: 0,
        max_connections,
        connection_timeout: Duration::MAX,
        idle_timeout: Duration::MAX,
        health_check_interval: Duration::MAX,
        max_lifetime: Duration::MAX,
        connect_attempt_timeout: Duration::MAX,
        lifetime_jitter: 0.0,
        ..PoolConfig::default()
    }
}

/// With this variable at 1, a scenario is explored as far as it says, which is minutes for all of them. Each number more
/// is a preemption more.
const AT_LENGTH: &str = "MODEL_CHECK_AT_LENGTH";

/// Without it, as far as this, and with one preemption fewer than the scenario says. Few races need a third.
const QUICK_PREEMPTIONS: usize = 2;

/// Runs `scenario` in every interleaving, and prints how many there are.
pub fn model(name: &'static str, config: &PoolConfig, scenario: impl Fn(&World) + Send + Sync + 'static) {
    explore(name, None, config, None, scenario);
}

/// Which hooks a pool has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hooks {
    /// On return and before close. The one on return does the resets.
    OnReturn,
    /// Before reuse.
    BeforeReuse,
}

/// Like [`bounded`], with a pool that has hooks.
pub fn hooked(
    name: &'static str,
    preemptions: usize,
    config: &PoolConfig,
    hooks: Hooks,
    scenario: impl Fn(&World) + Send + Sync + 'static,
) {
    explore(name, Some(preemptions), config, Some(hooks), scenario);
}

/// Runs `scenario` in every interleaving that takes the turn from a thread at most `preemptions` times. For what has too
/// many to run them all.
pub fn bounded(
    name: &'static str,
    preemptions: usize,
    config: &PoolConfig,
    scenario: impl Fn(&World) + Send + Sync + 'static,
) {
    explore(name, Some(preemptions), config, None, scenario);
}

fn explore(
    name: &'static str,
    preemptions: Option<usize>,
    config: &PoolConfig,
    hooks: Option<Hooks>,
    scenario: impl Fn(&World) + Send + Sync + 'static,
) {
    if alone::ran_elsewhere() {
        return;
    }
    let mut builder = loom::model::Builder::new();
    builder.expect_explicit_explore = true;
    builder.preemption_bound = match at_length() {
        Some(length) => preemptions.map(|bound| bound + length - 1),
        None => Some(preemptions.map_or(QUICK_PREEMPTIONS, |bound| (bound - 1).min(QUICK_PREEMPTIONS))),
    };
    let count = Arc::new(Count { name, runs: AtomicUsize::new(0) });
    let (config, counted) = (config.clone(), Arc::clone(&count));
    UNFIT_IDLE.set(config.idle_timeout.min(config.max_lifetime) < Duration::MAX || hooks.is_some());
    builder.check(move || {
        counted.runs.fetch_add(1, SeqCst);
        crate::time::reset();
        // The pool's own dice are seeded from these.
        fastrand::seed(1);
        let world = World::new(config.clone(), hooks);
        scenario(&world);
        loom::stop_exploring();
        world.end();
    });
    let runs = count.runs.load(SeqCst);
    let bound = builder.preemption_bound.map_or("all".into(), |bound| format!("at most {bound} preemptions"));
    alone::print_line(&format!("{name}: {runs} interleavings ({bound})"));
    assert!(runs > 1, "{name}: nothing was explored");
}

/// What [`AT_LENGTH`] says.
fn at_length() -> Option<usize> {
    let length = std::env::var(AT_LENGTH).ok()?;
    let number = length.parse().ok().filter(|length| (1..=8).contains(length));
    Some(number.unwrap_or_else(|| panic!("{AT_LENGTH} is `{length}`: set it to a number from 1 to 8")))
}

/// Says which run failed. Runs are the same each time.
struct Count {
    name: &'static str,
    runs: AtomicUsize,
}

impl Drop for Count {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: interleaving {} fails", self.name, self.runs.load(SeqCst));
        }
    }
}

impl World {
    fn new(config: PoolConfig, hooks: Option<Hooks>) -> Self {
        let dialer = Dialer::default();
        let ceiling = AtomicUsize::new(config.max_connections);
        let builder = Pool::builder(dialer.clone()).config(config);
        let builder = match hooks {
            None => builder,
            Some(Hooks::OnReturn) => {
                dialer.leaves_resets_to_a_hook();
                let builder = builder.on_return(|connection, _| connection.reset_by_hook());
                builder.before_close(|connection, _| connection.pause_by_hook())
            }
            Some(Hooks::BeforeReuse) => builder.before_reuse(|connection, _| connection.pause_by_hook()),
        };
        let pool = builder.build().expect("a possible configuration");
        Self { pool, dialer, ceiling }
    }

    /// Sets how many connections may live at once from now on, if not the maximum that the pool began with.
    pub fn allow(&self, connections: usize) {
        self.ceiling.store(connections, SeqCst);
    }

    /// A connection in somebody's hands.
    pub fn held(&self) -> Held {
        let held = block_on(self.pool.acquire()).expect("the dialer opens");
        settle();
        held
    }

    /// A waiter, behind those who wait already.
    pub fn queued(&self) -> Queued {
        self.queued_within(Duration::MAX)
    }

    /// A waiter with a deadline.
    pub fn queued_within(&self, limit: Duration) -> Queued {
        self.joined_within(limit).unwrap_or_else(|_| panic!("there is a connection for it"))
    }

    /// An acquire that has been polled once, or what it came to.
    pub fn joined(&self) -> Result<Queued, Acquired> {
        self.joined_within(Duration::MAX)
    }

    fn joined_within(&self, limit: Duration) -> Result<Queued, Acquired> {
        let pool = self.pool.clone();
        let mut joined: Queued = Box::pin(async move { pool.acquire_within(limit).await });
        match poll_once(joined.as_mut()) {
            Poll::Ready(acquired) => Err(acquired),
            Poll::Pending => Ok(joined),
        }
    }

    /// A waiter for whom `held` has come back, and which has not looked yet.
    pub fn served(&self, held: Held) -> Queued {
        let served = self.queued();
        let before = self.pool.stats().pending_requests;
        drop(held);
        assert_eq!(self.pool.stats().pending_requests, before - 1, "it is not served");
        served
    }

    /// An idle connection.
    pub fn idle(&self) {
        drop(self.held());
    }

    /// Lets the background do what there is to do.
    pub fn settle(&self) {
        settle();
    }

    /// Lets the others go on until `holds`. For what nobody can wait for.
    pub fn until(&self, holds: impl Fn() -> bool) {
        while !holds() {
            loom::thread::yield_now();
        }
    }

    /// From here on every order is explored.
    pub fn race(&self) {
        loom::explore();
    }

    /// A thread that does something with the pool.
    pub fn thread<T: 'static>(&self, act: impl FnOnce(&Pool<Dialer>) -> T + 'static) -> JoinHandle<T> {
        let pool = self.pool.clone();
        loom::thread::spawn(move || act(&pool))
    }

    /// A thread in `runtime` that does something with the pool.
    pub fn thread_in<T: 'static>(
        &self,
        runtime: &Runtime,
        act: impl FnOnce(&Pool<Dialer>) -> T + 'static,
    ) -> JoinHandle<T> {
        let runtime = runtime.clone();
        self.thread(move |pool| runtime.enter(|| act(pool)))
    }

    /// A runtime that can end.
    pub fn runtime(&self) -> Runtime {
        Runtime::new()
    }

    /// Lets every reading of the clock move it by `duration`, until the scenario returns.
    pub fn readings_take(&self, duration: Duration) {
        crate::time::readings_take(duration);
    }

    /// Nothing is lost, nothing is left over.
    fn end(self) {
        crate::time::readings_take(crate::time::READING);
        let Self { pool, dialer, ceiling } = self;
        settle();
        let stats = pool.stats();
        assert_eq!(
            (stats.active_connections, stats.pending_requests, stats.connecting),
            (0, 0, 0),
            "{stats:?}"
        );
        if pool.is_closed() {
            assert!(block_on(pool.acquire()).is_err_and(|error| error.is_closed()));
        } else {
            dialer.forget_script();
            // Whatever pause there was after a failed connect is over.
            crate::pass(&pool, Duration::from_secs(24 * 60 * 60));
            let held: Vec<Held> = (0..stats.max_connections)
                .map(|_| block_on(pool.acquire()).expect("nothing stands in the way"))
                .collect();
            assert!(pool.try_acquire().is_none(), "more than the maximum");
            {
                let mut one_more = pin!(pool.acquire());
                assert!(poll_once(one_more.as_mut()).is_pending(), "more than the maximum");
                settle();
                assert!(poll_once(one_more.as_mut()).is_pending(), "more than the maximum");
            }
            drop(held);
        }
        block_on(pool.close());
        assert_eq!(dialer.live(), 0, "closed, with connections open");
        let stats = pool.stats();
        assert_eq!(stats.connections_created, stats.connections_destroyed, "{stats:?}");
        let (peak, ceiling) = (dialer.peak(), ceiling.into_inner());
        assert!(peak <= ceiling, "`size.max`: {peak} connections at once, of at most {ceiling}");
    }
}

/// Lets every other thread run until it waits, where one order is taken.
fn settle() {
    loom::thread::yield_now();
    // A thread that yields while nobody else can run would give way at its next step instead.
    loom::thread::current().unpark();
}

/// Polls once, as a task that is woken later polls again.
fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    block_on(poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))))
}

thread_local! {
    /// The scenario lets idle connections come of age, or leaves something in them. The threads of a model share this cell.
    static UNFIT_IDLE: Cell<bool> = const { Cell::new(false) };
}

/// Idle connections may have to be reset before anybody gets them.
pub(crate) fn expect_unfit_idle() {
    UNFIT_IDLE.set(true);
}

/// What every snapshot promises (`stats.consistent`), the bound (`size.max`), and what the queue rests on: while
/// somebody waits, nothing is idle, unless the background has yet to close it or to reset it.
pub(crate) fn check(stats: &PoolStats) {
    let PoolStats { total_connections: total, idle_connections: idle, active_connections: active, .. } =
        *stats;
    assert_eq!(total, idle + active, "{stats:?}");
    assert_eq!(stats.connections_created, stats.connections_destroyed + total as u64, "{stats:?}");
    assert_eq!(stats.total_acquisitions, stats.total_releases + active as u64, "{stats:?}");
    let chores = stats.checking + stats.resetting;
    assert!(chores <= idle, "{stats:?}");
    assert!(
        stats.pending_requests == 0 || idle == chores || UNFIT_IDLE.get(),
        "somebody waits beside an idle one: {stats:?}"
    );
}
