//! The same service, which leaves in order. Step 5 of the chapter "Your first
//! service".

// ANCHOR: all
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use poolhouse::{PacketManager, PacketOptions, PacketPool, PoolConfig, TcpDialer};
use poolhouse_echo::{EchoServer, Faults};
use poolhouse_otel::PoolMetrics;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

mod client;
mod errors;
mod health;
mod metrics;
mod shutdown;

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

async fn try_it(
    listener: TcpListener,
    app: Router,
    pool: PacketPool,
    backend: &EchoServer,
) -> Result<(), Box<dyn Error>> {
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let service = tokio::spawn(shutdown::serve(listener, app, pool, stopped));

    // A request that takes a while, and the stop while it is under way.
    backend.set_faults(Faults {
        latency: Some(Duration::from_millis(300)),
        ..Faults::default()
    });
    let under_way = tokio::spawn(async move {
        client::request(address, "POST /echo", "last words").await
    });
    timeout(
        Duration::from_secs(5),
        backend.wait_for(|counts| counts.frames_received == 1),
    )
    .await?;
    let _ = stop.send(());

    println!("under way: {}", under_way.await??);
    println!("all closed in time: {}", service.await??);
    println!(
        "refused: {}",
        client::request(address, "POST /echo", "too late").await.is_err()
    );
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
        .with_state(pool.clone())
        .merge(metrics_route);

    // ANCHOR: serve
    let stop = shutdown::signal()?;
    let listen = std::env::args().nth(1);
    let listener =
        TcpListener::bind(listen.as_deref().unwrap_or("127.0.0.1:0")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    if listen.is_some() {
        let in_time = shutdown::serve(listener, app, pool, stop).await?;
        println!("all closed in time: {in_time}");
    } else {
        try_it(listener, app, pool, &backend).await?;
    }
    Ok(())
    // ANCHOR_END: serve
}
// ANCHOR_END: all
