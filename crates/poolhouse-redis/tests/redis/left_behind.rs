//! `WATCH`, `MULTI`, `SELECT` and the rest, left behind by a holder.

use poolhouse::{Pool, PoolConfig};
use poolhouse_redis::{PooledRedis, RedisPool};
use redis::{AsyncCommands, cmd, pipe};
use test_servers::Redis;

use crate::common::{PROTOCOLS, Result, client_field, config, id, manager, pool_to};
use crate::shared_or_skip;

async fn run(connection: &mut PooledRedis, line: &str) -> Result {
    let mut words = line.split(' ');
    let mut command = cmd(words.next().unwrap_or_default());
    for word in words {
        command.arg(word);
    }
    Ok(command.exec_async(&mut **connection).await?)
}

/// Leaves it behind while somebody waits, so that the connection goes from hand to hand, and looks at what the next one gets.
async fn hand_over(server: &Redis, pool: &RedisPool, lines: &[&str]) -> Result<String> {
    let mut connection = pool.acquire().await?;
    let first = id(&mut connection).await?;
    for line in lines {
        run(&mut connection, line).await?;
    }
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    while pool.stats().pending_requests == 0 {
        tokio::task::yield_now().await;
    }
    drop(connection);
    let mut next = waiter.await??;
    assert_eq!(id(&mut next).await?, first, "{lines:?}: it is reset, not closed");
    let line = server.command(&["CLIENT", "LIST", "ID", &first.to_string()])?;
    next.set::<_, _, ()>("left", "behind").await?;
    Ok(line)
}

#[tokio::test]
async fn a_session_is_as_good_as_new_for_the_next_holder() -> Result {
    let server = shared_or_skip!();
    let cases: [&[&str]; 8] = [
        &["WATCH a"],
        &["MULTI"],
        &["WATCH a", "MULTI", "SET a b"],
        &["SELECT 5"],
        &["SELECT 5", "WATCH a", "MULTI"],
        &["CLIENT SETNAME mine"],
        &["CLIENT SETNAME mine", "SELECT 5", "MULTI"],
        &["RESET"],
    ];
    for rest in PROTOCOLS {
        let pool = pool_to(server, &format!("3{rest}"), 1);
        for lines in cases {
            let line = hand_over(server, &pool, lines).await?;
            for clean in ["db=3", "multi=-1", "name= ", "sub=0"] {
                assert!(line.contains(clean), "{rest:?} {lines:?}: no {clean:?} in {line}");
            }
            let resp = if rest.is_empty() { "resp=2" } else { "resp=3" };
            assert!(line.contains(resp), "{lines:?}: {line}");
        }
        assert_eq!(pool.stats().connections_created, 1);
    }
    Ok(())
}

/// In a pipeline, what ends a transaction may come before what begins one.
#[tokio::test]
async fn what_the_end_of_a_pipeline_begins_is_undone() -> Result {
    let server = shared_or_skip!();
    for rest in PROTOCOLS {
        let pool = pool_to(server, rest, 1);
        for (atomic, lines) in [
            (false, &["MULTI", "EXEC", "MULTI"][..]),
            (false, &["UNWATCH", "WATCH ends"]),
            (false, &["MULTI", "EXEC", "WATCH ends"]),
            (true, &["EXEC", "WATCH ends"]),
        ] {
            let mut commands = pipe();
            for line in lines {
                let mut words = line.split(' ');
                commands.cmd(words.next().unwrap_or_default()).arg(words.collect::<Vec<_>>());
            }
            if atomic {
                commands.atomic();
            }
            // redis-rs sends an EXEC of its own, and that is one too many.
            assert_eq!(commands.exec_async(&mut *pool.acquire().await?).await.is_err(), atomic);
            let mut connection = pool.acquire().await?;
            server.command(&["SET", "ends", "changed"])?;
            let done: Option<(u8,)> =
                pipe().atomic().cmd("ECHO").arg(7).query_async(&mut *connection).await?;
            assert_eq!(done, Some((7,)), "{rest:?} {lines:?}");
        }
        assert_eq!(pool.stats().connections_created, 1);
    }
    Ok(())
}

/// The next holder's transaction would fail for a key that it has never watched.
#[tokio::test]
async fn a_key_watched_by_the_last_holder_spoils_no_transaction() -> Result {
    let server = shared_or_skip!();
    let pool = pool_to(server, "", 1);
    run(&mut pool.acquire().await?, "WATCH watched").await?;
    server.command(&["SET", "watched", "changed"])?;
    let mut connection = pool.acquire().await?;
    let done: Option<()> = pipe().atomic().set("mine", 1).ignore().query_async(&mut *connection).await?;
    assert!(done.is_some());
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}

#[tokio::test]
async fn a_subscription_left_behind_is_ended() -> Result {
    let server = shared_or_skip!();
    let pool = pool_to(server, "?protocol=resp3", 1);
    let line = hand_over(server, &pool, &["SUBSCRIBE news", "PSUBSCRIBE new*"]).await?;
    assert!(line.contains("sub=0 psub=0"), "{line}");
    assert_eq!(server.command(&["PUBLISH", "news", "nobody hears it"])?, "0");
    Ok(())
}

