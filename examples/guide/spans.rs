//! Two requests share one connection, and a trace shows which part of each is
//! waiting, and which is work.
//!
//! `cargo run --example spans`. Virtual time: it takes no time, and every run is
//! the same.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use poolhouse::{Manager, Pool, PoolConfig};
use tokio::time::{Instant, sleep};
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Subscriber, info_span};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// A server that takes 30 ms to let somebody in.
struct Server;

impl Manager for Server {
    type Connection = ();
    type Error = std::io::Error;

    async fn connect(&self) -> Result<(), std::io::Error> {
        sleep(Duration::from_millis(30)).await;
        Ok(())
    }
}

/// Prints each span when it ends: what it is part of, and how long it took. An
/// exporter would send it instead.
struct Print;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Print {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let path: Vec<_> =
            span.scope().from_root().map(|span| span.name()).collect();
        let took = span.extensions().get::<Instant>().map(Instant::elapsed);
        println!(
            "{:26}{:4} ms",
            path.join(" > "),
            took.unwrap_or_default().as_millis()
        );
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    // ANCHOR: subscriber
    let spans = Targets::new()
        .with_target("poolhouse::acquire", tracing::Level::DEBUG)
        .with_default(tracing::Level::INFO);
    tracing_subscriber::registry().with(Print.with_filter(spans)).init();
    // ANCHOR_END: subscriber

    let pool = Pool::new(
        Server,
        PoolConfig { max_connections: 1, ..PoolConfig::default() },
    )?;
    // ANCHOR: request
    let request = async || {
        let _connection = pool.acquire().await?;
        // In your code the statement runs here.
        sleep(Duration::from_millis(50)).instrument(info_span!("query")).await;
        Ok::<(), poolhouse::AcquireError>(())
    };
    let (first, second) = tokio::join!(
        request().instrument(info_span!("first request")),
        request().instrument(info_span!("second request")),
    );
    // ANCHOR_END: request
    Ok(first.and(second)?)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
