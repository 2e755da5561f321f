//! poolhouse-deadpool with deadpool-postgres, deadpool-redis and deadpool-lapin.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::NoTls;
use deadpool_postgres::{ManagerConfig, RecyclingMethod};
use deadpool_redis::redis::{self, AsyncCommands};
use poolhouse::{Pool, PoolConfig, RetireReason};
use poolhouse_deadpool::Deadpool;
use test_servers::{Postgres, Redis, start_or_skip};

use crate::common::{config, hand_over, recovers, settle, until};

type PostgresBridge = Deadpool<deadpool_postgres::Manager>;

fn postgres(
    server: &Postgres,
    recycling_method: RecyclingMethod,
) -> PostgresBridge {
    let config = server.url().parse().expect("a good address");
    let manager = deadpool_postgres::Manager::from_config(
        config,
        NoTls,
        ManagerConfig { recycling_method },
    );
    Deadpool::new(manager).with_is_connected(|client| !client.is_closed())
}

async fn ask(
    pool: &Pool<PostgresBridge>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let client = pool.acquire().await?;
    let row = client.query_one("SELECT 1 + $1::int4", &[&41]).await?;
    assert_eq!(row.get::<_, i32>(0), 42);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deadpool_postgres_runs_queries_and_transactions() {
    let server = start_or_skip!(Postgres::start());
    let pool =
        Pool::new(postgres(&server, RecyclingMethod::Fast), config(2)).unwrap();
    ask(&pool).await.unwrap();

    let mut client = pool.acquire().await.unwrap();
    for _ in 0..2 {
        let statement = client.prepare_cached("SELECT 2 * $1::int4").await.unwrap();
        assert_eq!(
            client.query_one(&statement, &[&21]).await.unwrap().get::<_, i32>(0),
            42
        );
    }
    assert_eq!(client.statement_cache.size(), 1);
    let transaction = client.transaction().await.unwrap();
    transaction.prepare_cached("SELECT 1").await.unwrap();
    transaction.rollback().await.unwrap();

    // The manager keeps a list of the caches, from which `detach` takes them.
    pool.manager().inner().statement_caches.clear();
    assert_eq!(client.statement_cache.size(), 0);
}

/// `reset.between`: with `Clean`, what the holder has set is gone when the waiter has the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn with_clean_nothing_leaks_from_a_holder_to_a_waiter() {
    let server = start_or_skip!(Postgres::start());
    for (method, leaks) in
        [(RecyclingMethod::Clean, false), (RecyclingMethod::Fast, true)]
    {
        let pool = Pool::new(postgres(&server, method.clone()), config(1)).unwrap();
        let held = pool.acquire().await.unwrap();
        held.batch_execute("SET application_name = 'left over'").await.unwrap();
        let backend: i32 =
            held.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);

        let next = hand_over(&pool, held).await;
        let row = next
            .query_one(
                "SELECT pg_backend_pid(), current_setting('application_name')",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(
            row.get::<_, i32>(0),
            backend,
            "{method:?}: the same connection"
        );
        assert_eq!(row.get::<_, String>(1) == "left over", leaks, "{method:?}");
    }
}

/// `health.known_dead`: backends that are killed while nobody holds them cost no query.
#[tokio::test(flavor = "multi_thread")]
async fn with_deadpool_postgres_dead_connections_are_not_handed_out() {
    let server = start_or_skip!(Postgres::start());
    let pool =
        Pool::new(postgres(&server, RecyclingMethod::Fast), config(10)).unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(pool.acquire().await.unwrap());
    }
    drop(held);
    settle(&pool).await;
    assert_eq!(pool.stats().idle_connections, 10);
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    server.sql(kill).unwrap();
    // Until it has arrived, nobody can know.
    until("the clients know", || {
        let mut open = 0;
        pool.retain(|client, _| {
            open += usize::from(!client.is_closed());
            true
        });
        open == 0
    })
    .await;
    for _ in 0..20 {
        ask(&pool).await.expect("no dead connection is handed out");
    }
    assert_eq!(pool.stats().closed.get(RetireReason::PeerClosed), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_deadpool_postgres_the_pool_recovers_from_a_restart() {
    let mut server = start_or_skip!(Postgres::start());
    for method in
        [RecyclingMethod::Fast, RecyclingMethod::Verified, RecyclingMethod::Clean]
    {
        let pool = Pool::new(postgres(&server, method.clone()), config(4)).unwrap();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(pool.acquire().await.unwrap());
        }
        drop(held);
        server.restart().unwrap();
        let failures = recovers(4, || ask(&pool)).await;
        println!("{method:?}: {failures} failed after the restart");
        for _ in 0..10 {
            ask(&pool).await.unwrap();
        }
    }
}