/// In RESP2 replies and messages cannot be told apart. Whatever becomes of the connection, nobody gets a wrong answer.
#[tokio::test]
async fn a_subscription_of_resp2_gives_no_wrong_answer() -> Result {
    let server = shared_or_skip!();
    let pool = pool_to(server, "", 1);
    for channels in ["one", "one two three"] {
        for _ in 0..20 {
            let mut connection = pool.acquire().await?;
            run(&mut connection, &format!("SUBSCRIBE {channels}")).await?;
            server.command(&["PUBLISH", "one", "message"])?;
            drop(connection);
            let mine: String = cmd("ECHO").arg("mine").query_async(&mut *pool.acquire().await?).await?;
            assert_eq!(mine, "mine");
        }
    }
    assert_eq!(server.command(&["PUBSUB", "CHANNELS", "one"])?, "");
    Ok(())
}

/// What is known cheaply is right: plain commands, and a transaction that has ended, leave nothing to reset.
#[tokio::test]
async fn nothing_is_sent_where_nothing_was_left() -> Result {
    let server = shared_or_skip!();
    let pool = pool_to(server, "", 1);
    let first = id(&mut pool.acquire().await?).await?;
    let commands = || client_field(server, first, "cmd");
    for _ in 0..3 {
        let mut connection = pool.acquire().await?;
        connection.set::<_, _, ()>("plain", 1).await?;
        let _: i32 = connection.get("plain").await?;
        drop(connection);
        assert_eq!(commands()?, "get");

        let mut connection = pool.acquire().await?;
        cmd("WATCH").arg("plain").exec_async(&mut *connection).await?;
        pipe().atomic().incr("plain", 1).exec_async(&mut *connection).await?;
        drop(connection);
        assert_eq!(commands()?, "exec");
    }
    drop(pool.acquire().await?);
    assert_eq!(commands()?, "exec", "a reset would have ended with an ECHO");
    Ok(())
}

#[tokio::test]
async fn what_nothing_undoes_is_closed() -> Result {
    let server = shared_or_skip!();
    let pool = pool_to(server, "", 1);
    for (connects, line) in (1..).zip(["CLIENT REPLY ON", "MONITOR", "QUIT", "CLIENT NO-EVICT ON"]) {
        let mut connection = pool.acquire().await?;
        run(&mut connection, line).await?;
        assert_eq!(pool.stats().connections_created, connects);
    }
    let mine: String = cmd("ECHO").arg("mine").query_async(&mut *pool.acquire().await?).await?;
    assert_eq!(mine, "mine");
    Ok(())
}

/// What every session begins with is there for every holder, also after a reset has undone it, and costs no connection.
#[tokio::test]
async fn what_each_session_begins_with_stays() -> Result {
    let server = shared_or_skip!();
    for rest in PROTOCOLS {
        let mut commands = pipe();
        commands.cmd("CLIENT").arg("SETNAME").arg("orders").cmd("CLIENT").arg("NO-EVICT").arg("ON");
        let pool = Pool::new(manager(server, rest).on_connect(commands), config(1))?;
        for line in ["PING", "CLIENT SETNAME mine", "RESET", "PING"] {
            let mut connection = pool.acquire().await?;
            let number = id(&mut connection).await?;
            assert_eq!(client_field(server, number, "name")?, "orders", "{rest:?}, before {line}");
            assert!(
                client_field(server, number, "flags")?.contains('e'),
                "{rest:?}: NO-EVICT, before {line}"
            );
            run(&mut connection, line).await?;
        }
        assert_eq!(pool.stats().connections_created, 1, "{rest:?}");
    }
    Ok(())
}

/// A session's database is the one that it began with: by the URL, or by what it begins with, and not that of another client
/// for which the next connects are.
#[tokio::test]
async fn a_session_goes_back_to_its_own_database() -> Result {
    let server = shared_or_skip!();
    let mut select = pipe();
    select.cmd("SELECT").arg(5);
    for (begins, db) in [(pipe(), "3"), (select, "5")] {
        let pool = Pool::new(manager(server, "3").on_connect(begins), config(1))?;
        for line in ["SELECT 7", "CLIENT SETNAME mine", "PING"] {
            let mut connection = pool.acquire().await?;
            let number = id(&mut connection).await?;
            assert_eq!(client_field(server, number, "db")?, db, "before {line}");
            run(&mut connection, line).await?;
            pool.manager().replace_client(redis::Client::open(format!("{}9", server.url()))?);
        }
        assert_eq!(pool.stats().connections_created, 1);
    }
    Ok(())
}

/// A command that the server refuses is a failed connect, and its words are in the error.
#[tokio::test]
async fn a_session_that_cannot_begin_is_no_connection() -> Result {
    let server = shared_or_skip!();
    let mut commands = pipe();
    commands.cmd("CLIENT").arg("SETNAME").arg("no spaces");
    let config = PoolConfig { min_connections: 1, ..config(1) };
    let pool = Pool::new(manager(server, "").on_connect(commands), config)?;
    let error = pool.warm_up().await.unwrap_err();
    assert!(error.to_string().contains("Client names cannot contain spaces"), "{error}");
    Ok(())
}
