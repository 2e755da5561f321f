//! Counts visits, with bb8 and bb8-redis.

use std::error::Error;
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use bb8_redis::bb8::Pool;
use bb8_redis::redis::AsyncCommands;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;
type RedisPool = Pool<RedisConnectionManager>;

async fn connect(url: &str) -> Result<RedisPool, AnyError> {
    let manager = RedisConnectionManager::new(url)?;
    let pool = Pool::builder()
        .max_size(8)
        .min_idle(2)
        .connection_timeout(Duration::from_secs(10))
        .build(manager)
        .await?;
    Ok(pool)
}

async fn visit(pool: &RedisPool, page: &str) -> Result<u64, AnyError> {
    let mut connection = pool.get().await?;
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
