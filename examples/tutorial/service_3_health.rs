//! The same service, which can be asked for its health. Step 3 of the chapter
//! "Your first service".

// ANCHOR: all
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
use poolhouse_echo::EchoServer;
use tokio::net::TcpListener;

mod client;
mod errors;
mod health;

use errors::ServiceError;

/// Sends the body to the backend, and answers with what comes back.
async fn echo(
    State(pool): State<PacketPool>,
    body: Bytes,
) -> Result<Bytes, ServiceError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet(body).await?;
    Ok(connection.receive().await?)
}

fn pool_to(backend: SocketAddr) -> Result<PacketPool, Box<dyn Error>> {
    let options = PacketOptions {
        io_timeout: Duration::from_millis(500),
        ..PacketOptions::default()
    };
    let manager =
        PacketManager::new(TcpDialer::from(backend)).with_options(options);
    let config = PoolConfig {
        max_connections: 4,
        connection_timeout: Duration::from_millis(500),
        max_pending: Some(100),
        ..PoolConfig::default()
    };
    Ok(PacketPool::new(manager, config)?)
}

async fn try_it(
    address: SocketAddr,
    pool: &PacketPool,
    backend: &EchoServer,
) -> Result<(), Box<dyn Error>> {
    println!("idle: {}", client::request(address, "GET /readyz", "").await?);

    let mut held = Vec::new();
    while held.len() < pool.config().max_connections {
        held.push(pool.acquire().await?);
    }
    println!("all held: {}", client::request(address, "GET /readyz", "").await?);
    drop(held);

    backend.stop().await;
    // The pool looks at a connection at most once a millisecond.
    tokio::time::sleep(Duration::from_millis(2)).await;
    println!(
        "backend gone: {}",
        client::request(address, "GET /readyz", "").await?
    );
    println!("still: {}", client::request(address, "GET /livez", "").await?);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let backend = EchoServer::start().await?;
    let pool = pool_to(backend.addr())?;
    // ANCHOR: start
    // Not the end of the program: readiness says it, until the pool has connected.
    if let Err(error) = pool.warm_up().await {
        eprintln!("no connection yet: {error}");
    }
    let app = Router::new()
        .route("/echo", post(echo))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .with_state(pool.clone());
    // ANCHOR_END: start

    let listen = std::env::args().nth(1);
    let listener =
        TcpListener::bind(listen.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let service = axum::serve(listener, app).into_future();
    if listen.is_some() {
        service.await?;
    } else {
        tokio::spawn(service);
        try_it(address, &pool, &backend).await?;
    }
    Ok(())
}
// ANCHOR_END: all
