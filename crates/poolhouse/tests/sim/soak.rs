//! A soak in virtual time: clients use a pool at random while faults come and go at random.
//!
//! Time passes in rounds. In each, the clients work while one fault after the other strikes, sometimes two together,
//! and is lifted again. After a fault somebody must be answered within a bound, and after a longer one, calm, nothing
//! may fail at all. At the end of a round everybody goes home, and the pool must hold exactly what the server holds and
//! hand out exactly its maximum. Half of the time the pool resets each connection between two holders, and says goodbye.
//!
//! `cargo test` runs an hour. For more, set how many, and a seed to repeat a run:
//!
//! ```sh
//! POOLHOUSE_SIM_HOURS=24 POOLHOUSE_SIM_SEED=7 cargo test --release -p poolhouse --test sim soak -- --nocapture
//! ```

use std::sync::Arc;
use std::time::Duration;

use poolhouse::{IdleOrder, PacketManager, PacketOptions, Pool, PoolConfig};
use poolhouse_echo::Faults;
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep, sleep_until};

use crate::clients::{Calm, Shop, work};
use crate::common::{Limits, Tally, assert_no_more, check_stats, full_house, ms, secs};
use crate::env::number;
use crate::faults::{self, Fault, What};
use crate::network::{Dialer, Network};
use crate::sessions::Sessions;

const MIN: usize = 2;
const MAX: usize = 6;
const CLIENTS: usize = 12;
const LIMITS: Limits = Limits { acquire: secs(5), io: secs(2), slack: ms(2), known_dead: true };
const ROUND: Duration = secs(20 * 60);

/// How long one fault lasts at most, and how long the pause before the next is.
const TROUBLE: Duration = secs(30);
const PAUSE: Duration = secs(120);

/// The longest time between two rounds.
const LULL: Duration = secs(15 * 60);

/// How long after a fault somebody must have been answered: an exchange that began in it fails, the backoff pauses, and
/// a client has to want something.
const ANSWERED_AFTER: Duration = secs(10);

/// How long after a fault nothing may fail any more: by then every idle connection has been used or checked. One of the
/// idle is checked at a time, and all of them once a check has failed.
const CALM_AFTER: Duration = secs(20);

fn config(rng: &mut fastrand::Rng) -> PoolConfig {
    PoolConfig {
        min_connections: MIN,
        max_connections: MAX,
        connection_timeout: LIMITS.acquire,
        connect_attempt_timeout: secs(1),
        idle_timeout: secs(60),
        health_check_interval: secs(10),
        health_check_timeout: secs(1),
        reset_timeout: secs(1),
        close_timeout: secs(1),
        max_lifetime: secs(10 * 60),
        connect_backoff: ms(50),
        max_connect_backoff: secs(2),
        check_after_idle: if rng.bool() { secs(3) } else { Duration::MAX },
        idle_order: if rng.bool() { IdleOrder::Lifo } else { IdleOrder::Fifo },
        ..PoolConfig::default()
    }
}

struct World {
    network: Network,
    shop: Arc<Shop<Dialer>>,
    /// If the pool resets and closes gracefully.
    sessions: Option<Sessions>,
    rng: fastrand::Rng,
}

impl World {
    fn new(seed: u64, resets: bool) -> Self {
        // The pool's own draws, of jitter, come from here.
        fastrand::seed(seed);
        let mut rng = fastrand::Rng::with_seed(seed);
        let random_latency = Some(ms(0)..=ms(20));
        let network = Network::new(Faults { random_latency, seed, ..Faults::default() });
        let options = PacketOptions { io_timeout: LIMITS.io, ..PacketOptions::default() };
        let manager = PacketManager::new(network.dialer()).with_options(options);
        let detached = network.clone();
        let sessions = resets.then(Sessions::default);
        let config = config(&mut rng);
        let pool = match &sessions {
            Some(sessions) => sessions.pool(manager, config),
            None => Pool::new(manager, config).expect("a possible pool"),
        };
        let shop = Arc::new(Shop {
            pool,
            limits: LIMITS,
            tally: Tally::default(),
            calm: Calm::default(),
            detached: Box::new(move || Box::new(detached.detached())),
            think: secs(3),
            hold: ms(500),
        });
        Self { network, shop, sessions, rng }
    }

    async fn round(&mut self) {
        let end = Instant::now() + ROUND;
        self.shop.calm.set(Some(Instant::now()));
        let (shop, mut rng) = (Arc::clone(&self.shop), self.rng.fork());
        tokio::join!(work(&shop, &mut rng, CLIENTS, end), self.trouble(end - TROUBLE * 2 - CALM_AFTER));
        self.take_stock().await;
        self.lull().await;
    }

    /// Nobody comes for a while that may be longer than every limit of the pool.
    async fn lull(&mut self) {
        sleep(LULL.mul_f64(self.rng.f64())).await;
        let stats = self.shop.pool.stats();
        check_stats(&stats, "in a lull");
        assert_eq!(
            (stats.active_connections, stats.pending_requests),
            (0, 0),
            "somebody is there: {stats:?}"
        );
        assert!(stats.total_connections >= MIN, "fewer than the minimum: {stats:?}");
        sleep(self.shop.pool.config().idle_timeout + secs(1)).await;
        let stats = self.shop.pool.stats();
        assert_eq!(stats.total_connections, MIN, "what nobody needs is kept: {stats:?}");
    }

