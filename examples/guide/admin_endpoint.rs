//! An administrative endpoint: what the pool holds and does, and the calls that
//! change it, over HTTP on the loopback address.
//!
//! `cargo run --example admin_endpoint`. The program leaks connections, and asks
//! its own endpoint as an operator would with curl.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use poolhouse::{Histogram, PacketPool, PoolConfig, PoolStats};
use poolhouse_echo::EchoServer;
use tokio::time::{sleep, timeout};

mod operator;

use operator::{ask, request};

// ANCHOR: overview
/// What the pool waits for, counts and times, from one snapshot.
async fn overview(State(pool): State<PacketPool>) -> String {
    let stats = pool.stats();
    let (active, idle) = (stats.active_connections, stats.idle_connections);
    let (waiting, failed) = (stats.pending_requests, stats.timed_out_acquisitions);
    format!(
        "{}\nmaximum {}: {active} active, {idle} idle, {} connecting\n\
         {waiting} waiting, {failed} timed out\nwaits: {}\nholds: {}\n",
        diagnosis(&stats),
        stats.max_connections,
        stats.connecting,
        percentiles(&stats.wait_times),
        percentiles(&stats.hold_times),
    )
}

fn diagnosis(stats: &PoolStats) -> &'static str {
    if stats.suspended {
        "suspended: POST /pool/resume ends it"
    } else if stats.pending_requests == 0 {
        "nobody waits"
    } else if stats.active_connections >= stats.max_connections {
        "all connections are held: GET /pool/holders says where"
    } else {
        "callers wait for a connect, a check or a reset: see the log"
    }
}

fn percentiles(times: &Histogram) -> String {
    match (times.quantile(0.5), times.quantile(0.99)) {
        (Some(half), Some(most)) => format!("50 % {half:?}, 99 % {most:?}"),
        _ => "none yet".to_owned(),
    }
}
// ANCHOR_END: overview

// ANCHOR: holders
/// The longest hold first.
async fn holders(State(pool): State<PacketPool>) -> String {
    let mut lines = String::new();
    for holder in pool.holders() {
        lines += &format!("connection {} is {holder}\n", holder.connection);
    }
    lines
}
// ANCHOR_END: holders

// ANCHOR: options
/// All options, as a settings file has them.
async fn options(State(pool): State<PacketPool>) -> Result<String, Refused> {
    Ok(toml::to_string(&pool.config())?)
}

/// Lays the lines over the options of this moment: all of them, or none.
async fn change(
    State(pool): State<PacketPool>,
    lines: String,
) -> Result<String, Refused> {
    let changes: toml::Table = lines.parse()?;
    let mut options = toml::Table::try_from(pool.config())?;
    options.extend(changes.clone());
    pool.reconfigure(options.try_into()?)?;
    Ok(changes.to_string())
}
// ANCHOR_END: options

// ANCHOR: refused
/// The text names the option. An operator may read it, and nobody else asks.
struct Refused(String);

impl<E: Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let text = format!("{}\n", self.0.trim_end());
        (StatusCode::BAD_REQUEST, text).into_response()
    }
}
// ANCHOR_END: refused

// ANCHOR: calls
async fn resize(
    State(pool): State<PacketPool>,
    Path(maximum): Path<usize>,
) -> Result<String, Refused> {
    pool.resize(maximum)?;
    Ok(format!("maximum {maximum}\n"))
}

async fn invalidate(State(pool): State<PacketPool>) -> &'static str {
    pool.invalidate_all();
    "idle connections are closed, held ones close when they come back\n"
}

/// For what need not happen at once.
async fn invalidate_over(
    State(pool): State<PacketPool>,
    Path(seconds): Path<u64>,
) -> String {
    pool.invalidate_all_over(Duration::from_secs(seconds));
    format!("each connection is replaced within {seconds} s\n")
}

async fn suspend(State(pool): State<PacketPool>) -> &'static str {
    pool.suspend();
    "suspended\n"
}

async fn resume(State(pool): State<PacketPool>) -> &'static str {
    pool.resume();
    "resumed\n"
}
// ANCHOR_END: calls

// ANCHOR: routes
fn routes(pool: PacketPool) -> Router {
    Router::new()
        .route("/pool", get(overview))
        .route("/pool/holders", get(holders))
        .route("/pool/options", get(options).post(change))
        .route("/pool/resize/{maximum}", post(resize))
        .route("/pool/invalidate", post(invalidate))
        .route("/pool/invalidate/{seconds}", post(invalidate_over))
        .route("/pool/suspend", post(suspend))
        .route("/pool/resume", post(resume))
        .layer(DefaultBodyLimit::max(1024))
        .layer(middleware::from_fn(guard))
        .with_state(pool)
}

