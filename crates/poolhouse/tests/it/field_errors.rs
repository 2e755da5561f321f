//! What pools have told people, and when: see `field.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use poolhouse::{AcquireError, ConnectError, Phase, Pool, PoolConfig};
use tokio::time::Instant;

use crate::common::{Mock, MockError, Step, config, ms, pool, secs, settle};

async fn fails(pool: &Pool<Mock>) -> AcquireError {
    pool.acquire_within(secs(5)).await.map(drop).unwrap_err()
}

/// A name for each cause, from the types alone: what a caller can match on.
fn cause(error: &AcquireError) -> &'static str {
    match error {
        AcquireError::Timeout(timeout) => match (timeout.phase, timeout.last_connect_error.as_deref()) {
            (Phase::Queueing, None) => "all are held",
            (Phase::Connecting, Some(ConnectError::Failed(_))) => "the server refuses",
            (Phase::Connecting, Some(ConnectError::TimedOut(_))) => "the server does not answer a connect",
            (Phase::Checking, None) => "the server does not answer a check",
            (Phase::Suspended, None) => "suspended",
            other => panic!("{other:?}: {error}"),
        },
        AcquireError::Connect(failed) => match &*failed.error {
            ConnectError::Failed(_) => "wrong password",
            other => panic!("{other:?}: {error}"),
        },
        AcquireError::Closed { .. } => "closed",
        AcquireError::Overloaded { .. } => "overloaded",
        _ => panic!("{error}"),
    }
}

/// `acquire.diagnosis`: <https://github.com/transact-rs/sqlx/issues/3808> and
/// <https://github.com/transact-rs/sqlx/issues/2276>. A server that is down, a wrong password, a pool that is
/// too small and one that is closed or stuck all came out as one and the same pool timeout. Here each cause has
/// an error of its own, by type and by text.
#[tokio::test(start_paused = true)]
async fn each_cause_has_an_error_of_its_own() {
    let short = || PoolConfig { connect_attempt_timeout: secs(1), ..config(1) };
    let mut errors = Vec::new();

    let too_small = pool(&Mock::ok(), short());
    let held = too_small.acquire().await.unwrap();
    errors.push(("all are held", fails(&too_small).await));
    drop(held);

    errors.push(("the server refuses", fails(&pool(&Mock::new(Step::Fail), short())).await));
    errors
        .push(("the server does not answer a connect", fails(&pool(&Mock::new(Step::Never), short())).await));
    errors.push(("wrong password", fails(&pool(&Mock::new(Step::Permanent), short())).await));

    let mock = Mock::ok();
    let patient = PoolConfig { check_after_idle: secs(1), health_check_timeout: secs(60), ..short() };
    let hung = pool(&mock, patient);
    drop(hung.acquire().await.unwrap());
    tokio::time::sleep(secs(2)).await;
    mock.set_check(Step::Never);
    errors.push(("the server does not answer a check", fails(&hung).await));

    let suspended = pool(&Mock::ok(), short());
    suspended.suspend();
    errors.push(("suspended", fails(&suspended).await));

    let busy = pool(&Mock::ok(), PoolConfig { max_pending: Some(1), ..short() });
    let held = busy.acquire().await.unwrap();
    let waiter = busy.acquire_async(drop);
    settle().await;
    errors.push(("overloaded", fails(&busy).await));
    drop(held);
    waiter.await.unwrap();

    let closed = pool(&Mock::ok(), short());
    closed.close().await;
    errors.push(("closed", fails(&closed).await));

    let texts: BTreeSet<_> = errors
        .iter()
        .map(|(expected, error)| {
            assert_eq!(cause(error), *expected, "{error}");
            error.to_string()
        })
        .collect();
    assert_eq!(texts.len(), errors.len(), "two causes read the same: {texts:#?}");
}

/// `connect.permanent`: <https://github.com/djc/bb8/issues/141>. A wrong password hung until the timeout. Here
/// it is the answer at once, at start-up and later, and no attempt is wasted on it.
#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_the_answer_at_once() {
    let mock = Mock::new(Step::Permanent);
    let pool = pool(&mock, PoolConfig { min_connections: 2, ..config(4) });
    let begin = Instant::now();
    assert_eq!(cause(&pool.warm_up().await.unwrap_err()), "wrong password");
    assert_eq!(begin.elapsed(), ms(0));
    assert!(mock.attempts().len() <= 2, "{} attempts", mock.attempts().len());

    let mock = Mock::new(Step::Permanent);
    let lazy = Pool::new(mock.clone(), config(4)).unwrap();
    assert_eq!(cause(&fails(&lazy).await), "wrong password");
    assert_eq!((begin.elapsed(), mock.attempts().len()), (ms(0), 1));
}

/// `acquire.diagnosis`: <https://github.com/sfackler/r2d2/issues/75>. Of several that failed together, the
/// first that looked took the error along, and the others got none. Here everybody gets the same one, and it
/// is not told again once a connect has succeeded.
#[tokio::test(start_paused = true)]
async fn everybody_gets_the_error_and_nobody_gets_an_old_one() {
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, config(1));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { fails(&pool).await })
        })
        .collect();
    let mut shared = Vec::new();
    for task in tasks {
        let AcquireError::Timeout(timeout) = task.await.unwrap() else { panic!("no timeout") };
        let error = timeout.last_connect_error.unwrap();
        assert!(error.manager_error::<MockError>().is_some());
        shared.push(error);
    }
    assert!(shared.iter().all(|error| Arc::ptr_eq(error, &shared[0])), "not the same error for all");

    mock.set_connect(Step::Ok);
    let _held = pool.acquire().await.unwrap();
    let error = fails(&pool).await;
    assert_eq!(cause(&error), "all are held");
    assert!(error.connect_error().is_none() && !error.to_string().contains("mock says"), "{error}");
}
