//! Closures on the builder: after connect, before reuse, on return, before close.

use std::sync::{Arc, Mutex};

use poolhouse::{
    AcquireError, ConnectionInfo, Discard, Event, Failure, FailureKind, HookFuture, Pool, PoolBuilder,
    PoolConfig, RetireReason,
};
use tokio::time::Instant;

use crate::common::{Conn, Mock, Step, config, ms, secs, settle};

type Calls = Arc<Mutex<Vec<(&'static str, usize)>>>;

/// Notes its calls, and takes so long.
fn hook(calls: &Calls, name: &'static str, millis: u64) -> impl Fn(&mut Conn) -> HookFuture<'_> + use<> {
    let calls = Arc::clone(calls);
    move |connection| {
        calls.lock().unwrap().push((name, connection.id));
        Box::pin(async move {
            tokio::time::sleep(ms(millis)).await;
            Ok(())
        })
    }
}

/// The same, at a turn where the pool says what it knows.
fn informed(
    calls: &Calls,
    name: &'static str,
    millis: u64,
) -> impl for<'c> Fn(&'c mut Conn, ConnectionInfo) -> HookFuture<'c> + use<> {
    let hook = hook(calls, name, millis);
    move |connection, _| hook(connection)
}

fn builder(mock: &Mock, config: PoolConfig) -> (PoolBuilder<Mock>, Calls) {
    (Pool::builder(mock.clone()).config(config), Calls::default())
}

/// Each at its turn of a connection's life.
#[tokio::test(start_paused = true)]
async fn each_runs_at_its_turn() {
    let (builder, calls) = builder(&Mock::ok(), config(1));
    let pool = builder
        .after_connect(hook(&calls, "after connect", 1))
        .before_reuse(informed(&calls, "before reuse", 1))
        .on_return(informed(&calls, "on return", 1))
        .before_close(informed(&calls, "before close", 1))
        .build()
        .unwrap();
    pool.acquire().await.unwrap().release();
    pool.acquire().await.unwrap().release();
    tokio::time::sleep(secs(1)).await;
    pool.close().await;
    let expected = ["after connect", "on return", "before reuse", "on return", "before close"];
    assert_eq!(*calls.lock().unwrap(), expected.map(|name| (name, 1)));
}

/// A hook learns what the pool knows: to close what is old or much used is one line.
#[tokio::test(start_paused = true)]
async fn a_hook_knows_the_age_and_the_uses() {
    let (builder, told) = (Pool::builder(Mock::ok()).config(config(1)), Arc::new(Mutex::new(Vec::new())));
    let heard = Arc::clone(&told);
    let pool = builder
        .on_return(move |_, info| {
            heard.lock().unwrap().push((info.id, info.age, info.idle_time, info.use_count));
            Box::pin(async move { if info.use_count < 2 { Ok(()) } else { Err("used twice".into()) } })
        })
        .build()
        .unwrap();
    let held = pool.acquire().await.unwrap();
    tokio::time::sleep(secs(3)).await;
    held.release();
    settle().await;
    tokio::time::sleep(secs(1)).await;
    pool.acquire().await.unwrap().release();
    settle().await;
    let expected = [(1, secs(3), ms(0), 1), (1, secs(4), ms(0), 2)];
    assert_eq!(*told.lock().unwrap(), expected);
    assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1);
}

/// A hook before reuse runs for a direct hand-over too, and after a check that is due.
#[tokio::test(start_paused = true)]
async fn a_hook_before_reuse_misses_no_reuse() {
    let mock = Mock::ok();
    let options = PoolConfig { check_after_idle: ms(0), ..config(1) };
    let (builder, calls) = builder(&mock, options);
    let pool = builder.before_reuse(informed(&calls, "before reuse", 100)).build().unwrap();
    let held = pool.acquire().await.unwrap();
    assert!(calls.lock().unwrap().is_empty(), "it is new");
    let waiter = tokio::spawn(pool.acquire_owned());
    settle().await;
    let began = Instant::now();
    held.release();
    let held = waiter.await.unwrap().unwrap();
    assert_eq!((began.elapsed(), calls.lock().unwrap().len(), mock.checks()), (ms(100), 1, 1));
    drop(held);
    let held = pool.acquire().await.unwrap();
    assert_eq!((calls.lock().unwrap().len(), mock.checks()), (2, 2));
    drop(held);
}

