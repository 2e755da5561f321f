//! What several of these tests need: a bound for what may hang, a process of its own for what may abort, a listener that
//! keeps what it is told, and a subscriber that lives in one thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use poolhouse::{AcquireError, Event, Manager, Pool, PooledConnection, RetireReason};
use tokio::runtime::{Builder, Runtime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};

/// Says in a child process which test it is to run.
const CHILD: &str = "POOLHOUSE_FINDINGS_CHILD";

/// Runs `test` on a thread of its own, and fails if it has not ended after `limit`.
pub(crate) fn bounded<T: Send + 'static>(limit: Duration, test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        let value = test();
        let _ = done.send(());
        value
    });
    // A panic in the thread drops the sender, which ends the wait too.
    let waited = ended.recv_timeout(limit);
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "it has not ended after {limit:?}");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Whether this process was started by [`command`] for the test called `name`.
pub(crate) fn is_child(name: &str) -> bool {
    std::env::var(CHILD).is_ok_and(|child| child == name)
}

/// This test binary, to run the test called `name` (with its module) and nothing else.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test binary knows where it is"));
    command.args([name, "--exact", "--nocapture", "--include-ignored"]).env(CHILD, name);
    command
}

/// Runs `test` in a process of its own: it may abort, or leave a thread behind that never ends. `name` is that of the
/// calling test, with its module. The process ends after `limit` at the latest.
pub(crate) fn in_child(name: &str, limit: Duration, test: impl FnOnce() + Send + 'static) {
    if is_child(name) {
        return bounded(limit, test);
    }
    let output = command(name).output().expect("a child process starts");
    let (said, cried) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed") || !output.status.success(), "{name} is not the name of this test");
    assert!(output.status.success(), "the child ended with {}:\n{said}\n{cried}", output.status);
}

/// A runtime of one thread, in real time.
pub(crate) fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A runtime of one thread whose clock stands still while there is work.
pub(crate) fn paused() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// A panic without a message on stderr: many are meant to happen.
pub(crate) fn quiet_panic() -> ! {
    std::panic::resume_unwind(Box::new("as the test says"))
}

/// What a listener was told of one connection, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Created,
    Acquired,
    Released,
    Leaked,
    Retired(RetireReason),
}

/// Keeps what a listener is told. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Events {
    connections: Arc<Mutex<Vec<(u64, Told)>>>,
    failed_connects: Arc<Mutex<Vec<String>>>,
    failed_checks: Arc<AtomicUsize>,
}

impl Events {
    pub(crate) fn note(&self, event: &Event<'_>) {
        let (connection, told) = match event {
            Event::Created { connection, .. } => (*connection, Told::Created),
            Event::Acquired { connection, .. } => (*connection, Told::Acquired),
            Event::Released { connection, .. } => (*connection, Told::Released),
            Event::Leaked { holder, .. } => (holder.connection, Told::Leaked),
            Event::Retired { connection, reason, .. } => (*connection, Told::Retired(*reason)),
            Event::ConnectFailed { error, .. } => {
                let text = error.to_string();
                return self.failed_connects.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
            Event::CheckFailed { .. } => {
                self.failed_checks.fetch_add(1, SeqCst);
                return;
            }
            _ => return,
        };
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push((connection, told));
    }

    pub(crate) fn listener(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static + use<> {
        let events = self.clone();
        move |event: &Event<'_>| events.note(event)
    }

    pub(crate) fn all(&self) -> Vec<(u64, Told)> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was told of one connection.
    pub(crate) fn of(&self, connection: u64) -> Vec<Told> {
        self.all().into_iter().filter(|(id, _)| *id == connection).map(|(_, told)| told).collect()
    }

    /// Why a connection was retired, if it was.
    pub(crate) fn reason(&self, connection: u64) -> Option<RetireReason> {
        self.of(connection).into_iter().find_map(|told| match told {
            Told::Retired(reason) => Some(reason),
            _ => None,
        })
    }

    pub(crate) fn failed_connects(&self) -> Vec<String> {
        self.failed_connects.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn failed_checks(&self) -> usize {
        self.failed_checks.load(SeqCst)
    }

    /// `observe.events`: of each connection first that it was created, then each hold with its end, and once, last, that
    /// it was retired. `ended` says that every connection has to be retired by now.
    pub(crate) fn assert_in_order(&self, ended: bool, context: &str) {
        let mut last: HashMap<u64, Told> = HashMap::new();
        for (connection, told) in self.all() {
            let before = last.insert(connection, told);
            let fits = match told {
                Told::Created => before.is_none(),
                Told::Acquired => matches!(before, Some(Told::Created | Told::Released)),
                Told::Released | Told::Leaked => matches!(before, Some(Told::Acquired | Told::Leaked)),
                Told::Retired(_) => matches!(before, Some(Told::Created | Told::Released)),
            };
            assert!(fits, "{context}: {connection} is {told:?} after {before:?}: {:?}", self.of(connection));
        }
        for (connection, told) in last {
            assert!(
                !ended || matches!(told, Told::Retired(_)),
                "{context}: the last of {connection} is {told:?}: {:?}",
                self.of(connection)
            );
        }
    }
}

/// The promises of the statistics, for a pool of anything.
pub(crate) fn assert_whole<M: Manager>(pool: &Pool<M>, context: &str) {
    crate::common::check_stats(&pool.stats(), context);
}

/// Takes as many connections as the pool may have, one after the other, and gives them back.
pub(crate) async fn assert_all_can_be_held<M: Manager>(pool: &Pool<M>, max: usize, context: &str) {
    let mut held: Vec<PooledConnection<M>> = Vec::new();
    for number in 1..=max {
        match tokio::time::timeout(Duration::from_secs(60), pool.acquire()).await {
            Ok(Ok(connection)) => held.push(connection),
            // The error of a hostile manager is not formatted here.
            Ok(Err(error)) => panic!(
                "{context}: {number} of {max} is refused (timeout: {}); {:?}",
                error.is_timeout(),
                counts(pool)
            ),
            Err(_) => panic!("{context}: {number} of {max} waits for ever; {:?}", counts(pool)),
        }
    }
    assert!(pool.try_acquire().is_none(), "{context}: more than {max}");
    drop(held);
    assert_whole(pool, context);
}

/// What the pool has, without the histograms.
pub(crate) fn counts<M: Manager>(pool: &Pool<M>) -> String {
    let stats = pool.stats();
    format!(
        "total {}, active {}, idle {}, connecting {}, checking {}, waiting {}",
        stats.total_connections,
        stats.active_connections,
        stats.idle_connections,
        stats.connecting,
        stats.checking,
        stats.pending_requests
    )
}

/// Expects a connection, and says what there is instead.
#[track_caller]
pub(crate) fn granted<M: Manager>(
    polled: Poll<Result<PooledConnection<M>, AcquireError>>,
) -> PooledConnection<M> {
    match polled {
        Poll::Ready(Ok(connection)) => connection,
        Poll::Ready(Err(error)) => panic!("an error instead of a connection: {error}"),
        Poll::Pending => panic!("it waits instead"),
    }
}

/// A waker that counts how often it is woken.
#[derive(Default)]
pub(crate) struct Counting {
    woken: AtomicUsize,
    thread: Mutex<Option<thread::Thread>>,
}

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, SeqCst);
        if let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.unpark();
        }
    }
}

