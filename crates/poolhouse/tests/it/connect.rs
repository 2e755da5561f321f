//! Connects that fail: `connect.permanent`, `connect.backoff`.

use std::error::Error;
use std::time::Duration;

use poolhouse::{AcquireError, ConnectError, PoolConfig};
use tokio::time::Instant;

use crate::common::{Mock, MockError, Step, config, ms, pool, secs, settle};

/// connect.permanent: nobody who waits has to wait for the deadline. In
/// <https://github.com/djc/bb8/issues/141> a wrong password looked like a slow server until the timeout.
#[tokio::test(start_paused = true)]
async fn a_permanent_error_reaches_every_waiter_at_once() {
    let mock = Mock::new(Step::Permanent);
    let pool = pool(&mock, PoolConfig { max_connecting: 1, ..config(4) });
    let begin = Instant::now();
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop).unwrap_err() })
        })
        .collect();
    for waiter in waiters {
        let error = waiter.await.unwrap();
        let AcquireError::Connect(failed) = &error else { panic!("{error:?}") };
        assert_eq!(failed.attempts, 1);
        assert!(matches!(*failed.error, ConnectError::Failed(_)));
        assert!(error.to_string().starts_with("cannot connect to mock:1: mock says Permanent"), "{error}");
        assert!(error.source().is_none(), "the text has told the cause");
        assert!(error.manager_error::<MockError>().is_some());
    }
    assert_eq!((begin.elapsed(), mock.attempts().len()), (ms(0), 1));
    assert_eq!((pool.stats().failed_acquisitions, pool.stats().pending_requests), (5, 0));

    mock.set_connect(Step::Ok);
    drop(pool.acquire().await.expect("the password was put right"));
}

/// connect.permanent: `warm_up` reports any failure early.
#[tokio::test(start_paused = true)]
async fn warm_up_reports_the_first_failure() {
    for step in [Step::Fail, Step::Permanent, Step::Panic] {
        let pool = pool(&Mock::new(step), PoolConfig { min_connections: 2, ..config(4) });
        let begin = Instant::now();
        let error = pool.warm_up().await.unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "{step:?}: {error:?}");
        assert_eq!(begin.elapsed(), ms(0), "{step:?}");
    }
}

/// connect.backoff: after a failure one attempt at a time, with pauses that grow up to their limit.
/// Option `connect_backoff`.
/// Option `max_connect_backoff`.
#[tokio::test(start_paused = true)]
async fn failures_are_retried_one_at_a_time_with_growing_pauses() {
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, config(10));
    let waiters: Vec<_> = (0..20)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    settle().await;
    let first = mock.attempts().len();
    assert!(first <= 8, "{first} attempts at once, above max_connecting");
    mock.take_connecting_peak();

    tokio::time::sleep(secs(10)).await;
    let attempts = mock.attempts();
    assert_eq!(mock.take_connecting_peak(), 1);
    let pauses: Vec<Duration> = attempts[first - 1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 100 ms, 200 ms and so on up to 5 s, each shortened by up to half.
    let mut longest = ms(100);
    for pause in &pauses {
        assert!(
            *pause >= longest / 2 && *pause <= longest + ms(2),
            "{pause:?} for {longest:?} in {pauses:?}"
        );
        longest = (longest * 2).min(secs(5));
    }
    assert!((6..=8).contains(&pauses.len()), "{pauses:?}");
    for waiter in waiters {
        assert!(waiter.await.unwrap().unwrap_err().is_timeout());
    }
}

/// connect.backoff: the pauses of two pools differ.
#[tokio::test(start_paused = true)]
async fn the_pauses_are_drawn_at_random() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10 {
        let mock = Mock::ok().script([Step::Fail]);
        let pool = pool(&mock, PoolConfig { connect_backoff: secs(4), ..config(1) });
        drop(pool.acquire().await.unwrap());
        let attempts = mock.attempts();
        seen.insert(attempts[1] - attempts[0]);
    }
    assert!(seen.len() > 1, "ten pools that failed together came back together");
}

/// connect.backoff: a lower limit holds for the pause that is under way too.
#[tokio::test(start_paused = true)]
async fn a_lower_limit_shortens_the_pause_under_way() {
    let hour = PoolConfig { connect_backoff: secs(3600), max_connect_backoff: secs(3600), ..config(1) };
    let mock = Mock::ok().script([Step::Fail]);
    let pool = pool(&mock, hour.clone());
    let (begin, waiter) = (Instant::now(), tokio::spawn(pool.acquire_owned()));
    tokio::time::sleep(secs(1)).await;
    let second = PoolConfig { connect_backoff: secs(1), max_connect_backoff: secs(2), ..hour.clone() };
    pool.reconfigure(second).unwrap();
    pool.reconfigure(hour).unwrap();
    drop(waiter.await.unwrap().unwrap());
    assert_eq!(begin.elapsed(), secs(2), "counted from the failure, and not prolonged again");
}

/// connect.backoff: a success ends it, and connects run together again.
#[tokio::test(start_paused = true)]
async fn a_success_ends_the_pause() {
    let mock = Mock::new(Step::Slow(ms(10))).script([Step::Fail]);
    let pool = pool(&mock, PoolConfig { max_connecting: 4, ..config(8) });
    let first = pool.acquire().await.unwrap();
    mock.take_connecting_peak();
    let begin = Instant::now();
    let rest: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let pool = pool.clone();
                async move { pool.acquire().await }
            })
        })
        .collect();
    for task in rest {
        drop(task.await.unwrap().unwrap());
    }
    assert!(begin.elapsed() <= ms(12), "{:?}", begin.elapsed());
    assert_eq!(mock.take_connecting_peak(), 4);
    drop(first);
}

/// connect.backoff: never more than `max_connecting` under way, however many wait.
/// Option `max_connecting`.
#[tokio::test(start_paused = true)]
async fn at_most_max_connecting_are_under_way() {
    let mock = Mock::new(Step::Never);
    let pool = pool(&mock, PoolConfig { max_connecting: 2, ..config(10) });
    for _ in 0..10 {
        pool.acquire_async(drop);
    }
    tokio::time::sleep(secs(5)).await;
    assert_eq!((mock.take_connecting_peak(), pool.stats().connecting), (2, 2));
}
