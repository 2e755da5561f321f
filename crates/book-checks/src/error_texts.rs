//! One real error of each kind, made by a real pool in paused time, and its text.
//!
//! What differs from run to run, or with the place in this file, is masked.

use std::borrow::Cow;
use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use poolhouse::blocking::NewPoolError;
use poolhouse::{
    AcquireError, FailureKind, GUIDE, Manager, PacketConnection, PacketError, PacketManager, PacketOptions,
    Pool, PoolConfig,
};
use regex::Regex;
use tokio::io::duplex;
use tokio::runtime::Builder;
use tokio::time::sleep;

/// An error: `AcquireError::Closed`, or `AcquireError::Timeout (Queueing)`.
pub(crate) struct Sample {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
}

impl Sample {
    /// The enum and the variant that it is of.
    pub(crate) fn variant(&self) -> &'static str {
        self.kind.split(' ').next().unwrap_or_default()
    }

    /// The page of the guide that it names.
    pub(crate) fn page(&self) -> Option<&str> {
        let (_, address) = self.text.rsplit_once("; guide: <guide>/")?;
        address.strip_suffix(".html")
    }
}

/// Made once: they take a while of virtual time, and some milliseconds of ours.
pub(crate) static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    // The pools warn of what goes wrong here on purpose.
    let _quiet = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
    let texts = runtime.block_on(async {
        let mut texts = timeouts().await;
        texts.extend(refusals().await);
        texts.extend(configurations());
        texts.extend(packets().await);
        texts
    });
    let texts = texts.into_iter().chain([("AcquireError::RuntimeEnded", runtime_ended().to_string())]);
    texts.map(|(kind, text)| Sample { kind, text: masked(&text) }).collect()
});

type Texts = Vec<(&'static str, String)>;

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"crates[/\\]book-checks[/\\]src[/\\]\w+\.rs:\d+:\d+").expect("a valid pattern")
});
/// How many pauses there were, and how long they were, is drawn.
static RETRY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\(failed attempt \d+\); that was \S+ ago, and the next attempt begins in [^;]+")
        .expect("a valid pattern")
});
static BRIEF: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?-u:\b)\d+\.\d+s(?-u:\b)").expect("a valid pattern"));

/// A timer is exact to a millisecond or so, which is of no interest.
fn masked(text: &str) -> String {
    let text = text.replace(GUIDE, "<guide>");
    let text = PLACE.replace_all(&text, "<file>:<line>:<column>");
    let text = RETRY.replace_all(
        &text,
        "(failed attempt <number>); that was <duration> ago, and the next attempt begins in <duration>",
    );
    BRIEF.replace_all(&text, "<duration>").into_owned()
}

/// What the manager below does.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Refuses,
    Hangs,
    RefusesOnceThenHangs,
    TooManyClients,
    WrongPassword,
    ClosesAtOnce,
    NeverAnswersChecks,
    Panics,
}

struct Database {
    mood: Mood,
    asked: AtomicBool,
}

impl Database {
    fn new(mood: Mood) -> Database {
        Database { mood, asked: AtomicBool::new(false) }
    }
}

impl Manager for Database {
    type Connection = ();
    type Error = io::Error;

    async fn connect(&self) -> io::Result<()> {
        let first = !self.asked.swap(true, Ordering::Relaxed);
        match self.mood {
            Mood::Hangs => std::future::pending().await,
            Mood::RefusesOnceThenHangs if !first => std::future::pending().await,
            Mood::Refuses | Mood::RefusesOnceThenHangs => Err(io::ErrorKind::ConnectionRefused.into()),
            // Without a message on stderr.
            Mood::Panics => std::panic::resume_unwind(Box::new("on purpose")),
            // Of one connection, its limit.
            Mood::TooManyClients if !first => {
                Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many clients"))
            }
            Mood::WrongPassword => Err(io::Error::new(io::ErrorKind::PermissionDenied, "wrong password")),
            Mood::Well | Mood::ClosesAtOnce | Mood::NeverAnswersChecks | Mood::TooManyClients => Ok(()),
        }
    }

