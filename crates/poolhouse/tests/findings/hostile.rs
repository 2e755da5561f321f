//! A manager, its connections and errors, a listener and a waker, any of which may misbehave at any point where the pool
//! runs code that is not its own.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Wake, Waker};
use std::thread;

use poolhouse::{Event, FailureKind, HookFuture, Manager, Pool, PoolBuilder, PoolConfig, RetireReason};

use crate::common::{config, ms, secs};
use crate::support::{Events, quiet_panic};

/// Where code runs that is not the pool's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Connect,
    Check,
    IsConnected,
    IsReusable,
    NeedsReset,
    Reset,
    NeedsClose,
    Close,
    AfterConnect,
    BeforeReuse,
    OnReturn,
    BeforeClose,
    Retain,
    Classify,
    Target,
    DropConnection,
    DropError,
    DisplayError,
    DebugError,
    Listener,
    Wake,
    DropWaker,
    Record,
}

impl Point {
    pub(crate) const ALL: [Self; 23] = [
        Self::Connect,
        Self::Check,
        Self::IsConnected,
        Self::IsReusable,
        Self::NeedsReset,
        Self::Reset,
        Self::NeedsClose,
        Self::Close,
        Self::AfterConnect,
        Self::BeforeReuse,
        Self::OnReturn,
        Self::BeforeClose,
        Self::Retain,
        Self::Classify,
        Self::Target,
        Self::DropConnection,
        Self::DropError,
        Self::DisplayError,
        Self::DebugError,
        Self::Listener,
        Self::Wake,
        Self::DropWaker,
        Self::Record,
    ];
}

/// What that code does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It uses the pool, each time.
    CallBack,
    /// It panics at its first run from this number on, counted from zero, and never again.
    PanicAt(usize),
    /// It keeps its thread for a while, each time, and looks whether another thread can use the pool meanwhile.
    Block,
}

thread_local! {
    /// Whether this thread is misbehaving already: what the pool calls then behaves.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

pub(crate) struct Plot {
    at: Point,
    behaviour: Behaviour,
    armed: AtomicBool,
    panicked: AtomicBool,
    visits: AtomicUsize,
    /// How often another thread could not use the pool.
    locked_out: AtomicUsize,
    pool: Mutex<Option<Pool<Hostile>>>,
    next: AtomicU64,
    pub(crate) refuse: AtomicBool,
    pub(crate) permanent: AtomicBool,
    pub(crate) sick: AtomicBool,
    pub(crate) tainted: AtomicBool,
    /// Holders leave something behind.
    pub(crate) dirty: AtomicBool,
    /// Connections are closed gracefully.
    pub(crate) graceful: AtomicBool,
    dead_below: AtomicU64,
}

impl Plot {
    pub(crate) fn new(at: Point, behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            at,
            behaviour,
            armed: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
            visits: AtomicUsize::new(0),
            locked_out: AtomicUsize::new(0),
            pool: Mutex::new(None),
            next: AtomicU64::new(0),
            refuse: AtomicBool::new(false),
            permanent: AtomicBool::new(false),
            sick: AtomicBool::new(false),
            tainted: AtomicBool::new(false),
            dirty: AtomicBool::new(false),
            graceful: AtomicBool::new(false),
            dead_below: AtomicU64::new(0),
        })
    }

    pub(crate) fn pool(self: &Arc<Self>, config: PoolConfig, events: &Events) -> Pool<Hostile> {
        let (plot, events) = (Arc::clone(self), events.clone());
        let listener = move |event: &Event<'_>| {
            events.note(event);
            plot.reached(Point::Listener);
        };
        let builder = Pool::builder(Hostile(Arc::clone(self))).config(config).listener(listener);
        let pool = self.with_hook(builder).build().expect("it is possible");
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = Some(pool.clone());
        pool
    }

    /// With the hook that misbehaves, if it is one, and no other: a hook changes the ways that connections go.
    fn with_hook(self: &Arc<Self>, builder: PoolBuilder<Hostile>) -> PoolBuilder<Hostile> {
        let hook = self.hook();
        match self.at {
            Point::AfterConnect => builder.after_connect(hook),
            Point::BeforeReuse => builder.before_reuse(move |connection, _| hook(connection)),
            Point::OnReturn => builder.on_return(move |connection, _| hook(connection)),
            Point::BeforeClose => builder.before_close(move |connection, _| hook(connection)),
            _ => builder,
        }
    }

    fn hook(self: &Arc<Self>) -> impl Fn(&mut Conn) -> HookFuture<'_> + Send + Sync + 'static {
        let plot = Arc::clone(self);
        move |_| {
            let plot = Arc::clone(&plot);
            Box::pin(async move {
                plot.reached(plot.at);
                Ok(())
            })
        }
    }

    pub(crate) fn arm(&self, armed: bool) {
        self.armed.store(armed, SeqCst);
    }

    /// How often the point was reached while armed.
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(SeqCst)
    }

    pub(crate) fn locked_out(&self) -> usize {
        self.locked_out.load(SeqCst)
    }

    /// Whether the panic has happened, if one was meant to.
    pub(crate) fn has_panicked(&self) -> bool {
        self.panicked.load(SeqCst)
    }

    /// Lets go of the pool, which would never end otherwise.
    pub(crate) fn forget_pool(&self) {
        drop(self.pool.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// A connection that works.
    pub(crate) fn connection(self: &Arc<Self>) -> Conn {
        Conn { id: self.next.fetch_add(1, SeqCst), plot: Arc::clone(self) }
    }

    /// The peer closes every connection that is open by now.
    pub(crate) fn kill_all(&self) {
        self.dead_below.store(self.next.load(SeqCst), SeqCst);
    }

    pub(crate) fn reached(&self, point: Point) {
        if point != self.at || !self.armed.load(SeqCst) || BUSY.get() {
            return;
        }
        let visit = self.visits.fetch_add(1, SeqCst);
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner).clone();
        BUSY.set(true);
        match self.behaviour {
            Behaviour::PanicAt(number) => {
                BUSY.set(false);
                drop(pool);
                // A second panic while one unwinds ends the process. That has tests of its own.
                if visit >= number && !thread::panicking() && !self.panicked.swap(true, SeqCst) {
                    quiet_panic();
                }
                return;
            }
            Behaviour::CallBack => {
                if let Some(pool) = pool {
                    let (stats, holders) = (pool.stats(), pool.holders());
                    assert!(holders.len() <= stats.max_connections + stats.active_connections);
                    // What comes back is reset, so this hook would call itself without end.
                    if self.at != Point::OnReturn {
                        drop(pool.try_acquire());
                    }
                    pool.retain(|_, info| info.use_count < u64::MAX);
                    pool.reconfigure(pool.config()).expect("the options that it has");
                    drop(format!("{pool:?}"));
                }
            }
            Behaviour::Block => {
                if let Some(pool) = pool {
                    let (send, told) = mpsc::channel();
                    thread::spawn(move || {
                        BUSY.set(true);
                        let _ = send.send(pool.stats().max_connections);
                    });
                    // The bound is long, for the machine may be busy, and nobody waits for it where all is well.
                    if told.recv_timeout(secs(3)).is_err() {
                        self.locked_out.fetch_add(1, SeqCst);
                    }
                }
                thread::sleep(ms(1));
            }
        }
        BUSY.set(false);
    }

    /// A waker that misbehaves when it wakes, or when it is dropped, and passes on what it is told.
    pub(crate) fn waker(self: &Arc<Self>, passes_on: &Waker) -> Waker {
        Arc::new(HostileWaker { plot: Arc::clone(self), passes_on: passes_on.clone() }).into()
    }
}