/// The first use is no reuse: a connection that was opened ahead is handed out as it is.
#[tokio::test(start_paused = true)]
async fn a_hook_before_reuse_does_not_run_before_the_first_use() {
    let (builder, calls) = builder(&Mock::ok(), PoolConfig { min_connections: 1, ..config(1) });
    let pool = builder.before_reuse(informed(&calls, "before reuse", 1)).build().unwrap();
    pool.warm_up().await.unwrap();
    let first = pool.try_acquire().expect("it is new");
    assert!(calls.lock().unwrap().is_empty());
    drop(first);
    assert!(pool.try_acquire().is_none(), "now it is not");
}

/// What a hook refuses is closed, and the acquire gets another.
#[tokio::test(start_paused = true)]
async fn a_hook_that_refuses_costs_one_connection() {
    type Set = fn(PoolBuilder<Mock>) -> PoolBuilder<Mock>;
    let cases: [(RetireReason, Set); 2] = [
        (RetireReason::HookFailed, |builder| {
            builder.before_reuse(|_, _| Box::pin(async { Err("no".into()) }))
        }),
        (RetireReason::ResetFailed, |builder| builder.on_return(|_, _| Box::pin(async { Err("no".into()) }))),
    ];
    for (reason, set) in cases {
        let (builder, _) = builder(&Mock::ok(), config(1));
        let pool = set(builder).build().unwrap();
        pool.acquire().await.unwrap().release();
        assert_eq!(pool.acquire().await.unwrap().id, 2, "{reason}");
        assert_eq!(pool.stats().closed.get(reason), 1, "{reason}");
    }
}

/// A hook after connect that fails is a failed connect, within the time of one attempt.
#[tokio::test(start_paused = true)]
async fn a_hook_after_connect_is_part_of_the_connect() {
    let mock = Mock::ok();
    let options = PoolConfig { connect_attempt_timeout: secs(2), ..config(1) };
    let (failing, _) = builder(&mock, options.clone());
    let pool =
        failing.after_connect(|_| Box::pin(async { Err("the role does not exist".into()) })).build().unwrap();
    let Err(AcquireError::Connect(failed)) = pool.warm_up_with_one().await else { panic!("the hook fails") };
    assert!(failed.to_string().contains("the role does not exist"), "{failed}");
    assert_eq!(mock.open(), 0);
    let (hanging, calls) = builder(&mock, options);
    let pool = hanging.after_connect(hook(&calls, "hangs", 60_000)).build().unwrap();
    let Err(AcquireError::Connect(failed)) = pool.warm_up_with_one().await else { panic!("the hook hangs") };
    assert!(failed.to_string().contains("no connection after 2s"), "{failed}");
}

/// A hook before close is bounded, and an error of it is nobody's but the log's.
#[tokio::test(start_paused = true)]
async fn a_hook_before_close_is_bounded() {
    let mock = Mock::ok();
    mock.set_close(Step::Ok);
    let (failing, _) = builder(&mock, config(1));
    let pool = failing.before_close(|_, _| Box::pin(async { Err("no".into()) })).build().unwrap();
    pool.acquire().await.unwrap().release();
    pool.close().await;
    assert_eq!((mock.open(), mock.done()), (0, vec![("close", 1)]), "the manager closes it all the same");
    mock.set_close(None);
    let (plain, calls) = builder(&mock, config(1));
    let pool = plain.before_close(informed(&calls, "before close", 1)).build().unwrap();
    pool.acquire().await.unwrap().release();
    pool.close().await;
    assert_eq!(
        (mock.open(), mock.done().len(), calls.lock().unwrap().len()),
        (0, 1, 1),
        "it does not want to"
    );
    let (hanging, calls) = builder(&mock, PoolConfig { close_timeout: secs(3), ..config(1) });
    let pool = hanging.before_close(informed(&calls, "hangs", 60_000)).build().unwrap();
    pool.acquire().await.unwrap().release();
    let began = Instant::now();
    pool.close().await;
    assert_eq!((mock.open(), began.elapsed()), (0, secs(3)));
}

