//! `acquire.diagnosis`, with `detect_nested_acquires`: a task that waits for itself is told so.

use poolhouse::{AcquireError, PoolConfig, PooledConnection};

use crate::common::{Mock, config, pool, secs};

fn detecting(max: usize) -> PoolConfig {
    PoolConfig { detect_nested_acquires: true, connection_timeout: secs(1), ..config(max) }
}

/// `acquire.diagnosis`: N tasks, each holding one of N and waiting for another. The text names the cause and the line.
/// Option `detect_nested_acquires`.
#[tokio::test(start_paused = true)]
async fn tasks_that_wait_for_each_other_are_told() {
    let pool = pool(&Mock::ok(), detecting(4));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                let line = line!() + 1;
                let outer = pool.acquire().await.unwrap();
                tokio::time::sleep(secs(1)).await;
                let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else {
                    panic!("nobody lets go")
                };
                assert_eq!(timeout.nested.len(), 1, "{timeout}");
                assert_eq!(timeout.nested[0].connection, PooledConnection::id(&outer));
                let text = timeout.to_string();
                assert!(text.contains("this task itself holds 1 of them, acquired at"), "{text}");
                assert!(text.contains(&format!("nested.rs:{line}:")), "{text}");
                assert!(
                    text.contains("acquire once and pass the connection on, or release it first"),
                    "{text}"
                );
                outer
            })
        })
        .collect();
    for task in tasks {
        drop(task.await.unwrap());
    }
}

/// `acquire.diagnosis`: outside of any task it is the thread that counts.
#[tokio::test(start_paused = true)]
async fn without_a_task_the_thread_counts() {
    let pool = pool(&Mock::ok(), detecting(1));
    let held = pool.acquire().await.unwrap();
    let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("held") };
    assert_eq!(timeout.nested.len(), 1, "{timeout}");
    drop(held);
}

/// `acquire.diagnosis`: what other tasks hold is not nested, and without the option nothing is.
#[tokio::test(start_paused = true)]
async fn what_others_hold_is_not_nested() {
    {
        let pool = pool(&Mock::ok(), detecting(1));
        let held = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await.unwrap() }
        });
        let held = held.await.unwrap();
        let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("held") };
        assert!(timeout.nested.is_empty(), "{timeout}");
        drop(held);
    }
    let pool = pool(&Mock::ok(), PoolConfig { detect_nested_acquires: false, ..detecting(1) });
    let _held = pool.acquire().await.unwrap();
    let Err(AcquireError::Timeout(timeout)) = pool.acquire().await else { panic!("held") };
    assert!(timeout.nested.is_empty(), "opt-in");
}
