//! Managers whose errors are boxed, or are no error types: what the pool's errors say, and what is found in them.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use poolhouse::{
    AcquireError, AcquireErrorKind, ConnectError, Event, FailureKind, Manager, Pool, PoolConfig, RetireReason,
};

use crate::common::{Mock, Step, assert_hands_out_exactly, config, ms, secs};

/// A driver's error. What went wrong is in its source.
#[derive(Debug, thiserror::Error)]
#[error("db error")]
struct DbError {
    code: u16,
    source: io::Error,
}

const REFUSED: u16 = 28000;

fn db_error() -> DbError {
    DbError { code: REFUSED, source: io::Error::other("the password is wrong") }
}

/// Fails with what `E` makes of the driver's error.
struct Refuses<E>(fn() -> E);

impl<E: Into<Box<dyn Error + Send + Sync>> + Send + 'static> Manager for Refuses<E> {
    type Connection = ();
    type Error = E;

    async fn connect(&self) -> Result<(), E> {
        Err((self.0)())
    }

    fn classify(&self, _: &E) -> FailureKind {
        FailureKind::Permanent
    }
}

async fn refused<E>(error: fn() -> E) -> AcquireError
where
    E: Into<Box<dyn Error + Send + Sync>> + Send + 'static,
{
    let pool = Pool::new(Refuses(error), config(1)).unwrap();
    pool.acquire().await.map(drop).unwrap_err()
}

fn with_context() -> anyhow::Error {
    anyhow::Error::new(db_error()).context("cannot log in")
}

/// `acquire.diagnosis`: whatever the manager's error type, the text tells the whole cause, and tells it once.
#[tokio::test(start_paused = true)]
async fn a_boxed_error_tells_its_cause_too() {
    for (error, cause) in [
        (
            refused(|| Box::<dyn Error + Send + Sync>::from(db_error())).await,
            "db error: the password is wrong",
        ),
        (refused(|| anyhow::Error::new(db_error())).await, "db error: the password is wrong"),
        (refused(with_context).await, "cannot log in: db error: the password is wrong"),
        (refused(|| anyhow::anyhow!("no such database")).await, "no such database"),
        (refused(|| "no such database".to_owned()).await, "no such database"),
    ] {
        let text = error.to_string();
        assert!(text.contains(&format!(": {cause}; check the address")), "{text}");
        assert_eq!(text.matches("; guide: ").count(), 1, "{text}");
        for part in cause.split(": ") {
            assert_eq!(text.matches(part).count(), 1, "{part}: {text}");
        }
        let manager_error = error.dyn_manager_error().unwrap();
        assert_eq!(Some(manager_error.to_string().as_str()), cause.split(": ").next());
        assert!(error.source().is_none());
    }
}

/// The manager's own error is found by its type, and so are its sources.
#[tokio::test(start_paused = true)]
async fn the_managers_error_is_found_by_its_type() {
    for error in [refused(db_error).await, refused(|| Box::<dyn Error + Send + Sync>::from(db_error())).await]
    {
        assert!(error.manager_error::<DbError>().is_some_and(|error| error.code == REFUSED));
        assert!(error.manager_error::<io::Error>().is_some());
        assert!(error.manager_error::<fmt::Error>().is_none());
        let AcquireError::Connect(failed) = error else { panic!("it is permanent") };
        assert!(failed.error.manager_error::<DbError>().is_some());
    }
}

/// A box of anyhow's hides the type of the outermost error. What it has for a source is found.
#[tokio::test(start_paused = true)]
async fn anyhow_hides_the_outermost_type_only() {
    let plain = refused(|| anyhow::Error::new(db_error())).await;
    assert!(plain.manager_error::<DbError>().is_none());
    assert!(plain.manager_error::<io::Error>().is_some());
    let context = refused(with_context).await;
    assert!(context.manager_error::<DbError>().is_some_and(|error| error.code == REFUSED));
    assert!(context.manager_error::<io::Error>().is_some());
}

