//! A manager that does as it is told and counts what it does, and what many tests do with a pool.

use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use poolhouse::{FailureKind, Manager, Pool, PoolConfig, PoolStats, PooledConnection, RetireReason};
use tokio::time::Instant;

/// What one connect or one check does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Ok,
    Slow(Duration),
    Fail,
    Permanent,
    Busy,
    Never,
    Panic,
}

#[derive(Debug, thiserror::Error)]
#[error("mock says {0:?}")]
pub(crate) struct MockError(pub(crate) Step);

/// A manager whose connects and checks follow a script, then a default. Clones share everything.
#[derive(Clone)]
pub(crate) struct Mock(Arc<State>);

struct State {
    connects: Mutex<(VecDeque<Step>, Step)>,
    checks: Mutex<(VecDeque<Step>, Step)>,
    /// When each connect began.
    attempts: Mutex<Vec<Instant>>,
    closed_at: Mutex<Vec<(usize, Instant)>>,
    /// Connections whose peer has closed them.
    dead: Mutex<HashSet<usize>>,
    next_id: AtomicUsize,
    connecting: AtomicUsize,
    connecting_peak: AtomicUsize,
    open: AtomicUsize,
    peak: AtomicUsize,
    checked: AtomicUsize,
    /// `None`: connections that come back need no reset.
    resets: Mutex<Option<Step>>,
    /// `None`: connections are dropped, not closed.
    closes: Mutex<Option<Step>>,
    /// What was done to connections, by their numbers.
    done: Mutex<Vec<(&'static str, usize)>>,
    panic_on_return: AtomicBool,
    panic_on_look: AtomicBool,
    refuse_returns: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mock {
    /// Every connect and check does `step`.
    pub(crate) fn new(step: Step) -> Self {
        Self(Arc::new(State {
            connects: Mutex::new((VecDeque::new(), step)),
            checks: Mutex::new((VecDeque::new(), Step::Ok)),
            attempts: Mutex::default(),
            closed_at: Mutex::default(),
            dead: Mutex::default(),
            next_id: AtomicUsize::new(1),
            connecting: AtomicUsize::new(0),
            connecting_peak: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            checked: AtomicUsize::new(0),
            resets: Mutex::default(),
            closes: Mutex::default(),
            done: Mutex::default(),
            panic_on_return: AtomicBool::new(false),
            panic_on_look: AtomicBool::new(false),
            refuse_returns: AtomicBool::new(false),
        }))
    }

    pub(crate) fn ok() -> Self {
        Self::new(Step::Ok)
    }

    /// The next connects do `steps`, one each.
    pub(crate) fn script(self, steps: impl IntoIterator<Item = Step>) -> Self {
        lock(&self.0.connects).0.extend(steps);
        self
    }

    /// What connects do from here on.
    pub(crate) fn set_connect(&self, step: Step) {
        *lock(&self.0.connects) = (VecDeque::new(), step);
    }

    /// What checks do from here on.
    pub(crate) fn set_check(&self, step: Step) {
        *lock(&self.0.checks) = (VecDeque::new(), step);
    }

    /// Connections that come back need a reset, which does this.
    pub(crate) fn set_reset(&self, step: impl Into<Option<Step>>) {
        *lock(&self.0.resets) = step.into();
    }

    /// Connections are closed gracefully, which does this.
    pub(crate) fn set_close(&self, step: impl Into<Option<Step>>) {
        *lock(&self.0.closes) = step.into();
    }

    /// What has been done to connections: "reset" and "close" when each begins.
    pub(crate) fn done(&self) -> Vec<(&'static str, usize)> {
        lock(&self.0.done).clone()
    }

    pub(crate) fn panic_on_return(&self, panic: bool) {
        self.0.panic_on_return.store(panic, SeqCst);
    }

    pub(crate) fn panic_on_look(&self, panic: bool) {
        self.0.panic_on_look.store(panic, SeqCst);
    }

    /// The peer closes the connections with these numbers.
    pub(crate) fn kill(&self, ids: impl IntoIterator<Item = usize>) {
        lock(&self.0.dead).extend(ids);
    }

    /// Whether connections that come back are broken.
    pub(crate) fn refuse_returns(&self, refuse: bool) {
        self.0.refuse_returns.store(refuse, SeqCst);
    }

    /// Connections that are open or opening, detached ones included.
    pub(crate) fn open(&self) -> usize {
        self.0.open.load(SeqCst)
    }

    /// The most that `open` has been.
    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(SeqCst)
    }

    /// The most connects that were under way at once, since the last call.
    pub(crate) fn take_connecting_peak(&self) -> usize {
        self.0.connecting_peak.swap(0, SeqCst)
    }

    pub(crate) fn attempts(&self) -> Vec<Instant> {
        lock(&self.0.attempts).clone()
    }

    /// Which connections were closed, and when.
    pub(crate) fn closed_at(&self) -> Vec<(usize, Instant)> {
        lock(&self.0.closed_at).clone()
    }

    pub(crate) fn checks(&self) -> usize {
        self.0.checked.load(SeqCst)
    }
}

/// Counts a connection that is open or opening.
struct Slot(Arc<State>);

impl Slot {
    fn new(state: &Arc<State>) -> Self {
        state.peak.fetch_max(state.open.fetch_add(1, SeqCst) + 1, SeqCst);
        Self(Arc::clone(state))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
    }
}

/// Counts a connect that is under way.
struct Attempt(Arc<State>);

impl Attempt {
    fn new(state: &Arc<State>) -> Self {
        lock(&state.attempts).push(Instant::now());
        state.connecting_peak.fetch_max(state.connecting.fetch_add(1, SeqCst) + 1, SeqCst);
        Self(Arc::clone(state))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.connecting.fetch_sub(1, SeqCst);
    }
}

pub(crate) struct Conn {
    pub(crate) id: usize,
    slot: Slot,
}

impl Drop for Conn {
    fn drop(&mut self) {
        lock(&self.slot.0.closed_at).push((self.id, Instant::now()));
    }
}

async fn act(step: Step) -> Result<(), MockError> {
    match step {
        Step::Ok => Ok(()),
        Step::Slow(time) => {
            tokio::time::sleep(time).await;
            Ok(())
        }
        Step::Fail | Step::Permanent | Step::Busy => Err(MockError(step)),
        Step::Never => std::future::pending().await,
        Step::Panic => quiet_panic("as the script says"),
    }
}

/// A panic without a message on stderr: thousands are meant to happen.
fn quiet_panic(message: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(message))
}

