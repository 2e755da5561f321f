//! Everything at once, on two threads: callers that go away at any moment, transactions left in any way, a crowd of waiters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use futures_util::{SinkExt, StreamExt};
use poolhouse_postgres::{PooledPostgres, PostgresPool};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

use crate::common::{Result, admin, backends, pool, table};
use crate::shared_or_skip;

const MAX: usize = 3;
const CALLERS: usize = 10;

/// How many of the choices below leave nothing that costs the connection, and how many there are.
const UNDOABLE: u8 = 8;
const ALL: u8 = 12;

/// What a caller does until it is interrupted, or is done.
async fn act(mut connection: PooledPostgres, choice: u8, number: i32) -> Result {
    match choice {
        0 => connection.batch_execute("BEGIN; INSERT INTO chaos VALUES (1)").await?,
        1 => {
            let transaction = connection.transaction().await?;
            let insert = transaction.prepare_cached("INSERT INTO chaos VALUES ($1)").await?;
            transaction.execute(&insert, &[&number]).await?;
            transaction.batch_execute("SELECT pg_sleep(0.002)").await?;
        }
        2 => {
            let sink = connection.copy_in("COPY chaos FROM STDIN").await?;
            let mut sink = Box::pin(sink);
            sink.send(&b"1\n"[..]).await?;
        }
        3 => {
            connection.query("SELECT generate_series(1, 20000)", &[]).await?;
        }
        4 => assert!(connection.batch_execute("BEGIN; SELECT 1 / 0").await.is_err()),
        5 => {
            let savepoint = connection.build_transaction().read_only(true).start().await?;
            savepoint.batch_execute("SELECT pg_sleep(0.3)").await?;
        }
        // From here on, what may cost the connection.
        UNDOABLE => {
            let rows =
                connection.query_raw("SELECT generate_series(1, 5000)", std::iter::empty::<i32>()).await?;
            tokio::spawn(async move {
                let mut rows = Box::pin(rows.take(number.rem_euclid(5000) as usize));
                while let Some(Ok(_)) = rows.next().await {
                    tokio::task::yield_now().await;
                }
            });
        }
        9 => {
            let mut sink = Box::pin(connection.copy_in("COPY chaos FROM STDIN").await?);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(number.rem_euclid(200).unsigned_abs().into())).await;
                let _ = sink.send(&b"no number\n"[..]).await;
                let _ = sink.as_mut().finish().await;
            });
        }
        10 => {
            let token = connection.cancel_token();
            tokio::spawn(async move { token.cancel_query().await });
            let _ = connection.batch_execute("SELECT pg_sleep(0.001)").await;
        }
        11 => {
            let mut sink = Box::pin(connection.copy_in("COPY chaos_refused FROM STDIN").await?);
            let _ = sink.send(&b"1\n"[..]).await;
            sink.as_mut().finish().await.expect_err("it is refused");
        }
        _ => {
            let statement = connection.prepare_cached("SELECT $1::int").await?;
            let answer: i32 = connection.query_one(&statement, &[&number]).await?.get(0);
            assert_eq!(answer, number, "somebody else's answer");
        }
    }
    Ok(())
}

async fn call(pool: PostgresPool, mut random: Rng, choices: u8, over: Arc<AtomicBool>) -> Result {
    while !over.load(Ordering::Relaxed) {
        let number = random.i32(..);
        let connection = pool.acquire().await?;
        // In a transaction of somebody else's, `now()` is when that began.
        let answer =
            connection.simple_query(&format!("SELECT now() = statement_timestamp(), {number}")).await?;
        let row = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?, row.get(1)?)),
            _ => None,
        });
        assert_eq!(row, Some(("t", number.to_string().as_str())));
        assert!(!connection.is_in_transaction());
        let patience = Duration::from_micros(random.u64(0..4000));
        if let Ok(done) = timeout(patience, act(connection, random.u8(0..choices), number)).await {
            done?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_passed_on_in_chaos() -> Result {
    chaos(200, UNDOABLE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: thousands of acquires"]
async fn nothing_is_passed_on_in_a_long_chaos() -> Result {
    chaos(5000, UNDOABLE).await
}

/// Streams and sinks that outlive their holds, requests to cancel that are under way, and a COPY with two answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_passed_on_by_those_who_keep_something() -> Result {
    chaos(200, ALL).await
}

/// One chaos at a time: each counts the backends of its pool.
static TURN: Mutex<()> = Mutex::const_new(());

/// Until so many acquires have been served.
async fn chaos(acquires: u64, choices: u8) -> Result {
    let _turn = TURN.lock().await;
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "chaos", MAX));
    table(&admin, "chaos").await?;
    table(&admin, "chaos_refused").await?;
    admin
        .batch_execute(
            "CREATE OR REPLACE FUNCTION refuse_chaos() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN PERFORM pg_sleep(0.001); RAISE EXCEPTION ''no''; END'; \
             CREATE TRIGGER refuse BEFORE INSERT ON chaos_refused FOR EACH STATEMENT EXECUTE FUNCTION refuse_chaos()",
        )
        .await?;
    let seed = std::env::var("CHAOS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("CHAOS_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let over = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(call(pool.clone(), random.fork(), choices, Arc::clone(&over))))
        .collect();
    let mut most = 0;
    while pool.stats().total_acquisitions < acquires && callers.iter().all(|caller| !caller.is_finished()) {
        most = most.max(backends(&admin, "chaos").await?);
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await??;
    }
    let stats = pool.stats();
    println!("{} acquires, {} connections", stats.total_acquisitions, stats.connections_created);
    assert!(most <= MAX as i64, "{most} backends");
    if choices == UNDOABLE {
        assert_eq!(stats.connections_created, MAX as u64, "each use could be undone: {stats:?}");
    }
    pool.close().await;
    assert_eq!(backends(&admin, "chaos").await?, 0);
    Ok(())
}
