//! What the server refuses, and what the pool makes of it.

use std::time::{Duration, Instant};

use poolhouse::{FailureKind, Manager, Pool};
use poolhouse_redis::{ConnectionError, RedisManager};
use redis::AsyncCommands;
use test_servers::{Redis, start_or_skip};

use crate::common::{PATIENCE, PROTOCOLS, Result, config, eventually, for_a_while, id, manager, pool_to};

async fn refused(manager: RedisManager) -> Result<ConnectionError> {
    match manager.connect().await {
        Ok(_) => Err("it is refused".into()),
        Err(error) => Ok(error),
    }
}

#[tokio::test]
async fn a_wrong_password_is_permanent() -> Result {
    let server = start_or_skip!(Redis::start_with(&[("requirepass", "secret")]), Ok(()));
    let port = server.port();
    for rest in PROTOCOLS {
        for login in ["", ":wrong@", "nobody:wrong@"] {
            let url = format!("redis://{login}127.0.0.1:{port}/{rest}");
            let error = refused(RedisManager::from_url(url.clone())?).await?;
            assert_eq!(error.kind(), FailureKind::Permanent, "{url}: {error:?}");
            let text = error.to_string();
            assert!(text.contains("check the password") && !text.contains("wrong@"), "{text}");

            let pool = Pool::new(RedisManager::from_url(url)?, config(1))?;
            let began = Instant::now();
            let error = pool.acquire().await.expect_err("it is refused");
            assert!(began.elapsed() < PATIENCE / 2, "at once, and not at the deadline");
            assert!(matches!(error.manager_error(), Some(ConnectionError::Login { .. })), "{error}");
        }
        RedisManager::from_url(format!("redis://:secret@127.0.0.1:{port}/{rest}"))?.connect().await?;
    }
    Ok(())
}