fn next(script: &Mutex<(VecDeque<Step>, Step)>) -> Step {
    let (steps, rest) = &mut *lock(script);
    steps.pop_front().unwrap_or(*rest)
}

impl Manager for Mock {
    type Connection = Conn;
    type Error = MockError;

    async fn connect(&self) -> Result<Conn, MockError> {
        let slot = Slot::new(&self.0);
        let _attempt = Attempt::new(&self.0);
        act(next(&self.0.connects)).await?;
        Ok(Conn { id: self.0.next_id.fetch_add(1, SeqCst), slot })
    }

    async fn check(&self, _connection: &mut Conn) -> Result<(), MockError> {
        self.0.checked.fetch_add(1, SeqCst);
        act(next(&self.0.checks)).await
    }

    fn is_reusable(&self, _connection: &mut Conn) -> bool {
        if self.0.panic_on_return.load(SeqCst) {
            quiet_panic("as the test says");
        }
        !self.0.refuse_returns.load(SeqCst)
    }

    fn needs_reset(&self, _connection: &mut Conn) -> bool {
        lock(&self.0.resets).is_some()
    }

    async fn reset(&self, connection: &mut Conn) -> Result<(), MockError> {
        lock(&self.0.done).push(("reset", connection.id));
        let step = lock(&self.0.resets).unwrap_or(Step::Ok);
        act(step).await
    }

    fn needs_close(&self, _connection: &mut Conn, _reason: RetireReason) -> bool {
        lock(&self.0.closes).is_some()
    }

    async fn close(&self, connection: Conn) {
        lock(&self.0.done).push(("close", connection.id));
        let step = lock(&self.0.closes).unwrap_or(Step::Ok);
        drop(act(step).await);
    }