/// A hook before close that panics keeps no connection from being closed by the manager.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_hook_before_close_is_the_logs() {
    type Set = fn(PoolBuilder<Mock>) -> PoolBuilder<Mock>;
    let cases: [Set; 2] = [
        |builder| builder.before_close(|_, _| panic!("told to panic")),
        |builder| builder.before_close(|_, _| Box::pin(async { panic!("told to panic") })),
    ];
    for set in cases {
        let mock = Mock::ok();
        mock.set_close(Step::Slow(ms(20)));
        let (builder, _) = builder(&mock, config(1));
        let pool = set(builder).build().unwrap();
        pool.acquire().await.unwrap().release();
        let began = Instant::now();
        pool.close().await;
        assert_eq!((mock.open(), mock.done(), began.elapsed()), (0, vec![("close", 1)], ms(20)));
    }
}

trait WarmUpWithOne {
    async fn warm_up_with_one(&self) -> Result<(), AcquireError>;
}

impl WarmUpWithOne for Pool<Mock> {
    /// With a minimum of one, so that there is something to open.
    async fn warm_up_with_one(&self) -> Result<(), AcquireError> {
        self.reconfigure(PoolConfig { min_connections: 1, ..self.config() }).unwrap();
        self.warm_up().await
    }
}

/// `connect.permanent`: a hook knows that its failure will not go away, and says so. A waiter is told at
/// once.
#[tokio::test(start_paused = true)]
async fn a_hook_after_connect_may_fail_for_good() {
    let (builder, _) = builder(&Mock::ok(), config(1));
    let no_role = || Failure::new(FailureKind::Permanent, "the role does not exist");
    let pool =
        builder.after_connect(move |_| Box::pin(async move { Err(no_role().into()) })).build().unwrap();
    let began = Instant::now();
    let Err(AcquireError::Connect(failed)) = pool.acquire().await else { panic!("the hook fails") };
    assert_eq!(began.elapsed(), ms(0));
    let inner = failed.error.dyn_manager_error().expect("the hook's error");
    assert!(!inner.is::<Failure>(), "the pool unwraps it");
    assert_eq!(inner.to_string(), "the role does not exist");
}

/// The kind is found below what others have put around it.
#[tokio::test(start_paused = true)]
async fn a_failure_keeps_its_kind_below_a_context() {
    let (builder, _) = builder(&Mock::ok(), config(1));
    let pool = builder
        .after_connect(|_| {
            Box::pin(async {
                let failure = Failure::new(FailureKind::Permanent, "no such role");
                Err(anyhow::Error::new(failure).context("cannot set the role").into())
            })
        })
        .build()
        .unwrap();
    let began = Instant::now();
    let error = pool.acquire().await.unwrap_err().to_string();
    assert_eq!(began.elapsed(), ms(0), "{error}");
    assert!(error.contains("cannot set the role: no such role"), "{error}");
}

/// A hook that does not keep a connection is no failure: nobody is warned, and no other connection is in doubt.
#[tokio::test(start_paused = true)]
async fn a_hook_may_discard_a_connection_without_a_warning() {
    type Set = fn(PoolBuilder<Mock>) -> PoolBuilder<Mock>;
    let cases: [Set; 2] = [
        |builder| builder.before_reuse(|_, _| Box::pin(async { Err(Discard.into()) })),
        |builder| builder.on_return(|_, _| Box::pin(async { Err(Discard.into()) })),
    ];
    for set in cases {
        let failures = Arc::new(Mutex::new(0));
        let heard = Arc::clone(&failures);
        let (builder, _) = builder(&Mock::ok(), config(1));
        let pool = set(builder)
            .listener(move |event: &Event<'_>| {
                if matches!(event, Event::CheckFailed { .. } | Event::ResetFailed { .. }) {
                    *heard.lock().unwrap() += 1;
                }
            })
            .build()
            .unwrap();
        pool.acquire().await.unwrap().release();
        assert_eq!(pool.acquire().await.unwrap().id, 2);
        let stats = pool.stats();
        assert_eq!(stats.closed.get(RetireReason::NotRetained), 1);
        assert_eq!((stats.failed_checks, stats.failed_resets, *failures.lock().unwrap()), (0, 0, 0));
    }
}
