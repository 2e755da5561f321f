//! How an acquire ends without a connection: `acquire.deadline`, `acquire.diagnosis`, `acquire.shed`.

use std::error::Error;
use std::pin::pin;
use std::task::Poll;

use poolhouse::{AcquireError, AcquireTimeout, ConnectError, Phase, PoolConfig};
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::common::{Mock, MockError, Step, config, ms, poll_once, pool, secs, settle};

/// Acquires, expects a timeout after the default 30 s to the millisecond, and gives back what it says.
async fn times_out(pool: &poolhouse::Pool<Mock>) -> Box<AcquireTimeout> {
    let begin = Instant::now();
    let result =
        tokio::time::timeout(secs(300), pool.acquire()).await.expect("the deadline passed unnoticed");
    let Err(AcquireError::Timeout(timeout)) = result else { panic!("{result:?}") };
    let waited = begin.elapsed();
    assert!(waited >= secs(30) && waited <= secs(30) + ms(2), "ended after {waited:?}");
    assert!(timeout.waited >= secs(30) && timeout.waited <= secs(30) + ms(2));
    assert_eq!(pool.stats().pending_requests, 0);
    assert_eq!((pool.stats().timed_out_acquisitions, pool.stats().failed_acquisitions), (1, 1));
    timeout
}

/// acquire.deadline, acquire.diagnosis: waiting in the queue. In
/// <https://github.com/mozilla-services/syncstorage-rs/issues/973> the default was to wait forever, and the
/// queue never cleared.
/// Option `connection_timeout`.
#[tokio::test(start_paused = true)]
async fn queueing_ends_at_the_deadline() {
    let pool = pool(&Mock::ok(), config(1));
    let _held = pool.acquire().await.unwrap();
    let timeout = times_out(&pool).await;
    assert_eq!(timeout.phase, Phase::Queueing);
    assert!(timeout.last_connect_error.is_none() && timeout.source().is_none());
}

/// acquire.deadline: a connect that never ends, with and without a limit of its own.
/// Option `connect_attempt_timeout`.
#[tokio::test(start_paused = true)]
async fn a_connect_that_never_ends_does_not_outlast_the_deadline() {
    for connect_attempt_timeout in [secs(10), std::time::Duration::MAX] {
        let mock = Mock::new(Step::Never);
        let pool = pool(&mock, PoolConfig { connect_attempt_timeout, ..config(1) });
        let timeout = times_out(&pool).await;
        assert_eq!((timeout.phase, timeout.active), (Phase::Connecting, 0));
        let error = timeout.last_connect_error.as_deref();
        assert_eq!(
            matches!(error, Some(ConnectError::TimedOut(_))),
            connect_attempt_timeout == secs(10),
            "{error:?}"
        );
    }
}

/// acquire.deadline, acquire.diagnosis: a server that refuses. The last error is in the text, and at hand.
#[tokio::test(start_paused = true)]
async fn refused_connects_end_at_the_deadline_and_are_named() {
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, config(1));
    let timeout = times_out(&pool).await;
    assert_eq!(timeout.phase, Phase::Connecting);
    assert_eq!(timeout.failed_connects, mock.attempts().len() as u64);
    assert!(timeout.last_connect_error_age.unwrap() <= secs(5), "older than the longest pause");

    let text = timeout.to_string();
    assert!(text.contains(&format!("; {} failed connects, the last ", mock.attempts().len())), "{text}");
    assert!(text.contains(" ago: mock says Fail; "), "{text}");
    assert!(text.ends_with("/troubleshooting/server-down.html"), "{text}");
    assert_eq!(text.matches("; guide: ").count(), 1, "an error inside another names no page: {text}");
    let error = AcquireError::Timeout(timeout);
    assert!(error.source().is_none(), "the text has told the cause");
    let cause = error.manager_error();
    assert!(matches!(cause, Some(MockError(Step::Fail))), "{cause:?}");
}

/// acquire.deadline: a server that comes back in time is used.
#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_within_the_deadline_is_used() {
    let mock = Mock::ok().script([Step::Fail, Step::Panic, Step::Fail, Step::Never]);
    let pool = pool(&mock, config(1));
    let begin = Instant::now();
    let connection = pool.acquire().await.unwrap();
    assert_eq!((connection.id, mock.attempts().len()), (1, 5));
    assert!(begin.elapsed() < secs(15), "{:?}", begin.elapsed());
}

