//! The worked manager for RabbitMQ, against a real one.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{ErrorKind, message::BasicGetMessage};
use poolhouse::{
    AcquireError, FailureKind, Manager, Pool, PoolConfig, RetireReason,
};
use real_services::rabbitmq::{PublishError, RabbitMq, Session};
use test_servers::{ServerError, start_or_skip};
use tokio::time::timeout;

use crate::common::{TOO_LONG, config, hand_over, recovers, settle, until};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const SHORT: Duration = Duration::from_millis(200);

/// The broker of the tests that do it no harm. A start costs seconds of computing.
/// It ends with the process.
fn shared() -> Result<&'static test_servers::RabbitMq, ServerError> {
    static SHARED: OnceLock<test_servers::RabbitMq> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock();
    if let Some(server) = SHARED.get() {
        return Ok(server);
    }
    let server = test_servers::RabbitMq::start()?;
    Ok(SHARED.get_or_init(|| server))
}

fn manager(url: &str, name: &str) -> RabbitMq {
    RabbitMq::new(url.parse().unwrap(), name)
}

fn pool_of(url: &str, name: &str, max_connections: usize) -> Pool<RabbitMq> {
    Pool::new(manager(url, name), config(max_connections)).unwrap()
}

async fn declare(session: &mut Session, queue: &str) {
    let options = QueueDeclareOptions::default();
    session
        .channel()
        .queue_declare(queue.into(), options, FieldTable::default())
        .await
        .unwrap();
}

async fn take(session: &mut Session, queue: &str) -> Option<BasicGetMessage> {
    session
        .channel()
        .basic_get(queue.into(), BasicGetOptions::default())
        .await
        .unwrap()
}

/// Takes and acknowledges the next message.
async fn text_of_next(session: &mut Session, queue: &str) -> Option<String> {
    let message = take(session, queue).await?;
    message.ack(BasicAckOptions::default()).await.unwrap();
    Some(String::from_utf8(message.data.clone()).unwrap())
}

/// A queue that a pool has declared, and nothing is left on the pool's channels.
async fn with_queue(pool: &Pool<RabbitMq>, queue: &str) {
    declare(&mut pool.acquire().await.unwrap(), queue).await;
    settle(pool).await;
}

async fn publish(pool: &Pool<RabbitMq>, queue: &str) -> Result<(), AnyError> {
    pool.acquire().await?.publish("", queue, b"hello").await?;
    Ok(())
}

/// How many channels each connection with this name has.
fn channels(server: &test_servers::RabbitMq, name: &str) -> Vec<String> {
    let listed = server
        .control(&["list_connections", "channels", "client_properties"])
        .unwrap();
    let named = format!("{{\"connection_name\",\"{name}\"}}");
    let channels = listed
        .lines()
        .filter(|line| line.contains(&named))
        .filter_map(|line| line.split_once('\t'));
    channels.map(|(channels, _)| channels.to_owned()).collect()
}

/// What is published is in the queue when `publish` returns. What fits no queue is
/// told.
#[tokio::test]
async fn a_message_is_confirmed_or_its_loss_is_told() {
    let server = start_or_skip!(shared());
    let pool = pool_of(&server.url(), "confirmed", 1);
    with_queue(&pool, "confirmed").await;
    let mut held = pool.acquire().await.unwrap();
    held.publish("", "confirmed", b"hello").await.unwrap();
    assert_eq!(
        text_of_next(&mut held, "confirmed").await.as_deref(),
        Some("hello")
    );
    let lost = held.publish("", "no-such-queue", b"hello").await.unwrap_err();
    assert!(
        matches!(&lost, PublishError::Unroutable(why) if why == "NO_ROUTE"),
        "{lost}"
    );
}

/// After a publish the next holder waits for no reset. What was cut short, and
/// what used the channel itself, needs one.
#[tokio::test]
async fn a_publish_leaves_the_channel_as_it_was() {
    let server = start_or_skip!(shared());
    let manager = manager(&server.url(), "as-it-was");
    let mut session = manager.connect().await.unwrap();
    session.publish("", "no-such-queue", b"hello").await.unwrap_err();
    assert!(!manager.needs_reset(&mut session));
    let cut_short = session.publish("", "no-such-queue", b"hello").now_or_never();
    assert!(cut_short.is_none() && manager.needs_reset(&mut session));
    manager.reset(&mut session).await.unwrap();
    assert!(!manager.needs_reset(&mut session));
    declare(&mut session, "as-it-was").await;
    assert!(manager.needs_reset(&mut session));
}

