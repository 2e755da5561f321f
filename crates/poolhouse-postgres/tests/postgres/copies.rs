//! `COPY FROM STDIN`, whose end is the client's to say: nobody else gets a session that waits for data, or answers of it
//! (`reset.between`).

use std::io::Cursor;
use std::time::Duration;

use futures_util::SinkExt;
use poolhouse_postgres::PooledPostgres;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;

use crate::common::{PATIENCE, Result, admin, backends, pool, rows, table};
use crate::shared_or_skip;

/// A sink borrows nothing, so it may be kept when the connection goes back. In a COPY the server takes no other request, and
/// the driver sends none.
#[tokio::test]
async fn a_sink_kept_beyond_its_hold_holds_up_nobody() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "kept_sink", 1));
    table(&admin, "kept_sink").await?;
    let connection = pool.acquire().await?;
    let mut sink = Box::pin(connection.copy_in("COPY kept_sink FROM STDIN").await?);
    sink.send(&b"1\n"[..]).await?;
    drop(connection);
    let next = timeout(PATIENCE / 10, pool.acquire()).await??;
    timeout(PATIENCE / 10, next.batch_execute("SELECT 1")).await??;
    assert_eq!(backends(&admin, "kept_sink").await?, 1, "the old one has ended");
    assert!(sink.as_mut().finish().await.is_err());
    assert_eq!(rows(&admin, "kept_sink").await?, 0);

    // Finished soon, it costs nothing.
    let mut sink = Box::pin(next.copy_in("COPY kept_sink FROM STDIN").await?);
    sink.send(&b"1\n"[..]).await?;
    drop(next);
    assert_eq!(sink.as_mut().finish().await?, 1);
    pool.acquire().await?.batch_execute("SELECT 1").await?;
    assert_eq!(pool.stats().connections_created, 2);
    Ok(())
}

/// tokio-postgres cannot answer a server that asks for data in a simple query, and a cancel request does not reach one that
/// waits for it.
#[tokio::test]
async fn a_copy_in_a_simple_query_costs_the_connection_alone() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "simple_copy", 1));
    table(&admin, "simple_copy").await?;
    let connection = pool.acquire().await?;
    assert!(connection.batch_execute("COPY simple_copy FROM STDIN").await.is_err());
    drop(connection);
    let next = timeout(PATIENCE / 10, pool.acquire()).await??;
    next.batch_execute("SELECT 1").await?;
    assert_eq!(backends(&admin, "simple_copy").await?, 1, "the old one has ended");
    Ok(())
}

async fn ask(connection: &PooledPostgres, question: &str) -> Result<Option<String>> {
    Ok(connection.simple_query(question).await?.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// The server has asked for data, and fails before it reads any. Then it answers two Syncs, where a COPY has one answer
/// otherwise, and the second answer may come after the connection has gone back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_fails_before_it_reads_gives_nobody_a_wrong_answer() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "refused_copy", 1));
    table(&admin, "refused_copy").await?;
    admin
        .batch_execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN PERFORM pg_sleep(0.02); RAISE EXCEPTION ''no''; END'; \
             CREATE TRIGGER refuse BEFORE INSERT ON refused_copy FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
        )
        .await?;
    for round in 0..30 {
        let connection = pool.acquire().await?;
        let mut sink = Box::pin(connection.copy_in("COPY refused_copy FROM STDIN").await?);
        // As much as the sockets hold, so that the server takes a while to throw it away.
        for _ in 0..8 {
            sink.feed(Cursor::new(b"1\n".repeat(20_000))).await?;
        }
        if round % 2 == 0 {
            let _ = timeout(Duration::from_millis(10), sink.as_mut().finish()).await;
        } else {
            sink.as_mut().finish().await.expect_err("it is refused");
        }
        drop(sink);
        drop(connection);
        let next = pool.acquire().await?;
        assert_eq!(backends(&admin, "refused_copy").await?, 1, "the old one has ended");
        let (one, two) = tokio::join!(ask(&next, "SELECT 1"), ask(&next, "SELECT 2"));
        assert_eq!((one?.as_deref(), two?.as_deref()), (Some("1"), Some("2")), "round {round}");
    }
    Ok(())
}

/// Data that is wrong, too, leaves a doubt. It costs a round trip, and no connection.
#[tokio::test]
async fn a_copy_of_wrong_data_costs_no_connection() -> Result {
    let server = shared_or_skip!();
    let (admin, pool) = (admin(server).await?, pool(server, "wrong_data", 1));
    table(&admin, "wrong_data").await?;
    for round in 0..10 {
        let mut connection = pool.acquire().await?;
        let transaction = connection.transaction().await?;
        let mut sink = Box::pin(transaction.copy_in("COPY wrong_data FROM STDIN").await?);
        sink.send(&b"no number\n"[..]).await?;
        if round % 2 == 0 {
            sink.as_mut().finish().await.expect_err("it is no number");
        }
    }
    pool.acquire().await?.batch_execute("SELECT 1").await?;
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}
