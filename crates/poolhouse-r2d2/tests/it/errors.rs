//! The manager's error on its way to the caller that acquires: its text, its chain of sources, its type, its
//! kind.

use std::error::Error;
use std::io;
use std::rc::Rc;

use poolhouse::{AcquireError, Failure, FailureKind, Pool, PoolConfig};
use poolhouse_r2d2::R2d2;
use r2d2::ManageConnection;

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

impl<E: Error + 'static> ManageConnection for Refuses<E> {
    type Connection = ();
    type Error = E;

    fn connect(&self) -> Result<(), E> {
        Err((self.0)())
    }

    fn is_valid(&self, (): &mut ()) -> Result<(), E> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

async fn refused<E: Error + 'static>(bridge: R2d2<Refuses<E>>) -> AcquireError {
    let pool = Pool::new(bridge.with_target("db.example:5432"), PoolConfig::default()).unwrap();
    pool.warm_up().await.unwrap_err()
}

/// The text of an error and of each of its sources.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

/// An error keeps its text, its sources and its type.
#[tokio::test(start_paused = true)]
async fn an_error_arrives_as_it_is() {
    let error = refused(R2d2::new(Refuses(db_error))).await;
    let text = error.to_string();
    assert!(
        text.starts_with("cannot connect to db.example:5432: db error: the password is wrong; "),
        "{text}"
    );
    assert_eq!(chain(error.dyn_manager_error().unwrap()), ["db error", "the password is wrong"]);
    assert!(error.manager_error::<DbError>().is_some());
    assert!(error.manager_error::<io::Error>().is_some());
}

/// One that keeps to its thread arrives by its text: it is boxed on that thread.
#[tokio::test(start_paused = true)]
async fn what_is_not_send_arrives_by_its_text() {
    #[derive(Debug, thiserror::Error)]
    #[error("refused: {0}")]
    struct Refused(Rc<str>);

    let bridge =
        R2d2::with_errors(Refuses(|| Refused("no such user".into())), |error| error.to_string().into());
    let error = refused(bridge).await;
    assert!(error.to_string().contains(": refused: no such user; "), "{error}");
}

/// `connect.permanent`: the closure sees the manager's own error.
#[tokio::test(start_paused = true)]
async fn a_permanent_failure_reaches_those_who_wait_at_once() {
    let bridge = R2d2::new(Refuses(|| io::Error::from(io::ErrorKind::PermissionDenied)));
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

/// `observe.no_secrets`: the manager's `Debug` may hold a password.
#[test]
fn debug_shows_no_more_than_the_type_of_the_manager() {
    let shown = format!("{:?}", R2d2::new(Refuses(db_error)).with_target("db.example:5432"));
    assert!(shown.contains("Refuses") && shown.contains("db.example:5432"), "{shown}");
}

/// A manager that knows what its failure means says so with a `Failure`. It keeps its kind, and the error inside is found.
#[tokio::test(start_paused = true)]
async fn a_failure_keeps_its_kind() {
    fn failure() -> Failure {
        Failure::new(FailureKind::Permanent, db_error())
    }
    let transient = |_: &Failure| FailureKind::Transient;
    for bridge in [R2d2::new(Refuses(failure)), R2d2::new(Refuses(failure)).classify_with(transient)] {
        let pool = Pool::new(bridge, PoolConfig::default()).unwrap();
        let error = pool.acquire().await.unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "{error}");
        assert!(error.manager_error::<DbError>().is_some(), "{error:?}");
    }
}
