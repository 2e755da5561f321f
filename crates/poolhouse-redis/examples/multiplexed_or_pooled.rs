//! When one multiplexed connection beats a pool, and when it does not.
//!
//! `cargo run --release --package poolhouse-redis --example multiplexed_or_pooled -- redis://localhost/`
//!
//! Without an address it starts a server of its own. 64 tasks GET a value of 100 bytes, over one multiplexed connection, over
//! a pool of 8, and over a connection for each task. The ways take turns, round by round, so that what else the machine does
//! meanwhile hits all of them alike. Then the same with something among the requests that takes long: another task that
//! waits in BLPOP again and again, for at least 20 ms, or one that fetches a value of 1 MB, over the same connection or pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use poolhouse::{Pool, PoolConfig};
use poolhouse_redis::{RedisManager, RedisPool};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, RedisResult, cmd};
use test_servers::Redis;
use tokio::task::JoinSet;

type Error = Box<dyn std::error::Error + Send + Sync>;

const TASKS: usize = 64;
const POOL: usize = 8;
const REQUESTS: usize = 50;
const ROUNDS: usize = 5;

/// How the tasks reach the server.
#[derive(Clone)]
enum Way {
    Multiplexed(MultiplexedConnection),
    Pooled(RedisPool),
}

/// What else goes on.
#[derive(Clone, Copy)]
enum Neighbour {
    Nobody,
    Blocks,
    FetchesMuch,
}

async fn get(connection: &mut impl ConnectionLike) -> RedisResult<()> {
    let value: Vec<u8> = cmd("GET").arg("small").query_async(connection).await?;
    assert_eq!(value.len(), 100);
    Ok(())
}

async fn disturb(connection: &mut impl ConnectionLike, neighbour: Neighbour) -> RedisResult<()> {
    match neighbour {
        Neighbour::Nobody => Ok(()),
        Neighbour::Blocks => cmd("BLPOP").arg("nobody_pushes").arg(0.02).exec_async(connection).await,
        Neighbour::FetchesMuch => cmd("GET").arg("large").exec_async(connection).await,
    }
}

impl Way {
    async fn get(&mut self) -> Result<(), Error> {
        match self {
            Self::Multiplexed(connection) => Ok(get(connection).await?),
            Self::Pooled(pool) => Ok(get(&mut *pool.acquire().await?).await?),
        }
    }

    async fn disturb(&mut self, neighbour: Neighbour) -> Result<(), Error> {
        match self {
            Self::Multiplexed(connection) => Ok(disturb(connection, neighbour).await?),
            Self::Pooled(pool) => Ok(disturb(&mut *pool.acquire().await?, neighbour).await?),
        }
    }
}

/// One round: how long it took, and how long each request did.
async fn round(way: &Way, neighbour: Neighbour) -> Result<(Duration, Vec<Duration>), Error> {
    let over = Arc::new(AtomicBool::new(false));
    let disturber = tokio::spawn({
        let (mut way, over) = (way.clone(), Arc::clone(&over));
        async move {
            while !over.load(Ordering::Relaxed) && !matches!(neighbour, Neighbour::Nobody) {
                way.disturb(neighbour).await?;
            }
            Ok::<_, Error>(())
        }
    });
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..TASKS {
        let mut way = way.clone();
        tasks.spawn(async move {
            let mut times = Vec::with_capacity(REQUESTS);
            for _ in 0..REQUESTS {
                let asked = Instant::now();
                way.get().await?;
                times.push(asked.elapsed());
            }
            Ok::<_, Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let wall = began.elapsed();
    over.store(true, Ordering::Relaxed);
    disturber.await??;
    Ok((wall, times))
}

fn pool(url: &str, max_connections: usize) -> Result<RedisPool, Error> {
    let config = PoolConfig { max_connections, ..PoolConfig::default() };
    Ok(Pool::new(RedisManager::from_url(url)?, config)?)
}

async fn compare(url: &str) -> Result<(), Error> {
    let client = Client::open(url)?;
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let mut multiplexed = client.get_multiplexed_async_connection_with_config(&patient).await?;
    cmd("SET").arg("small").arg(vec![b'x'; 100]).exec_async(&mut multiplexed).await?;
    cmd("SET").arg("large").arg(vec![b'x'; 1 << 20]).exec_async(&mut multiplexed).await?;
    let ways = [
        ("one multiplexed connection", Way::Multiplexed(multiplexed)),
        ("a pool of 8", Way::Pooled(pool(url, POOL)?)),
        ("a connection for each task", Way::Pooled(pool(url, TASKS + 1)?)),
    ];
    println!("{TASKS} tasks, {REQUESTS} GETs each, {ROUNDS} rounds; requests a second, and milliseconds");
    let neighbours = [
        ("nothing else", Neighbour::Nobody),
        ("BLPOP, 20 ms", Neighbour::Blocks),
        ("a value of 1 MB", Neighbour::FetchesMuch),
    ];
    for (among, neighbour) in neighbours {
        let mut sums = [(); 3].map(|()| (Duration::ZERO, Vec::new()));
        for number in 0..=ROUNDS {
            for ((_, way), (wall, times)) in ways.iter().zip(&mut sums) {
                let (took, more) = round(way, neighbour).await?;
                // The first one opens connections.
                if number > 0 {
                    *wall += took;
                    times.extend(more);
                }
            }
        }
        for ((name, _), (wall, times)) in ways.iter().zip(&mut sums) {
            times.sort_unstable();
            let rate = times.len() as f64 / wall.as_secs_f64();
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            println!("{among:16} {name:27} {rate:9.0}/s  p50 {:7.2}  p99 {:7.2}", at(0.5), at(0.99));
        }
    }
    Ok(())
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Error> {
    if let Some(url) = std::env::args().nth(1) {
        return compare(&url).await;
    }
    let server = Redis::start()?;
    compare(&server.url()).await
}
