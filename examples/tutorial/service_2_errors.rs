//! The same service, which says what went wrong. Step 2 of the chapter "Your first
//! service".

// ANCHOR: all
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
use poolhouse_echo::{EchoServer, Faults, Reply};
use tokio::net::TcpListener;

mod client;
mod errors;

use errors::ServiceError;

// ANCHOR: echo
/// Sends the body to the backend, and answers with what comes back.
async fn echo(
    State(pool): State<PacketPool>,
    body: Bytes,
) -> Result<Bytes, ServiceError> {
    let mut connection = pool.acquire().await?;
    connection.send_packet(body).await?;
    Ok(connection.receive().await?)
}
// ANCHOR_END: echo

// ANCHOR: pool
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
// ANCHOR_END: pool

// ANCHOR: try
async fn try_it(
    address: SocketAddr,
    pool: &PacketPool,
    backend: &EchoServer,
) -> Result<(), Box<dyn Error>> {
    let mut held = Vec::new();
    while held.len() < pool.config().max_connections {
        held.push(pool.acquire().await?);
    }
    println!(
        "all held: {}",
        client::request(address, "POST /echo", "hello").await?
    );
    drop(held);

    backend.set_faults(Faults { reply: Reply::HalfThenClose, ..Faults::default() });
    println!("cut off: {}", client::request(address, "POST /echo", "hello").await?);
    backend.set_faults(Faults { reply: Reply::Never, ..Faults::default() });
    println!(
        "no reply: {}",
        client::request(address, "POST /echo", "hello").await?
    );
    backend.set_faults(Faults::default());
    println!(
        "recovered: {}",
        client::request(address, "POST /echo", "hello").await?
    );
    Ok(())
}
// ANCHOR_END: try

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let backend = EchoServer::start().await?;
    let pool = pool_to(backend.addr())?;
    pool.warm_up().await?;
    let app = Router::new().route("/echo", post(echo)).with_state(pool.clone());

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
