//! Between two holders a connection is reset where that is wanted: `reset.between`.

use poolhouse::{AcquireError, Phase, PoolConfig, RetireReason};
use tokio::time::Instant;

use crate::common::{
    Mock, Step, assert_hands_out_exactly, config, filled, ms, poll_once, pool, secs, settle,
};

/// `reset.between`: a waiter gets the connection after its reset, not by a direct hand-over.
#[tokio::test(start_paused = true)]
async fn a_waiter_gets_it_after_its_reset() {
    let mock = Mock::ok();
    mock.set_reset(Step::Slow(secs(2)));
    let pool = filled(&mock, 1, config(1)).await;
    tokio::time::sleep(secs(3)).await;
    let held = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    let released = Instant::now();
    held.release();
    let again = waiter.await.unwrap().unwrap();
    assert_eq!((again.id, released.elapsed()), (1, secs(2)));
    assert_eq!(mock.done(), [("reset", 1), ("reset", 1)]);
}

/// `reset.between`, `try_acquire.immediate`: a reset begins as soon as the connection is back, and until it has ended nobody
/// can take the connection.
#[tokio::test(start_paused = true)]
async fn a_reset_begins_at_once_and_nobody_gets_it_before_the_end() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, config(1)).await;
    mock.set_reset(Step::Slow(secs(2)));
    pool.acquire().await.unwrap().release();
    assert!(pool.try_acquire().is_none(), "it has not begun");
    settle().await;
    let stats = pool.stats();
    assert_eq!((stats.idle_connections, stats.resetting, stats.checking), (1, 1, 0));
    tokio::time::sleep(secs(1)).await;
    assert!(pool.try_acquire().is_none(), "it goes on");
    tokio::time::sleep(secs(1)).await;
    settle().await;
    assert!(pool.try_acquire().is_some());
    assert_eq!(mock.done(), [("reset", 1)]);
}

/// The manager says for each return whether a reset is wanted.
#[tokio::test(start_paused = true)]
async fn a_connection_that_needs_none_is_kept_as_it_is() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, config(1)).await;
    let held = pool.acquire().await.unwrap();
    let mut waiter = std::pin::pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    held.release();
    assert!(poll_once(waiter.as_mut()).await.is_ready(), "a direct hand-over");
    assert!(mock.done().is_empty());
}

/// `reset.between`, `panic.no_loss`: a reset that fails, hangs or panics costs one connection, and the waiter gets another.
#[tokio::test(start_paused = true)]
async fn a_reset_that_does_not_succeed_costs_one_connection() {
    for (step, reason) in [
        (Step::Fail, RetireReason::ResetFailed),
        (Step::Never, RetireReason::ResetFailed),
        (Step::Panic, RetireReason::Panicked),
    ] {
        let mock = Mock::ok();
        let pool = filled(&mock, 1, config(1)).await;
        let held = pool.acquire().await.unwrap();
        mock.set_reset(step);
        let waiter = tokio::spawn(pool.acquire_owned());
        settle().await;
        held.release();
        let other = waiter.await.unwrap().unwrap();
        assert_eq!(other.id, 2, "{step:?}");
        let stats = pool.stats();
        assert_eq!(
            (stats.failed_resets, stats.failed_checks, stats.closed.get(reason)),
            (1, 0, 1),
            "{step:?}"
        );
        mock.set_reset(None);
        drop(other);
        assert_hands_out_exactly(&pool, 1, &format!("{step:?}")).await;
    }
}