    fn is_connected(&self, connection: &mut Conn) -> bool {
        if self.0.panic_on_look.load(SeqCst) {
            quiet_panic("as the test says");
        }
        !lock(&self.0.dead).contains(&connection.id)
    }

    fn classify(&self, error: &MockError) -> FailureKind {
        match error.0 {
            Step::Permanent => FailureKind::Permanent,
            Step::Busy => FailureKind::Busy,
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        "mock:1".into()
    }
}

/// Room for `max`, none kept, no jitter: what a test does not set does not happen in its time.
pub(crate) fn config(max: usize) -> PoolConfig {
    PoolConfig { min_connections: 0, max_connections: max, lifetime_jitter: 0.0, ..PoolConfig::default() }
}

pub(crate) fn pool(mock: &Mock, config: PoolConfig) -> Pool<Mock> {
    Pool::new(mock.clone(), config).expect("a possible configuration")
}

/// A pool with `count` idle connections, numbered from 1.
pub(crate) async fn filled(mock: &Mock, count: usize, config: PoolConfig) -> Pool<Mock> {
    let pool = pool(mock, config);
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(pool.acquire().await.expect("the mock connects"));
    }
    drop(held);
    assert_eq!(pool.stats().idle_connections, count);
    pool
}

/// A pool whose only connection is under a health check that does not end.
pub(crate) async fn under_check(mock: &Mock) -> Pool<Mock> {
    let never = Duration::MAX;
    let config =
        PoolConfig { health_check_timeout: never, idle_timeout: never, max_lifetime: never, ..config(1) };
    let pool = filled(mock, 1, config).await;
    mock.set_check(Step::Never);
    tokio::time::sleep(secs(31)).await;
    assert_eq!((pool.stats().checking, mock.open()), (1, 1));
    pool
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Lets every task that is ready run, without letting time pass.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Polls once, with the waker of this task.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// The promises of one snapshot.
#[track_caller]
pub(crate) fn check_stats(stats: &PoolStats, context: &str) {
    let PoolStats { total_connections: total, idle_connections: idle, active_connections: active, .. } =
        *stats;
    assert_eq!(total, idle + active, "{context}: {stats:?}");
    assert_eq!(stats.connections_created, stats.connections_destroyed + total as u64, "{context}: {stats:?}");
    assert_eq!(stats.total_acquisitions, stats.total_releases + active as u64, "{context}: {stats:?}");
    assert!(stats.checking <= idle, "{context}: {stats:?}");
}

/// No capacity was lost and none was gained: `max` can be held at once, and not one more.
pub(crate) async fn assert_hands_out_exactly<M>(pool: &Pool<M>, max: usize, context: &str)
where
    M: Manager<Connection = <Mock as Manager>::Connection>,
{
    let mut held: Vec<PooledConnection<M>> = Vec::new();
    for number in 1..=max {
        let acquired = tokio::time::timeout(secs(60), pool.acquire()).await;
        let Ok(Ok(connection)) = acquired else {
            panic!("{context}: acquire {number} of {max} got {acquired:?}; {:?}", pool.stats())
        };
        assert!(held.iter().all(|other| other.id != connection.id), "{context}: {} twice", connection.id);
        held.push(connection);
    }
    assert!(pool.try_acquire().is_none(), "{context}: more than {max}");
    {
        let mut one_more = std::pin::pin!(pool.acquire());
        assert!(poll_once(one_more.as_mut()).await.is_pending(), "{context}: more than {max}");
        settle().await;
        assert!(poll_once(one_more.as_mut()).await.is_pending(), "{context}: more than {max}");
    }
    drop(held);
    check_stats(&pool.stats(), context);
}

/// Runs `test` on a thread of its own and fails if it hangs.
pub(crate) fn in_time<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let value = test();
        let _ = done.send(());
        value
    });
    // A panic hangs up, which ends the wait too.
    assert_ne!(ended.recv_timeout(Duration::from_secs(20)), Err(mpsc::RecvTimeoutError::Timeout), "it hangs");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
