//! A connection whose peer has closed it is never handed out: `health.known_dead`.

use std::pin::pin;
use std::time::Duration;

use poolhouse::{AcquireError, ConnectError, PacketPool, PoolConfig};
use poolhouse_echo::EchoServer;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{
    Mock, Step, assert_hands_out_exactly, check_stats, config, filled, ms, poll_once, pool, settle,
};

/// `health.known_dead`: dead idle connections are passed over, and an acquire that finds a live one does not wait.
#[tokio::test(start_paused = true)]
async fn dead_idle_connections_are_passed_over() {
    let mock = Mock::ok();
    let pool = filled(&mock, 4, config(4)).await;
    mock.kill([2, 3, 4]);
    tokio::time::advance(ms(1)).await;
    let mut acquire = pin!(pool.acquire());
    let std::task::Poll::Ready(Ok(connection)) = poll_once(acquire.as_mut()).await else {
        panic!("one is alive")
    };
    assert_eq!(connection.id, 1);
    assert_eq!((pool.stats().total_connections, mock.attempts().len()), (1, 4));
    drop(connection);
    check_stats(&pool.stats(), "after");
    assert_hands_out_exactly(&pool, 4, "after the dead").await;
}

/// `health.known_dead`: when all are dead, a new one is opened, and nobody sees the old ones.
#[tokio::test(start_paused = true)]
async fn when_all_are_dead_a_new_one_is_opened() {
    let mock = Mock::ok();
    let pool = filled(&mock, 3, config(3)).await;
    mock.kill(1..=3);
    tokio::time::advance(ms(1)).await;
    assert!(pool.try_acquire().is_none());
    assert_eq!(pool.stats().total_connections, 0);
    let connection = pool.acquire().await.unwrap();
    assert_eq!(connection.id, 4);
    drop(connection);
    assert_hands_out_exactly(&pool, 3, "all were dead").await;
}

/// `health.known_dead`, `acquire.fifo`: a waiter that was served a connection which died on the way goes back to its
/// turn, ahead of those who came later.
#[tokio::test(start_paused = true)]
async fn a_waiter_whose_connection_died_keeps_its_turn() {
    let mock = Mock::ok();
    let pool = filled(&mock, 2, config(2)).await;
    let held = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    let mut waiters: Vec<_> = (0..4).map(|_| Box::pin(pool.acquire())).collect();
    for waiter in &mut waiters {
        assert!(poll_once(waiter.as_mut()).await.is_pending());
    }
    mock.set_connect(Step::Slow(ms(10)));
    drop(held);
    mock.kill([1, 2]);
    tokio::time::advance(ms(1)).await;
    // The second of the two who were served looks first.
    for index in [1, 0, 2, 3] {
        assert!(poll_once(waiters[index].as_mut()).await.is_pending(), "{index}");
    }
    assert_eq!(pool.stats().pending_requests, 4);
    tokio::time::sleep(ms(11)).await;
    for (number, waiter) in waiters.into_iter().enumerate() {
        let std::task::Poll::Ready(connection) = poll_once(Box::pin(waiter).as_mut()).await else {
            panic!("{number} is overtaken: {:?}", pool.stats())
        };
        drop(connection.unwrap());
    }
    assert_hands_out_exactly(&pool, 2, "after the turn").await;
}

/// `acquire.deadline`, `health.known_dead`: a connection that comes at the deadline and is dead does not prolong the wait.
#[tokio::test(start_paused = true)]
async fn a_dead_connection_at_the_deadline_is_a_timeout() {
    let mock = Mock::ok();
    let pool = filled(&mock, 1, PoolConfig { connection_timeout: ms(50), ..config(1) }).await;
    let held = pool.acquire().await.unwrap();
    let mut waiter = pin!(pool.acquire());
    assert!(poll_once(waiter.as_mut()).await.is_pending());
    tokio::time::advance(ms(60)).await;
    mock.set_connect(Step::Never);
    drop(held);
    mock.kill([1]);
    tokio::time::advance(ms(1)).await;
    let error = waiter.await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(pool.stats().pending_requests, 0);
    check_stats(&pool.stats(), "after");
}

/// `connect.backoff`: a server that accepts and closes at once is asked less and less often, and named.
#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_closes_is_not_hammered() {
    let mock = Mock::ok();
    mock.kill(1..1000);
    tokio::time::advance(ms(1)).await;
    let pool = pool(&mock, PoolConfig { connection_timeout: Duration::from_secs(10), ..config(4) });
    let error = pool.acquire().await.unwrap_err();
    let AcquireError::Timeout(timeout) = error else { panic!("{error}") };
    assert!(matches!(timeout.last_connect_error.as_deref(), Some(ConnectError::ClosedAtOnce)), "{timeout}");
    assert!(timeout.to_string().contains("it may be at its own limit"), "{timeout}");
    let attempts = mock.attempts().len();
    assert!((6..=16).contains(&attempts), "{attempts} attempts in ten seconds");
    assert_eq!((pool.stats().failed_connects, timeout.failed_connects), (attempts as u64, attempts as u64));
}