/// `cancel.no_loss`: an acquire that goes away during the reset leaves the connection to the next.
#[tokio::test(start_paused = true)]
async fn a_waiter_may_go_away_during_the_reset() {
    let mock = Mock::ok();
    mock.set_reset(Step::Slow(secs(1)));
    let pool = filled(&mock, 1, config(1)).await;
    tokio::time::sleep(secs(2)).await;
    let held = pool.acquire().await.unwrap();
    {
        let mut waiter = std::pin::pin!(pool.acquire());
        assert!(poll_once(waiter.as_mut()).await.is_pending());
        held.release();
        settle().await;
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    tokio::time::sleep(secs(1)).await;
    settle().await;
    assert_eq!(pool.try_acquire().map(|connection| connection.id), Some(1));
}

/// `reset.between`: not through resize, `suspend`, `invalidate_all` and `close`: what is under a reset then is closed, and
/// its reset is told to stop.
#[tokio::test(start_paused = true)]
async fn nothing_lets_a_connection_out_of_its_reset() {
    type Act = fn(&poolhouse::Pool<Mock>);
    let acts: [(&str, Act); 4] = [
        ("resize", |pool| pool.resize(1).unwrap()),
        ("suspend", |pool| {
            pool.suspend();
            pool.resume();
        }),
        ("invalidate_all", |pool| pool.invalidate_all()),
        ("close", |pool| drop(pool.close())),
    ];
    for (name, act) in acts {
        let mock = Mock::ok();
        let pool = filled(&mock, 2, config(2)).await;
        mock.set_reset(Step::Never);
        let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
        drop(held);
        settle().await;
        assert_eq!(pool.stats().resetting, 2, "{name}");
        act(&pool);
        settle().await;
        let left = usize::from(name == "resize");
        assert_eq!((pool.stats().resetting, mock.open()), (left, left), "{name}");
        assert!(pool.try_acquire().is_none(), "{name}");
    }
}

/// `acquire.race`: where there is room, a waiter does not wait longer for a reset than a connect usually takes.
#[tokio::test(start_paused = true)]
async fn a_slow_reset_is_overtaken_by_a_connect() {
    let mock = Mock::new(Step::Slow(ms(20)));
    let pool = filled(&mock, 1, config(2)).await;
    mock.set_reset(Step::Slow(secs(4)));
    pool.acquire().await.unwrap().release();
    let began = Instant::now();
    let connection = pool.acquire().await.unwrap();
    assert_eq!(connection.id, 2);
    assert!(began.elapsed() <= ms(45), "{:?}", began.elapsed());
}

/// `acquire.diagnosis`: a timeout says that resets do not end.
#[tokio::test(start_paused = true)]
async fn a_timeout_says_that_resets_do_not_end() {
    let mock = Mock::ok();
    let config = PoolConfig { connection_timeout: secs(1), reset_timeout: secs(60), ..config(1) };
    let pool = filled(&mock, 1, config).await;
    mock.set_reset(Step::Never);
    pool.acquire().await.unwrap().release();
    let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("it is under a reset") };
    assert_eq!(timeout.phase, Phase::Resetting);
    let text = timeout.to_string();
    assert!(text.contains("(resetting, 1 of 1 in the queue)"), "{text}");
    assert!(text.contains("; check that a reset is quick, or lower reset_timeout; guide: "), "{text}");
    assert!(text.ends_with("/guide/session-state.html"), "{text}");
}

/// `release.anywhere`, `reset.between`: a release on a thread without a runtime leaves the reset to the background.
#[tokio::test(start_paused = true)]
async fn a_release_outside_of_any_runtime_is_reset_too() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, config(1)).await;
    mock.set_reset(Step::Ok);
    let held = pool.acquire().await.unwrap();
    std::thread::spawn(move || held.release()).join().unwrap();
    assert_eq!(pool.acquire().await.unwrap().id, 1);
    assert_eq!(mock.done(), [("reset", 1)]);
}

/// `reset.between`: an acquire that was served and goes away unpolled has used nothing, so nothing is reset.
#[tokio::test(start_paused = true)]
async fn what_nobody_has_used_is_not_reset_again() {
    let mock = Mock::ok();
    mock.set_reset(Step::Ok);
    let pool = pool(&mock, config(1));
    let held = pool.acquire().await.unwrap();
    {
        let mut waiter = std::pin::pin!(pool.acquire());
        assert!(poll_once(waiter.as_mut()).await.is_pending());
        held.release();
        settle().await;
    }
    assert_eq!(pool.try_acquire().map(|connection| connection.id), Some(1));
    assert_eq!(mock.done(), [("reset", 1)]);
}

/// `acquire.race`: a reset that hangs does not keep a waiter from another idle connection, whose check comes first.
#[tokio::test(start_paused = true)]
async fn a_waiter_does_not_rely_on_a_reset_that_hangs() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, PoolConfig { check_after_idle: ms(0), ..config(2) }).await;
    let held = pool.acquire().await.unwrap();
    mock.set_reset(Step::Never);
    held.release();
    settle().await;
    let began = Instant::now();
    assert!(pool.acquire().await.is_ok());
    assert!(began.elapsed() <= ms(5), "{:?}", began.elapsed());
}
