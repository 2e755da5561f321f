//! What the pool reports: the events that the crate documents, and `observe.no_secrets`.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Once};

use poolhouse::{FailureKind, Manager, PacketManager, PacketOptions, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::common::{Mock, Step, config, ms, pool, secs};

/// Everything recorded: target, level and name or message, and the fields as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, String)>>>);

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.fields, "{}={value:?} ", field.name()).unwrap();
        }
    }
}

impl Log {
    fn push(&self, metadata: &Metadata<'_>, text: Text) {
        if metadata.target().starts_with("poolhouse") {
            let name = if text.message.is_empty() { metadata.name() } else { &text.message };
            let head = format!("{} {} {name}", metadata.target(), metadata.level());
            self.0.lock().unwrap().push((head, text.fields));
        }
    }

    fn heads(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    fn fields(&self, head: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(h, _)| h == head).map(|(_, fields)| fields.clone()).collect()
    }
}

thread_local! {
    static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// Hands each record to the log of its thread, and so of its test.
///
/// A subscriber for one thread alone misses records: a callsite that another thread meets first stays switched off.
struct PerThread;

/// Records what this thread does from here on.
fn record() -> Log {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        tracing::subscriber::set_global_default(PerThread).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
    let log = Log::default();
    LOG.set(Some(log.clone()));
    log
}

fn push(metadata: &Metadata<'_>, text: Text) {
    LOG.with_borrow(|log| {
        if let Some(log) = log {
            log.push(metadata, text);
        }
    });
}

impl Subscriber for PerThread {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        span.record(&mut text);
        push(span.metadata(), text);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        push(event.metadata(), text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The events of the crate's documentation, each with its target, its level and its fields.
#[tokio::test(start_paused = true)]
async fn every_documented_event_is_there() {
    let log = record();

    let mock = Mock::ok().script([Step::Fail]);
    let pool = pool(&mock, PoolConfig { max_pending: Some(1), ..config(1) });
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(31)).await;
    mock.set_check(Step::Fail);
    tokio::time::sleep(secs(31)).await;
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    tokio::time::sleep(ms(1)).await;
    assert!(pool.acquire().await.is_err());
    assert!(waiter.await.unwrap().is_err());
    assert!(!pool.close_within(secs(1)).await.is_complete());
    held.invalidate();
    pool.close().await;

    let mock = Mock::ok();
    let named = Pool::builder(mock.clone()).config(config(1)).name("orders").build().unwrap();
    mock.set_reset(Step::Ok);
    mock.set_close(Step::Ok);
    drop(named.acquire().await.unwrap());
    tokio::time::sleep(ms(1)).await;
    mock.set_reset(Step::Fail);
    drop(named.acquire().await.unwrap());
    tokio::time::sleep(ms(1)).await;
    mock.set_close(Step::Never);
    drop(named.acquire().await.unwrap());
    tokio::time::sleep(secs(6)).await;

    let expected = [
        ("poolhouse::acquire DEBUG acquire", "target_address=mock:1 "),
        ("poolhouse::acquire WARN an acquire timed out", "error=timed out after 30"),
        ("poolhouse::acquire DEBUG an acquire failed", "error=1 acquire already waits"),
        ("poolhouse::connect DEBUG connected", "connection=1 elapsed_ms=0"),
        ("poolhouse::connect WARN cannot connect", "permanent=false error=mock says Fail"),
        ("poolhouse::check TRACE healthy", "connection=1 elapsed_ms=0"),
        ("poolhouse::check WARN unhealthy", "error=mock says Fail"),
        ("poolhouse::retire DEBUG closing a connection", "connection=1 reason=\"check_failed\""),
        ("poolhouse::retire DEBUG closing a connection", "connection=2 reason=\"invalidated\""),
        ("poolhouse::connect DEBUG connected", "pool=\"orders\" connection=1"),
        ("poolhouse::reset TRACE reset", "pool=\"orders\" connection=1 elapsed_ms=0"),
        ("poolhouse::reset WARN cannot reset", "error=mock says Fail"),
        ("poolhouse::retire DEBUG closing a connection", "reason=\"reset_failed\""),
        ("poolhouse::retire TRACE closed gracefully", "connection=1 elapsed_ms=0"),
        (
            "poolhouse::retire WARN a graceful close took longer than close_timeout: the connection is dropped",
            "elapsed_ms=5000",
        ),
        ("poolhouse::close DEBUG closing the pool", "held=1"),
        ("poolhouse::close DEBUG the pool is closed", "target_address=mock:1"),
    ];
    for (head, fields) in expected {
        let seen = log.fields(head);
        assert!(
            seen.iter().any(|seen| seen.contains(fields)),
            "{head} with {fields}: {seen:?}; {:?}",
            log.heads()
        );
    }
    let late =
        log.heads().into_iter().find(|head| head.starts_with("poolhouse::close WARN not closed in time"));
    assert!(late.is_some_and(|head| head.contains("trace.rs:")), "{:?}", log.heads());
}

/// A manager that connects once, with an error that panics as it is dropped.
#[derive(Default)]
struct Clumsy(AtomicBool);

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct Refused;

impl Drop for Refused {
    fn drop(&mut self) {
        clumsy();
    }
}

fn clumsy() {
    // Without a message on stderr.
    std::panic::resume_unwind(Box::new("as the test says"));
}

impl Manager for Clumsy {
    type Connection = ();
    type Error = Refused;

    async fn connect(&self) -> Result<(), Refused> {
        if self.0.swap(true, SeqCst) { Err(Refused) } else { Ok(()) }
    }

    async fn check(&self, _: &mut ()) -> Result<(), Refused> {
        Err(Refused)
    }

    fn classify(&self, _: &Refused) -> FailureKind {
        clumsy();
        FailureKind::Permanent
    }
}

/// Also where the acquire begins to wait because the connection that it was handed is dead.
#[tokio::test(start_paused = true)]
async fn a_nested_acquire_behind_a_dead_connection_is_logged() {
    let log = record();
    let mock = Mock::ok();
    let pool = pool(
        &mock,
        PoolConfig {
            min_connections: 2,
            detect_nested_acquires: true,
            connection_timeout: secs(1),
            ..config(2)
        },
    );
    pool.warm_up().await.unwrap();
    let _held = pool.acquire().await.unwrap();
    tokio::time::sleep(ms(5)).await;
    mock.kill([1, 2]);
    mock.set_connect(Step::Never);
    assert!(pool.acquire().await.is_err_and(|error| error.is_timeout()));
    let nested = "a task that holds a connection waits for another of the same pool: enough of them wait for each other";
    let logged = log.fields(&format!("poolhouse::acquire WARN {nested}"));
    assert_eq!(logged.len(), 1, "{logged:?}");
}

/// `panic.no_loss`: a panic of the manager that nobody else hears of is in the log.
#[tokio::test(start_paused = true)]
async fn a_panic_that_ends_in_the_pool_is_logged() {
    let log = record();
    let mock = Mock::ok();
    let checked = pool(&mock, config(1));
    for panics_in_check in [true, false] {
        drop(checked.acquire().await.unwrap());
        mock.set_check(if panics_in_check { Step::Panic } else { Step::Ok });
        mock.panic_on_look(!panics_in_check);
        tokio::time::sleep(secs(31)).await;
        mock.panic_on_look(false);
    }
    let panicked = "the manager panicked while it checked: see the panic's message on stderr";
    assert_eq!(log.fields(&format!("poolhouse::check WARN {panicked}")).len(), 2, "{:?}", log.heads());

    let clumsy = Pool::new(Clumsy::default(), config(1)).unwrap();
    drop(clumsy.acquire().await.unwrap());
    tokio::time::sleep(secs(31)).await;
    // The error that the pool keeps is dropped with the next.
    std::mem::forget(clumsy.acquire_within(secs(1)).await.map(drop).unwrap_err());
    let heads = log.heads();
    for what in ["Manager::classify", "a connect error", "the error of a health check"] {
        let head = format!("poolhouse::panic ERROR {what} panicked: see the panic's message on stderr");
        assert!(heads.contains(&head), "{what}: {heads:?}");
    }
}

/// Every record says which server it is about.
#[tokio::test(start_paused = true)]
async fn every_record_names_its_target_address() {
    let log = record();
    let pool = pool(&Mock::ok().script([Step::Fail]), config(1));
    drop(pool.acquire().await);
    pool.close().await;
    assert!(pool.acquire().await.is_err());
    let timed = crate::common::pool(&Mock::new(Step::Fail), config(1));
    assert!(timed.acquire().await.is_err());
    let records = log.0.lock().unwrap().clone();
    assert!(records.len() > 5);
    for (head, fields) in records {
        assert!(fields.contains("target_address=mock:1"), "{head}: {fields}");
    }
}

/// `observe.no_secrets`: no record, no error, no event and no debug text carries payload, whatever goes wrong. Nor does
/// one carry the packet of the health check, in which a protocol may log in.
#[tokio::test(start_paused = true)]
async fn nothing_recorded_or_printed_carries_payload() {
    const SECRET: &str = "s3cr3t-payl0ad";
    let log = record();
    let mut printed = String::new();
    for reply in [Reply::Echo, Reply::HalfThenClose, Reply::HalfThenStall, Reply::Garbage, Reply::Never] {
        let server = EchoServer::builder().faults(Faults { reply, ..Faults::default() }).in_memory();
        let connector = server.connector();
        let dial = move || {
            let connector = connector.clone();
            async move { connector.connect().await }
        };
        let options = PacketOptions { check_packet: SECRET.into(), ..PacketOptions::default() };
        let events = Arc::new(Mutex::new(String::new()));
        let listener = {
            let events = Arc::clone(&events);
            move |event: &poolhouse::Event<'_>| write!(events.lock().unwrap(), "{event:?}").unwrap()
        };
        write!(printed, "{options:?}").unwrap();
        let manager = PacketManager::new(dial).with_options(options);
        let checking = PoolConfig { health_check_interval: ms(10), ..config(1) };
        let pool = Pool::builder(manager).config(checking).listener(listener).build().unwrap();
        let mut connection = pool.acquire().await.unwrap();
        connection.send_packet(SECRET).await.unwrap();
        match connection.receive().await {
            Ok(packet) => assert_eq!(packet, SECRET),
            Err(error) => write!(printed, "{error} {error:?}").unwrap(),
        }
        connection.send_packet(SECRET).await.ok();
        write!(printed, "{connection:?} {:?} {pool:?} {:?}", *connection, pool.holders()).unwrap();
        let error = pool.acquire().await.unwrap_err();
        write!(printed, "{error} {error:?}").unwrap();
        connection.invalidate();
        drop(pool.acquire().await);
        tokio::time::sleep(ms(10_000)).await;
        pool.close().await;
        printed.push_str(&events.lock().unwrap());
    }
    assert!(printed.contains("CheckFailed") && printed.contains("check_packet"), "{printed}");
    let records = log.0.lock().unwrap().clone();
    assert!(records.iter().any(|(head, _)| head.starts_with("poolhouse::retire")));
    assert!(!format!("{records:?}").contains("s3cr3t"), "{records:?}");
    // As bytes, a debug text would show it in numbers.
    assert!(!printed.contains("s3cr3t") && !printed.contains("115, 51"), "{printed}");
}
