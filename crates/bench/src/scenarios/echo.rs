//! S5: what a pool costs when there is a network, though only the loopback.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use poolhouse::{IntoManager, PacketManager, Pool};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::waits;
use crate::competitor::{About, Acquire, Contender, Kind, Source, Visitor, filled};
use crate::competitors::echo::{CONNECT_EACH, DEDICATED, SHARED, packet_pool, trusting};
use crate::competitors::{self, full_pool};
use crate::echo::{Looking, PAYLOAD, Trusting, connect, exchange};
use crate::harness::{Bench, Sample, Scenario};
use crate::load::Crowd;
use crate::server::Server;
use crate::stats::percentile;

const TASKS: usize = 64;
const MAX: usize = 8;

pub(super) fn scenario() -> Scenario {
    let mut scenario = Scenario::new(
        "S5",
        "TCP echo on the loopback",
        "64 tasks on 8 connections, two workers, the server in a process of its own on the same cores; each task \
         acquires, sends 64 bytes and reads them back. Wall time and processor time of the client by operations; the \
         latency is of acquire and exchange together",
    );
    // Each lane keeps it, so it ends with the scenario.
    let server = Arc::new(Server::start("echo").expect("the echo server starts"));
    let mut add = Add { scenario: &mut scenario, server };
    competitors::each(&mut add);
    add.lane(&packet_pool(), |bench, address| {
        let pool = bench.two.block_on(warm_packets(address));
        measure(bench, |_| Packets(pool.clone()))
    });
    add.lane(&DEDICATED.about(), |bench, address| {
        let streams = bench.two.block_on(open(address, TASKS));
        let streams = parking_lot::Mutex::new(streams);
        measure(bench, |_| Dedicated(streams.lock().pop().expect("a stream for each task")))
    });
    add.lane(&CONNECT_EACH.about(), |bench, address| measure(bench, |_| ConnectEach(address)));
    add.lane(&SHARED.about(), |bench, address| {
        let stream = bench.two.block_on(connect(address)).expect("the server is there");
        let stream = Arc::new(Mutex::new(stream));
        measure(bench, |_| Shared(Arc::clone(&stream)))
    });
    scenario.times_floor(DEDICATED.about().id, "us_per_op", "times_dedicated");
    scenario.times_floor(DEDICATED.about().id, "cpu_us_per_op", "cpu_times_dedicated");
    scenario
}

struct Add<'a> {
    scenario: &'a mut Scenario,
    server: Arc<Server>,
}

impl Add<'_> {
    fn lane(&mut self, about: &About, round: impl Fn(&Bench, SocketAddr) -> Sample + 'static) {
        let server = Arc::clone(&self.server);
        self.scenario.lane(about, move |bench| round(bench, server.address));
    }
}

impl Visitor for Add<'_> {
    fn visit<K: Kind>(&mut self) {
        if !waits::<K>(self.scenario) {
            return;
        }
        self.lane(&K::about(), |bench, address| pooled::<K, _>(bench, Looking(address)));
        if let Some(about) = trusting(&K::about()) {
            self.lane(&about, |bench, address| pooled::<K, _>(bench, Trusting(address)));
        }
    }
}

fn pooled<K: Kind, S: Source<Connection = TcpStream>>(bench: &Bench, source: S) -> Sample {
    let pool = bench.two.block_on(filled::<K, S>(source, MAX));
    measure(bench, |_| Pooled::<K, S>(Arc::clone(&pool)))
}

/// What one task does again and again.
trait Client: Send + 'static {
    fn operate(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

struct Pooled<K: Kind, S: Source>(Arc<K::Pool<S>>);

impl<K: Kind, S: Source<Connection = TcpStream>> Client for Pooled<K, S> {
    async fn operate(&mut self) -> io::Result<()> {
        let mut guard = self.0.acquire().await;
        exchange(<K::Pool<S> as Contender<S>>::connection(&mut guard)).await
    }
}

struct Packets(Pool<PacketManager>);

impl Client for Packets {
    async fn operate(&mut self) -> io::Result<()> {
        let mut connection = self.0.acquire().await.map_err(io::Error::other)?;
        connection.send_packet(&PAYLOAD[..]).await.map_err(io::Error::other)?;
        let reply = connection.receive().await.map_err(io::Error::other)?;
        if reply == PAYLOAD[..] { Ok(()) } else { Err(io::Error::other("the echo is not what was sent")) }
    }
}

struct Dedicated(TcpStream);

impl Client for Dedicated {
    async fn operate(&mut self) -> io::Result<()> {
        exchange(&mut self.0).await
    }
}

struct ConnectEach(SocketAddr);

impl Client for ConnectEach {
    async fn operate(&mut self) -> io::Result<()> {
        let mut stream = connect(self.0).await?;
        exchange(&mut stream).await?;
        // A reset in place of a wait: otherwise the ports run out within seconds.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))
    }
}

struct Shared(Arc<Mutex<TcpStream>>);

impl Client for Shared {
    async fn operate(&mut self) -> io::Result<()> {
        exchange(&mut *self.0.lock().await).await
    }
}

async fn warm_packets(address: SocketAddr) -> Pool<PacketManager> {
    let pool = full_pool(address.into_manager(), MAX);
    let mut held = Vec::new();
    for _ in 0..MAX {
        held.push(Acquire::acquire(&pool).await);
    }
    pool
}

async fn open(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(connect(address).await.expect("the server is there"));
    }
    streams
}

fn measure<C: Client>(bench: &Bench, client: impl Fn(usize) -> C) -> Sample {
    let slice = bench.pick(Duration::from_millis(60), Duration::from_millis(150));
    let crowd = Crowd { tasks: TASKS, warm: Duration::from_millis(20), measure: slice };
    let window = crowd.run(&bench.two, |number, phase| {
        let mut client = client(number);
        async move {
            let mut latencies = Vec::with_capacity(4096);
            while let Some(counts) = phase.counts() {
                let start = Instant::now();
                client.operate().await.expect("the server echoes");
                if counts {
                    latencies.push(start.elapsed().as_nanos() as f64 / 1e3);
                }
            }
            latencies
        }
    });
    let mut latencies = window.tasks.concat();
    latencies.sort_by(f64::total_cmp);
    let ops = latencies.len() as f64;
    vec![
        ("us_per_op", window.elapsed.as_nanos() as f64 / 1e3 / ops),
        ("cpu_us_per_op", window.cpu.as_nanos() as f64 / 1e3 / ops),
        ("latency_p50_us", percentile(&latencies, 0.5).expect("there were operations")),
        ("latency_p99_us", percentile(&latencies, 0.99).expect("there were operations")),
    ]
}
