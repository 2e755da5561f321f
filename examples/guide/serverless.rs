//! A function that is frozen between two invocations: what the pool finds when it
//! thaws, and what a check first costs.
//!
//! All of it is in memory, under a paused clock: ten frozen minutes take no
//! time.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use poolhouse::{PacketManager, PacketOptions, Pool, PoolConfig};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::io::DuplexStream;

const FROST: Duration = Duration::from_secs(10 * 60);

/// Two servers at one address: connections to the first can be made to fall
/// silent, and new ones go to the second.
struct Network {
    first: EchoServer,
    second: EchoServer,
    has_forgotten: Arc<AtomicBool>,
}

impl Network {
    fn new() -> Network {
        let (first, second) = (EchoServer::in_memory(), EchoServer::in_memory());
        Network { first, second, has_forgotten: Arc::default() }
    }

    fn dial(&self) -> impl AsyncDial {
        let (first, second) = (self.first.connector(), self.second.connector());
        let forgotten = Arc::clone(&self.has_forgotten);
        move || {
            let connector = if forgotten.load(Relaxed) {
                second.clone()
            } else {
                first.clone()
            };
            Box::pin(async move { connector.connect().await }) as Dialled
        }
    }

    /// A balancer or a NAT drops the flow: what was open hears nothing any more,
    /// not even an end.
    fn forget(&self) {
        self.first.set_faults(Faults { reply: Reply::Never, ..Faults::default() });
        self.has_forgotten.store(true, Relaxed);
    }
}

type Dialled =
    std::pin::Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>;
trait AsyncDial: Fn() -> Dialled + Send + Sync + 'static {}
impl<F: Fn() -> Dialled + Send + Sync + 'static> AsyncDial for F {}

type FunctionPool<F> = Pool<PacketManager<F>>;

// ANCHOR: pool
/// Made once for each environment, outside of the handler.
fn pool<F: AsyncDial>(
    dial: F,
    check_after_idle: Duration,
) -> Result<FunctionPool<F>, Box<dyn Error>> {
    let options = PacketOptions {
        io_timeout: Duration::from_secs(5),
        ..PacketOptions::default()
    };
    let config = PoolConfig {
        min_connections: 0,
        max_connections: 1,
        connection_timeout: Duration::from_secs(4),
        connect_attempt_timeout: Duration::from_secs(2),
        check_after_idle,
        health_check_timeout: Duration::from_secs(1),
        // Its clock may stand still while the function is frozen: let the server
        // keep the time.
        idle_timeout: Duration::MAX,
        health_check_interval: Duration::MAX,
        ..PoolConfig::default()
    };
    Ok(Pool::new(PacketManager::new(dial).with_options(options), config)?)
}
// ANCHOR_END: pool

async fn handler<F: AsyncDial>(
    pool: &FunctionPool<F>,
) -> Result<(), Box<dyn Error>> {
    let mut connection = pool.acquire().await?;
    connection.send_packet("event").await?;
    connection.receive().await?;
    Ok(())
}

async fn invoke<F: AsyncDial>(pool: &FunctionPool<F>) -> String {
    match handler(pool).await {
        Ok(()) => {
            format!("answered, on connection {}", pool.stats().connections_created)
        }
        Err(error) => error.to_string(),
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    println!("== the server closes what is idle, and the function thaws");
    let network = Network::new();
    network.first.set_faults(Faults {
        close_idle_after: Some(Duration::from_secs(60)),
        ..Faults::default()
    });
    let trusting = pool(network.dial(), Duration::MAX)?;
    println!("before the frost: {}", invoke(&trusting).await);
    tokio::time::sleep(FROST).await;
    println!("after it: {}", invoke(&trusting).await);

    for (name, check_after_idle) in
        [("without a check", Duration::MAX), ("with a check first", Duration::ZERO)]
    {
        println!("== the network forgets the connection, {name}");
        let network = Network::new();
        let pool = pool(network.dial(), check_after_idle)?;
        println!("before the frost: {}", invoke(&pool).await);
        network.forget();
        tokio::time::sleep(FROST).await;
        println!("after it: {}", invoke(&pool).await);
        println!("and again: {}", invoke(&pool).await);
        println!("new connections: {}", network.second.counts().accepted);
    }

    println!("== what a check first costs, in ten warm invocations");
    for (what, check_after_idle) in
        [("off", Duration::MAX), ("zero", Duration::ZERO)]
    {
        let network = Network::new();
        let pool = pool(network.dial(), check_after_idle)?;
        for _ in 0..10 {
            handler(&pool).await?;
        }
        let round_trips = network.first.counts().frames_received;
        println!("check_after_idle {what}: {round_trips} round trips");
    }

    println!("== the environment shuts down");
    let network = Network::new();
    let pool = pool(network.dial(), Duration::MAX)?;
    handler(&pool).await?;
    // ANCHOR: close
    let report = pool.close_within(Duration::from_millis(250)).await;
    // ANCHOR_END: close
    println!("{report}");
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
