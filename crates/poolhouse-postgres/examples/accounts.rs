//! Moves money between two accounts, gives up half-way, and looks at what is left.
//!
//! `cargo run --example accounts -- postgres://postgres@localhost/postgres`

use poolhouse::{Pool, PoolConfig};
use poolhouse_postgres::{PooledPostgres, PostgresManager};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const SET_UP: &str = "
CREATE TEMPORARY TABLE accounts (name text PRIMARY KEY, balance int CHECK (balance >= 0));
INSERT INTO accounts VALUES ('ada', 10), ('bob', 0);
";

/// An error leaves the transaction, and that is all it takes to undo it.
async fn pay(connection: &mut PooledPostgres, from: &str, to: &str, amount: i32) -> Result<()> {
    let transaction = connection.transaction().await?;
    let add =
        transaction.prepare_cached("UPDATE accounts SET balance = balance + $2 WHERE name = $1").await?;
    transaction.execute(&add, &[&to, &amount]).await?;
    transaction.execute(&add, &[&from, &-amount]).await?;
    transaction.commit().await?;
    Ok(())
}

async fn balances(connection: &PooledPostgres) -> Result<Vec<i32>> {
    let rows = connection.query("SELECT balance FROM accounts ORDER BY name", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or("the connection string is missing")?;
    // One connection, so that both callers meet in the same session, with its temporary table.
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    let pool = Pool::new(PostgresManager::from_url(&url)?, config)?;

    let mut first = pool.acquire().await?;
    first.batch_execute(SET_UP).await?;
    pay(&mut first, "ada", "bob", 7).await?;
    println!("paid 7: {:?}", balances(&first).await?);
    let error = pay(&mut first, "ada", "bob", 7).await.expect_err("ada has 3 left");
    // tokio-postgres' own text is "db error". The server's is its source.
    println!("refused: {}", error.source().map_or_else(|| error.to_string(), ToString::to_string));
    drop(first);

    let second = pool.acquire().await?;
    println!(
        "the next caller sees {:?}, in a transaction: {}",
        balances(&second).await?,
        second.is_in_transaction()
    );
    drop(second);
    pool.close().await;
    Ok(())
}
