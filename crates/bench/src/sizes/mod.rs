//! The throughput of a server by the number of connections in the pool, and the law that it follows.
//!
//! 128 tasks always want a connection. Only the size of the pool differs, so the server has as many requests at once as
//! the pool has connections, and the others wait in the pool. Rounds as in the scenarios: each measures every size once,
//! in an order of its own.

mod database;
mod usl;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use poolhouse::{Manager, Pool, PoolConfig};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::Crowd;
use crate::machine::Machine;
use crate::runtime;
use crate::server::Server;
use crate::stats::{Summary, percentile};
use usl::Fit;

pub use database::serve;

pub const SIZES: [usize; 13] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 96, 128];
const TASKS: usize = 128;

#[derive(Debug, Serialize)]
pub struct Report {
    pub command: String,
    pub mode: &'static str,
    pub date: String,
    pub machine: Machine,
    pub seed: u64,
    pub setup: String,
    pub rounds: usize,
    pub sizes: Vec<Size>,
    pub fit: Fit,
}

/// What one size of the pool gives.
#[derive(Debug, Serialize)]
pub struct Size {
    pub connections: usize,
    pub requests_per_s: Summary,
    /// How long a request is at the server.
    pub service_p50_us: Summary,
    pub service_p99_us: Summary,
    /// With the wait for the connection.
    pub latency_p50_us: Summary,
    pub latency_p99_us: Summary,
}

struct Opener(SocketAddr);

impl Manager for Opener {
    type Connection = TcpStream;
    type Error = std::io::Error;

    async fn connect(&self) -> std::io::Result<TcpStream> {
        crate::echo::connect(self.0).await
    }
}

/// Requests a second, and the latencies in microseconds, sorted: at the server, and in all.
struct Sample {
    requests_per_s: f64,
    service: Vec<f64>,
    latency: Vec<f64>,
}

/// Measures every size. The shortest run that says something is a quick one.
pub fn measure(quick: bool, seed: u64, command: String) -> Result<Report> {
    let rounds = if quick { 3 } else { 15 };
    let window = Duration::from_millis(if quick { 150 } else { 400 });
    let two = runtime::pinned(2);
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut order: Vec<usize> = (0..SIZES.len()).collect();
    let mut samples: Vec<Vec<Sample>> = SIZES.iter().map(|_| Vec::new()).collect();
    let progress = ProgressBar::new((rounds * SIZES.len()) as u64);
    for _ in 0..rounds {
        rng.shuffle(&mut order);
        for &index in &order {
            samples[index].push(sample(&two, SIZES[index], window)?);
            progress.inc(1);
        }
    }
    progress.finish();

    let summary = |samples: &[Sample], figure: fn(&Sample) -> f64| {
        let values: Vec<f64> = samples.iter().map(figure).collect();
        Summary::of(&values).expect("there were rounds")
    };
    let sizes: Vec<Size> = SIZES
        .iter()
        .zip(&samples)
        .map(|(&connections, samples)| Size {
            connections,
            requests_per_s: summary(samples, |sample| sample.requests_per_s),
            service_p50_us: summary(samples, |sample| share(&sample.service, 0.5)),
            service_p99_us: summary(samples, |sample| share(&sample.service, 0.99)),
            latency_p50_us: summary(samples, |sample| share(&sample.latency, 0.5)),
            latency_p99_us: summary(samples, |sample| share(&sample.latency, 0.99)),
        })
        .collect();
    let points: Vec<(f64, f64)> =
        sizes.iter().map(|size| (size.connections as f64, size.requests_per_s.median)).collect();
    Ok(Report {
        command,
        mode: if quick { "quick" } else { "full" },
        date: crate::machine::date(),
        machine: Machine::this(),
        seed,
        setup: format!(
            "{TASKS} tasks always want a connection. The server, on the same two cores, has a thread and 1 MiB for each \
             connection, and a spinlock that each request takes once"
        ),
        rounds,
        sizes,
        fit: Fit::of(&points).context("the sizes do not determine the law")?,
    })
}

fn share(sorted: &[f64], share: f64) -> f64 {
    percentile(sorted, share).unwrap_or(f64::NAN)
}

fn sample(two: &tokio::runtime::Runtime, connections: usize, window: Duration) -> Result<Sample> {
    // A server of its own: threads of the size before would still be ending.
    let server = Server::start("database")?;
    let config =
        PoolConfig { min_connections: connections, max_connections: connections, ..PoolConfig::default() };
    let pool = two.block_on(async {
        let pool = Pool::new(Opener(server.address), config)?;
        pool.warm_up().await?;
        anyhow::Ok(pool)
    })?;
    let crowd = Crowd { tasks: TASKS, warm: Duration::from_millis(50), measure: window };
    let done = crowd.run(two, |_, phase| {
        let pool = pool.clone();
        async move {
            let mut latencies = Vec::with_capacity(1024);
            while let Some(counts) = phase.counts() {
                let asked = Instant::now();
                let mut connection = pool.acquire().await.expect("the server is there");
                let had = Instant::now();
                request(&mut connection).await.expect("the server answers");
                drop(connection);
                if counts {
                    latencies.push((micros(had), micros(asked)));
                }
            }
            latencies
        }
    });
    let latencies = done.tasks.concat();
    let sorted = |pick: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = latencies.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    Ok(Sample {
        requests_per_s: latencies.len() as f64 / done.elapsed.as_secs_f64(),
        service: sorted(|pair| pair.0),
        latency: sorted(|pair| pair.1),
    })
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_nanos() as f64 / 1e3
}

async fn request(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"?").await?;
    stream.read_exact(&mut [0]).await?;
    Ok(())
}
