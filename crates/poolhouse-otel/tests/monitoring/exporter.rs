//! A program's endpoint for Prometheus, with the metrics of its pools.

use std::net::Ipv4Addr;

use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use poolhouse_otel::PoolMetrics;
use prometheus::{Registry, TextEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Exporter {
    pub(crate) metrics: PoolMetrics,
    pub(crate) port: u16,
    registry: Registry,
    /// Keeps the instruments.
    _provider: SdkMeterProvider,
}

impl Exporter {
    /// Serves what is recorded, on a free port, for as long as the runtime runs.
    pub(crate) async fn start() -> Self {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().unwrap();
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let metrics = PoolMetrics::new(&provider.meter("monitoring"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve(listener, registry.clone()));
        Self { metrics, port, registry, _provider: provider }
    }

    /// What Prometheus gets.
    pub(crate) fn text(&self) -> String {
        text(&self.registry)
    }
}

fn text(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

async fn serve(listener: TcpListener, registry: Registry) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, registry.clone()));
    }
}

/// One request, whatever it asks for.
async fn answer(mut stream: TcpStream, registry: Registry) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let body = text(&registry);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}
