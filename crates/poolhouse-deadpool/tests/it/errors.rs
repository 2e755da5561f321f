//! The manager's error on its way to the caller that acquires: its text, its chain of sources, its type, its
//! kind.

use std::error::Error;
use std::io;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use poolhouse::{AcquireError, Failure, FailureKind, Pool, PoolConfig};
use poolhouse_deadpool::Deadpool;

type BoxError = Box<dyn Error + Send + Sync>;

/// A driver's error. What went wrong is in its source.
#[derive(Debug, thiserror::Error)]
#[error("db error")]
struct DbError {
    #[from]
    source: io::Error,
}

fn db_error() -> DbError {
    io::Error::other("the password is wrong").into()
}

/// Fails to connect with the error that it makes.
struct Refuses<E>(fn() -> E);

impl<E: Send + 'static> Manager for Refuses<E> {
    type Type = ();
    type Error = E;

    async fn create(&self) -> Result<(), E> {
        Err((self.0)())
    }

    async fn recycle(&self, (): &mut (), _: &Metrics) -> RecycleResult<E> {
        Ok(())
    }
}

async fn refused<E: Send + 'static>(bridge: Deadpool<Refuses<E>>) -> AcquireError {
    let pool = Pool::new(bridge.with_target("db.example:5432"), PoolConfig::default()).unwrap();
    pool.warm_up().await.unwrap_err()
}

async fn acquire<E: Send + 'static>(bridge: Deadpool<Refuses<E>>) -> AcquireError {
    let pool = Pool::new(bridge, PoolConfig::default()).unwrap();
    pool.acquire().await.unwrap_err()
}

/// The text of an error and of each of its sources.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

/// Error types keep their text, their sources and their type.
#[tokio::test(start_paused = true)]
async fn an_error_type_arrives_as_it_is() {
    for error in [
        refused(Deadpool::new(Refuses(db_error))).await,
        refused(Deadpool::new(Refuses(|| BoxError::from(db_error())))).await,
    ] {
        let text = error.to_string();
        assert!(
            text.starts_with("cannot connect to db.example:5432: db error: the password is wrong; "),
            "{text}"
        );
        let inner = error.dyn_manager_error().unwrap();
        assert_eq!(chain(inner), ["db error", "the password is wrong"]);
        assert!(error.manager_error::<DbError>().is_some());
        assert!(error.manager_error::<io::Error>().is_some());
    }
}

/// `anyhow::Error` and `String` are no error types, and arrive too.
#[tokio::test(start_paused = true)]
async fn what_is_no_error_type_arrives_too() {
    let error =
        refused(Deadpool::new(Refuses(|| anyhow::Error::new(db_error()).context("cannot log in")))).await;
    assert_eq!(
        chain(error.dyn_manager_error().unwrap()),
        ["cannot log in", "db error", "the password is wrong"]
    );
    assert!(error.manager_error::<DbError>().is_some());

    let error = refused(Deadpool::new(Refuses(|| "no such database".to_owned()))).await;
    assert_eq!(chain(error.dyn_manager_error().unwrap()), ["no such database"]);
}

/// deadpool asks only `Send`: a type that is not even `Sync` arrives by its text.
#[tokio::test(start_paused = true)]
async fn what_is_only_send_arrives_by_its_text() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "for its Debug")]
    struct Code(std::cell::Cell<u16>);

    let bridge = Deadpool::with_errors(Refuses(|| Code(28000.into())), |error| format!("{error:?}").into());
    let error = refused(bridge).await;
    assert!(error.to_string().contains(": Code(Cell { value: 28000 }); "), "{error}");
}

/// `connect.permanent`: the closure sees the manager's own error.
#[tokio::test(start_paused = true)]
async fn a_permanent_failure_reaches_those_who_wait_at_once() {
    let bridge = Deadpool::new(Refuses(|| io::Error::from(io::ErrorKind::PermissionDenied)));
    let bridge = bridge.classify_with(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => FailureKind::Permanent,
        _ => FailureKind::Transient,
    });
    let pool = Pool::new(bridge, PoolConfig::default()).unwrap();
    let began = tokio::time::Instant::now();
    let error = pool.acquire().await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{error}");
    assert_eq!(began.elapsed(), std::time::Duration::ZERO);
}

/// A manager that knows what its failure means says so with a `Failure`, alone or among the sources of its error. It
/// keeps its kind, and the error inside is found.
#[tokio::test(start_paused = true)]
async fn a_failure_keeps_its_kind() {
    fn failure() -> Failure {
        Failure::new(FailureKind::Permanent, db_error())
    }
    let transient = |_: &Failure| FailureKind::Transient;
    for error in [
        acquire(Deadpool::new(Refuses(failure))).await,
        acquire(Deadpool::new(Refuses(failure)).classify_with(transient)).await,
        acquire(Deadpool::new(Refuses(|| anyhow::Error::new(failure()).context("cannot log in")))).await,
    ] {
        assert!(matches!(error, AcquireError::Connect(_)), "{error}");
        assert!(error.manager_error::<io::Error>().is_some(), "{error:?}");
    }
    assert!(acquire(Deadpool::new(Refuses(failure))).await.manager_error::<DbError>().is_some());
}

/// Without it every failure is transient, and waiters wait until their deadline.
#[tokio::test(start_paused = true)]
async fn by_default_a_failure_is_tried_again() {
    let pool = Pool::new(Deadpool::new(Refuses(db_error)), PoolConfig::default()).unwrap();
    let error = pool.acquire().await.unwrap_err();
    assert!(error.is_timeout());
    assert!(error.manager_error::<DbError>().is_some(), "the last failed connect is told");
}

/// `observe.no_secrets`: the manager's `Debug` may hold a password.
#[test]
fn debug_shows_no_more_than_the_type_of_the_manager() {
    struct Secret(#[expect(dead_code, reason = "must not be shown")] &'static str);

    impl Manager for Secret {
        type Type = ();
        type Error = io::Error;

        async fn create(&self) -> io::Result<()> {
            Ok(())
        }

        async fn recycle(&self, (): &mut (), _: &Metrics) -> RecycleResult<io::Error> {
            Ok(())
        }
    }

    let shown = format!("{:?}", Deadpool::new(Secret("hunter2")));
    assert!(shown.contains("Secret") && !shown.contains("hunter2"), "{shown}");
}