/// acquire.deadline: queueing and connecting share one deadline.
#[tokio::test(start_paused = true)]
async fn queueing_and_connecting_share_the_deadline() {
    let mock = Mock::new(Step::Never).script([Step::Ok]);
    let pool = pool(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(secs(20)).await;
        held.invalidate();
    });
    let timeout = times_out(&pool).await;
    assert_eq!(timeout.phase, Phase::Connecting);
}

/// acquire.diagnosis: the whole text of a timeout in the queue.
#[tokio::test(start_paused = true)]
async fn the_text_names_place_counts_and_the_longest_holder() {
    let pool = pool(&Mock::ok(), config(2));
    let (_longest, line) = (pool.acquire().await.unwrap(), line!());
    tokio::time::sleep(secs(5)).await;
    let _later = pool.acquire().await.unwrap();
    let ahead = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop).unwrap_err() }
    });
    settle().await;
    tokio::time::advance(ms(5)).await;
    let mut mine = pin!(pool.acquire());
    assert!(poll_once(mine.as_mut()).await.is_pending());
    let mut behind = pin!(pool.acquire());
    assert!(poll_once(behind.as_mut()).await.is_pending());

    let first = ahead.await.unwrap().to_string();
    assert!(first.contains("(queueing, 1 of 3 in the queue)"), "{first}");
    let text = mine.await.unwrap_err().to_string();
    let start = "timed out after 30s waiting for a connection to mock:1 (queueing, 1 of 2 in the queue): \
                 2 of 2 connections are held, 0 connecting; the longest is held for 35.00";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains(&format!("acquired at {}:{line}:", file!())), "{text}");
    assert!(text.contains("; release connections sooner, raise max_connections"), "{text}");
    assert!(text.ends_with("/troubleshooting/pool-exhaustion.html"), "{text}");
}

/// acquire.diagnosis: of a crowd whose waits end together, each is told the counts of that moment, though some have let go
/// of connections before the others ask.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_ends_together_is_told_the_same() {
    let pool = pool(&Mock::ok(), config(4));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(pool.acquire().await.unwrap());
    }
    let mut crowd: Vec<_> = (0..8).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut crowd {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    for (index, waiter) in crowd.into_iter().enumerate() {
        let error = waiter.await.unwrap_err();
        let (text, place) = (error.to_string(), format!("{} of 8 in the queue", index + 1));
        assert!(
            text.contains(": 4 of 4 connections are held, 0 connecting; the longest is held for"),
            "{text}"
        );
        assert!(text.contains(&place), "{place}: {text}");
        drop(held.pop());
    }
}

/// acquire.diagnosis: a pool whose only connection hangs in its health check says so.
#[tokio::test(start_paused = true)]
async fn a_check_in_the_way_is_named() {
    let mock = Mock::ok();
    mock.set_check(Step::Never);
    let pool = pool(&mock, PoolConfig { health_check_timeout: secs(600), ..config(1) });
    drop(pool.acquire().await.unwrap());
    tokio::time::sleep(secs(31)).await;
    assert_eq!(pool.stats().checking, 1);
    let timeout = times_out(&pool).await;
    assert_eq!((timeout.phase, timeout.idle), (Phase::Checking, 1));
}

/// acquire.diagnosis: the source line is the caller's for every way to acquire.
#[tokio::test(start_paused = true)]
async fn holders_names_the_line_of_each_way_to_acquire() {
    let pool = pool(&Mock::ok(), config(4));
    let (_a, line_a) = (pool.acquire().await.unwrap(), line!());
    drop(pool.acquire().await.unwrap());
    let (_b, line_b) = (pool.try_acquire().unwrap(), line!());
    let (send, receive) = tokio::sync::oneshot::channel();
    let (task, line_c) = (pool.acquire_async(|acquired| drop(send.send(acquired.unwrap()))), line!());
    let _c = receive.await.unwrap();
    task.await.unwrap();
    let lines: Vec<_> = pool.holders().iter().map(|holder| holder.acquired_at.line()).collect();
    assert_eq!(lines, [line_a, line_b, line_c]);
    assert!(pool.holders().iter().all(|holder| holder.acquired_at.file() == file!()));
}

