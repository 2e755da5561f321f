//! Down and busy are different: failing fast in an outage (`acquire.fail_fast`), and a server at its own limit.

use poolhouse::{AcquireError, FailureKind, Phase, PoolConfig};
use tokio::time::Instant;

use crate::common::{Mock, Step, config, filled, ms, pool, secs, settle};

fn fail_fast() -> PoolConfig {
    PoolConfig { fail_fast_after: secs(1), connection_timeout: secs(30), ..config(2) }
}

/// `acquire.fail_fast`: those who wait are told when connecting has failed for that long, and those who come later at once:
/// why, how long ago, and when the next attempt begins.
#[tokio::test(start_paused = true)]
async fn an_outage_is_told_at_once() {
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, fail_fast());
    let began = Instant::now();
    let Err(AcquireError::Connect(_)) = pool.acquire().await else { panic!("the server is down") };
    assert_eq!(began.elapsed(), secs(1));
    tokio::time::sleep(ms(50)).await;
    let (asked, failed_connects) = (Instant::now(), pool.stats().failed_connects);
    let Err(AcquireError::Connect(failed)) = pool.acquire().await else { panic!("the server is down") };
    assert_eq!(asked.elapsed(), ms(0));
    let retry = failed.retry.expect("told at once");
    assert!(retry.age <= secs(1) && retry.next_in <= secs(5), "{retry:?}");
    assert!(failed.to_string().contains("mock says Fail"), "{failed}");
    assert!(failed.to_string().contains(" ago, and the next attempt begins in "), "{failed}");
    // Nobody waits, and the attempts go on all the same, at the pace of the backoff.
    mock.set_connect(Step::Never);
    tokio::time::sleep(retry.next_in).await;
    settle().await;
    let text = pool.acquire().await.unwrap_err().to_string();
    assert!(text.contains(" ago, and the next attempt is under way; "), "{text}");
    // Until it times out.
    tokio::time::sleep(pool.config().connect_attempt_timeout).await;
    settle().await;
    assert_eq!(pool.stats().failed_connects, failed_connects + 1);
}

/// `acquire.fail_fast`: it ends with the first connect that succeeds, whether or not anybody has asked since.
#[tokio::test(start_paused = true)]
async fn the_end_of_an_outage_is_noticed() {
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, fail_fast());
    assert!(pool.acquire().await.is_err());
    mock.set_connect(Step::Ok);
    tokio::time::sleep(secs(5)).await;
    let began = Instant::now();
    assert!(pool.acquire().await.is_ok());
    assert_eq!(began.elapsed(), ms(0));
}

/// `acquire.fail_fast`: a restart of half of `fail_fast_after` costs nobody an error, whatever pauses are drawn.
#[tokio::test(start_paused = true)]
async fn a_short_restart_is_invisible() {
    for _ in 0..100 {
        let mock = Mock::new(Step::Fail);
        let pool = pool(&mock, fail_fast());
        let waiter = tokio::spawn(pool.acquire_owned());
        tokio::time::sleep(ms(500)).await;
        mock.set_connect(Step::Ok);
        assert!(waiter.await.unwrap().is_ok());
    }
}

/// `acquire.fail_fast`: nor if it is switched on during a pause that is longer.
#[tokio::test(start_paused = true)]
async fn a_short_restart_is_invisible_once_it_is_switched_on() {
    let long = secs(20);
    let off = PoolConfig { connect_backoff: long, max_connect_backoff: long, ..config(2) };
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, off.clone());
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    pool.reconfigure(PoolConfig { fail_fast_after: secs(1), ..off }).unwrap();
    tokio::time::sleep(ms(500)).await;
    mock.set_connect(Step::Ok);
    assert!(waiter.await.unwrap().is_ok());
}

/// `acquire.fail_fast`: while a connection is open it serves those who wait, whatever connecting does.
#[tokio::test(start_paused = true)]
async fn an_open_connection_is_waited_for() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, fail_fast()).await;
    let held = pool.acquire().await.unwrap();
    mock.set_connect(Step::Fail);
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::time::sleep(secs(10)).await;
    assert!(!waiter.is_finished());
    held.release();
    assert_eq!(waiter.await.unwrap().unwrap().id, 1);
}

