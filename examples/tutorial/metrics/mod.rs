//! The metrics of a program's pools, for Prometheus.

// ANCHOR: all
use std::error::Error;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use poolhouse_otel::PoolMetrics;
use prometheus::{Registry, TextEncoder};

// ANCHOR: exporter
/// The metrics of the program's pools, and the route `/metrics`. Keep the provider
/// as long as the program runs.
pub(crate) fn exporter()
-> Result<(PoolMetrics, Router, SdkMeterProvider), Box<dyn Error>> {
    let registry = Registry::new();
    let exporter =
        opentelemetry_prometheus::exporter().with_registry(registry.clone());
    // Without the labels that say which library counted: it is the same one for
    // all.
    let reader =
        exporter.scope_info_enabled(false).without_target_info().build()?;
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
// ANCHOR_END: all
