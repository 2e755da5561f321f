//! A pool's metrics by OpenTelemetry, at an address that Prometheus scrapes.

use std::error::Error;
use std::process::ExitCode;

use poolhouse::PacketPool;
use poolhouse_echo::EchoServer;

#[path = "../tutorial/metrics/mod.rs"]
mod metrics;
mod scrape;

async fn run() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    let (metrics, route, _provider) = metrics::exporter()?;
    let builder = PacketPool::builder((server.host(), server.port()));
    let pool = builder.name("orders").listener(metrics.clone()).build()?;
    metrics.observe(&pool);
    pool.acquire().await?.release();
    pool.invalidate_all();
    for line in scrape::asked(route).await?.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            println!("{name}");
        }
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
