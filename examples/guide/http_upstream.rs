//! HTTP/1.1 upstreams: what a server does to connections that are kept, and what
//! callers notice.
//!
//! `cargo run --example http_upstream`

mod http;

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::server::HttpServer;
use http::upstream::{AnyError, Upstream, get, send};
use http_body_util::Empty;
use hyper::Request;
use poolhouse::{Pool, PoolConfig};
use tokio::time::timeout;

fn pool_of_one(server: &HttpServer) -> Result<Pool<Upstream>, AnyError> {
    let config = PoolConfig { max_connections: 1, ..PoolConfig::default() };
    Ok(Pool::new(Upstream(server.address()), config)?)
}

fn connects(pool: &Pool<Upstream>) -> String {
    let stats = pool.stats();
    format!(
        "{} connects, {} failed resets",
        stats.connections_created, stats.failed_resets
    )
}

async fn keep_alive(server: &HttpServer) -> Result<(), AnyError> {
    println!("== ten requests, one after the other");
    let pool = pool_of_one(server)?;
    for _ in 0..10 {
        get(&pool, "/").await?;
    }
    println!("{}", connects(&pool));
    Ok(())
}

async fn connection_close(server: &HttpServer) -> Result<(), AnyError> {
    println!("== each answer says `Connection: close`");
    let pool = pool_of_one(server)?;
    for _ in 0..3 {
        get(&pool, "/close").await?;
    }
    println!("{}", connects(&pool));
    Ok(())
}

async fn body_left_unread(server: &HttpServer) -> Result<(), AnyError> {
    println!("== a caller leaves a large body unread");
    let pool = pool_of_one(server)?;
    let error = get(&pool, "/large").await.unwrap_err();
    println!("it sees: {error}");
    println!("the next caller gets: {:?}", get(&pool, "/").await?.body());
    println!("{}", connects(&pool));
    Ok(())
}

async fn idle_closed(server: &HttpServer) -> Result<(), AnyError> {
    println!(
        "== the server closes the idle connection before each of ten requests"
    );
    let pool = pool_of_one(server)?;
    let mut errors = 0;
    for _ in 0..10 {
        let request = Request::post("/")
            .header("host", "upstream.example")
            .body(Empty::<Bytes>::new())?;
        errors += u32::from(send(&pool, request).await.is_err());
        server.close_idle();
        // As soon as that: the server's task has run, and hyper's may not have.
        tokio::task::yield_now().await;
    }
    println!("{errors} errors, of requests that may not be sent twice");
    Ok(())
}

async fn hung_up(server: &HttpServer) -> Result<(), AnyError> {
    println!("== the server hangs up on a request");
    let pool = pool_of_one(server)?;
    let error = get(&pool, "/hang-up").await.unwrap_err();
    println!("a `GET` that was sent twice sees: {error}");
    println!("{}", connects(&pool));
    Ok(())
}

async fn gives_up(server: &HttpServer) -> Result<(), AnyError> {
    println!("== a caller gives up on a server that does not answer");
    let pool = pool_of_one(server)?;
    let limit = Duration::from_millis(50);
    println!(
        "it gives up: {}",
        timeout(limit, get(&pool, "/never")).await.is_err()
    );
    println!("the next caller gets: {:?}", get(&pool, "/").await?.body());
    println!("{}", connects(&pool));
    Ok(())
}

async fn run() -> Result<(), AnyError> {
    let server = HttpServer::start().await?;
    keep_alive(&server).await?;
    connection_close(&server).await?;
    body_left_unread(&server).await?;
    idle_closed(&server).await?;
    hung_up(&server).await?;
    gives_up(&server).await
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
