//! Counts visits in PostgreSQL, with poolhouse and diesel-async.

use std::error::Error;
use std::time::Duration;

use diesel::prelude::*;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use poolhouse::{Pool, PoolConfig};
use poolhouse_bb8::Bb8;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;
type DieselPool = Pool<Bb8<AsyncDieselConnectionManager<AsyncPgConnection>>>;

diesel::table! {
    visits (page) {
        page -> Text,
        count -> Integer,
    }
}

async fn connect(url: &str) -> Result<DieselPool, AnyError> {
    let manager = AsyncDieselConnectionManager::<AsyncPgConnection>::new(url);
    let config = PoolConfig {
        max_connections: 8,
        min_idle: 2,
        connection_timeout: Duration::from_secs(10),
        ..PoolConfig::default()
    };
    let pool = Pool::new(Bb8::new(manager), config)?;
    pool.warm_up_within(Duration::from_secs(10)).await?;
    Ok(pool)
}

async fn visit(pool: &DieselPool, page: &str) -> Result<i32, AnyError> {
    let mut connection = pool.acquire().await?;
    let count = diesel::update(visits::table.find(page))
        .set(visits::count.eq(visits::count + 1))
        .returning(visits::count)
        .get_result(&mut connection)
        .await?;
    Ok(count)
}

pub async fn run(url: &str) -> Result<i32, AnyError> {
    let pool = connect(url).await?;
    let mut visits = JoinSet::new();
    for _ in 0..32 {
        let pool = pool.clone();
        visits.spawn(async move { visit(&pool, "home").await });
    }
    let mut most = 0;
    for count in visits.join_all().await {
        most = most.max(count?);
    }
    Ok(most)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    println!("{} visits", run(&std::env::var("DATABASE_URL")?).await?);
    Ok(())
}
