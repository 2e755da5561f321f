//! A firewall or load balancer forgets connections that are silent for long, and
//! tells neither end.
//!
//! `cargo run --example after_a_lull` runs in virtual time against an echo server
//! in memory. Between the two stands a middlebox that forgets after 350 s.

mod trace;

use std::error::Error;
use std::future::pending;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{Dial, PacketManager, PacketOptions, Pool, PoolConfig};
use poolhouse_echo::{Connector, EchoServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

type AnyError = Box<dyn Error + Send + Sync>;

const FORGETS_AFTER: Duration = Duration::from_secs(350);
const LULL: Duration = Duration::from_secs(20 * 60);
const REQUESTS: usize = 5;

// ANCHOR: middlebox
/// Passes bytes on until it has seen none for long. From then on they vanish, and
/// neither end is told.
async fn middlebox(
    mut client: DuplexStream,
    mut server: DuplexStream,
) -> io::Result<()> {
    let (mut up, mut down) = ([0; 1024], [0; 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read? {
                0 => return Ok(()),
                read => server.write_all(&up[..read]).await?,
            },
            read = server.read(&mut down) => match read? {
                0 => return Ok(()),
                read => client.write_all(&down[..read]).await?,
            },
            () = sleep(FORGETS_AFTER) => break,
        }
    }
    while client.read(&mut up).await? > 0 {}
    // The client has closed its end by now. That does not get through either.
    pending().await
}
// ANCHOR_END: middlebox

#[derive(Clone)]
struct ThroughTheMiddlebox(Connector);

impl Dial for ThroughTheMiddlebox {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        let server = self.0.connect().await?;
        let (client, inner) = duplex(64 * 1024);
        tokio::spawn(middlebox(inner, server));
        Ok(client)
    }

    fn target(&self) -> std::borrow::Cow<'_, str> {
        "db:5555".into()
    }
}

type LullPool = Pool<PacketManager<ThroughTheMiddlebox>>;

async fn request(pool: LullPool) -> Result<(), AnyError> {
    let _unanswered = trace::one();
    let mut connection = pool.acquire().await?;
    connection.send_packet("good morning").await?;
    connection.receive().await?;
    Ok(())
}

/// Requests at once: how many failed, the first error, and how long the slowest
/// took.
async fn requests(
    pool: &LullPool,
) -> Result<(usize, Option<String>, Duration), AnyError> {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..REQUESTS {
        tasks.spawn(request(pool.clone()));
    }
    let (mut failed, mut log) = (0, None);
    while let Some(done) = tasks.join_next().await {
        if let Err(error) = done? {
            failed += 1;
            log = log.or(Some(error.to_string()));
        }
    }
    Ok((failed, log, start.elapsed()))
}

/// A burst in the evening, and one in the morning.
async fn night(config: &PoolConfig, name: &'static str) -> Result<(), AnyError> {
    let server = EchoServer::in_memory();
    let options = PacketOptions {
        io_timeout: Duration::from_secs(10),
        ..PacketOptions::default()
    };
    let manager = PacketManager::new(ThroughTheMiddlebox(server.connector()))
        .with_options(options);
    let pool = Pool::new(manager, config.clone())?;

    let (failed, _, _) = requests(&pool).await?;
    if failed > 0 {
        return Err("before the lull every request works".into());
    }
    sleep(LULL).await;
    println!(
        "idle connections that the pool trusts: {}",
        pool.stats().idle_connections
    );
    trace::part(name);
    let (failed, log, slowest) = requests(&pool).await?;
    trace::end();
    println!("requests that failed: {failed} of {REQUESTS}");
    println!("the slowest took: {} s", slowest.as_secs());
    if let Some(text) = log {
        println!("log: {text}");
    }
    let forgotten =
        server.counts().open - u64::try_from(pool.stats().total_connections)?;
    println!("connections that only the server knows: {forgotten}");
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    println!("== the symptom");
    // ANCHOR: symptom
    // Trusts what idles, for an hour, and never looks at it.
    let trusting = PoolConfig {
        min_connections: 5,
        max_connections: 5,
        idle_timeout: Duration::from_secs(60 * 60),
        health_check_interval: Duration::MAX,
        ..PoolConfig::default()
    };
    // ANCHOR_END: symptom
    night(&trusting, "before the cure").await?;

    println!("== after the cure");
    // ANCHOR: cure
    // A word every minute: the middlebox does not forget.
    let talks = PoolConfig {
        health_check_interval: Duration::from_secs(60),
        ..trusting.clone()
    };
    // ANCHOR_END: cure
    night(&talks, "after the cure: it talks").await?;

    println!("== with the other cure");
    // ANCHOR: other_cure
    // Ask before use, and do not wait long for an answer.
    let asks = PoolConfig {
        check_after_idle: Duration::from_secs(60),
        health_check_timeout: Duration::from_secs(1),
        ..trusting
    };
    // ANCHOR_END: other_cure
    night(&asks, "the other cure: it asks").await
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