    async fn check(&self, (): &mut ()) -> io::Result<()> {
        if self.mood == Mood::NeverAnswersChecks {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn is_connected(&self, (): &mut ()) -> bool {
        self.mood != Mood::ClosesAtOnce
    }

    fn classify(&self, error: &io::Error) -> FailureKind {
        match error.kind() {
            io::ErrorKind::PermissionDenied => FailureKind::Permanent,
            io::ErrorKind::QuotaExceeded => FailureKind::Busy,
            _ => FailureKind::Transient,
        }
    }

    fn target(&self) -> Cow<'_, str> {
        "db.example:5432".into()
    }
}

fn config(max_connections: usize) -> PoolConfig {
    PoolConfig { max_connections, ..PoolConfig::default() }
}

fn pool(mood: Mood, config: PoolConfig) -> Pool<Database> {
    Pool::new(Database::new(mood), config).expect("a valid configuration")
}

async fn failure(pool: &Pool<Database>) -> AcquireError {
    pool.acquire().await.map(drop).expect_err("this pool has no connection to give")
}

/// An acquire that times out in each phase.
async fn timeouts() -> Texts {
    let mut texts = Vec::new();
    let full = pool(Mood::Well, config(2));
    let held = (full.acquire().await, full.acquire().await);
    texts.push(("AcquireError::Timeout (Queueing)", failure(&full).await.to_string()));
    drop(held);

    let nesting = pool(Mood::Well, PoolConfig { detect_nested_acquires: true, ..config(1) });
    let held = nesting.acquire().await;
    texts.push(("AcquireError::Timeout (Queueing, nested)", failure(&nesting).await.to_string()));
    drop(held);

    let down = pool(Mood::RefusesOnceThenHangs, config(2));
    let limit = Duration::from_secs(5);
    let down = down.acquire_within(limit).await.map(drop).expect_err("the server is down");
    texts.push(("AcquireError::Timeout (Connecting)", down.to_string()));

    let checked = pool(
        Mood::NeverAnswersChecks,
        PoolConfig { health_check_timeout: Duration::from_secs(60), ..config(1) },
    );
    drop(checked.acquire().await);
    sleep(Duration::from_secs(31)).await;
    let limit = Duration::from_secs(5);
    let checking =
        checked.acquire_within(limit).await.map(drop).expect_err("its connection is being checked");
    texts.push(("AcquireError::Timeout (Checking)", checking.to_string()));

    let pause = Duration::from_secs(60);
    let once = PoolConfig { connect_backoff: pause, max_connect_backoff: pause, ..config(2) };
    let busy = pool(Mood::TooManyClients, once);
    let held = busy.acquire().await;
    texts.push(("AcquireError::Timeout (Queueing, the server is busy)", failure(&busy).await.to_string()));
    drop(held);

    let options = PoolConfig { reset_timeout: Duration::from_secs(60), ..config(1) };
    let hanging = Pool::builder(Database::new(Mood::Well)).config(options);
    let resetting =
        hanging.on_return(|(), _| Box::pin(std::future::pending())).build().expect("valid options");
    drop(resetting.acquire().await);
    let limit = Duration::from_secs(5);
    let resetting = resetting.acquire_within(limit).await.map(drop).expect_err("its reset hangs");
    texts.push(("AcquireError::Timeout (Resetting)", resetting.to_string()));

    let suspended = pool(Mood::Well, config(2));
    suspended.suspend();
    texts.push(("AcquireError::Timeout (Suspended)", failure(&suspended).await.to_string()));
    texts
}

/// Everything else that an acquire ends with, and what its causes say for themselves.
async fn refusals() -> Texts {
    let mut texts = Vec::new();
    let refused = pool(Mood::Refuses, config(2)).warm_up().await.expect_err("the server is down");
    texts.push(("AcquireError::Connect (Failed, at warm_up)", refused.to_string()));
    let permanent = failure(&pool(Mood::WrongPassword, config(2))).await;
    texts.push(("AcquireError::Connect (Failed, permanent)", permanent.to_string()));

    let pause = Duration::from_secs(60);
    let options = PoolConfig {
        fail_fast_after: Duration::from_secs(1),
        connect_backoff: pause,
        max_connect_backoff: pause,
        ..config(2)
    };
    let down = Pool::builder(Database::new(Mood::Refuses)).config(options).name("orders");
    let down = down.build().expect("valid options");
    let _told_when_the_second_is_over = failure(&down).await;
    texts.push(("AcquireError::Connect (Failed, at once)", failure(&down).await.to_string()));

    let closed = pool(Mood::Well, config(2));
    closed.close().await;
    texts.push(("AcquireError::Closed", failure(&closed).await.to_string()));

    let busy = pool(Mood::Well, PoolConfig { max_pending: Some(1), ..config(1) });
    let held = busy.acquire().await;
    let waiter = tokio::spawn({
        let busy = busy.clone();
        async move { busy.acquire().await.map(drop) }
    });
    tokio::task::yield_now().await;
    texts.push(("AcquireError::Overloaded", failure(&busy).await.to_string()));
    waiter.abort();
    let report = busy.close_within(Duration::from_secs(1)).await;
    texts.push(("CloseReport", report.to_string()));
    drop(held);

    let refused = pool(Mood::Refuses, config(2)).warm_up().await.expect_err("the server is down");
    texts.push(("ConnectError::Failed", cause(&refused)));
    let hung = pool(Mood::Hangs, config(2)).warm_up().await.expect_err("the server hangs");
    texts.push(("ConnectError::TimedOut", cause(&hung)));
    let panicked = pool(Mood::Panics, config(2)).warm_up().await.expect_err("the manager panics");
    texts.push(("ConnectError::Panicked", cause(&panicked)));
    let full =
        pool(Mood::ClosesAtOnce, PoolConfig { connection_timeout: Duration::from_millis(50), ..config(1) });
    texts.push(("ConnectError::ClosedAtOnce", cause(&failure(&full).await)));
    texts
}

/// Polled where a runtime was: what is left of it is a handle.
fn runtime_ended() -> AcquireError {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without sockets");
    let handle = runtime.handle().clone();
    drop(runtime);
    handle.block_on(failure(&pool(Mood::Well, config(2))))
}

fn cause(error: &AcquireError) -> String {
    error.connect_error().map_or_else(String::new, ToString::to_string)
}

fn configurations() -> Texts {
    let base = PoolConfig::default;
    let wrong = [
        ("ConfigError::Zero", PoolConfig { min_connections: 0, max_connections: 0, ..base() }),
        ("ConfigError::NoTime", PoolConfig { idle_timeout: Duration::ZERO, ..base() }),
        ("ConfigError::TooShort", PoolConfig { max_lifetime: Duration::from_micros(1), ..base() }),
        ("ConfigError::AboveOther", PoolConfig { min_connections: 11, ..base() }),
        ("ConfigError::BackoffAboveMax", PoolConfig { connect_backoff: Duration::from_secs(6), ..base() }),
        ("ConfigError::JitterOutOfRange", PoolConfig { lifetime_jitter: 1.5, ..base() }),
    ];
    let mut texts: Texts = wrong
        .into_iter()
        .map(|(kind, config)| (kind, config.validate().expect_err("an impossible configuration").to_string()))
        .collect();
    let long =
        PacketOptions { max_frame_length: 4, check_packet: "hello".into(), ..PacketOptions::default() };
    let long = long.validate().expect_err("impossible options");
    texts.push(("ConfigError::CheckPacketTooLong", long.to_string()));
    let zero = PoolConfig { min_connections: 0, max_connections: 0, ..base() };
    let zero = zero.validate().expect_err("an impossible configuration");
    texts.push(("NewPoolError::Config", NewPoolError::Config(zero).to_string()));
    let no_thread = io::Error::from(io::ErrorKind::WouldBlock);
    texts.push(("NewPoolError::Runtime", NewPoolError::Runtime(no_thread).to_string()));
    texts
}

async fn packets() -> Texts {
    const PEER: &str = "queue.example:5555";
    let options = PacketOptions { max_frame_length: 1024, ..PacketOptions::default() };
    let over = |stream| PacketConnection::new(stream, PEER, &options);
    let mut texts = Vec::new();
    let mut add = |kind, result: Result<(), PacketError>| {
        texts.push((kind, result.expect_err("nobody answers well").to_string()));
    };

    let refuse = || async { Err::<tokio::io::DuplexStream, _>(io::ErrorKind::ConnectionRefused.into()) };
    let hasty = PacketOptions { io_timeout: Duration::ZERO, ..PacketOptions::default() };
    let hasty = PacketManager::new(refuse).with_options(hasty);
    add("PacketError::Options", hasty.connect().await.map(drop));
    add("PacketError::Dial", PacketManager::new(refuse).connect().await.map(drop));

    let (here, there) = duplex(64);
    let mut connection = over(here);
    drop(there);
    add("PacketError::Disconnected", connection.receive().await.map(drop));
    add("PacketError::Broken", connection.send_packet("again").await);

    let (here, there) = duplex(64);
    let mut connection = over(here);
    add("PacketError::FrameTooLong", connection.send_packet(vec![0; 2000]).await);
    add("PacketError::TimedOut", connection.receive().await.map(drop));

    let (here, gone) = duplex(64);
    drop((there, gone));
    add("PacketError::Io", over(here).send_packet("hello").await);
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_of_its_kind() {
        let text = |kind: &str| {
            let sample = SAMPLES.iter().find(|sample| sample.kind == kind);
            sample.unwrap_or_else(|| panic!("no sample {kind}")).text.as_str()
        };
        for phase in ["queueing", "connecting", "checking", "suspended"] {
            let kind = format!("AcquireError::Timeout ({}{})", phase[..1].to_uppercase(), &phase[1..]);
            assert!(text(&kind).contains(&format!("({phase}, ")), "{}", text(&kind));
        }
        assert!(text("AcquireError::Timeout (Connecting)").contains("1 failed connect, "));
        assert!(
            text("AcquireError::Timeout (Queueing, nested)").contains("this task itself holds 1 of them")
        );
        assert!(text("ConnectError::TimedOut").contains("no connection after 10s"));
        assert!(text("ConnectError::ClosedAtOnce").contains("closes them at once"));
        assert!(text("CloseReport").contains("1 connection is still held; one held for "));
        assert!(text("PacketError::Disconnected").contains("closed the connection"));
        assert!(text("PacketError::Broken").contains("broke in an earlier call"));
        assert!(text("PacketError::Io").contains("I/O with"));
        assert!(SAMPLES.iter().all(|sample| !sample.text.contains("book-checks")));
    }

    #[test]
    fn a_sample_knows_its_variant_and_its_page() {
        let sample = Sample { kind: "A::B (c)", text: "it failed; guide: <guide>/a/b.html".to_owned() };
        assert_eq!((sample.variant(), sample.page()), ("A::B", Some("a/b")));
    }
}
