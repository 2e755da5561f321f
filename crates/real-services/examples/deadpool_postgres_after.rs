//! Moves money between accounts, with poolhouse and deadpool-postgres.

use std::error::Error;
use std::time::Duration;

use deadpool_postgres::tokio_postgres::NoTls;
use deadpool_postgres::{Manager, ManagerConfig, RecyclingMethod};
use poolhouse::{Pool, PoolConfig};
use poolhouse_deadpool::Deadpool;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;
type PostgresPool = Pool<Deadpool<Manager>>;

fn connect(url: &str) -> Result<PostgresPool, AnyError> {
    let config = ManagerConfig { recycling_method: RecyclingMethod::Clean };
    let manager = Manager::from_config(url.parse()?, NoTls, config);
    let config = PoolConfig {
        max_connections: 8,
        connection_timeout: Duration::from_secs(10),
        connect_attempt_timeout: Duration::from_secs(10),
        ..PoolConfig::default()
    };
    let bridge = Deadpool::new(manager).with_is_connected(|one| !one.is_closed());
    let pool = Pool::new(bridge, config)?;
    Ok(pool)
}

async fn transfer(
    pool: &PostgresPool,
    from: i32,
    to: i32,
) -> Result<(), AnyError> {
    let mut client = pool.acquire().await?;
    let update = client
        .prepare_cached("UPDATE accounts SET balance = balance + $2 WHERE id = $1")
        .await?;
    let transaction = client.transaction().await?;
    transaction.execute(&update, &[&from, &-1]).await?;
    transaction.execute(&update, &[&to, &1]).await?;
    Ok(transaction.commit().await?)
}

pub async fn run(url: &str) -> Result<i32, AnyError> {
    let pool = connect(url)?;
    let mut transfers = JoinSet::new();
    for _ in 0..32 {
        let pool = pool.clone();
        transfers.spawn(async move { transfer(&pool, 1, 2).await });
    }
    for transfer in transfers.join_all().await {
        transfer?;
    }
    let row = pool
        .acquire()
        .await?
        .query_one("SELECT balance FROM accounts WHERE id = 2", &[])
        .await?;
    Ok(row.get(0))
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    println!(
        "the second account has {}",
        run(&std::env::var("DATABASE_URL")?).await?
    );
    Ok(())
}