/// No page that an operator has open may reach the pool through a forwarded port.
/// A browser sends `Origin` with each POST, and as `Host` the name that it used.
async fn guard(request: Request, next: Next) -> Response {
    let host =
        request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name =
        host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    let is_ours = matches!(name, Some("127.0.0.1" | "localhost" | "pool"));
    if !is_ours || request.headers().contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "not from a browser\n").into_response();
    }
    match timeout(Duration::from_secs(1), next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "too slow\n").into_response(),
    }
}
// ANCHOR_END: routes

// ANCHOR: serve
/// In a runtime of its own, which answers while the service's is blocked.
fn serve(listener: TcpListener, routes: Router) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, routes).await
    })
}

fn start(address: &str, pool: PacketPool) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    thread::Builder::new().name("pool-admin".to_owned()).spawn(move || {
        if let Err(error) = serve(listener, routes(pool)) {
            eprintln!("no administrative endpoint: {error}");
        }
    })?;
    Ok(address)
}
// ANCHOR_END: serve

/// Waits until the statistics are so.
async fn until(pool: &PacketPool, is_so: impl Fn(&PoolStats) -> bool) {
    while !is_so(&pool.stats()) {
        sleep(Duration::from_millis(1)).await;
    }
}

/// The operator blocks this thread, the only one of the service, and the endpoint
/// answers all the same.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = EchoServer::start().await?;
    let config = PoolConfig { max_connections: 2, ..PoolConfig::default() };
    let pool = PacketPool::new(server.addr(), config)?;
    let address = start("127.0.0.1:0", pool.clone())?;

    println!("== all connections leak");
    let mut sessions = Vec::new();
    for _ in 0..2 {
        sessions.push(pool.acquire().await?);
    }
    let waiting = pool.clone();
    let waiters = tokio::spawn(async move {
        tokio::try_join!(waiting.acquire(), waiting.acquire()).map(drop)
    });
    until(&pool, |stats| stats.pending_requests == 2).await;
    ask(address, "GET /pool", "")?;
    ask(address, "GET /pool/holders", "")?;

    println!("== room for those who wait");
    ask(address, "POST /pool/resize/4", "")?;
    waiters.await??;
    ask(address, "GET /pool", "")?;

    println!("== options");
    ask(address, "POST /pool/options", "leak_threshold = \"50ms\"")?;
    until(&pool, |stats| stats.reported_leaks == 2).await;
    println!("reported as leaks: {}", pool.stats().reported_leaks);
    let before = pool.config();
    for wrong in ["leak_treshold = \"1m\"", "idle_timeout = 30", "max_idle = 0"] {
        assert!(ask(address, "POST /pool/options", wrong)?.starts_with("400"));
    }
    assert!(ask(address, "POST /pool/resize/0", "")?.starts_with("400"));
    assert_eq!(pool.config(), before, "a refusal changes nothing");
    let file = request(address, "GET /pool/options", "accept: */*", "")?;
    let file = file.trim_start_matches("200 OK\n");
    assert_eq!(toml::from_str::<PoolConfig>(file)?, before, "a settings file");

    println!("== the server has failed over");
    let destroyed = pool.stats().connections_destroyed;
    ask(address, "POST /pool/invalidate", "")?;
    println!("closed: {}", pool.stats().connections_destroyed - destroyed);
    sessions.clear();
    println!("closed: {}", pool.stats().connections_destroyed - destroyed);

    println!("== the server restarts");
    ask(address, "POST /pool/suspend", "")?;
    let waiting = pool.clone();
    let waiter = tokio::spawn(async move { waiting.acquire().await.map(drop) });
    until(&pool, |stats| stats.pending_requests == 1).await;
    ask(address, "GET /pool", "")?;
    ask(address, "POST /pool/resume", "")?;
    waiter.await??;

    println!("== refused");
    for (header, body) in [
        ("origin: https://example.com", ""),
        ("host: pages.example.com", ""),
        ("content-length: 2000", &*"#".repeat(2000)),
        ("content-length: 100", "a body that never ends"),
    ] {
        println!("{}", request(address, "POST /pool/options", header, body)?);
    }
    Ok(())
}
