//! Counts visits in PostgreSQL from threads, with poolhouse and r2d2_postgres.

use std::error::Error;
use std::thread;
use std::time::Duration;

use poolhouse::PoolConfig;
use poolhouse::blocking::Pool;
use poolhouse_r2d2::R2d2;
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::postgres::NoTls;

type AnyError = Box<dyn Error + Send + Sync>;
type PostgresPool = Pool<R2d2<PostgresConnectionManager<NoTls>>>;

fn connect(url: &str) -> Result<PostgresPool, AnyError> {
    let manager = PostgresConnectionManager::new(url.parse()?, NoTls);
    let config = PoolConfig {
        max_connections: 8,
        min_idle: 2,
        connection_timeout: Duration::from_secs(10),
        ..PoolConfig::default()
    };
    let pool = Pool::new(R2d2::new(manager), config)?;
    pool.warm_up()?;
    Ok(pool)
}

fn visit(pool: &PostgresPool, page: &str) -> Result<i32, AnyError> {
    let mut client = pool.acquire()?;
    let update = "UPDATE visits SET count = count + 1 WHERE page = $1 \
                  RETURNING count";
    Ok(client.query_one(update, &[&page])?.get(0))
}

pub fn run(url: &str) -> Result<i32, AnyError> {
    let pool = connect(url)?;
    let visit_once = || {
        let pool = pool.clone();
        thread::spawn(move || visit(&pool, "home"))
    };
    let threads: Vec<_> = (0..32).map(|_| visit_once()).collect();
    let mut most = 0;
    for thread in threads {
        most = most.max(thread.join().map_err(|_| "a thread panicked")??);
    }
    Ok(most)
}

fn main() -> Result<(), AnyError> {
    println!("{} visits", run(&std::env::var("DATABASE_URL")?)?);
    Ok(())
}
