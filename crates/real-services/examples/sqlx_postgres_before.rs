//! Moves money between accounts, with sqlx and its pool.

use std::error::Error;
use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;
type PostgresPool = PgPool;

async fn connect(url: &str) -> Result<PostgresPool, AnyError> {
    let wait = Duration::from_secs(10);
    let options = PgPoolOptions::new().max_connections(8).acquire_timeout(wait);
    let pool = options.connect(url).await?;
    Ok(pool)
}

async fn transfer(
    pool: &PostgresPool,
    from: i32,
    to: i32,
) -> Result<(), AnyError> {
    let mut transaction = pool.begin().await?;
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
    Ok(balance.fetch_one(&pool).await?)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    println!(
        "the second account has {}",
        run(&std::env::var("DATABASE_URL")?).await?
    );
    Ok(())
}
