//! A pool's metrics by the crate `metrics`, at an address that Prometheus scrapes.

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use poolhouse::PacketPool;
use poolhouse_echo::EchoServer;
use poolhouse_otel::FacadeMetrics;

mod scrape;

// ANCHOR: exporter
/// The metrics of the program's pools, and the route `/metrics`.
fn exporter() -> Result<(FacadeMetrics, Router), Box<dyn Error>> {
    let builder = PrometheusBuilder::new().with_recommended_naming(true);
    let exporter =
        builder.set_buckets(FacadeMetrics::TIME_BUCKETS)?.install_recorder()?;
    let metrics = FacadeMetrics::new();
    let route = Router::new()
        .route("/metrics", get(scrape))
        .with_state((metrics.clone(), exporter));
    Ok((metrics, route))
}

async fn scrape(
    State((metrics, exporter)): State<(FacadeMetrics, PrometheusHandle)>,
) -> String {
    metrics.update();
    exporter.run_upkeep();
    exporter.render()
}
// ANCHOR_END: exporter

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    let (metrics, route) = exporter()?;
    let builder = PacketPool::builder((server.host(), server.port()));
    let pool = builder.name("orders").listener(metrics.clone()).build()?;
    metrics.observe(&pool);
    pool.acquire().await?.release();
    pool.invalidate_all();
    let answer = scrape::asked(route).await?;
    let mut names: Vec<&str> =
        answer.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    names.sort_unstable();
    for name in names {
        println!("{name}");
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