    /// Faults, one after the other, with pauses that are calm or not.
    async fn trouble(&mut self, end: Instant) {
        let faults: Vec<Fault> = faults::all()
            .into_iter()
            .filter(|fault| fault.name != "nothing" && fault.name != "crosstalk")
            .collect();
        loop {
            sleep(PAUSE.mul_f64(self.rng.f64())).await;
            if Instant::now() >= end {
                return;
            }
            self.shop.calm.set(None);
            let mut restart = false;
            for _ in 0..self.rng.usize(1..3) {
                let fault = &faults[self.rng.usize(..faults.len())];
                self.shop.tally.count("faults");
                restart |= matches!(fault.what, What::Stopped | What::ShortFrames(_));
                fault.strike(&self.network).await;
                if self.rng.u32(..4) == 0 {
                    let max = self.rng.usize(3..=MAX);
                    self.shop.pool.resize(max).expect("a possible maximum");
                }
                self.rule();
                sleep(TROUBLE.mul_f64(self.rng.f64())).await;
            }
            self.network.lift_all(restart).await;
            self.shop.pool.resize(MAX).expect("a possible maximum");
            self.shop.tally.count(if restart { "restarts" } else { "lifts" });
            let lifted = Instant::now();
            self.shop.calm.set(Some(lifted + CALM_AFTER));
            sleep_until(lifted + ANSWERED_AFTER).await;
            assert!(self.shop.calm.answered_since(lifted), "nobody is answered: {:?}", self.shop.pool);
        }
    }

    /// What the pool's owner does in a bad hour.
    fn rule(&mut self) {
        let pool = &self.shop.pool;
        match self.rng.u32(..10) {
            0 | 1 => pool.invalidate_all(),
            2 => pool.invalidate_all_over(secs(5)),
            3 => pool.connect_now(),
            4 => {
                pool.retain(|_, info| !info.use_count.is_multiple_of(3));
            }
            5 => {
                let pool = pool.clone();
                tokio::spawn(async move { pool.check_now().await });
            }
            _ => {}
        }
    }

    /// Everybody has gone home, and the weather is fair.
    async fn take_stock(&self) {
        let Self { network, shop, .. } = self;
        let tally = Tally::default();
        let held = full_house(&shop.pool, LIMITS, &tally).await;
        assert!(held.is_some(), "capacity is lost: {tally}, {:?}", shop.pool);
        assert_no_more(&shop.pool).await;
        drop(held);
        sleep(ms(10)).await;
        if let Some(sessions) = &self.sessions {
            sessions.assert_kept();
            // The resets of what has just come back.
            sleep(shop.pool.config().reset_timeout).await;
        }
        let stats = shop.pool.stats();
        check_stats(&stats, "at the end of a round");
        let total = stats.total_connections;
        assert_eq!((network.ends(), network.counts().open), (total, total as u64), "a stray connection");
        assert!(network.ends_peak() <= MAX, "{} connections at once", network.ends_peak());
        // The background of the pool, and for each connection the relay and the server.
        let tasks = Handle::current().metrics().num_alive_tasks();
        assert!(tasks <= 1 + 2 * total, "{tasks} tasks for {total} connections");
    }
}

/// What a run of so many hours comes to.
fn soak(seed: u64, hours: f64, resets: bool) -> Tally {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::new(seed, resets);
        let begin = Instant::now();
        while begin.elapsed() < secs(3600).mul_f64(hours) {
            world.round().await;
        }
        let report = world.shop.pool.close_within(secs(1)).await;
        assert!(report.is_complete(), "{report}");
        sleep(ms(10)).await;
        assert_eq!((world.network.ends(), world.network.counts().open), (0, 0), "open after close");
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "tasks are left");
        if let Some(sessions) = world.sessions {
            sessions.assert_kept();
            sessions.assert_tried();
        }
        world.shop.tally.clone()
    })
}

/// `reset.between`, `cancel.no_loss`, `cancel.tainted`, `acquire.deadline`, `size.max`, `stats.consistent`, `health.known_dead`: through
/// hours of traffic and trouble.
#[test]
fn soak_in_virtual_time() {
    let seed = number("POOLHOUSE_SIM_SEED").unwrap_or(1);
    let hours = number("POOLHOUSE_SIM_HOURS").unwrap_or(0.5);
    // Shown when the test fails, and with --nocapture.
    println!("POOLHOUSE_SIM_SEED={seed} POOLHOUSE_SIM_HOURS={hours}");
    let begin = std::time::Instant::now();
    for resets in [false, true] {
        let tally = soak(seed, hours / 2.0, resets);
        let kind = if resets { "with resets" } else { "without resets" };
        println!("{} virtual hours {kind} in {:.1} s: {tally}", hours / 2.0, begin.elapsed().as_secs_f64());
    }
}

/// A seed that is printed is of use only if it brings the same run back.
#[test]
fn a_seed_repeats_its_run() {
    assert_eq!(soak(7, 0.1, true).to_string(), soak(7, 0.1, true).to_string());
}
