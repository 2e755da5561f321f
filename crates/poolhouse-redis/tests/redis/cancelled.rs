//! Commands whose futures are dropped before their replies.

use std::time::{Duration, Instant};

use poolhouse::Pool;
use redis::AsyncCommands;
use tokio::task::JoinSet;

use crate::common::{
    PATIENCE, PROTOCOLS, Result, client_field, config, eventually, for_a_while, id, manager, pool_to,
};
use crate::shared_or_skip;

/// Each command echoes a number that nobody else uses, so that a reply out of step is a wrong answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_short_commands_cost_no_connects_and_give_no_wrong_answer() -> Result {
    const MAX: usize = 4;
    let server = shared_or_skip!();
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}");
    for rest in PROTOCOLS {
        let pool = pool_to(server, rest, MAX);
        let mut callers = JoinSet::new();
        for caller in 0..16_u64 {
            let (pool, mut random) = (pool.clone(), fastrand::Rng::with_seed(seed ^ caller));
            callers.spawn(async move {
                let (mut cancelled, mut wrong) = (0, 0);
                for turn in 0..500 {
                    let mut connection = pool.acquire().await.expect("there is a turn for everybody");
                    for step in 0..random.u64(1..4) {
                        let number = caller << 32 | turn << 8 | step;
                        let limit = Duration::from_micros(random.u64(0..600));
                        let echo = redis::cmd("ECHO").arg(number).to_owned();
                        match for_a_while(limit, echo.query_async::<u64>(&mut *connection)).await {
                            Some(answer) => wrong += u64::from(answer.expect("the server is well") != number),
                            None => cancelled += 1,
                        }
                    }
                }
                (cancelled, wrong)
            });
        }
        let (mut cancelled, mut wrong) = (0_u64, 0_u64);
        while let Some(counts) = callers.join_next().await {
            let (gone, bad) = counts?;
            (cancelled, wrong) = (cancelled + gone, wrong + bad);
        }
        let created = pool.stats().connections_created;
        println!("{rest:?}: {cancelled} cancelled, {wrong} wrong answers, {created} connects");
        assert!(cancelled >= 1000, "too few were cancelled to show anything: {cancelled}");
        assert_eq!(wrong, 0, "SEED={seed}");
        assert!(created <= MAX as u64, "{created} connects, SEED={seed}");
    }
    Ok(())
}

/// Dropped at its first await point, and at any later one.
#[tokio::test]
async fn a_command_that_is_dropped_at_any_point_leaves_no_reply_behind() -> Result {
    let server = shared_or_skip!();
    let pool = pool_to(server, "", 1);
    for polls in 0..40 {
        let mut connection = pool.acquire().await?;
        let mut echo = redis::cmd("ECHO");
        echo.arg("theirs");
        tokio::select! {
            biased;
            _ = echo.query_async::<String>(&mut *connection) => {}
            () = async { for _ in 0..polls { tokio::task::yield_now().await } } => {}
        }
        drop(connection);
        let mine: String = redis::cmd("ECHO").arg("mine").query_async(&mut *pool.acquire().await?).await?;
        assert_eq!(mine, "mine");
    }
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}

#[tokio::test]
async fn a_later_command_settles_what_was_owed() -> Result {
    let server = shared_or_skip!();
    let pool = pool_to(server, "", 1);
    let mut connection = pool.acquire().await?;
    for owed in 1..=3 {
        let given_up = for_a_while(Duration::ZERO, connection.get::<_, Option<u8>>("settles")).await;
        assert!(given_up.is_none());
        assert_eq!(connection.owed(), owed);
    }
    let _: Option<u8> = connection.get("settles").await?;
    assert_eq!(connection.owed(), 0);
    Ok(())
}

#[tokio::test]
async fn after_a_cancelled_blpop_the_next_command_is_quick() -> Result {
    let server = shared_or_skip!();
    for rest in PROTOCOLS {
        let pool = pool_to(server, rest, 1);
        let mut connection = pool.acquire().await?;
        let first = id(&mut connection).await?;
        {
            let blocks = connection.blpop::<_, ()>("nobody_pushes", 0.0);
            tokio::pin!(blocks);
            let sent = eventually("the server blocks", async || {
                Ok(client_field(server, first, "flags")?.contains('b'))
            });
            tokio::select! {
                answer = &mut blocks => panic!("nobody pushes: {answer:?}"),
                sent = sent => sent?,
            }
        }
        drop(connection);
        let began = Instant::now();
        let mut connection = pool.acquire().await?;
        assert_ne!(id(&mut connection).await?, first, "it cannot be drained in time, so it is closed");
        assert!(began.elapsed() < PATIENCE / 2, "nobody waits for the reply: {:?}", began.elapsed());
        assert_eq!(pool.stats().connections_created, 2);
        eventually("the server lets go of it", async || {
            Ok(server.command(&["CLIENT", "LIST", "ID", &first.to_string()])?.is_empty())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_drained_in_time_is_closed() -> Result {
    let server = test_servers::start_or_skip!(test_servers::Redis::start(), Ok(()));
    let pool = Pool::new(manager(&server, "").drain_within(Duration::from_millis(20)), config(1))?;
    let mut connection = pool.acquire().await?;
    let first = id(&mut connection).await?;
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"])?;
    assert!(for_a_while(Duration::from_millis(1), connection.set::<_, _, ()>("a", 1)).await.is_none());
    drop(connection);
    eventually("it is closed", async || Ok(pool.stats().total_connections == 0)).await?;
    server.command(&["CLIENT", "UNPAUSE"])?;
    assert_ne!(id(&mut pool.acquire().await?).await?, first);
    Ok(())
}

#[tokio::test]
async fn a_holder_that_gives_up_too_many_loses_the_connection_alone() -> Result {
    let server = shared_or_skip!();
    let pool = Pool::new(manager(server, "").drain_at_most(2).drain_within(PATIENCE), config(1))?;
    for (given_up, connects) in [(2, 1), (3, 2)] {
        let mut connection = pool.acquire().await?;
        for _ in 0..given_up {
            let answer = for_a_while(Duration::ZERO, connection.get::<_, Option<u8>>("a")).await;
            assert!(answer.is_none());
        }
        drop(connection);
        id(&mut pool.acquire().await?).await?;
        assert_eq!(pool.stats().connections_created, connects);
    }
    Ok(())
}

#[tokio::test]
async fn a_response_timeout_counts_as_given_up() -> Result {
    let server = test_servers::start_or_skip!(test_servers::Redis::start(), Ok(()));
    let manager = manager(&server, "").response_timeout(Duration::from_millis(20)).drain_within(PATIENCE);
    let pool = Pool::new(manager, config(1))?;
    let mut connection = pool.acquire().await?;
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"])?;
    let error = connection.set::<_, _, ()>("a", 1).await.expect_err("the server is paused");
    assert!(error.is_timeout(), "{error}");
    assert_eq!(connection.owed(), 1);
    server.command(&["CLIENT", "UNPAUSE"])?;
    let mut answered = false;
    while !answered {
        answered = connection.get::<_, Option<u8>>("a").await.is_ok();
    }
    assert_eq!(connection.owed(), 0);
    Ok(())
}
