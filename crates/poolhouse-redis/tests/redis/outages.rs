//! Connections that are killed, servers that pause, stop and start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use poolhouse::Pool;
use poolhouse_redis::RedisManager;
use redis::{AsyncCommands, cmd};
use test_servers::{Redis, start_or_skip};

use crate::common::{Result, config, eventually, id, pool_to};

#[tokio::test]
async fn connections_killed_while_idle_fail_no_request() -> Result {
    const MAX: usize = 8;
    let server = start_or_skip!(Redis::start(), Ok(()));
    let pool = pool_to(&server, "", MAX);
    for round in 0..5 {
        let mut held = Vec::new();
        for _ in 0..MAX {
            held.push(pool.acquire().await?);
        }
        drop(held);
        let began = Instant::now();
        server.command(&["CLIENT", "KILL", "TYPE", "normal"])?;
        // The pool looks at a socket once a millisecond at most.
        while began.elapsed() < Duration::from_millis(2) {
            server.command(&["PING"])?;
        }
        for _ in 0..MAX {
            let mut connection = pool.acquire().await?;
            connection.set::<_, _, ()>("killed", round).await?;
        }
    }
    assert!(pool.stats().connections_created > MAX as u64, "they were killed");
    Ok(())
}

#[tokio::test]
async fn a_connection_killed_while_held_fails_one_command() -> Result {
    let server = start_or_skip!(Redis::start(), Ok(()));
    for rest in crate::common::PROTOCOLS {
        let pool = pool_to(&server, rest, 1);
        let mut connection = pool.acquire().await?;
        let first = id(&mut connection).await?;
        server.command(&["CLIENT", "KILL", "ID", &first.to_string()])?;
        let error = connection.get::<_, ()>("a").await.expect_err("it is killed");
        assert!(error.is_connection_dropped(), "{error}");
        drop(connection);
        assert_ne!(id(&mut pool.acquire().await?).await?, first);
    }
    Ok(())
}

#[tokio::test]
async fn a_paused_server_costs_time_and_no_connection() -> Result {
    const MAX: usize = 4;
    let server = start_or_skip!(Redis::start(), Ok(()));
    let pool = pool_to(&server, "", MAX);
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"])?;
    let callers: Vec<_> = (0..4 * MAX)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.acquire()
                    .await?
                    .set::<_, _, ()>(number, number)
                    .await
                    .map_err(crate::common::Error::from)
            })
        })
        .collect();
    eventually("all connections wait", async || {
        let info = server.command(&["INFO", "clients"])?;
        Ok(info.contains(&format!("blocked_clients:{MAX}\r\n")))
    })
    .await?;
    server.command(&["CLIENT", "UNPAUSE"])?;
    for caller in callers {
        caller.await??;
    }
    assert_eq!(pool.stats().connections_created, MAX as u64);
    Ok(())
}

/// Each answer is compared with what was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_fails_what_was_under_way_alone() -> Result {
    const MAX: usize = 4;
    let mut server = start_or_skip!(Redis::start(), Ok(()));
    for rest in crate::common::PROTOCOLS {
        let pool = pool_to(&server, rest, MAX);
        let over = Arc::new(AtomicBool::new(false));
        let [answered, failed] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let callers: Vec<_> = (0..16_u64)
            .map(|caller| {
                let (pool, over) = (pool.clone(), Arc::clone(&over));
                let (answered, failed) = (Arc::clone(&answered), Arc::clone(&failed));
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let mut connection =
                            pool.acquire().await.expect("the outage is shorter than the deadline");
                        match cmd("ECHO").arg(caller).query_async::<u64>(&mut *connection).await {
                            Ok(answer) => {
                                assert_eq!(answer, caller, "somebody else's answer");
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(_) => _ = failed.fetch_add(1, Ordering::Relaxed),
                        }
                    }
                })
            })
            .collect();
        let more = async |than: u64| {
            eventually("they are served", async || Ok(answered.load(Ordering::Relaxed) > than + 500)).await
        };
        more(0).await?;
        server = tokio::task::spawn_blocking(move || server.restart().map(|()| server)).await??;
        more(answered.load(Ordering::Relaxed)).await?;
        over.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await?;
        }
        let failed = failed.load(Ordering::Relaxed);
        println!("{rest:?}: {failed} failed of {}", answered.load(Ordering::Relaxed));
        assert!(failed <= MAX as u64, "no more than what was under way: {failed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_unix_socket_serves_too() -> Result {
    let socket = std::env::temp_dir().join(format!("poolhouse-redis-{}.sock", std::process::id()));
    let path = socket.to_str().ok_or("a path in UTF-8")?;
    let server =
        start_or_skip!(Redis::start_with(&[("unixsocket", path), ("unixsocketperm", "777")]), Ok(()));
    let pool = Pool::new(RedisManager::from_url(format!("redis+unix://{path}"))?, config(1))?;
    let first = id(&mut pool.acquire().await?).await?;
    server.command(&["CLIENT", "KILL", "ID", &first.to_string()])?;
    eventually("it is noticed", async || Ok(id(&mut pool.acquire().await?).await.is_ok())).await?;
    Ok(())
}
