//! Callers that go away in the middle of a statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use poolhouse::{Pool, PoolConfig};
use poolhouse_postgres::ResetPolicy;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use crate::common::{PATIENCE, Result, admin, backends, config, eventually, manager, pid, pool, rows, table};
use crate::shared_or_skip;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_never_has_more_backends_than_the_maximum() -> Result {
    const MAX: usize = 4;
    let server = shared_or_skip!();
    let admin = admin(server).await?;
    let pool = pool(server, "hang_up", MAX);
    let (over, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let counting = tokio::spawn({
        let (over, most) = (Arc::clone(&over), Arc::clone(&most));
        async move {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(backends(&admin, "hang_up").await?, Ordering::Relaxed);
            }
            Result::Ok(admin)
        }
    });
    let callers = (0..10 * MAX).map(|_| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let connection = pool.acquire().await.expect("there is a turn for everybody");
            let answer =
                timeout(Duration::from_millis(20), connection.batch_execute("SELECT pg_sleep(60)")).await;
            assert!(answer.is_err(), "the statement takes a minute: {answer:?}");
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await?;
    }
    let connection = pool.acquire().await?;
    assert_eq!(connection.query_one("SELECT 1", &[]).await?.get::<_, i32>(0), 1);
    drop(connection);
    over.store(true, Ordering::Relaxed);
    let admin = counting.await??;
    let most = most.load(Ordering::Relaxed);
    assert!((1..=MAX as i64).contains(&most), "{most} backends at once, and the maximum is {MAX}");
    assert_eq!(pool.stats().connections_created, most as u64, "each cancelled, and kept");
    pool.close().await;
    assert_eq!(backends(&admin, "hang_up").await?, 0, "close waits for the server's side");
    Ok(())
}

#[tokio::test]
async fn a_statement_that_ends_soon_is_waited_for() -> Result {
    let server = shared_or_skip!();
    let manager = manager(server, "soon").cancel_after(Duration::from_secs(4));
    let pool = Pool::new(manager, config(1))?;
    for _ in 0..20 {
        let connection = pool.acquire().await?;
        let given_up =
            timeout(Duration::from_millis(1), connection.batch_execute("SELECT pg_sleep(0.02)")).await;
        assert!(given_up.is_err());
    }
    pool.acquire().await?.check_connection().await?;
    assert_eq!(pool.stats().connections_created, 1);
    assert!(!server.log().contains("soon: canceling"));
    Ok(())
}

#[tokio::test]
async fn without_a_reset_a_statement_left_running_costs_the_connection() -> Result {
    let server = shared_or_skip!();
    let (admin, manager) =
        (admin(server).await?, manager(server, "no_cancel").reset_policy(ResetPolicy::Nothing));
    let pool = Pool::new(manager, config(1))?;
    let connection = pool.acquire().await?;
    let own = pid(&connection).await?;
    assert!(
        timeout(Duration::from_millis(50), connection.batch_execute("SELECT pg_sleep(60)")).await.is_err()
    );
    drop(connection);
    // The close cancels it, so that there is room for another.
    assert_ne!(pid(&pool.acquire().await?).await?, own);
    assert_eq!(backends(&admin, "no_cancel").await?, 1);
    Ok(())
}

/// The statement ends about when the cancel request is sent. Whichever comes first, the next holder is not
/// hit.
#[tokio::test]
async fn a_late_cancel_never_hits_the_next_holder() -> Result {
    let server = shared_or_skip!();
    let manager = manager(server, "late_cancel").cancel_after(Duration::from_millis(10));
    let pool = Pool::new(manager, config(1))?;
    let mut ended = 0;
    for round in 0..150 {
        let connection = pool.acquire().await?;
        let sleep = format!("SELECT pg_sleep({})", 0.009 + 0.000_03 * f64::from(round));
        let given_up = timeout(Duration::from_micros(100), connection.batch_execute(&sleep)).await;
        ended += u32::from(given_up.is_ok());
        drop(connection);
        let next = pool.acquire().await?;
        for _ in 0..3 {
            assert_eq!(next.query_one("SELECT $1::int", &[&round]).await?.get::<_, i32>(0), round);
        }
    }
    assert!(ended < 150);
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}

#[tokio::test]
async fn answers_never_reach_the_next_holder() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "answers", 1);
    for round in 0..200_i32 {
        let connection = pool.acquire().await?;
        let limit = Duration::from_micros(50 * u64::from(round.unsigned_abs() % 20));
        let _ = timeout(limit, connection.query_one("SELECT $1::int", &[&round])).await;
        drop(connection);
        let next = pool.acquire().await?;
        assert_eq!(next.query_one("SELECT $1::int", &[&-round]).await?.get::<_, i32>(0), -round);
    }
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}

