//! A soak with real sockets, in real time: clients use a pool at random while the server misbehaves and restarts.
//!
//! The clients are those of the soak in virtual time. Real sockets add what a simulation cannot show: file descriptors,
//! memory, resets, listen queues, and many threads. The server is in this process, so both ends of every connection
//! are counted. It runs in a process of its own, because nobody else may open a file meanwhile.
//!
//! Beside it, [`chaos`]: lulls, runtimes that come and go, and processes that stand still.
//!
//! `cargo test` soaks for five seconds. For longer, set how long, and a seed if you like:
//!
//! ```sh
//! POOLHOUSE_SOAK_SECONDS=3600 cargo test --release -p poolhouse --test soak -- --nocapture
//! ```
#![cfg(feature = "net")]

mod chaos;
#[path = "../sim/clients.rs"]
mod clients;
#[path = "../sim/common.rs"]
mod common;
#[path = "../sim/env.rs"]
mod env;
#[path = "../sim/faults.rs"]
#[expect(dead_code, reason = "how slow a wire is, is for the network in memory")]
mod faults;
mod process;
#[path = "../sim/sessions.rs"]
mod sessions;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use poolhouse::{PacketManager, PacketOptions, Pool, PoolConfig, TcpDialer};
use poolhouse_echo::{EchoServer, Faults};
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep, timeout};

use crate::clients::{Calm, Shop, work};
use crate::common::{Limits, Tally, assert_no_more, check_stats, full_house, ms, secs};
use crate::env::number;
use crate::faults::{Fault, What, worsen};
use crate::sessions::Sessions;

const MAX: usize = 6;
const CLIENTS: usize = 12;

/// The slack is for a machine that is busy with something else.
const LIMITS: Limits = Limits { acquire: secs(3), io: secs(1), slack: secs(2), known_dead: false };
const ROUND: Duration = secs(30);
const PAUSE: Duration = secs(8);
const CALM_AFTER: Duration = secs(5);

/// How much larger than after the first round the process may be in the end. What it needs besides is that of the
/// allocator, which keeps a reserve for each thread.
const GROWTH_KIB: u64 = 2 * 1024;

/// How long the kernel and the server may take to notice a close.
const NOTICED: Duration = secs(5);

/// Ports that no outgoing connection takes by itself. A client that dials a dead server on one of those can meet itself,
/// and the server cannot come back while it does.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// One of the long tests at a time: the soak counts the files of the process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct World {
    server: EchoServer,
    addr: SocketAddr,
    shop: Arc<Shop<TcpDialer>>,
    /// If the pool resets and closes gracefully: by the seed.
    sessions: Option<Sessions>,
    rng: fastrand::Rng,
    faults: Vec<Fault>,
    /// How many files were open before the first socket.
    files: Option<usize>,
}

fn base() -> Faults {
    Faults { random_latency: Some(ms(0)..=ms(5)), ..Faults::default() }
}

async fn listen(rng: &mut fastrand::Rng) -> EchoServer {
    loop {
        let addr = SocketAddr::from(([127, 0, 0, 1], rng.u16(PORTS)));
        match EchoServer::builder().listen(addr.to_string()).faults(base()).start().await {
            Ok(server) => return server,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("{error}"),
        }
    }
}

impl World {
    async fn new(seed: u64, files: Option<usize>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let server = listen(&mut rng).await;
        let addr = server.addr();
        let config = PoolConfig {
            min_connections: 2,
            max_connections: MAX,
            connection_timeout: LIMITS.acquire,
            connect_attempt_timeout: secs(1),
            idle_timeout: secs(2),
            health_check_interval: secs(1),
            health_check_timeout: ms(500),
            reset_timeout: ms(500),
            close_timeout: ms(500),
            max_lifetime: secs(5),
            connect_backoff: ms(20),
            max_connect_backoff: ms(500),
            ..PoolConfig::default()
        };
        let options = PacketOptions { io_timeout: LIMITS.io, ..PacketOptions::default() };
        let dialer = TcpDialer::new(addr.ip().to_string(), addr.port());
        let manager = PacketManager::new(dialer).with_options(options);
        let sessions = rng.bool().then(Sessions::default);
        let pool = match &sessions {
            Some(sessions) => sessions.pool(manager, config),
            None => Pool::new(manager, config).expect("a possible pool"),
        };
        let shop = Arc::new(Shop {
            pool,
            limits: LIMITS,
            tally: Tally::default(),
            calm: Calm::default(),
            detached: Box::new(|| Box::new(())),
            think: ms(100),
            hold: ms(20),
        });
        let faults = faults::all().into_iter().filter(|fault| {
            let wire = matches!(fault.what, What::Silence | What::Forgotten | What::SlowDial(_));
            !wire && !["nothing", "crosstalk"].contains(&fault.name)
        });
        Self { server, addr, shop, sessions, rng, faults: faults.collect(), files }
    }

    /// Stops the server, waits, and starts another one at the same address.
    async fn restart(&mut self, down: Duration, max_frame_length: Option<usize>) {
        self.shop.tally.count("restarts");
        self.server.stop().await;
        sleep(down).await;
        let mut builder = EchoServer::builder().listen(self.addr.to_string()).faults(base());
        if let Some(bytes) = max_frame_length {
            builder = builder.max_frame_length(bytes);
        }
        self.server = builder.start().await.expect("the port that was let go of just now");
    }

    async fn strike(&mut self, what: &What) {
        match what {
            What::Server(worse) => {
                let mut faults = base();
                worsen(&mut faults, worse);
                self.server.set_faults(faults);
            }
            What::DisconnectAll => self.server.disconnect_all(),
            What::Stopped => {
                let down = ms(500).mul_f64(self.rng.f64());
                self.restart(down, None).await;
            }
            What::ShortFrames(bytes) => self.restart(ms(0), Some(*bytes)).await,
            What::Nothing => {}
            What::Silence | What::Forgotten | What::SlowDial(_) => unreachable!("not with real sockets"),
        }
    }