/// `reset.between`: a message without an answer goes back to its queue, and
/// neither a consumer nor a limit stays.
#[tokio::test]
async fn nothing_leaks_from_a_holder_to_a_waiter() {
    let server = start_or_skip!(shared());
    let pool = pool_of(&server.url(), "leaks", 1);
    with_queue(&pool, "leaks").await;
    let mut held = pool.acquire().await.unwrap();
    for message in [b"one", b"two"] {
        held.publish("", "leaks", message).await.unwrap();
    }
    assert_eq!(take(&mut held, "leaks").await.unwrap().data, b"one");
    let channel = held.channel().clone();
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions::default();
    let consumer = channel
        .basic_consume(
            "leaks".into(),
            "left".into(),
            options,
            FieldTable::default(),
        )
        .await
        .unwrap();
    let mut next = hand_over(&pool, held).await;
    assert_eq!(text_of_next(&mut next, "leaks").await.as_deref(), Some("one"));
    assert_eq!(text_of_next(&mut next, "leaks").await.as_deref(), Some("two"));
    assert_eq!(next.channel().status().qos().prefetch_count, None);
    assert!(
        !channel.status().connected(),
        "the holder's channel is closed, although the holder has kept a clone"
    );
    drop(consumer);
}

/// An error of a channel closes that channel. Its neighbours on the connection
/// work on.
#[tokio::test]
async fn a_channel_that_fails_takes_nothing_with_it() {
    let server = start_or_skip!(shared());
    let pool = pool_of(&server.url(), "neighbour", 2);
    with_queue(&pool, "neighbour").await;
    let (mut one, mut two) =
        (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let failed = one.publish("no-such-exchange", "", b"hello").await.unwrap_err();
    let PublishError::Failed(error) = &failed else { panic!("{failed}") };
    assert!(
        matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 404),
        "{error}"
    );
    two.publish("", "neighbour", b"hello").await.unwrap();
    drop(one);
    let mut other = pool.acquire().await.unwrap();
    other.publish("", "neighbour", b"hello").await.unwrap();
    assert_eq!(
        channels(server, "neighbour"),
        ["2"],
        "one connection, with a new channel"
    );
    assert_eq!(pool.stats().closed.get(RetireReason::NotReusable), 1);
}

/// `connect.permanent`: a wrong password and a virtual host that is not there are
/// told at once.
#[tokio::test]
async fn what_the_broker_refuses_is_told_at_once() {
    let server = start_or_skip!(shared());
    for (url, code) in [
        (server.url().replace("guest:guest", "guest:wrong"), 403),
        (server.url().replace("%2f", "no-such-host"), 530),
    ] {
        let Err(AcquireError::Connect(failed)) =
            pool_of(&url, "refused", 1).acquire().await
        else {
            panic!("{url}")
        };
        let error: &lapin::Error =
            failed.error.manager_error().expect("the broker's error");
        assert!(
            matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == code),
            "{error}"
        );
    }
}