#[tokio::test]
async fn streams_left_half_way_are_drained_or_cancelled() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "streams", 1));
    table(&admin, "streams").await?;
    let first = pool.acquire().await?;
    let own = pid(&first).await?;
    let endless = "SELECT generate_series(1, 100000000)";
    let mut rows_left = Box::pin(first.query_raw(endless, std::iter::empty::<i32>()).await?);
    rows_left.next().await.expect("there are many")?;
    drop(rows_left);
    drop(first);

    let second = pool.acquire().await?;
    assert_eq!(pid(&second).await?, own, "cancelled, and kept");
    let mut copied =
        Box::pin(second.copy_out("COPY (SELECT generate_series(1, 100000000)) TO STDOUT").await?);
    copied.next().await.expect("there is much")?;
    drop(copied);
    drop(second);

    let third = pool.acquire().await?;
    assert_eq!(pid(&third).await?, own);
    let mut sink = Box::pin(third.copy_in("COPY streams FROM STDIN").await?);
    sink.send(&b"1\n"[..]).await?;
    drop(sink);
    drop(third);

    let fourth = pool.acquire().await?;
    assert_eq!(pid(&fourth).await?, own);
    let mut sink = Box::pin(fourth.copy_in("COPY streams FROM STDIN").await?);
    sink.send(&b"1\n2\n"[..]).await?;
    assert_eq!(sink.as_mut().finish().await?, 2);
    drop(sink);
    drop(fourth);
    assert_eq!(rows(&admin, "streams").await?, 2);
    assert_eq!(pid(&pool.acquire().await?).await?, own);
    Ok(())
}

/// A stream borrows nothing, so it may be kept when the connection goes back. The driver delivers answers in order: the next
/// holder's would come after those that nobody takes. Neither a statement that goes on nor one that has ended may hold him up.
#[tokio::test]
async fn a_stream_kept_beyond_its_hold_holds_up_nobody() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "kept", 1));
    for rows in [150, 300, 10_000, 100_000_000] {
        let connection = pool.acquire().await?;
        let select = format!("SELECT repeat('x', 100) FROM generate_series(1, {rows})");
        let mut kept = Box::pin(connection.query_raw(&select, std::iter::empty::<i32>()).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(connection);
        let next = timeout(PATIENCE / 10, pool.acquire()).await??;
        let answer = timeout(PATIENCE / 10, next.query_one("SELECT $1::int", &[&rows])).await??;
        assert_eq!(answer.get::<_, i32>(0), rows);
        assert_eq!(backends(&admin, "kept").await?, 1, "the old one has ended");
        // All of them, or an error: never fewer.
        let mut taken = 0;
        while let Some(row) = kept.next().await {
            if row.is_err() {
                taken = rows;
                break;
            }
            taken += 1;
        }
        assert_eq!(taken, rows);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_the_pool_cancels_what_runs() -> Result {
    let server = shared_or_skip!();
    let admin = admin(server).await?;
    let config = PoolConfig { close_timeout: Duration::from_secs(20), ..config(1) };
    let pool = Pool::new(manager(server, "closing"), config)?;
    let connection = pool.acquire().await?;
    let given_up = timeout(Duration::from_millis(50), connection.batch_execute("SELECT pg_sleep(60)")).await;
    assert!(given_up.is_err());
    connection.invalidate();
    pool.close().await;
    assert_eq!(backends(&admin, "closing").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_token_cancels_what_somebody_waits_for() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "token", 1));
    let connection = pool.acquire().await?;
    let token = connection.cancel_token();
    let cancels = async {
        eventually("the statement runs", async || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'token' AND query LIKE '%sleep%'";
            Ok(admin.query_one(sql, &[]).await?.get::<_, i64>(0) == 1)
        })
        .await?;
        token.cancel_query().await?;
        Result::Ok(())
    };
    let (answer, cancelled) = tokio::join!(connection.batch_execute("SELECT pg_sleep(60)"), cancels);
    cancelled?;
    let error = answer.expect_err("it is cancelled");
    assert_eq!(error.code().map(SqlState::code), Some("57014"));
    Ok(())
}

/// The request is under way when the connection goes back, or has yet to begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_never_hits_the_next_holder() -> Result {
    let server = shared_or_skip!();
    let pool = pool(server, "late_token", 1);
    for round in 0..100 {
        let connection = pool.acquire().await?;
        let token = connection.cancel_token();
        let cancels = tokio::spawn(async move { token.cancel_query().await });
        let _ = connection.batch_execute(&format!("SELECT pg_sleep({})", 0.000_02 * f64::from(round))).await;
        if round % 2 == 0 {
            cancels.abort();
        }
        drop(connection);
        pool.acquire().await?.batch_execute("SELECT pg_sleep(0.01)").await?;
        let _ = cancels.await;
    }
    let connection = pool.acquire().await?;
    let token = connection.cancel_token();
    drop(connection);
    let next = pool.acquire().await?;
    let (answer, cancelled) = tokio::join!(next.batch_execute("SELECT pg_sleep(0.1)"), token.cancel_query());
    cancelled?;
    Ok(answer?)
}
