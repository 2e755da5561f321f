//! The same service, with metrics for Prometheus. Step 4 of the chapter "Your
//! first service".

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
use poolhouse_otel::PoolMetrics;
use tokio::net::TcpListener;

mod client;
mod errors;
mod health;
mod metrics;

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

// ANCHOR: pool
fn pool_to(
    backend: SocketAddr,
    metrics: &PoolMetrics,
) -> Result<PacketPool, Box<dyn Error>> {
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
    let builder = PacketPool::builder(manager).config(config);
    let pool = builder.name("echo").listener(metrics.clone()).build()?;
    metrics.observe(&pool);
    Ok(pool)
}
// ANCHOR_END: pool

async fn try_it(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    for number in 1..=3 {
        client::request(address, "POST /echo", &format!("request {number}"))
            .await?;
    }
    let answer = client::request(address, "GET /metrics", "").await?;
    // The buckets and sums differ from run to run, and nothing was closed.
    let shown = |line: &&str| {
        !line.starts_with('#')
            && !line.contains("_bucket")
            && !line.contains("_sum")
            && !line.contains("_close_reason")
    };
    for line in answer.lines().skip(1).filter(shown) {
        println!("{line}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let backend = EchoServer::start().await?;
    let (metrics, metrics_route, _provider) = metrics::exporter()?;
    let pool = pool_to(backend.addr(), &metrics)?;
    // Not the end of the program: readiness says it, until the pool has connected.
    if let Err(error) = pool.warm_up().await {
        eprintln!("no connection yet: {error}");
    }
    let app = Router::new()
        .route("/echo", post(echo))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .with_state(pool)
        .merge(metrics_route);

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
        try_it(address).await?;
    }
    Ok(())
}
// ANCHOR_END: all