struct HostileWaker {
    plot: Arc<Plot>,
    passes_on: Waker,
}

impl Wake for HostileWaker {
    fn wake(self: Arc<Self>) {
        self.passes_on.wake_by_ref();
        self.plot.reached(Point::Wake);
    }
}

impl Drop for HostileWaker {
    fn drop(&mut self) {
        self.plot.reached(Point::DropWaker);
    }
}

pub(crate) struct Hostile(pub(crate) Arc<Plot>);

pub(crate) struct Conn {
    id: u64,
    plot: Arc<Plot>,
}

impl Drop for Conn {
    fn drop(&mut self) {
        self.plot.reached(Point::DropConnection);
    }
}

pub(crate) struct HostileError {
    plot: Arc<Plot>,
}

impl Drop for HostileError {
    fn drop(&mut self) {
        self.plot.reached(Point::DropError);
    }
}

impl fmt::Display for HostileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plot.reached(Point::DisplayError);
        f.write_str("hostile")
    }
}

impl fmt::Debug for HostileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plot.reached(Point::DebugError);
        f.write_str("Hostile")
    }
}

impl std::error::Error for HostileError {}

impl Hostile {
    fn error(&self) -> HostileError {
        HostileError { plot: Arc::clone(&self.0) }
    }
}

impl Manager for Hostile {
    type Connection = Conn;
    type Error = HostileError;

    async fn connect(&self) -> Result<Conn, HostileError> {
        self.0.reached(Point::Connect);
        if self.0.refuse.load(SeqCst) {
            return Err(self.error());
        }
        Ok(self.0.connection())
    }

    async fn check(&self, _: &mut Conn) -> Result<(), HostileError> {
        self.0.reached(Point::Check);
        if self.0.sick.load(SeqCst) { Err(self.error()) } else { Ok(()) }
    }

    fn is_connected(&self, connection: &mut Conn) -> bool {
        self.0.reached(Point::IsConnected);
        connection.id >= self.0.dead_below.load(SeqCst)
    }

    fn is_reusable(&self, _: &mut Conn) -> bool {
        self.0.reached(Point::IsReusable);
        !self.0.tainted.load(SeqCst)
    }

    fn needs_reset(&self, _: &mut Conn) -> bool {
        self.0.reached(Point::NeedsReset);
        self.0.dirty.load(SeqCst)
    }

    async fn reset(&self, _: &mut Conn) -> Result<(), HostileError> {
        self.0.reached(Point::Reset);
        if self.0.sick.load(SeqCst) { Err(self.error()) } else { Ok(()) }
    }

    fn needs_close(&self, _: &mut Conn, _: RetireReason) -> bool {
        self.0.reached(Point::NeedsClose);
        self.0.graceful.load(SeqCst)
    }

    async fn close(&self, connection: Conn) {
        self.0.reached(Point::Close);
        drop(connection);
    }

    fn classify(&self, _: &HostileError) -> FailureKind {
        self.0.reached(Point::Classify);
        if self.0.permanent.load(SeqCst) { FailureKind::Permanent } else { FailureKind::Transient }
    }

    fn target(&self) -> Cow<'_, str> {
        self.0.reached(Point::Target);
        "hostile:1".into()
    }
}

/// A minimum of one, a maximum of `max`, and time limits that a test in virtual time meets.
pub(crate) fn limits(max: usize) -> PoolConfig {
    PoolConfig { min_connections: 1, connection_timeout: secs(20), leak_threshold: secs(40), ..config(max) }
}