/// Without an error of the manager's there is none to find.
#[tokio::test(start_paused = true)]
async fn only_a_managers_error_is_one() {
    let pool = Pool::new(Mock::new(Step::Never), config(1)).unwrap();
    let error = pool.acquire_within(ms(50)).await.map(drop).unwrap_err();
    assert!(error.connect_error().is_none() && error.manager_error::<io::Error>().is_none());
    for error in [ConnectError::TimedOut(secs(1)), ConnectError::Panicked, ConnectError::ClosedAtOnce] {
        assert!(error.dyn_manager_error().is_none() && error.manager_error::<io::Error>().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_pools_errors_go_into_boxes() {
    async fn into_anyhow() -> anyhow::Result<()> {
        drop(Pool::new(Refuses(with_context), config(1))?.acquire().await?);
        Ok(())
    }
    async fn into_box() -> Result<(), Box<dyn Error>> {
        drop(Pool::new(Refuses(with_context), config(1))?.acquire().await?);
        Ok(())
    }
    async fn into_sendable_box() -> Result<(), Box<dyn Error + Send + Sync>> {
        Pool::new(Refuses(with_context), PoolConfig { min_connections: 1, ..config(1) })?.warm_up().await?;
        Ok(())
    }
    let error = into_anyhow().await.unwrap_err();
    assert!(format!("{error:#}").contains(": cannot log in: db error: the password is wrong; "), "{error:#}");
    assert!(error.downcast_ref::<AcquireError>().is_some_and(|error| error.kind().as_str() == "connect"));
    assert!(into_box().await.unwrap_err().is::<AcquireError>());
    assert!(into_sendable_box().await.unwrap_err().is::<AcquireError>());
}

/// Every kind has a name, and names the variant.
#[tokio::test(start_paused = true)]
async fn a_kind_is_a_label() {
    let mock = Mock::ok();
    let pool = Pool::new(mock, PoolConfig { max_pending: Some(1), ..config(1) }).unwrap();
    let _held = pool.acquire().await.unwrap();
    let late = pool.acquire_within(ms(1)).await.map(drop).unwrap_err();
    let waiter = pool.acquire_async(drop);
    tokio::task::yield_now().await;
    let shed = pool.acquire().await.map(drop).unwrap_err();
    pool.close_within(ms(1)).await;
    waiter.await.unwrap();
    let closed = pool.acquire().await.map(drop).unwrap_err();
    let errors = [late, shed, closed, refused(db_error).await];
    let kinds: Vec<_> = errors.iter().map(|error| error.kind().as_str()).collect();
    assert_eq!(kinds, ["timeout", "overloaded", "closed", "connect"]);
    assert_eq!(AcquireErrorKind::RuntimeEnded.to_string(), "runtime_ended");
    let kinds = [FailureKind::Transient, FailureKind::Permanent].map(FailureKind::as_str);
    assert_eq!(kinds, ["transient", "permanent"]);
}

/// A refusal that cannot be told: it panics as it is boxed.
struct Stubborn;

impl From<Stubborn> for Box<dyn Error + Send + Sync> {
    fn from(_: Stubborn) -> Self {
        panic!("as it is boxed")
    }
}

/// Opens connections with a mock, and makes each of its errors a stubborn one.
struct Boxes(Mock);

impl Manager for Boxes {
    type Connection = <Mock as Manager>::Connection;
    type Error = Stubborn;

    async fn connect(&self) -> Result<Self::Connection, Stubborn> {
        self.0.connect().await.map_err(|_| Stubborn)
    }

    async fn check(&self, connection: &mut Self::Connection) -> Result<(), Stubborn> {
        self.0.check(connection).await.map_err(|_| Stubborn)
    }

    fn classify(&self, _: &Stubborn) -> FailureKind {
        FailureKind::Permanent
    }
}

/// `panic.no_loss`: boxing an error is the user's code. A panic in it is one of the manager's.
#[tokio::test(start_paused = true)]
async fn a_panic_as_an_error_is_boxed() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let told = Arc::clone(&told);
        move |event: &Event<'_>| match event {
            Event::ConnectFailed { error, kind, .. } => {
                assert!(matches!(error, ConnectError::Panicked), "{error}");
                told.lock().unwrap().push(kind.as_str());
            }
            Event::CheckFailed { error: None, .. } => told.lock().unwrap().push("no answer"),
            Event::Retired { reason: RetireReason::Panicked, .. } => told.lock().unwrap().push("panicked"),
            _ => {}
        }
    };
    let mock = Mock::ok().script([Step::Fail]);
    let pool = Pool::builder(Boxes(mock.clone())).config(config(2)).listener(listener).build().unwrap();
    drop(pool.acquire().await.unwrap());
    mock.set_check(Step::Fail);
    tokio::time::sleep(secs(31)).await;
    assert_eq!(*told.lock().unwrap(), ["transient", "no answer", "panicked"]);
    assert_hands_out_exactly(&pool, 2, "boxing").await;
}
