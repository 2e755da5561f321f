//! Counts visits, with poolhouse and bb8-redis.

use std::error::Error;
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use bb8_redis::redis::AsyncCommands;
use poolhouse::{Pool, PoolConfig};
use poolhouse_bb8::Bb8;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;
type RedisPool = Pool<Bb8<RedisConnectionManager>>;

async fn connect(url: &str) -> Result<RedisPool, AnyError> {
    let manager = RedisConnectionManager::new(url)?;
    let config = PoolConfig {
        max_connections: 8,
        min_idle: 2,
        connection_timeout: Duration::from_secs(10),
        check_after_idle: Duration::from_secs(1),
        ..PoolConfig::default()
    };
    let pool = Pool::new(Bb8::new(manager), config)?;
    pool.warm_up_within(Duration::from_secs(10)).await?;
    Ok(pool)
}

async fn visit(pool: &RedisPool, page: &str) -> Result<u64, AnyError> {
    let mut connection = pool.acquire().await?;
    Ok(connection.incr(format!("visits:{page}"), 1).await?)
}

pub async fn run(url: &str) -> Result<u64, AnyError> {
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
    println!("{} visits", run(&std::env::var("REDIS_URL")?).await?);
    Ok(())
}