impl Counting {
    pub(crate) fn woken(&self) -> usize {
        self.woken.load(SeqCst)
    }

    /// Polls the future each time that it is woken, at most `polls` times and not after `limit`.
    pub(crate) fn drive<F: Future>(
        self: &Arc<Self>,
        mut future: Pin<&mut F>,
        polls: usize,
        limit: Duration,
    ) -> Poll<F::Output> {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        let waker = Waker::from(Arc::clone(self));
        let begin = std::time::Instant::now();
        for _ in 0..polls {
            let before = self.woken();
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            if polled.is_ready() {
                return polled;
            }
            while self.woken() == before {
                let Some(left) = limit.checked_sub(begin.elapsed()) else { return Poll::Pending };
                thread::park_timeout(left);
            }
        }
        Poll::Pending
    }
}

type OnRecord = Arc<dyn Fn(&str)>;

thread_local! {
    static ON_RECORD: RefCell<Option<OnRecord>> = const { RefCell::new(None) };
}

/// Calls back for each record of its thread, where the thread asks for it, with everything formatted.
///
/// A subscriber for one thread alone misses records: a callsite that another thread meets first stays switched off.
struct PerThread;

/// Calls `on_record` with the target of each event of the pool in this thread, and with that of a span whenever the span is
/// made, entered, left, cloned or closed, until the returned guard is dropped.
pub(crate) fn on_record(on_record: impl Fn(&str) + 'static) -> Recording {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        tracing::subscriber::set_global_default(PerThread).expect("nobody else sets one");
        tracing::callsite::rebuild_interest_cache();
    });
    ON_RECORD.set(Some(Arc::new(on_record)));
    Recording
}

/// Ends what [`on_record`] began.
pub(crate) struct Recording;

impl Drop for Recording {
    fn drop(&mut self) {
        ON_RECORD.set(None);
    }
}

struct Format;

impl Visit for Format {
    fn record_debug(&mut self, _field: &Field, value: &dyn Debug) {
        drop(format!("{value:?}"));
    }
}

fn called(target: &str) {
    let callback = ON_RECORD.with_borrow(Clone::clone);
    if let Some(callback) = callback
        && target.starts_with("poolhouse")
    {
        callback(target);
    }
}

/// The target of the only span that is enabled.
const SPAN: &str = "poolhouse::acquire";

impl Subscriber for PerThread {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("poolhouse") && ON_RECORD.with_borrow(Option::is_some)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Format);
        called(span.metadata().target());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut Format);
        called(event.metadata().target());
    }

    fn enter(&self, _: &Id) {
        called(SPAN);
    }

    fn exit(&self, _: &Id) {
        called(SPAN);
    }

    fn clone_span(&self, id: &Id) -> Id {
        called(SPAN);
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        called(SPAN);
        true
    }
}