fn redis(server: &Redis) -> Deadpool<deadpool_redis::Manager> {
    Deadpool::new(
        deadpool_redis::Manager::new(server.url()).expect("a good address"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn deadpool_redis_runs_a_command() {
    let server = start_or_skip!(Redis::start());
    let pool = Pool::new(redis(&server), config(2)).unwrap();
    let mut connection = pool.acquire().await.unwrap();
    connection.set::<_, _, ()>("key", 42).await.unwrap();
    let answer: i64 =
        redis::cmd("GET").arg("key").query_async(&mut **connection).await.unwrap();
    assert_eq!(answer, 42);
}

/// A transaction. `None` if a key that the connection watches has changed.
async fn transaction(
    connection: &mut redis::aio::MultiplexedConnection,
) -> Option<()> {
    redis::pipe()
        .atomic()
        .set("other", 1)
        .ignore()
        .query_async(connection)
        .await
        .unwrap()
}

/// `reset.between`: a `WATCH` of the holder does not fail the transaction of the waiter.
#[tokio::test(flavor = "multi_thread")]
async fn with_deadpool_redis_unwatch_runs_between_a_holder_and_a_waiter() {
    let server = start_or_skip!(Redis::start());
    let pool = Pool::new(redis(&server), config(1)).unwrap();
    let mut held = pool.acquire().await.unwrap();

    // What a watch does to the transaction of its own holder.
    redis::cmd("WATCH").arg("key").exec_async(&mut **held).await.unwrap();
    server.command(&["SET", "key", "1"]).unwrap();
    assert_eq!(transaction(&mut held).await, None);

    redis::cmd("WATCH").arg("key").exec_async(&mut **held).await.unwrap();
    let client: i64 =
        redis::cmd("CLIENT").arg("ID").query_async(&mut **held).await.unwrap();
    let mut next = hand_over(&pool, held).await;
    server.command(&["SET", "key", "2"]).unwrap();
    let same: i64 =
        redis::cmd("CLIENT").arg("ID").query_async(&mut **next).await.unwrap();
    assert_eq!(same, client, "the same connection");
    assert_eq!(transaction(&mut next).await, Some(()));
}

/// A connection that was killed in use is not handed on, and with `check_after_idle` one that was killed idle is not handed
/// out.
#[tokio::test(flavor = "multi_thread")]
async fn with_deadpool_redis_dead_connections_are_not_handed_out() {
    let server = start_or_skip!(Redis::start());
    let config = PoolConfig { check_after_idle: Duration::ZERO, ..config(1) };
    let pool = Pool::new(redis(&server), config).unwrap();
    let held = pool.acquire().await.unwrap();
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    let mut next = hand_over(&pool, held).await;
    next.set::<_, _, ()>("key", 42).await.unwrap();
    assert_eq!(pool.stats().closed.get(RetireReason::ResetFailed), 1);

    next.release();
    settle(&pool).await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    let mut next = pool.acquire().await.unwrap();
    assert_eq!(next.get::<_, i64>("key").await.unwrap(), 42);
}

/// No RabbitMQ runs here: that the manager fits, and that its error arrives.
#[tokio::test(flavor = "multi_thread")]
async fn deadpool_lapin_fits() {
    use deadpool_lapin::lapin;

    // Nothing listens on port 1.
    let runtime = lapin::runtime::default_runtime().unwrap();
    let manager = deadpool_lapin::Manager::new(
        "amqp://127.0.0.1:1",
        lapin::ConnectionProperties::default,
        runtime,
    );
    let bridge = Deadpool::new(manager)
        .with_is_connected(|connection| connection.status().connected());
    let pool =
        Pool::new(bridge, PoolConfig { min_connections: 1, ..config(1) }).unwrap();
    let error = pool.warm_up().await.unwrap_err();
    assert!(error.manager_error::<lapin::Error>().is_some(), "{error}");
}
