//! Faults under load, with managers for PostgreSQL: no answer is wrong, and the pool recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bb8_postgres::PostgresConnectionManager;
use bb8_postgres::tokio_postgres::NoTls;
use deadpool_postgres::{ManagerConfig, RecyclingMethod};
use poolhouse::{Manager, Pool};
use poolhouse_bb8::Bb8;
use poolhouse_deadpool::Deadpool;
use test_servers::{Postgres, start_or_skip};
use tokio::task::{JoinSet, spawn_blocking};

use crate::common::{config, until};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

const CONNECTIONS: usize = 4;
const TASKS: u64 = 8;

fn over_bb8(server: &Postgres) -> Pool<Bb8<PostgresConnectionManager<NoTls>>> {
    let manager =
        PostgresConnectionManager::new_from_stringlike(server.url(), NoTls)
            .expect("a good address");
    Pool::new(Bb8::new(manager), config(CONNECTIONS)).expect("the options are good")
}

fn over_deadpool(server: &Postgres) -> Pool<Deadpool<deadpool_postgres::Manager>> {
    let config_of_manager =
        ManagerConfig { recycling_method: RecyclingMethod::Clean };
    let url = server.url().parse().expect("a good address");
    let manager =
        deadpool_postgres::Manager::from_config(url, NoTls, config_of_manager);
    let bridge =
        Deadpool::new(manager).with_is_connected(|client| !client.is_closed());
    Pool::new(bridge, config(CONNECTIONS)).expect("the options are good")
}

/// What each connection here is at last.
type Client = tokio_postgres::Client;

#[derive(Default)]
struct Counts {
    right: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

/// Asks for numbers until it is told to stop. A wrong answer is a panic.
async fn ask<M: Manager>(
    pool: Pool<M>,
    task: u64,
    counts: Arc<Counts>,
    client: fn(&M::Connection) -> &Client,
) where
    M::Connection: Sync,
{
    let mut number = 0;
    while !counts.stop.load(SeqCst) {
        number += 1;
        let asked = (task * 1_000_000 + number).cast_signed();
        let answer = async {
            let connection = pool.acquire().await?;
            Ok::<i64, AnyError>(
                client(&connection)
                    .query_one("SELECT $1::int8", &[&asked])
                    .await?
                    .get(0),
            )
        };
        match answer.await {
            Ok(answer) => {
                assert_eq!(answer, asked, "somebody else's answer");
                counts.right.fetch_add(1, SeqCst);
            }
            Err(_) => drop(counts.failed.fetch_add(1, SeqCst)),
        }
    }
}

async fn restart_under_load<M: Manager>(
    name: &str,
    mut server: Postgres,
    pool: Pool<M>,
    client: fn(&M::Connection) -> &Client,
) where
    M::Connection: Sync,
{
    let counts = Arc::<Counts>::default();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(ask(pool.clone(), task, Arc::clone(&counts), client));
    }
    until("the tasks are at work", || counts.right.load(SeqCst) > 100).await;
    let server = spawn_blocking(move || {
        server.restart().unwrap();
        server
    })
    .await
    .unwrap();
    let (right, failed) = (counts.right.load(SeqCst), counts.failed.load(SeqCst));
    until("the pool has recovered", || counts.right.load(SeqCst) > right + 1000)
        .await;
    let late = counts.failed.load(SeqCst) - failed;
    counts.stop.store(true, SeqCst);
    tasks.join_all().await;
    println!(
        "{name}: a restart under load failed {failed} of {right}, and {late} after it"
    );
    // What was held when the server went, and what the connects of that moment were.
    assert!(late <= CONNECTIONS as u64, "{late} failed after the restart");
    pool.close().await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_bb8_postgres_a_restart_under_load_passes() {
    let server = start_or_skip!(Postgres::start());
    let pool = over_bb8(&server);
    restart_under_load("bb8-postgres", server, pool, |client| client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_deadpool_postgres_a_restart_under_load_passes() {
    let server = start_or_skip!(Postgres::start());
    let pool = over_deadpool(&server);
    restart_under_load("deadpool-postgres", server, pool, |client| client).await;
}

/// `cancel.tainted`: callers that hang up in a query. What still runs on a connection has ended when the next has it.
async fn hang_up<M: Manager>(pool: &Pool<M>, client: fn(&M::Connection) -> &Client)
where
    M::Connection: Sync,
{
    let mut hung_up = 0;
    for number in 0..20_i64 {
        let connection = pool.acquire().await.unwrap();
        let query = client(&connection).query_one("SELECT pg_sleep(0.1)", &[]);
        // A timer may be late on a busy machine.
        hung_up += usize::from(
            tokio::time::timeout(Duration::from_millis(5), query).await.is_err(),
        );
        drop(connection);
        let connection = pool.acquire().await.unwrap();
        let row = client(&connection)
            .query_one("SELECT $1::int8", &[&number])
            .await
            .unwrap();
        assert_eq!(row.get::<_, i64>(0), number, "somebody else's answer");
    }
    assert!(hung_up >= 10, "{hung_up} of 20");
    assert_eq!(pool.stats().failed_resets, 0, "no connection was lost by it");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_up_leave_nothing_to_the_next() {
    let server = start_or_skip!(Postgres::start());
    hang_up(&over_bb8(&server), |client| client).await;
    hang_up(&over_deadpool(&server), |client| client).await;
    let backends = "SELECT count(*) FROM pg_stat_activity \
                    WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let open: usize = server.sql(backends).unwrap().parse().unwrap();
    assert!(open <= 2 * CONNECTIONS, "{open} backends");
}