/// `panic.no_loss`: a panic in `is_connected` costs one connection and no capacity.
#[tokio::test(start_paused = true)]
async fn a_panic_in_is_connected_loses_nothing() {
    struct Panics(std::sync::atomic::AtomicBool);
    impl poolhouse::Manager for Panics {
        type Connection = ();
        type Error = std::io::Error;
        async fn connect(&self) -> std::io::Result<()> {
            Ok(())
        }
        fn is_connected(&self, (): &mut ()) -> bool {
            assert!(!self.0.swap(false, std::sync::atomic::Ordering::SeqCst), "as the test says");
            true
        }
    }
    let pool = poolhouse::Pool::new(Panics(false.into()), config(1)).unwrap();
    drop(pool.acquire().await.unwrap());
    pool.manager().0.store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::advance(ms(1)).await;
    let caught = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    assert!(caught.await.unwrap_err().is_panic());
    drop(pool.acquire().await.unwrap());
    check_stats(&pool.stats(), "after");
    assert_eq!(pool.stats().connections_destroyed, 1);
}

/// How a server ends a connection.
#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Reset,
    UnaskedByte,
}

/// A server whose connections the test holds in its hands.
struct ByHand {
    listener: TcpListener,
    pool: PacketPool,
}

impl ByHand {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = PacketPool::new(listener.local_addr().unwrap(), config(2)).unwrap();
        Self { listener, pool }
    }

    /// One idle connection, and the server's end of it.
    async fn connect(&self) -> TcpStream {
        let (acquired, accepted) = tokio::join!(self.pool.acquire(), self.listener.accept());
        drop(acquired.unwrap());
        accepted.unwrap().0
    }
}

/// `health.known_dead`: on a real socket, the end of the stream, a reset and a byte that nobody asked for are all seen at
/// once, though the runtime has not looked at the socket since.
#[tokio::test]
async fn a_socket_that_ended_is_known_at_once() {
    for end in [End::Fin, End::Reset, End::UnaskedByte] {
        let server = ByHand::new().await;
        let theirs = server.connect().await;
        match end {
            End::Fin => drop(theirs),
            End::Reset => {
                SockRef::from(&theirs).set_linger(Some(Duration::ZERO)).unwrap();
                drop(theirs);
            }
            End::UnaskedByte => assert_eq!(theirs.try_write(b"?").unwrap(), 1),
        }
        // It has arrived over loopback, and the reactor has not run. The pool looks again a millisecond after its last look.
        std::thread::sleep(ms(1));
        assert!(server.pool.try_acquire().is_none(), "{end:?}");
        assert_eq!(server.pool.stats().connections_destroyed, 1, "{end:?}");
    }
}

/// `health.known_dead`: an idle connection that is alive is handed out, byte for byte as it was.
#[tokio::test]
async fn a_look_takes_nothing_from_a_live_socket() {
    let server = ByHand::new().await;
    let mut theirs = server.connect().await;
    for _ in 0..3 {
        let mut connection = server.pool.try_acquire().expect("alive");
        let mut question = [0; 8];
        let (sent, read) = tokio::join!(connection.send_packet("ping"), theirs.read_exact(&mut question));
        sent.unwrap();
        read.unwrap();
        theirs.write_all(&question).await.unwrap();
        assert_eq!(connection.receive().await.unwrap(), "ping");
    }
    assert_eq!(server.pool.stats().connections_created, 1);
}

/// `health.known_dead`: after a restart of the server nobody gets a connection of the old one.
#[tokio::test]
async fn after_a_restart_every_exchange_works() {
    let server = EchoServer::start().await.unwrap();
    let address = server.addr();
    let pool = PacketPool::new(address, PoolConfig { min_connections: 4, ..config(4) }).unwrap();
    pool.warm_up().await.unwrap();
    server.stop().await;
    let _server = EchoServer::builder().listen(address.to_string()).start().await.unwrap();
    for _ in 0..8 {
        let mut connection = pool.acquire().await.unwrap();
        connection.send_packet("ping").await.unwrap();
        assert_eq!(connection.receive().await.unwrap(), "ping");
    }
    assert!(pool.stats().connections_destroyed >= 1);
}

/// `health.known_dead`: streams in memory are looked at too.
#[tokio::test(start_paused = true)]
async fn a_stream_in_memory_that_ended_is_known() {
    let server = EchoServer::in_memory();
    let connector = server.connector();
    let dial = move || {
        let connector = connector.clone();
        async move { connector.connect().await }
    };
    let pool = poolhouse::Pool::new(poolhouse::PacketManager::new(dial), config(2)).unwrap();
    drop(pool.acquire().await.unwrap());
    server.disconnect_all();
    settle().await;
    tokio::time::advance(ms(1)).await;
    assert!(pool.try_acquire().is_none());
    assert_eq!(pool.stats().total_connections, 0);
}

/// `health.known_dead`: a task that has used up its budget looks all the same.
#[tokio::test(start_paused = true)]
async fn a_task_without_budget_is_handed_no_dead_connection() {
    for used in 0..=130 {
        let server = EchoServer::in_memory();
        let connector = server.connector();
        let dial = move || {
            let connector = connector.clone();
            async move { connector.connect().await }
        };
        let pool = poolhouse::Pool::new(poolhouse::PacketManager::new(dial), config(2)).unwrap();
        drop(pool.acquire().await.unwrap());
        server.disconnect_all();
        tokio::time::sleep(ms(5)).await;
        for _ in 0..used {
            tokio::task::coop::consume_budget().await;
        }
        let handed_out = pool.try_acquire();
        assert!(handed_out.is_none(), "after {used} of its budget");
    }
}
