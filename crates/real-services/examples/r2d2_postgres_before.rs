//! Counts visits in PostgreSQL from threads, with r2d2 and r2d2_postgres.

use std::error::Error;
use std::thread;
use std::time::Duration;

use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::postgres::NoTls;
use r2d2_postgres::r2d2::Pool;

type AnyError = Box<dyn Error + Send + Sync>;
type PostgresPool = Pool<PostgresConnectionManager<NoTls>>;

fn connect(url: &str) -> Result<PostgresPool, AnyError> {
    let manager = PostgresConnectionManager::new(url.parse()?, NoTls);
    let pool = Pool::builder()
        .max_size(8)
        .min_idle(Some(2))
        .connection_timeout(Duration::from_secs(10))
        .build(manager)?;
    Ok(pool)
}

fn visit(pool: &PostgresPool, page: &str) -> Result<i32, AnyError> {
    let mut client = pool.get()?;
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
