//! A pool's metrics by OpenTelemetry, at an address that Prometheus scrapes.

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use poolhouse::PacketPool;
use poolhouse_echo::EchoServer;

#[path = "../tutorial/metrics/mod.rs"]
mod metrics;

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    let (metrics, route, _provider) = metrics::exporter()?;
    let builder = PacketPool::builder((server.host(), server.port()));
    let pool = builder.name("orders").listener(metrics.clone()).build()?;
    metrics.observe(&pool);
    pool.acquire().await?.release();
    pool.invalidate_all();
    for line in asked(route).await?.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            println!("{name}");
        }
    }
    Ok(())
}

/// What Prometheus gets.
async fn asked(route: Router) -> Result<String, Box<dyn Error>> {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    let answer =
        route.oneshot(Request::get("/metrics").body(Body::empty())?).await?;
    let body = to_bytes(answer.into_body(), usize::MAX).await?;
    Ok(String::from_utf8(body.to_vec())?)
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