/// A pool of more channels than the broker allows on a connection gets along with
/// those that there are.
#[tokio::test]
async fn channel_max_is_lived_with() {
    let server =
        start_or_skip!(test_servers::RabbitMq::start_with(&[("channel_max", "3")]));
    let config = PoolConfig { max_connecting: 20, ..config(8) };
    let pool = Pool::new(manager(&server.url(), "many"), config).unwrap();
    declare(&mut pool.acquire().await.unwrap(), "many").await;
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { publish(&pool, "many").await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(pool.stats().total_connections <= 3, "{:?}", pool.stats());
    let limit = ["set_vhost_limits", r#"{"max-connections": 1}"#];
    server.control(&limit).unwrap();
    let second = manager(&server.url(), "one too many");
    let refused = second
        .connect()
        .await
        .err()
        .expect("the virtual host has its one connection");
    assert_eq!(second.classify(&refused), FailureKind::Busy, "{refused}");
}

/// An alarm blocks the connections that publish. A publish that waits is not
/// undone when its caller gives up.
#[tokio::test]
async fn an_alarm_blocks_publishers_and_keeps_what_they_sent() {
    let server = start_or_skip!(test_servers::RabbitMq::start());
    let pool = pool_of(&server.url(), "publishers", 1);
    let consumers = pool_of(&server.url(), "consumers", 1);
    with_queue(&pool, "blocked").await;
    publish(&pool, "blocked").await.unwrap();
    server.control(&["set_vm_memory_high_watermark", "absolute", "1"]).unwrap();
    let states = || server.control(&["list_connections", "state"]).unwrap();
    until("the connections learn of the alarm", || states().contains("block"))
        .await;

    let mut held = pool.acquire().await.unwrap();
    // The broker tells this connection that it is blocked when it next publishes.
    let gives_up = async {
        let given_up =
            timeout(SHORT, held.publish("", "blocked", b"given up")).await;
        assert!(given_up.is_err(), "{given_up:?}");
    };
    gives_up.await;
    let refused = timeout(TOO_LONG, async {
        loop {
            if let Err(error) = held.publish("", "blocked", b"refused").await {
                break error;
            }
        }
    });
    assert!(matches!(refused.await.unwrap(), PublishError::Blocked));
    // Those who only consume are not blocked, on a connection of their own.
    let mut consumer = consumers.acquire().await.unwrap();
    assert_eq!(
        text_of_next(&mut consumer, "blocked").await.as_deref(),
        Some("hello")
    );
    // The used channel cannot be reset, and another is not opened.
    drop(held);
    settle(&pool).await;
    let failed = pool.acquire_within(SHORT).await.unwrap_err().to_string();
    assert!(failed.contains("the broker has blocked this connection"), "{failed}");

    server.control(&["set_vm_memory_high_watermark", "0.9"]).unwrap();
    let text = timeout(TOO_LONG, async {
        loop {
            if let Some(text) = text_of_next(&mut consumer, "blocked").await {
                break text;
            }
        }
    });
    assert_eq!(text.await.unwrap(), "given up");
    publish(&pool, "blocked").await.unwrap();
}

/// A broker that is frozen is noticed by its missing heartbeats.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_is_noticed_by_its_heartbeats() {
    let mut server = start_or_skip!(test_servers::RabbitMq::start());
    let pool = pool_of(&format!("{}?heartbeat=1", server.url()), "frozen", 1);
    with_queue(&pool, "frozen").await;
    let mut held = pool.acquire().await.unwrap();
    held.publish("", "frozen", b"hello").await.unwrap();
    server.freeze().unwrap();
    let failed = timeout(TOO_LONG, held.publish("", "frozen", b"hello"))
        .await
        .expect("it fails")
        .unwrap_err();
    let PublishError::Failed(error) = &failed else { panic!("{failed}") };
    assert!(matches!(error.kind(), ErrorKind::MissingHeartbeatError), "{error}");
    drop(held);
    server.thaw().unwrap();
    declare(&mut pool.acquire().await.unwrap(), "frozen").await;
    publish(&pool, "frozen").await.unwrap();
}

/// `close.complete`: the last channel takes the connection along, also after a
/// restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_recovered_from_and_a_close_leaves_no_connection() {
    let mut server = start_or_skip!(test_servers::RabbitMq::start());
    let pool = pool_of(&server.url(), "restarted", 2);
    with_queue(&pool, "").await;
    let asks = || async {
        let mut held = pool.acquire().await?;
        declare(&mut held, "again").await;
        held.publish("", "again", b"hello").await?;
        Ok::<_, AnyError>(())
    };
    asks().await.unwrap();
    server.restart().unwrap();
    recovers(2, asks).await;
    drop([pool.acquire().await.unwrap(), pool.acquire().await.unwrap()]);
    assert_eq!(channels(&server, "restarted"), ["2"]);
    pool.close().await;
    until("no connection is left", || channels(&server, "restarted").is_empty())
        .await;
}