/// `acquire.fail_fast`: the time counts from when nothing is open. What failed before, while a connection served those who
/// wait, may be long ago.
#[tokio::test(start_paused = true)]
async fn the_time_counts_from_the_last_connections_end() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, fail_fast()).await;
    let held = pool.acquire().await.unwrap();
    mock.set_connect(Step::Fail);
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::time::sleep(secs(10)).await;
    let began = Instant::now();
    held.invalidate();
    assert!(matches!(waiter.await.unwrap(), Err(AcquireError::Connect(_))));
    // From the first attempt after that, which waits for the pause after the one before.
    assert!(began.elapsed() >= secs(1) && began.elapsed() <= secs(6), "{:?}", began.elapsed());
}

/// Off, as it is by default, acquires wait until their deadline.
#[tokio::test(start_paused = true)]
async fn without_it_acquires_wait() {
    let mock = Mock::new(Step::Fail);
    let pool = pool(&mock, PoolConfig { connection_timeout: secs(30), ..config(2) });
    let began = Instant::now();
    assert!(matches!(pool.acquire().await, Err(AcquireError::Timeout(_))));
    assert_eq!(began.elapsed(), secs(30));
}

/// `acquire.fail_fast`: a pool whose only runtime has ended has nobody to notice the end of the outage, so its acquires wait
/// and start a background of their own.
#[test]
fn an_outage_does_not_outlive_its_runtime() {
    let mock = Mock::new(Step::Fail);
    let config = PoolConfig { connect_backoff: ms(1), max_connect_backoff: ms(2), ..fail_fast() };
    let pool = pool(&mock, PoolConfig { fail_fast_after: ms(5), ..config });
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(run().block_on(pool.acquire()).is_err());
    mock.set_connect(Step::Ok);
    assert!(run().block_on(pool.acquire()).is_ok());
}

/// So for a pool that has no connection to live with.
#[tokio::test(start_paused = true)]
async fn a_server_that_was_busy_from_the_start_is_called_so() {
    let mock = Mock::new(Step::Busy);
    let pool = pool(&mock, PoolConfig { connection_timeout: secs(3), ..config(2) });
    let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("it waits") };
    assert_eq!((timeout.phase, timeout.server_is_busy), (Phase::Connecting, true));
    let text = timeout.to_string();
    assert!(text.contains("the server takes no more connections"), "{text}");
    assert!(text.ends_with("/troubleshooting/too-many-clients.html"), "{text}");
}

/// A server that says "too many clients" is not down: nobody is told, the pool lives with what it has, asks again with
/// backoff, and a timeout says why there are no more.
#[tokio::test(start_paused = true)]
async fn a_busy_server_is_not_down() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, PoolConfig { connection_timeout: secs(3), ..fail_fast() }).await;
    let held = pool.acquire().await.unwrap();
    mock.set_connect(Step::Busy);
    let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("it waits") };
    assert_eq!((timeout.phase, timeout.server_is_busy, timeout.waited), (Phase::Queueing, true, secs(3)));
    let text = timeout.to_string();
    assert!(text.contains("the server takes no more connections"), "{text}");
    assert!(text.ends_with("/troubleshooting/too-many-clients.html"), "{text}");
    assert!(mock.attempts().len() < 10, "{:?}", mock.attempts());
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    held.release();
    assert_eq!(waiter.await.unwrap().unwrap().id, 1);
}

/// With nothing open a busy server does not make acquires fail fast either: a place may become free at any time.
#[tokio::test(start_paused = true)]
async fn a_busy_server_without_our_connections_is_waited_for() {
    let mock = Mock::new(Step::Busy);
    let pool = pool(&mock, fail_fast());
    let waiter = tokio::spawn(pool.acquire_owned());
    tokio::time::sleep(secs(10)).await;
    assert!(!waiter.is_finished());
    mock.set_connect(Step::Ok);
    assert!(waiter.await.unwrap().is_ok());
    assert_eq!(FailureKind::Busy.as_str(), "busy");
}

/// `acquire.fail_fast`: nobody is told what nobody has looked at for long: the runtime of the background is not driven.
#[test]
fn an_outage_that_nobody_observes_is_not_told() {
    let mock = Mock::new(Step::Fail);
    let config = PoolConfig { connect_backoff: ms(1), max_connect_backoff: ms(2), ..fail_fast() };
    let pool = pool(&mock, PoolConfig { fail_fast_after: ms(5), connect_attempt_timeout: ms(20), ..config });
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stands_still = run();
    assert!(stands_still.block_on(pool.acquire()).is_err());
    mock.set_connect(Step::Ok);
    let other = run();
    let began = std::time::Instant::now();
    while other.block_on(pool.acquire()).is_err() {
        assert!(began.elapsed() < secs(5), "it is told for ever");
        std::thread::sleep(ms(20));
    }
}
