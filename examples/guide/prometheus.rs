//! A pool's metrics by OpenTelemetry, at an address that Prometheus scrapes.

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use poolhouse::PacketPool;
use poolhouse_echo::EchoServer;
use poolhouse_otel::PoolMetrics;
use prometheus::{Registry, TextEncoder};

// ANCHOR: exporter
/// The metrics of the program's pools, and the route `/metrics`. Keep the provider
/// as long as the program runs.
fn exporter() -> Result<(PoolMetrics, Router, SdkMeterProvider), Box<dyn Error>> {
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .build()?;
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let metrics = PoolMetrics::new(&provider.meter("my-service"));
    let route = Router::new().route("/metrics", get(scrape)).with_state(registry);
    Ok((metrics, route, provider))
}

async fn scrape(State(registry): State<Registry>) -> Result<String, StatusCode> {
    TextEncoder::new()
        .encode_to_string(&registry.gather())
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
// ANCHOR_END: exporter

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    let (metrics, route, _provider) = exporter()?;
    let builder = PacketPool::builder((server.host(), server.port()));
    let pool = builder.name("orders").listener(metrics.clone()).build()?;
    metrics.observe(&pool);
    pool.acquire().await?.release();
    pool.invalidate_all();
    for line in asked(route).await?.lines() {
        if let Some(name) = line
            .strip_prefix("# TYPE ")
            .filter(|name| !name.starts_with("target_info"))
        {
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
