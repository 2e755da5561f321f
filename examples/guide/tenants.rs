//! A pool for each tenant: made when it is needed, dropped when it is not, and
//! bounded in all.

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolhouse::{
    AcquireError, ConfigError, PacketConnection, PacketError, PacketManager,
    PacketPool,
};
use poolhouse::{PoolConfig, PooledConnection};
use poolhouse_echo::EchoServer;
use thiserror::Error;
use tokio::task::JoinSet;

// ANCHOR: tenants
#[derive(Debug, Error)]
enum TenantError {
    #[error("every pool is in use: come back later")]
    Busy,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Acquire(#[from] AcquireError),
}

/// At most `max_pools` pools, of `each.max_connections` connections each.
struct Tenants {
    host: String,
    port: u16,
    each: PoolConfig,
    max_pools: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    pools: HashMap<String, Entry>,
    /// Counts the uses: the smallest number is that of the pool unused for
    /// longest.
    uses: u64,
}

#[derive(Clone)]
struct Entry {
    pool: Arc<PacketPool>,
    used: u64,
    /// The pool that had to make room for this one.
    evicted: Option<Arc<PacketPool>>,
}

impl Tenants {
    async fn acquire(
        &self,
        tenant: &str,
    ) -> Result<PooledConnection<PacketManager>, TenantError> {
        let Entry { pool, evicted, .. } = self.pool_of(tenant)?;
        if let Some(evicted) = evicted {
            // Each caller waits for that before the new pool connects, or both
            // would count for a moment. Once it is closed, this returns at once.
            evicted.close_within(Duration::from_secs(1)).await;
        }
        Ok(pool.acquire().await?)
    }

    fn pool_of(&self, tenant: &str) -> Result<Entry, TenantError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.uses += 1;
        let now = open.uses;
        if let Some(entry) = open.pools.get_mut(tenant) {
            entry.used = now;
            return Ok(entry.clone());
        }
        let mut evicted = None;
        if open.pools.len() >= self.max_pools {
            let unused = open.pools.iter().filter(|(_, Entry { pool, .. })| {
                // Nobody is about to acquire, and nobody holds a connection.
                Arc::strong_count(pool) == 1 && pool.stats().active_connections == 0
            });
            let oldest = unused
                .min_by_key(|(_, entry)| entry.used)
                .map(|(name, _)| name.clone());
            let oldest = oldest.ok_or(TenantError::Busy)?;
            evicted = open.pools.remove(&oldest).map(|entry| entry.pool);
        }
        let pool = Arc::new(PacketPool::new(
            (self.host.clone(), self.port),
            self.each.clone(),
        )?);
        let entry = Entry { pool, used: now, evicted };
        open.pools.insert(tenant.to_owned(), entry.clone());
        Ok(entry)
    }
}
// ANCHOR_END: tenants

impl Tenants {
    fn names(&self) -> String {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<&str> = open.pools.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

async fn exchange(connection: &mut PacketConnection) -> Result<(), PacketError> {
    connection.send_packet("hello").await?;
    connection.receive().await.map(drop)
}

async fn shared(server: &EchoServer) -> Result<(), Box<dyn Error>> {
    println!("== one pool of four for all");
    let config = PoolConfig {
        max_connections: 4,
        connection_timeout: Duration::from_millis(100),
        ..PoolConfig::default()
    };
    let pool = PacketPool::new((server.host(), server.port()), config)?;
    let mut noisy = Vec::new();
    for _ in 0..4 {
        noisy.push(pool.acquire().await?);
    }
    println!(
        "noisy holds {}; quiet gets one: {}",
        noisy.len(),
        pool.acquire().await.is_ok()
    );
    Ok(())
}

async fn apart(server: &EchoServer) -> Result<(), Box<dyn Error>> {
    println!(
        "== two pools at most, of two connections each, with two waiters at most"
    );
    // ANCHOR: config
    let tenants = Arc::new(Tenants {
        host: server.host(),
        port: server.port(),
        max_pools: 2,
        each: PoolConfig {
            min_connections: 0,
            max_connections: 2,
            max_pending: Some(2),
            idle_timeout: Duration::from_secs(30),
            ..PoolConfig::default()
        },
        open: Mutex::default(),
    });
    // ANCHOR_END: config

    let held = [tenants.acquire("noisy").await?, tenants.acquire("noisy").await?];
    let mut more = JoinSet::new();
    for _ in 0..8 {
        let tenants = Arc::clone(&tenants);
        more.spawn(async move { tenants.acquire("noisy").await.map(drop) });
    }
    let mut refused = 0;
    while refused < 6 {
        match more
            .join_next()
            .await
            .ok_or("eight callers, and none was refused")??
        {
            Err(TenantError::Acquire(AcquireError::Overloaded { .. })) => {
                refused += 1;
            }
            other => {
                return Err(format!("expected a refusal, not {other:?}").into());
            }
        }
    }
    println!(
        "noisy asks for ten: {} are held, {} wait, {refused} hear that it is busy",
        held.len(),
        more.len()
    );
    let mut quiet = tenants.acquire("quiet").await?;
    println!("quiet gets one: {}", exchange(&mut quiet).await.is_ok());

    println!("== a third tenant comes");
    match tenants.acquire("third").await {
        Err(busy @ TenantError::Busy) => {
            println!("while both pools are in use: {busy}");
        }
        other => return Err(format!("expected a refusal, not {other:?}").into()),
    }
    drop(quiet);
    println!("when quiet is done: {}", tenants.acquire("third").await.is_ok());
    println!("pools: {}", tenants.names());

    drop(held);
    while let Some(served) = more.join_next().await {
        served??;
    }
    for number in 1..=20 {
        let mut connection = tenants.acquire(&format!("tenant {number}")).await?;
        exchange(&mut connection).await?;
    }
    println!("twenty more, one after the other; pools: {}", tenants.names());
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    shared(&server).await?;
    apart(&server).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
