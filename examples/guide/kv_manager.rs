//! A manager for a protocol of your own, complete: its server, its connection, the
//! manager, and the manager's tests.
//!
//! The store is in the folder `kv` beside this file. `cargo test --example
//! kv_manager` runs the tests at the end.

mod kv;

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;
use kv::manager::KvManager;
use kv::server::KvServer;
use poolhouse::{
    AcquireError, Event, Pool, PoolConfig, PooledConnection, TcpDialer,
};

async fn run() -> Result<(), Box<dyn Error>> {
    let server = KvServer::start("app", "s3cret").await?;
    // ANCHOR: pool
    let manager = KvManager::new(TcpDialer::from(server.addr()?), "app", "s3cret");
    let (retired, reasons) = mpsc::channel();
    let listener = move |event: &Event<'_>| {
        if let Event::Retired { reason, .. } = event {
            // Nobody listens any more once `run` has returned.
            let _ = retired.send(*reason);
        }
    };
    let pool = Pool::builder(manager).listener(listener).build()?;
    // ANCHOR_END: pool

    println!("== in service");
    {
        // ANCHOR: use
        let mut connection = pool.acquire().await?;
        connection.set("greeting", "hello").await?;
        let greeting = connection.get("greeting").await?;
        // ANCHOR_END: use
        println!("greeting: {}", greeting.unwrap_or_default());
        println!(
            "a key with a line break: {}",
            describe(connection.get("a\nPING").await)
        );
    }
    println!(
        "connection {} is used again",
        PooledConnection::id(&pool.acquire().await?)
    );

    println!("== a caller gives up in the middle of an exchange");
    {
        // ANCHOR: cancel
        let mut connection = pool.acquire().await?;
        // The request goes out, and nobody waits for the answer.
        let _ = connection.get("greeting").now_or_never();
        // ANCHOR_END: cancel
    }
    println!("the pool closed it: {}", reasons.recv()?);

    println!("== the server hangs up");
    drop(pool.acquire().await?);
    server.hang_up();
    server
        .wait_for(|counts| counts.sessions.values().all(|&open| open == 0))
        .await?;
    // The pool looks at a connection at most once a millisecond.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut connection = pool.acquire().await?;
    println!("the pool closed it: {}", reasons.recv()?);
    println!("the next one answers: {}", describe(connection.ping().await));
    drop(connection);

    println!("== a wrong password");
    let wrong = KvManager::new(TcpDialer::from(server.addr()?), "app", "wr0ng");
    match Pool::new(wrong, PoolConfig::default())?.acquire().await {
        Err(AcquireError::Connect(failed)) => {
            println!("at once, after {} attempt: {failed}", failed.attempts);
        }
        other => {
            return Err(format!("expected a failed connect, not {other:?}").into());
        }
    }
    Ok(())
}

fn describe<T>(result: Result<T, kv::connection::KvError>) -> String {
    result.map_or_else(|error| error.to_string(), |_| "yes".to_owned())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use poolhouse::Manager;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::kv::connection::{KvConnection, KvError};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    // ANCHOR: tests
    #[tokio::test(start_paused = true)]
    async fn a_cancelled_call_makes_a_connection_unusable()
    -> Result<(), Box<dyn Error>> {
        let server = KvServer::in_memory("app", "s3cret");
        let manager = KvManager::new(server.dial(), "app", "s3cret");
        let mut connection = manager.connect().await?;
        assert!(manager.is_reusable(&mut connection));

        assert!(
            connection.ping().now_or_never().is_none(),
            "the answer cannot be here yet"
        );
        assert!(!manager.is_reusable(&mut connection));
        // Nor later, when the answer has come and lies unread.
        server.wait_for(|counts| counts.requests.contains_key("PING")).await?;
        assert!(!manager.is_reusable(&mut connection));
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_stream_is_seen_without_a_round_trip()
    -> Result<(), Box<dyn Error>> {
        let server = KvServer::in_memory("app", "s3cret");
        let manager = KvManager::new(server.dial(), "app", "s3cret");
        let mut connection = manager.connect().await?;
        assert!(manager.is_connected(&mut connection));

        server.hang_up();
        server.wait_for(|counts| counts.sessions["app"] == 0).await?;
        assert!(!manager.is_connected(&mut connection));
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_given_up() {
        let (here, _there) = duplex(64);
        let mut connection = KvConnection::new(here, LIMIT);
        // The paused clock jumps to the limit: this takes no time.
        assert!(matches!(
            connection.log_in("app", "s3cret").await,
            Err(KvError::TimedOut(LIMIT))
        ));
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_refused_before_it_is_in_memory()
    -> Result<(), Box<dyn Error>> {
        let (here, mut there) = duplex(64 * 1024);
        there.write_all(&[b'+'; 64 * 1024]).await?;
        let mut connection = KvConnection::new(here, LIMIT);
        assert!(matches!(
            connection.log_in("app", "s3cret").await,
            Err(KvError::Protocol(_))
        ));
        Ok(())
    }
    // ANCHOR_END: tests

    #[tokio::test(start_paused = true)]
    async fn a_line_that_nobody_asked_for_ends_a_connection()
    -> Result<(), Box<dyn Error>> {
        let (here, mut there) = duplex(1024);
        let mut connection = KvConnection::new(here, LIMIT);
        there.write_all(b"+KV 1\n+OK\n").await?;
        connection.log_in("app", "s3cret").await?;
        assert!(connection.is_quiet());
        there.write_all(b"+by the way\n").await?;
        assert!(!connection.is_quiet());
        assert!(!connection.is_quiet(), "once lost, it stays lost");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_mend_itself_is_permanent() -> Result<(), Box<dyn Error>> {
        let server = KvServer::in_memory("app", "s3cret");
        let manager = KvManager::new(server.dial(), "app", "wr0ng");
        let error =
            manager.connect().await.err().ok_or("a wrong password was let in")?;
        assert_eq!(manager.classify(&error), poolhouse::FailureKind::Permanent);
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
        assert_eq!(
            manager.classify(&KvError::Closed),
            poolhouse::FailureKind::Transient
        );
        Ok(())
    }
}