/// There is no proof that the replies are in step, so the connection is closed. The error has the server's reason.
#[tokio::test]
async fn a_user_without_echo_is_told() -> Result {
    let server = start_or_skip!(Redis::start(), Ok(()));
    server.command(&["ACL", "SETUSER", "quiet", "on", ">secret", "~*", "+@all", "-echo"])?;
    let manager = RedisManager::from_url(server.url().replace("redis://", "redis://quiet:secret@"))?;
    let mut connection = manager.connect().await?;
    redis::cmd("SELECT").arg(2).exec_async(&mut connection).await?;
    let error = manager.reset(&mut connection).await.expect_err("it may not");
    assert!(matches!(error, ConnectionError::Command(_)), "{error}");
    let reason = std::error::Error::source(&error).expect("the server's").to_string();
    assert!(reason.contains("no permissions to run the 'echo' command"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn a_session_that_was_changed_logs_in_again() -> Result {
    let server = start_or_skip!(Redis::start_with(&[("requirepass", "secret")]), Ok(()));
    let port = server.port();
    for rest in PROTOCOLS {
        let url = format!("redis://:secret@127.0.0.1:{port}/2{rest}");
        let pool = Pool::new(RedisManager::from_url(url)?.drain_within(PATIENCE), config(1))?;
        let mut connection = pool.acquire().await?;
        let first = id(&mut connection).await?;
        redis::cmd("CLIENT").arg("SETNAME").arg("mine").exec_async(&mut *connection).await?;
        drop(connection);
        let mut connection = pool.acquire().await?;
        assert_eq!(id(&mut connection).await?, first);
        let info: String = redis::cmd("CLIENT").arg("INFO").query_async(&mut *connection).await?;
        assert!(info.contains("name= ") && info.contains("db=2"), "{info}");
    }
    Ok(())
}

#[tokio::test]
async fn a_password_that_changes_is_taken_from_the_new_client() -> Result {
    let server = start_or_skip!(Redis::start(), Ok(()));
    let pool = pool_to(&server, "", 1);
    pool.acquire().await?.set::<_, _, ()>("a", 1).await?;
    server.command(&["CONFIG", "SET", "requirepass", "second"])?;
    pool.manager()
        .replace_client(redis::Client::open(format!("redis://:second@127.0.0.1:{}/", server.port()))?);
    pool.invalidate_all();
    let value: u32 = pool.acquire().await?.get("a").await?;
    assert_eq!(value, 1);
    Ok(())
}

#[tokio::test]
async fn a_full_server_is_busy_and_says_so() -> Result {
    for rest in PROTOCOLS {
        let server = start_or_skip!(Redis::start_with(&[("maxclients", "2")]), Ok(()));
        let pool = pool_to(&server, rest, 4);
        let held = (pool.acquire().await?, pool.acquire().await?);
        for _ in 0..20 {
            let error = refused(manager(&server, rest)).await?;
            assert_eq!(error.kind(), FailureKind::Busy, "{error:?}");
            assert!(error.to_string().contains("max number of clients reached"), "{error}");
        }
        // The pool lives with the connections that it has.
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        eventually("it has asked for a third", async || Ok(pool.stats().failed_connects > 0)).await?;
        drop(held);
        waiter.await??;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_not_there_is_permanent() -> Result {
    let server = start_or_skip!(Redis::start_with(&[("databases", "4")]), Ok(()));
    for rest in PROTOCOLS {
        let error = refused(manager(&server, &format!("9{rest}"))).await?;
        assert_eq!(error.kind(), FailureKind::Permanent, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_transient() -> Result {
    let mut server = start_or_skip!(Redis::start(), Ok(()));
    server.stop()?;
    let error = refused(manager(&server, "")).await?;
    assert!(matches!(error, ConnectionError::Connect { .. }), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Transient);
    Ok(())
}

#[tokio::test]
async fn after_a_failover_the_connection_is_not_used_again() -> Result {
    let server = start_or_skip!(Redis::start(), Ok(()));
    let pool = pool_to(&server, "", 1);
    let refusals: [fn(&mut poolhouse_redis::PooledRedis) -> redis::RedisFuture<'_, ()>; 3] = [
        |connection| connection.set("a", 1),
        |connection| {
            Box::pin(async { redis::pipe().get("a").set("a", 1).exec_async(&mut **connection).await })
        },
        |connection| {
            Box::pin(async { redis::pipe().atomic().set("a", 1).exec_async(&mut **connection).await })
        },
    ];
    server.command(&["REPLICAOF", "127.0.0.1", "1"])?;
    for refusal in refusals {
        let mut connection = pool.acquire().await?;
        let first = id(&mut connection).await?;
        let error = refusal(&mut connection).await.expect_err("a replica takes no writes");
        assert!(error.to_string().to_lowercase().contains("readonly"), "{error}");
        drop(connection);
        assert_ne!(id(&mut pool.acquire().await?).await?, first);
    }
    server.command(&["REPLICAOF", "NO", "ONE"])?;
    pool.acquire().await?.set::<_, _, ()>("a", 1).await?;
    Ok(())
}

/// A server that reads its data refuses each command, and the login not.
#[tokio::test]
async fn loading_is_waited_for() -> Result {
    let mut server = start_or_skip!(
        Redis::start_with(&[
            ("save", "3600 1"),
            ("enable-debug-command", "yes"),
            ("loading-process-events-interval-bytes", "1024")
        ]),
        Ok(())
    );
    server.command(&["DEBUG", "POPULATE", "200000", "key", "20"])?;
    server.command(&["SAVE"])?;
    server.command(&["CONFIG", "SET", "key-load-delay", "50"])?;
    let reload = {
        let client = redis::Client::open(server.url())?;
        tokio::task::spawn_blocking(move || {
            let mut connection = client.get_connection()?;
            redis::cmd("DEBUG").arg("RELOAD").arg("NOSAVE").exec(&mut connection)
        })
    };
    let mut kinds = Vec::new();
    while kinds.is_empty() && !reload.is_finished() {
        if let Err(error) = manager(&server, "").connect().await {
            kinds.push((error.kind(), error.to_string()));
        }
    }
    server.stop()?;
    let _ = reload.await?;
    let [(kind, text)] = &kinds[..] else { return Err("it was never seen loading".into()) };
    assert_eq!(*kind, FailureKind::Transient);
    assert!(text.contains("wait: the server reads its data"), "{text}");
    Ok(())
}

/// Such a server refuses writes, and PING, and still answers reads.
#[tokio::test]
async fn a_server_that_cannot_save_is_alive() -> Result {
    let settings =
        [("save", "3600 1"), ("enable-protected-configs", "yes"), ("shutdown-on-sigterm", "nosave")];
    let server = start_or_skip!(Redis::start_with(&settings), Ok(()));
    server.command(&["SET", "a", "1"])?;
    server.command(&["CONFIG", "SET", "dir", "/proc"])?;
    server.command(&["BGSAVE"])?;
    eventually("it cannot save", async || {
        Ok(server.command(&["INFO", "persistence"])?.contains("rdb_last_bgsave_status:err"))
    })
    .await?;
    let pool = pool_to(&server, "", 1);
    let mut connection = pool.acquire().await?;
    let first = id(&mut connection).await?;
    let error = redis::cmd("PING").exec_async(&mut *connection).await.expect_err("PING is refused");
    assert_eq!(error.code(), Some("MISCONF"), "{error}");
    let given_up = for_a_while(Duration::ZERO, connection.get::<_, u32>("a")).await;
    assert!(given_up.is_none());
    drop(connection);
    let mut connection = pool.acquire().await?;
    assert_eq!(id(&mut connection).await?, first);
    assert_eq!(connection.get::<_, u32>("a").await?, 1);
    pool.manager().check(&mut connection).await?;
    Ok(())
}

/// A server whose memory is used up refuses writes, and nothing else.
#[tokio::test]
async fn a_server_without_memory_is_read_from() -> Result {
    let server = start_or_skip!(Redis::start(), Ok(()));
    server.command(&["SET", "a", "1"])?;
    server.command(&["CONFIG", "SET", "maxmemory", "1"])?;
    let pool = pool_to(&server, "", 1);
    for _ in 0..3 {
        let mut connection = pool.acquire().await?;
        let error = connection.set::<_, _, ()>("a", 2).await.expect_err("writes are refused");
        assert_eq!(error.code(), Some("OOM"), "{error}");
        assert_eq!(connection.get::<_, u32>("a").await?, 1);
        pool.manager().check(&mut connection).await?;
    }
    assert_eq!(pool.stats().connections_created, 1);
    Ok(())
}
