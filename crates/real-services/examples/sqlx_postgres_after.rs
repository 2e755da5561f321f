//! Moves money between accounts, with sqlx and poolhouse.

use std::error::Error;
use std::time::Duration;

use poolhouse::{Pool, PoolConfig};
use tokio::task::JoinSet;

mod sqlx_session;

type AnyError = Box<dyn Error + Send + Sync>;
type PostgresPool = Pool<sqlx_session::SqlxPostgres>;

async fn connect(url: &str) -> Result<PostgresPool, AnyError> {
    let wait = Duration::from_secs(10);
    let config = PoolConfig {
        max_connections: 8,
        connection_timeout: wait,
        ..PoolConfig::default()
    };
    let pool = Pool::new(sqlx_session::SqlxPostgres(url.parse()?), config)?;
    pool.warm_up_within(wait).await?;
    Ok(pool)
}

async fn transfer(
    pool: &PostgresPool,
    from: i32,
    to: i32,
) -> Result<(), AnyError> {
    let mut session = pool.acquire().await?;
    let mut transaction = session.begin().await?;
    let update = "UPDATE accounts SET balance = balance + $2 WHERE id = $1";
    sqlx::query(update).bind(from).bind(-1).execute(&mut *transaction).await?;
    sqlx::query(update).bind(to).bind(1).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

pub async fn run(url: &str) -> Result<i32, AnyError> {
    let pool = connect(url).await?;
    let mut transfers = JoinSet::new();
    for _ in 0..32 {
        let pool = pool.clone();
        transfers.spawn(async move { transfer(&pool, 1, 2).await });
    }
    for transfer in transfers.join_all().await {
        transfer?;
    }
    let balance = sqlx::query_scalar("SELECT balance FROM accounts WHERE id = 2");
    Ok(balance.fetch_one(&mut pool.acquire().await?.connection).await?)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    println!(
        "the second account has {}",
        run(&std::env::var("DATABASE_URL")?).await?
    );
    Ok(())
}
