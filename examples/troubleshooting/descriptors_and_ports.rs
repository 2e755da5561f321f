//! A connection per request costs a descriptor while it lives and a local port for
//! a while after. A pool costs ten.
//!
//! `cargo run --example descriptors_and_ports` starts its own echo server. Run it
//! with `ulimit -n 64` to see it fail.

mod trace;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use poolhouse::{
    Dial, Manager, PacketConnection, PacketError, PacketManager, PacketOptions,
    Pool, PoolConfig, TcpDialer,
};
use poolhouse_echo::EchoServer;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type AnyError = Box<dyn Error + Send + Sync>;

const ONE_AFTER_ANOTHER: usize = 200;
const AT_ONCE: usize = 100;

/// Dials, and notes which local port each connection got.
#[derive(Clone)]
struct Noting {
    dialer: TcpDialer,
    ports: Arc<Mutex<BTreeSet<u16>>>,
}

impl Dial for Noting {
    type Stream = TcpStream;

    async fn dial(&self) -> io::Result<TcpStream> {
        let stream = self.dialer.dial().await?;
        self.ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(stream.local_addr()?.port());
        Ok(stream)
    }

    fn target(&self) -> Cow<'_, str> {
        self.dialer.target()
    }

    fn is_quiet(&self, stream: &TcpStream) -> Option<bool> {
        self.dialer.is_quiet(stream)
    }
}

type NotingPool = Pool<PacketManager<Noting>>;

async fn exchange(connection: &mut PacketConnection) -> Result<(), PacketError> {
    connection.send_packet("hello").await?;
    connection.receive().await.map(drop)
}

// ANCHOR: unpooled
async fn unpooled(manager: Arc<PacketManager<Noting>>) -> Result<(), AnyError> {
    let mut connection = manager.connect().await?;
    exchange(&mut connection).await?;
    // Dropped: we close first, and our side keeps the port for a while.
    Ok(())
}
// ANCHOR_END: unpooled

// ANCHOR: pooled
async fn pooled(pool: NotingPool) -> Result<(), AnyError> {
    let mut connection = pool.acquire().await?;
    exchange(&mut connection).await?;
    Ok(())
}
// ANCHOR_END: pooled

async fn load(server: &EchoServer, with_pool: bool) -> Result<(), AnyError> {
    let ports = Arc::default();
    let dial = Noting {
        dialer: TcpDialer::from(server.addr()),
        ports: Arc::clone(&ports),
    };
    let options = PacketOptions {
        io_timeout: Duration::from_secs(2),
        ..PacketOptions::default()
    };
    let manager = PacketManager::new(dial).with_options(options);
    let direct = Arc::new(manager.clone());
    let pool = Pool::new(
        manager,
        PoolConfig { max_connections: 10, ..PoolConfig::default() },
    )?;

    trace::part(if with_pool { "after the cure" } else { "before the cure" });
    for number in 1..=ONE_AFTER_ANOTHER {
        if with_pool {
            pooled(pool.clone()).await?;
        } else {
            unpooled(Arc::clone(&direct)).await?;
        }
        trace::points([(
            number as u64,
            ports.lock().unwrap_or_else(PoisonError::into_inner).len(),
        )]);
    }
    println!(
        "local ports used: {}",
        ports.lock().unwrap_or_else(PoisonError::into_inner).len()
    );

    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE {
        if with_pool {
            callers.spawn(pooled(pool.clone()));
        } else {
            callers.spawn(unpooled(Arc::clone(&direct)));
        }
    }
    let (mut failed, mut log) = (0, None);
    while let Some(done) = callers.join_next().await {
        if let Err(error) = done? {
            failed += 1;
            log = log.or(Some(error.to_string()));
        }
    }
    println!("failed: {failed} of {AT_ONCE}");
    if let Some(text) = log {
        println!("log: {text}");
    }
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    for (heading, with_pool) in
        [("== the symptom", false), ("== after the cure", true)]
    {
        // A server for each, for what it counts.
        let server = EchoServer::start().await?;
        println!("{heading}");
        load(&server, with_pool).await?;
        let counts = server.counts();
        println!("connections opened: {}", counts.accepted);
        println!("open at once: {}", counts.peak_open);
    }
    Ok(())
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