/// acquire.shed: beyond `max_pending` the answer comes at once, and those who wait stay.
/// Option `max_pending`.
#[tokio::test(start_paused = true)]
async fn beyond_max_pending_an_acquire_fails_at_once() {
    let pool = pool(&Mock::ok(), PoolConfig { max_pending: Some(2), ..config(1) });
    let held = pool.acquire().await.unwrap();
    let mut first = pin!(pool.acquire());
    let mut second = pin!(pool.acquire());
    assert!(poll_once(first.as_mut()).await.is_pending());
    assert!(poll_once(second.as_mut()).await.is_pending());

    let begin = Instant::now();
    let error = pool.acquire().await.unwrap_err();
    assert_eq!(begin.elapsed(), ms(0));
    assert!(matches!(error, AcquireError::Overloaded { waiting: 2, max_pending: 2, .. }), "{error:?}");
    assert!(error.to_string().contains("mock:1"));
    assert_eq!(pool.stats().failed_acquisitions, 1);

    drop(held);
    drop(first.await.unwrap());
    drop(second.await.unwrap());
    drop(pool.acquire().await.unwrap());
}

/// acquire_async: the callback gets the connection or the error.
#[tokio::test(start_paused = true)]
async fn acquire_async_calls_back_with_either() {
    let pool = pool(&Mock::ok(), config(1));
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let sender = send.clone();
    pool.acquire_async(move |acquired| sender.send(acquired.is_ok()).unwrap()).await.unwrap();
    let _held = pool.acquire().await.unwrap();
    pool.acquire_async(move |acquired| send.send(acquired.is_err_and(|error| error.is_timeout())).unwrap())
        .await
        .unwrap();
    assert_eq!((receive.recv().await, receive.recv().await), (Some(true), Some(true)));
    assert_eq!(pool.stats().active_connections, 1, "the callback's connection came back");
}

/// acquire.deadline: `warm_up` keeps to it too, and says what it waited for.
#[tokio::test(start_paused = true)]
async fn warming_up_ends_at_the_deadline() {
    let mock = Mock::new(Step::Never);
    let patient = std::time::Duration::MAX;
    let pool = pool(&mock, PoolConfig { min_connections: 1, connect_attempt_timeout: patient, ..config(1) });
    let begin = Instant::now();
    let Err(AcquireError::Timeout(timeout)) = pool.warm_up().await else { panic!("no timeout") };
    assert!(begin.elapsed() <= secs(30) + ms(2), "ended after {:?}", begin.elapsed());
    assert_eq!((timeout.phase, timeout.connecting), (Phase::Connecting, 1));
}

/// acquire.deadline, time.fresh: the clock of the runtime that waits stands before the one that the pool was made by, as
/// where one test after another, each with a paused clock, uses one pool in a `static`.
#[test]
fn a_clock_that_stands_before_the_pool_was_made_keeps_its_deadlines() {
    let paused = || Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (early, late) = (paused(), paused());
    let pool = late.block_on(async {
        tokio::time::advance(secs(3600)).await;
        pool(&Mock::new(Step::Never), config(1))
    });
    early.block_on(async {
        let begin = Instant::now();
        let result = tokio::time::timeout(secs(300), pool.acquire_within(secs(1))).await;
        assert!(matches!(result, Ok(Err(AcquireError::Timeout(_)))), "{result:?}");
        assert!(begin.elapsed() <= secs(1) + ms(2), "ended after {:?}", begin.elapsed());
    });
}

/// acquire.deadline: an acquire that was served, is left alone, and whose connection is taken back after its deadline.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_back_late_leaves_no_waiter() {
    type TakeBack = fn(&poolhouse::Pool<Mock>);
    let ways: [TakeBack; 2] = [|pool| pool.suspend(), |pool| pool.invalidate_all()];
    for (take_back, own_limit) in ways.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let mock = Mock::ok();
        let pool = pool(&mock, PoolConfig { connection_timeout: secs(1), ..config(1) });
        let held = pool.acquire().await.unwrap();
        let mut left_alone = pin!(if own_limit { pool.acquire_within(secs(1)) } else { pool.acquire() });
        assert!(poll_once(left_alone.as_mut()).await.is_pending());
        tokio::time::sleep(ms(500)).await;
        drop(held);
        tokio::time::sleep(secs(1)).await;
        mock.set_connect(Step::Never);
        take_back(&pool);
        tokio::time::sleep(secs(60)).await;
        assert_eq!(pool.stats().pending_requests, 0, "a limit of its own: {own_limit}");
        let ended = poll_once(left_alone.as_mut()).await;
        assert!(matches!(ended, Poll::Ready(Err(AcquireError::Timeout(_)))), "{ended:?}");
    }
}