    async fn round(&mut self, end: Instant) {
        let (shop, mut rng) = (Arc::clone(&self.shop), self.rng.fork());
        let begin = Instant::now();
        self.shop.calm.set(Some(begin));
        tokio::join!(work(&shop, &mut rng, CLIENTS, end), self.trouble(end));
        assert!(self.shop.calm.answered_since(begin), "nobody is answered: {:?}", self.shop.pool);
        self.take_stock().await;
    }

    async fn trouble(&mut self, end: Instant) {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Short pauses are the rule; a long one is calm in the end.
            let pause = PAUSE.min(left / 2).mul_f64(self.rng.f64().powi(3));
            sleep(pause).await;
            let left = left.saturating_sub(pause);
            if left < secs(1) {
                return sleep(left).await;
            }
            self.shop.calm.set(None);
            self.shop.tally.count("faults");
            let fault = self.faults[self.rng.usize(..self.faults.len())].what.clone();
            self.strike(&fault).await;
            sleep(secs(1).mul_f64(self.rng.f64())).await;
            self.server.set_faults(base());
            if matches!(fault, What::ShortFrames(_)) {
                self.restart(ms(0), None).await;
            }
            self.shop.calm.set(Some(Instant::now() + CALM_AFTER));
        }
    }

    fn server_ends(&self) -> usize {
        usize::try_from(self.server.counts().open).expect("a few")
    }

    /// Everybody has gone home, and the server is faultless.
    async fn take_stock(&mut self) {
        let pool = self.shop.pool.clone();
        let (tally, begin) = (Tally::default(), Instant::now());
        // What a fault has left dumb fails once each.
        let held = loop {
            match full_house(&pool, LIMITS, &tally).await {
                Some(held) => break held,
                None => assert!(begin.elapsed() < secs(20), "capacity is lost: {tally}, {pool:?}"),
            }
        };
        assert_no_more(&pool).await;
        let stats = pool.stats();
        check_stats(&stats, "everybody has gone home");
        assert_eq!(stats.total_connections, MAX);
        // A server that was late when a connection said goodbye keeps its end until it has answered, so of these the
        // client's ends alone are counted.
        if self.sessions.is_none() {
            let noticed = timeout(NOTICED, self.server.wait_for(|counts| counts.open == MAX as u64)).await;
            assert!(noticed.is_ok(), "a stray connection: {} for {MAX}", self.server.counts());
        }
        let counted = Instant::now();
        // The client's ends, the server's, and what listens.
        while process::open_files() != self.files.map(|files| files + MAX + self.server_ends() + 1) {
            let (open, counts) = (process::open_files(), self.server.counts());
            assert!(counted.elapsed() < NOTICED, "a stray file: {open:?} beside {:?}, {counts}", self.files);
            sleep(ms(20)).await;
        }
        drop(held);
        if let Some(sessions) = &self.sessions {
            sessions.assert_kept();
        }
        // health.known_dead: what the server has closed while it lay idle is not handed out.
        self.restart(ms(0), None).await;
        let tally = Tally::default();
        assert!(
            full_house(&pool, LIMITS, &tally).await.is_some(),
            "a dead connection was handed out: {tally}"
        );
    }
}

async fn soak(seed: u64, seconds: u64) {
    let files = process::open_files();
    let mut world = World::new(seed, files).await;
    let begin = Instant::now();
    let mut sizes = Vec::new();
    while begin.elapsed() < secs(seconds) {
        let end = (Instant::now() + ROUND).min(begin + secs(seconds));
        world.round(end).await;
        sizes.extend(process::resident_kib());
    }
    world.shop.pool.close().await;
    world.server.stop().await;
    let World { shop, server, sessions, .. } = world;
    if let Some(sessions) = sessions {
        sessions.assert_kept();
        sessions.assert_tried();
    }
    println!("{:?}: {}", begin.elapsed(), shop.tally);
    println!("{:?}", shop.pool.stats());
    println!("resident KiB after each round: {sizes:?}");
    drop((shop, server));
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let all_gone = async {
        while tasks() > 0 || process::open_files() != files {
            sleep(ms(10)).await;
        }
    };
    let in_time = timeout(NOTICED, all_gone).await.is_ok();
    assert!(in_time, "{} tasks are left, {:?} files of {files:?}", tasks(), process::open_files());
    if let (Some(first), Some(last)) = (sizes.first(), sizes.last()) {
        assert!(*last <= first + GROWTH_KIB, "grown from {first} to {last} KiB");
    }
}

/// `reset.between`, `cancel.no_loss`, `cancel.tainted`, `acquire.deadline`, `size.max`, `stats.consistent`, `health.known_dead`: with real
/// sockets, and neither a file descriptor, nor a task, nor memory is left over.
#[test]
fn soak_with_real_sockets() {
    // In a child, so that the chaos may open files meanwhile.
    let ended = process::this_test("soak_in_one_process").status().expect("this test once more");
    assert!(ended.success(), "the soak fails: {ended}");
}

/// What the test above runs.
#[test]
#[ignore = "long, and run by `soak_with_real_sockets`"]
fn soak_in_one_process() {
    let seed = number("POOLHOUSE_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = number("POOLHOUSE_SOAK_SECONDS").unwrap_or(5);
    let _alone = alone();
    // Shown when the test fails, and with --nocapture.
    println!("POOLHOUSE_SOAK_SEED={seed} POOLHOUSE_SOAK_SECONDS={seconds}");
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(soak(seed, seconds));
}
