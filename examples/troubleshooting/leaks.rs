//! Leaks: who holds it? Connections that never come back, and the lines that
//! acquired them.
//!
//! `cargo run --example leaks`. The clock is tokio's, paused: a minute passes in
//! no time, and every run is the same.

mod trace;

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{
    AcquireError, Dial, Event, PacketConnection, PacketManager, Pool, PoolConfig,
    PooledConnection,
};
use poolhouse_echo::{Connector, EchoServer};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// The echo server in memory, under the name that errors show.
struct Backend(Connector);

impl Dial for Backend {
    type Stream = DuplexStream;

    async fn dial(&self) -> io::Result<DuplexStream> {
        self.0.connect().await
    }

    fn target(&self) -> Cow<'_, str> {
        "db.example:5432".into()
    }
}

type Packets = PacketManager<Backend>;
type Guard = PooledConnection<Packets>;
type Failure = AcquireError;

// ANCHOR: struct
/// A map that outlives the requests, with the guards in it.
#[derive(Default)]
struct Sessions(HashMap<u32, Guard>);

impl Sessions {
    async fn open(
        &mut self,
        user: u32,
        pool: &Pool<Packets>,
    ) -> Result<(), Failure> {
        self.0.insert(user, pool.acquire().await?);
        Ok(())
    }
}
// ANCHOR_END: struct

// ANCHOR: select
/// The guard lives outside of the loop: it is held while nothing comes.
async fn write_events(
    pool: Pool<Packets>,
    mut events: mpsc::Receiver<String>,
) -> Result<(), Failure> {
    let mut connection = pool.acquire().await?;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => write(&mut connection, event).await,
                None => return Ok(()),
            },
            () = sleep(Duration::from_secs(5)) => {} // a heartbeat, say
        }
    }
}
// ANCHOR_END: select

// ANCHOR: select_cured
/// The guard lives as long as one event.
async fn write_each_event(
    pool: Pool<Packets>,
    mut events: mpsc::Receiver<String>,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => write(&mut *pool.acquire().await?, event).await,
                None => return Ok(()),
            },
            () = sleep(Duration::from_secs(5)) => {}
        }
    }
}
// ANCHOR_END: select_cured

async fn write(connection: &mut PacketConnection<DuplexStream>, event: String) {
    // The connection knows when it is broken, and the pool asks it.
    if connection.send_packet(event).await.is_ok() {
        let _ = connection.receive().await;
    }
}

fn make_pool(server: &EchoServer) -> Result<Pool<Packets>, Box<dyn Error>> {
    // ANCHOR: threshold
    let config = PoolConfig {
        max_connections: 3,
        connection_timeout: Duration::from_secs(2),
        // Well above the longest hold that you mean to have.
        leak_threshold: Duration::from_secs(20),
        ..PoolConfig::default()
    };
    let listener = |event: &Event<'_>| {
        if let Event::Leaked { holder, .. } = event {
            println!(
                "held for too long: connection {}, acquired at {}",
                holder.connection, holder.acquired_at
            );
        }
    };
    // ANCHOR_END: threshold
    Ok(Pool::builder(PacketManager::new(Backend(server.connector())))
        .config(config)
        .listener(listener)
        .build()?)
}

/// What a monitor prints after a minute, and what three more callers meet.
async fn after_a_minute(pool: &Pool<Packets>) -> Result<(), Box<dyn Error>> {
    sleep(Duration::from_secs(60)).await;
    let stats = pool.stats();
    println!("active_connections: {}", stats.active_connections);
    println!("reported_leaks: {}", stats.reported_leaks);
    println!(
        "created - destroyed: {}, which is never above {}",
        stats.connections_created - stats.connections_destroyed,
        stats.max_connections
    );
    // ANCHOR: holders
    for holder in pool.holders() {
        println!("connection {} is {holder}", holder.connection);
    }
    // ANCHOR_END: holders
    let (a, b, c) = tokio::join!(pool.acquire(), pool.acquire(), pool.acquire());
    let timed_out = [a, b, c].iter().filter(|acquired| acquired.is_err()).count();
    println!("timed out: {timed_out} of 3");
    Ok(())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::in_memory();

    println!("== the symptom");
    let pool = make_pool(&server)?;
    trace::part("before the cure");
    let watched = pool.clone();
    let watch = trace::watch(Duration::from_secs(1), move || {
        watched.stats().active_connections
    });
    let mut sessions = Sessions::default();
    sessions.open(7, &pool).await?;
    let (_events, inbox) = mpsc::channel(1);
    let writer = tokio::spawn(write_events(pool.clone(), inbox));
    // ANCHOR: forget
    std::mem::forget(pool.acquire().await?);
    // ANCHOR_END: forget
    after_a_minute(&pool).await?;
    writer.abort();
    drop(watch);

    println!("== after the cure");
    let pool = make_pool(&server)?;
    trace::part("after the cure");
    let watched = pool.clone();
    let _watch = trace::watch(Duration::from_secs(1), move || {
        watched.stats().active_connections
    });
    // The map keeps what a session is, and each request acquires for itself.
    let sessions = HashMap::from([(7, "alice")]);
    println!("sessions: {}", sessions.len());
    let (_events, inbox) = mpsc::channel(1);
    let writer = tokio::spawn(write_each_event(pool.clone(), inbox));
    drop(pool.acquire().await?);
    after_a_minute(&pool).await?;
    writer.abort();
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
