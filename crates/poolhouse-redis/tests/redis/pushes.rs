//! RESP3 pushes that nobody has asked for.

use std::time::{Duration, Instant};

use redis::{AsyncCommands, cmd};
use test_servers::{Redis, start_or_skip};

use crate::common::{Result, for_a_while, id, pool_to};

const RESP3: &str = "?protocol=resp3";

/// The holder's own tracking. Its pushes come between replies, and at any time afterwards.
#[tokio::test]
async fn pushes_between_replies_disturb_nobody() -> Result {
    let server = start_or_skip!(Redis::start(), Ok(()));
    let pool = pool_to(&server, RESP3, 1);
    let mut connection = pool.acquire().await?;
    let first = id(&mut connection).await?;
    cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut *connection).await?;
    for round in 0..200_u32 {
        let _: Option<u32> = connection.get("tracked").await?;
        server.command(&["SET", "tracked", &round.to_string()])?;
        // Every other command is given up, its reply and the push under way.
        let limit = Duration::from_micros(u64::from(round % 7) * 50);
        let _ = for_a_while(limit, cmd("ECHO").arg("theirs").query_async::<String>(&mut *connection)).await;
        let value: u32 = connection.get("tracked").await?;
        assert_eq!(value, round);
    }
    let _: u32 = connection.get("tracked").await?;
    drop(connection);
    let mut next = pool.acquire().await?;
    assert_eq!(id(&mut next).await?, first);
    let info: String = cmd("CLIENT").arg("INFO").query_async(&mut *next).await?;
    assert!(!info.contains("flags=t"), "the tracking is off: {info}");
    Ok(())
}

/// Somebody else redirects pushes to connections that lie idle in the pool.
#[tokio::test]
async fn a_push_to_an_idle_connection_does_not_close_it() -> Result {
    let server = start_or_skip!(Redis::start(), Ok(()));
    let pool = pool_to(&server, RESP3, 1);
    let first = id(&mut pool.acquire().await?).await?;
    let mut other = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    cmd("CLIENT")
        .arg("TRACKING")
        .arg("ON")
        .arg("REDIRECT")
        .arg(first)
        .arg("BCAST")
        .exec_async(&mut other)
        .await?;
    for round in 0..50_u32 {
        let began = Instant::now();
        server.command(&["SET", "tracked", "1"])?;
        // Long enough for the pool to look at the socket again.
        while began.elapsed() < Duration::from_millis(2) {
            server.command(&["PING"])?;
        }
        let mut connection = pool.acquire().await?;
        let answer: u32 = cmd("ECHO").arg(round).query_async(&mut *connection).await?;
        assert_eq!(answer, round);
    }
    assert_eq!(id(&mut pool.acquire().await?).await?, first);
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}
