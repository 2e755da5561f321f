//! A service that forwards what it is asked over a pool. Step 1 of the chapter
//! "Your first service".

// ANCHOR: all
use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use poolhouse::{PacketPool, PoolConfig};
use poolhouse_echo::EchoServer;
use tokio::net::TcpListener;

mod client;

/// Sends the body to the backend, and answers with what comes back.
async fn echo(
    State(pool): State<PacketPool>,
    body: Bytes,
) -> Result<Bytes, StatusCode> {
    forward(&pool, body).await.map_err(|error| {
        eprintln!("{error}");
        StatusCode::BAD_GATEWAY
    })
}

async fn forward(pool: &PacketPool, body: Bytes) -> Result<Bytes, Box<dyn Error>> {
    let mut connection = pool.acquire().await?;
    connection.send_packet(body).await?;
    Ok(connection.receive().await?)
}

async fn try_it(
    address: SocketAddr,
    pool: &PacketPool,
) -> Result<(), Box<dyn Error>> {
    println!("{}", client::request(address, "POST /echo", "hello").await?);
    println!("{}", client::request(address, "POST /echo", "hello again").await?);
    let stats = pool.stats();
    println!(
        "{} acquired, {} opened",
        stats.total_acquisitions, stats.connections_created
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let backend = EchoServer::start().await?;
    let pool =
        PacketPool::new((backend.host(), backend.port()), PoolConfig::default())?;
    pool.warm_up().await?;
    let app = Router::new().route("/echo", post(echo)).with_state(pool.clone());

    // With an address to listen on, the service stays. Without one it tries
    // itself, and ends.
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
        try_it(address, &pool).await?;
    }
    Ok(())
}
// ANCHOR_END: all
